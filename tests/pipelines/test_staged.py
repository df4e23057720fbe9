"""Every detector prepares frames in threads, and its cache is that of one frame after the other."""

import threading

import numpy as np
import pytest
from exports import fixed_boxes_onnx
from footage import video
from untrained import people_detector

from mottool.benchmarking.given_boxes import GivenBoxes
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.detectors.exported import detector as exported_detector
from mottool.pipelines.detectors.torchvision import detector as torchvision_detector
from mottool.pipelines.embedders.histogram import Histogram
from mottool.pipelines.interfaces import StagedRun
from mottool.pipelines.options import Options
from mottool.pipelines.two_stage import TwoStage
from mottool.sources.discovery import find_sequences

SIZE = 64, 48
FRAMES = 11


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    path = video(tmp_path_factory.mktemp("staged") / "made.mp4", FRAMES, size=SIZE)
    return find_sequences([path])[0]


def ssdlite(folder):
    path = people_detector(folder, "ssdlite")
    options = Options(weights=path, input=(160, 160), batch=2, min_score=0.05)
    return torchvision_detector("ssdlite", options)


def onnx(folder):
    boxes = np.array([[0, 0, 32, 32], [16, 0, 64, 48]], np.float32)
    path = fixed_boxes_onnx(folder / "det.onnx", boxes, np.array([0.75, 0.5]))
    return exported_detector("onnx", Options(weights=path, input=(64, 64), batch=2))


def two_stages(folder):
    return TwoStage("ssdlite+histogram", ssdlite(folder), Histogram())


def given_boxes(folder):
    def boxes(number):
        corner = np.float32([number, 0])
        return Detections(
            np.r_[corner, corner + 20][None], np.ones(1, np.float32), np.zeros(1, np.uint16)
        )

    return TwoStage("given+histogram", GivenBoxes(onnx(folder), boxes), Histogram())


@pytest.mark.parametrize("build", [ssdlite, onnx, two_stages, given_boxes])
def test_stages_overlap_and_give_the_cache_of_frames_one_by_one(
    build, sequence, tmp_path, monkeypatch
):
    pipeline = build(tmp_path)
    run = pipeline.start(sequence, print)
    assert isinstance(run, StagedRun)
    frames = [*sequence.frames()]
    alone = [
        detections
        for start in range(0, FRAMES, pipeline.batch)
        for detections, _ in run.detect(frames[start : start + pipeline.batch])
    ]
    threads, prepare = set(), type(run).prepare

    def recorded(self, frame):
        threads.add(threading.current_thread().name.rpartition("_")[0])
        return prepare(self, frame)

    monkeypatch.setattr(type(run), "prepare", recorded)
    with Cache(detect_embed(sequence, tmp_path / "out.h5", pipeline)) as cache:
        for detections, expected in zip(cache.frames(), alone, strict=True):
            assert len(detections) > 0
            for name in ("boxes", "scores", "classes"):
                np.testing.assert_array_equal(getattr(detections, name), getattr(expected, name))
            if expected.embeddings is not None:
                half = expected.embeddings.astype(np.float16)
                np.testing.assert_array_equal(detections.embeddings, half)
    assert threads == {"overlap"}
