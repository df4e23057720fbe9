"""The list of splits in the help of the commands that take them."""

from importlib import import_module

import pytest
from click.testing import CliRunner

from mottool.splits import SPLITS


@pytest.mark.parametrize(
    "stage",
    [
        *("detect_embed", "track", "associate", "evaluate", "validate", "compare"),
        *("tune", "render", "distill_labels", "train"),
    ],
)
def test_the_help_lists_the_splits(stage):
    command = import_module(f"mottool.stages.{stage}").command
    text = CliRunner().invoke(command, ["--help"]).output
    for split in SPLITS.values():
        assert f"@{split.name} " in text
