"""JDE's Table 1: SORT and JDE's association get the same detections, and write all their boxes."""

import tomllib
from pathlib import Path

import numpy as np

from mottool.association.registry import TRACKERS
from mottool.association.tracks import SequenceInfo
from mottool.detections import Detections
from mottool.settings import build_settings
from mottool.stages import associate

TABLES = Path(__file__).parents[2] / "examples/papers/jde/tables.toml"
# Tall, small and wide boxes; the last two are ones that JDE's own settings would not write.
BOXES = np.array([[10, 10, 50, 110], [100, 10, 108, 20], [200, 10, 300, 60]], np.float32)


def trackers():
    """Yield the tracker of each row of Table 1."""
    rows = tomllib.loads(TABLES.read_text())["1"]["rows"]
    for row in rows:
        given = associate.command.make_context("associate", ["a.h5", *row["associate"].split()])
        entry = TRACKERS[given.params["tracker"]]
        names = entry.settings.__dataclass_fields__
        given = {k: v for k, v in given.params.items() if k in names and v is not None}
        settings = build_settings(entry.settings, given, row["label"])
        yield entry.load()(settings, SequenceInfo(30.0))


def frame(score):
    count = len(BOXES)
    return Detections(
        BOXES, np.full(count, score, np.float32), np.zeros(count, np.uint16),
        np.eye(count, 8, dtype=np.float32),
    )  # fmt: skip


def written(tracker, score):
    """The boxes in the fifth frame of people that stand still."""
    for _ in range(4):
        tracker.update(frame(score))
    return np.sort(tracker.update(frame(score)).boxes.round(), axis=0)


def test_trackers_of_table_1_receive_equal_detections():
    for tracker in trackers():
        np.testing.assert_allclose(written(tracker, 0.51), np.sort(BOXES, axis=0), atol=1)
    for tracker in trackers():
        assert not len(written(tracker, 0.5))
