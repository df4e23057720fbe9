from dataclasses import replace

import pytest
from caches import HEADER, write
from streams import walkers

from mottool.association.associate import associate
from mottool.association.empty_result import EmptyResult, describe_empty, explain_empty
from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.motchallenge.rows import read_rows
from mottool.settings import build_settings

FRAMES = walkers([[(50 + x, 100)] for x in range(0, 60, 4)], [[0]] * 15)
INPUTS, UNCHANGED = InputSettings(), PostprocessSettings()
HIGHEST = max(float(frame.scores.max()) for frame in FRAMES)


@pytest.fixture
def cache(tmp_path):
    return write(tmp_path / "a.h5", FRAMES, replace(HEADER, sequence="a"))


def explain(cache, tracker, inputs=INPUTS, postprocessing=UNCHANGED, **values):
    """Return the explanation of a result, which has no rows."""
    settings = build_settings(TRACKERS[tracker].settings, values, tracker)
    out = associate(
        cache,
        cache.with_name("out") / "a.txt",
        tracker,
        settings=settings,
        postprocessing=postprocessing,
        inputs=inputs,
    )
    assert len(read_rows(out, "result")) == 0
    return explain_empty("a", cache, settings, inputs, postprocessing)


@pytest.mark.parametrize(
    ("tracker", "values", "threshold"),
    [
        ("fairmot", {"conf_thres": HIGHEST}, f"above conf_thres {HIGHEST:g}"),
        ("outrack", {"conf_thres": 0.97}, "above conf_thres 0.97"),
        ("sort", {"score_filter": 0.97}, "above score_filter 0.97"),
        ("deepsort", {"min_confidence": 0.97}, "at least min_confidence 0.97"),
        ("bytetrack", {"track_thresh": 0.97}, "above track_thresh 0.97"),
        ("bytetrack", {"det_thresh": 0.97}, "at least det_thresh 0.97"),
        ("bytetrack", {"track_thresh": 0.85}, "at least det_thresh 0.95"),
        ("botsort", {"track_high_thresh": 0.97, "camera_motion": False}, "track_high_thresh 0.97"),
        ("botsort", {"new_track_thresh": 0.97, "camera_motion": False}, "new_track_thresh 0.97"),
        ("ocsort", {"track_thresh": 0.97}, "above track_thresh 0.97"),
    ],
)
def test_threshold_above_every_score_is_the_reason(cache, tracker, values, threshold):
    result = explain(cache, tracker, **values)
    assert result.reason.startswith("no detection scores")
    assert result.reason.endswith(threshold)
    assert result.highest == pytest.approx(HIGHEST)


def test_other_reasons_name_what_removed_the_rows(cache):
    none = explain(cache, "sort", InputSettings(classes=(3, 4)))
    assert none == EmptyResult("a", "no detection is of class 3, 4")
    short = explain(cache, "sort", postprocessing=PostprocessSettings(min_track_length=99))
    assert short.reason == (
        "no detection became a track that is written; see min_hits, min_track_length"
    )
    small = explain(cache, "fairmot", min_box_area=1e6)
    assert "see min_box_area" in small.reason
    assert small.highest is None


def test_message_has_the_highest_score_of_all_sequences():
    reason = "no detection scores above conf_thres 0.9"
    results = [EmptyResult(name, reason, score) for name, score in (("a", 0.25), ("b", 0.5))]
    (message,) = describe_empty(results)
    assert message == f"a, b: 2 results have no rows, as {reason}; the highest score is 0.5"
