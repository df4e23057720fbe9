"""torchvision's detectors: people only, weights from a file or a download, and errors."""

import urllib.error
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.models import detection
from untrained import people_detector

from mottool.errors import CheckpointError, InputError, SettingError
from mottool.pipelines.detectors.torchvision import KINDS
from mottool.pipelines.detectors.torchvision import detector as make_detector
from mottool.pipelines.options import Options
from mottool.sources.sequence import Frame, Sequence

IMAGES = [np.random.default_rng(i).integers(0, 256, (96, 128, 3), np.uint8) for i in range(3)]
SEQUENCE = Sequence("SEQ", Path("SEQ"), 25.0, 128, 96, 3, media=Path("SEQ"))


@pytest.fixture(scope="module")
def ssdlite(tmp_path_factory):
    return people_detector(tmp_path_factory.mktemp("coco"), "ssdlite")


def detect_all(path, name="ssdlite", batch=1, **more):
    detector = make_detector(name, Options(weights=path, input=(160, 160), batch=batch, **more))
    passing = detector.start(SEQUENCE, print)
    frames = [Frame(number, image, 0.0) for number, image in enumerate(IMAGES, 1)]
    result = []
    for start in range(0, len(frames), batch):
        result += [each for each, _ in passing.detect(frames[start : start + batch])]
    return result, detector


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n == "ssdlite" else pytest.mark.heavy) for n in KINDS]
)
def test_every_detector_gives_the_same_people_single_and_batched(name, tmp_path):
    path = people_detector(tmp_path, name)
    alone, detector = detect_all(path, name, min_score=0.0)
    together, _ = detect_all(path, name, batch=3, min_score=0.0)
    assert detector.settings["input"] == "160x160"
    assert len(detector.weights) == 64
    for one, other in zip(alone, together, strict=True):
        assert len(one) == len(other) > 0
        assert one.embeddings is None
        assert (one.classes == 0).all()
        assert ((one.scores >= 0) & (one.scores <= 1)).all()
        assert (one.boxes >= 0).all()
        assert (one.boxes[:, [0, 2]] <= 128).all()
        assert (one.boxes[:, [1, 3]] <= 96).all()
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-4)


def test_other_coco_classes_are_omitted(ssdlite, monkeypatch):
    people, _ = detect_all(ssdlite, min_score=0.05)
    monkeypatch.setattr("mottool.pipelines.detectors.torchvision.COCO_PERSON", 90)
    others, _ = detect_all(ssdlite, min_score=0.05)
    assert all(len(result) for result in people)
    assert not any(len(result) for result in others)


def test_a_device_whose_memory_is_full_is_a_one_line_error(ssdlite, monkeypatch):
    def full(network, images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(detection.ssd.SSD, "forward", full)
    with pytest.raises(SettingError, match="memory of the device cpu.*Fix: give a smaller --batch"):
        detect_all(ssdlite)


def test_half_precision_is_recorded_in_the_settings(ssdlite):
    _, detector = detect_all(ssdlite, precision="bf16")
    assert detector.settings["precision"] == "bfloat16"


def test_failed_download_error_names_the_address(tmp_path, monkeypatch):
    def fails(*arguments, **more):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.download_url_to_file", fails)
    with pytest.raises(CheckpointError) as caught:
        make_detector("fasterrcnn", Options())
    assert "weights of fasterrcnn cannot be downloaded" in caught.value.problem
    assert "https://download.pytorch.org/models/fasterrcnn" in caught.value.fix
    assert "--weights" in caught.value.fix
    assert "\n" not in str(caught.value)


def test_downloaded_weights_are_used(tmp_path, ssdlite, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = detection.SSDLite320_MobileNet_V3_Large_Weights.DEFAULT
    downloaded = tmp_path / "hub/checkpoints" / Path(weights.url).name
    downloaded.parent.mkdir(parents=True)
    downloaded.write_bytes(ssdlite.read_bytes())
    result, detector = detect_all(None, min_score=0.5)
    assert detector.weights == detect_all(ssdlite)[1].weights
    assert [len(each) for each in result] == [0, 0, 0]


def test_weights_of_another_detector_are_refused(ssdlite):
    with pytest.raises(CheckpointError, match=r"ssdlite\.pth: these weights do not fit fcos"):
        make_detector("fcos", Options(weights=ssdlite))


def test_sequence_without_images_is_refused(ssdlite):
    detector = make_detector("ssdlite", Options(weights=ssdlite))
    with pytest.raises(InputError, match="has no images"):
        detector.start(Sequence("SEQ", Path("SEQ"), 25.0, 128, 96, 3), print)
