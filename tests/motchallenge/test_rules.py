import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import RULES, detect_rules


def rows(count, columns):
    ones = np.ones(count, np.int64)
    return Rows(ones, ones, np.ones((count, 4)), np.ones((count, columns - 6)))


@pytest.mark.parametrize(
    ("name", "columns", "rules"),
    [
        ("MOT17-05-SDP", 9, "mot17"),
        ("MOT16-02", 9, "mot16"),
        ("mot20-01", 8, "mot20"),
        ("dancetrack0001", 9, "mot17"),
        ("PETS09-S2L1", 10, "mot15"),
        ("MOT17-05-SDP", 10, "mot15"),
        ("anything", 7, "mot15"),
    ],
)
def test_rules_are_detected_from_columns_and_name(name, columns, rules):
    assert detect_rules(name, rows(1, columns)) == rules


def test_without_rows_rules_are_detected_from_the_name():
    assert detect_rules("MOT20-05", rows(0, 6)) == "mot20"
    assert detect_rules("MOT15-x", rows(0, 6)) == "mot15"
    assert detect_rules("street", rows(0, 6)) == "mot17"


@pytest.mark.parametrize("stage", ["evaluate", "compare", "tune", "render"])
def test_stages_offer_every_benchmark(stage):
    config = import_module(f"mottool.stages.{stage}").Config
    assert config.__dataclass_fields__["rules"].metadata["choices"] == RULES
    assert RULES == ("auto", "mot15", "mot16", "mot17", "mot20")


def test_rules_are_listed_without_numpy():
    code = "import sys, mottool.motchallenge.rules; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
