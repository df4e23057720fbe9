"""Pipelines as objects: their detections are those that `detect-embed` writes to a cache."""

import numpy as np
import pytest
from crowds import crowd

import mottool
from mottool.errors import SettingError
from mottool.sources.discovery import find_sequences
from mottool.stages import detect_embed

NAMES = ("boxes", "scores", "classes", "embeddings", "occlusion_centres")


def test_detections_equal_those_of_a_cache(tmp_path):
    (sequence,) = find_sequences([crowd(tmp_path / "seq", frames=3, people=4)])
    options = {"pipeline": "mottool-s", "input": (320, 192), "min_score": 0.01}
    built = detect_embed.pipeline_of(detect_embed.Config(**options), 1, print)
    path = detect_embed.run(sequence, tmp_path / "seq.h5", built)
    pipeline = mottool.Pipeline(options.pop("pipeline"), **options)
    tracker = mottool.Tracker(pipeline=pipeline, fps=sequence.fps, size=(192, 128), conf_thres=0.1)
    tracks = []
    with mottool.open_cache(path) as cache:
        for frame, expected in zip(sequence.frames(), cache.frames(), strict=True):
            detections = pipeline.detect(frame.image)
            for name in NAMES:
                np.testing.assert_array_equal(getattr(detections, name), getattr(expected, name))
            tracks.append(tracker.update(detections))
        rows = mottool.track(cache, conf_thres=0.1).rows
    assert tracker.name == "outrack"
    assert len(rows)
    np.testing.assert_array_equal(mottool.TrackTable.of_frames("seq", tracks).rows.tlwh, rows.tlwh)
    two_stage = mottool.Pipeline("mottool-s", embedder="histogram", input="64x64")
    assert (two_stage.name, two_stage.settings["embedder"]) == ("mottool-s+histogram", "histogram")
    with pytest.raises(SettingError, match=r"image is not a picture but float64 \(4, 4, 3\)"):
        pipeline.detect(np.zeros((4, 4, 3)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "mottool-x"}, "did you mean 'mottool-s'"),
        ({"minscore": 0.3}, "did you mean 'min_score'"),
        ({"name": "fairmot-dla34"}, "needs its weights.*with weights"),
        ({"score_scale": 2.0}, "score_scale does not apply to mottool-s"),
        ({"input": (33, 32)}, "input '?33x32'? is not a multiple"),
    ],
)
def test_mistakes_name_the_argument(arguments, message, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SettingError, match=message) as caught:
        mottool.Pipeline(**arguments)
    assert " --" not in str(caught.value)
