"""ONNX and OpenVINO IR files as detectors and embedders, and files that are refused."""

import sys

import cv2
import numpy as np
import pytest
from exports import (
    colours_ir,
    colours_onnx,
    fixed_boxes_ir,
    fixed_boxes_onnx,
    normalised_onnx,
    whole_image_onnx,
)

from mottool.errors import CheckpointError, MottoolError, SettingError
from mottool.models.device import Compute
from mottool.models.exported import open_exported
from mottool.pipelines.detectors.exported import ExportedDetector
from mottool.pipelines.detectors.exported import detector as make_detector
from mottool.pipelines.embedders.exported import ExportedEmbedder
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences
from mottool.sources.sequence import Frame

CPU = Compute.named("cpu")
IMAGE = np.zeros((96, 128, 3), np.uint8)
IMAGE[:, :64] = 10, 20, 30
IMAGE[:, 64:] = 200, 100, 50
HALVES = np.array([[0, 0, 64, 96], [64, 0, 128, 96]], np.float32)


@pytest.mark.parametrize(
    ("batch", "size"), [("n", None), (1, (32, 64)), (3, (32, 64)), ("n", (16, 16))]
)
def test_onnx_embedder_handles_any_batch_size_and_input_size(tmp_path, batch, size):
    path = colours_onnx(tmp_path / "reid.onnx", batch, size)
    embedder = ExportedEmbedder(path, "rgb255", CPU)
    assert embedder.size == 3
    together = embedder.embed([IMAGE, IMAGE, IMAGE], [HALVES, HALVES[:0], HALVES])
    assert [len(each) for each in together] == [2, 0, 2]
    expected = np.array([[30, 20, 10], [50, 100, 200]], np.float32)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    for each in (together[0], together[2]):
        np.testing.assert_allclose(each, expected, atol=1e-5)


def test_ir_embedder_gets_bgr_pixels_by_default(tmp_path):
    embedder = ExportedEmbedder(colours_ir(tmp_path / "reid.xml"), None, CPU)
    (result,) = embedder.embed([IMAGE], [HALVES])
    expected = np.array([[10, 20, 30], [200, 100, 50]], np.float32)
    np.testing.assert_allclose(result, expected / np.linalg.norm(expected, axis=1)[:, None], 1e-5)
    assert embedder.settings == {"pixels": "bgr255"}


def test_onnx_embedder_gets_normalised_pixels_by_default(tmp_path):
    embedder = ExportedEmbedder(colours_onnx(tmp_path / "reid.onnx"), None, CPU)
    assert embedder.settings == {"pixels": "imagenet"}


def test_nan_of_one_runtime_is_recomputed_with_the_other(tmp_path):
    pytest.importorskip("openvino")
    path = normalised_onnx(tmp_path / "reid.onnx")
    plain = np.zeros((1, 3, 64, 32), np.float32)
    (result,) = open_exported(path, CPU).run(plain).values()
    assert np.isnan(result).all()
    embedder = ExportedEmbedder(path, "rgb255", CPU)
    flat_and_striped = np.array([[0, 0, 40, 96], [44, 0, 84, 96]], np.float32)
    (result,) = embedder.embed([IMAGE], [flat_and_striped])
    np.testing.assert_array_equal(result[0], 0)
    np.testing.assert_allclose(result[1], 1 / np.sqrt(3), atol=1e-3)


@pytest.mark.parametrize(("factor", "length"), [(1e30, r"\S+e\+"), (0, "0")])
def test_features_without_a_direction_are_refused(tmp_path, factor, length):
    path = colours_onnx(tmp_path / "a.onnx", factor=factor)
    with pytest.raises(CheckpointError, match=f"gives features of the length {length}"):
        ExportedEmbedder(path, None, CPU)


@pytest.fixture
def sequence(tmp_path):
    (tmp_path / "SEQ").mkdir()
    for number in (1, 2):
        cv2.imwrite(str(tmp_path / f"SEQ/{number:06d}.png"), IMAGE)
    return find_sequences([tmp_path / "SEQ"])[0]


def detect_both_frames(detector: ExportedDetector, sequence):
    passing = detector.start(sequence, print)
    frames = [Frame(number, IMAGE, 0.0) for number in (1, 2)]
    return [detections for detections, _ in passing.detect(frames)]


def test_boxes_of_an_onnx_detector_are_scaled_to_the_frame(tmp_path, sequence):
    boxes = np.array([[32, 16, 64, 64], [0, 0, 8, 8]], np.float32)
    path = fixed_boxes_onnx(tmp_path / "det.onnx", boxes, np.array([0.75, 0.05]))
    detector = make_detector("onnx", Options(weights=path, input=(256, 192)))
    for detections in detect_both_frames(detector, sequence):
        np.testing.assert_allclose(detections.boxes, [[16, 8, 32, 32]])
        np.testing.assert_allclose(detections.scores, [0.75])
        assert detections.classes.tolist() == [0]
        assert detections.embeddings is None
    assert detector.settings["input"] == "256x192"
    assert len(detector.weights) == 64


def test_the_class_of_people_is_found_by_the_names_in_the_file(tmp_path, sequence):
    onnx = pytest.importorskip("onnx")
    path = fixed_boxes_onnx(tmp_path / "det.onnx", np.zeros((1, 4)), np.zeros(1))

    def detector(names, **options):
        model = onnx.load(path)
        del model.metadata_props[:]
        model.metadata_props.add(key="names", value=names)
        onnx.save(model, path)
        return make_detector("onnx", Options(weights=path, input=(64, 64), **options))

    messages = []
    found = detector("{0: 'car', 7: 'Pedestrian'}")
    found.start(sequence, messages.append)
    assert found.settings["person_class"] == 7
    assert messages == [f"{path}: detects class 7 (Pedestrian) of 2"]
    assert detector("{0: 'ship'}").person == 0
    with pytest.raises(SettingError, match=r"its classes are 0 car, 1 ship. Fix: .*--person-class"):
        detector("{0: 'car', 1: 'ship'}")
    assert detector("{0: 'car', 1: 'ship'}", person_class=1).person == 1
    assert detector("{0: 'person', " + "(" * 5000).person is None  # damaged


def test_a_network_of_another_task_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    path = fixed_boxes_onnx(tmp_path / "det.onnx", np.zeros((1, 4)), np.zeros(1))
    model = onnx.load(path)
    model.metadata_props.add(key="task", value="obb")
    onnx.save(model, path)
    with pytest.raises(CheckpointError, match="detects rotated boxes"):
        make_detector("onnx", Options(weights=path, input=(64, 64)))


def test_a_network_without_an_input_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.numpy_helper.from_array(np.zeros((1, 4), np.float32), "boxes")
    result = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [1, 4])
    node = onnx.helper.make_node("Identity", ["boxes"], ["out"])
    graph = onnx.helper.make_graph([node], "constant", [], [result], [value])
    opsets = [onnx.helper.make_opsetid("", 17)]
    path = tmp_path / "det.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    with pytest.raises(CheckpointError, match="takes no images"):
        make_detector("onnx", Options(weights=path, input=(64, 64)))


def test_a_detector_that_takes_the_size_of_images_gets_that_of_its_input(tmp_path, sequence):
    path = whole_image_onnx(tmp_path / "det.onnx")
    detector = make_detector("onnx", Options(weights=path, input=(256, 192)))
    for detections in detect_both_frames(detector, sequence):
        np.testing.assert_allclose(detections.boxes, [[0, 0, 128, 96]])


def test_boxes_of_an_ir_detector_are_scaled_to_the_frame(tmp_path, sequence):
    path = fixed_boxes_ir(tmp_path / "det.xml", np.array([[32, 16, 64, 32, 0.5]]))
    detector = make_detector("openvino", Options(weights=path))
    for detections in detect_both_frames(detector, sequence):
        np.testing.assert_allclose(detections.boxes, [[64, 48, 128, 96]])
    with pytest.raises(SettingError, match="takes 64x32 pixels only"):
        make_detector("openvino", Options(weights=path, input=(64, 64)))


def test_embedder_as_detector_and_detector_as_embedder_are_refused(tmp_path, sequence):
    path = colours_onnx(tmp_path / "reid.onnx")
    with pytest.raises(CheckpointError, match="embedding 1x3 have no known format"):
        detect_both_frames(make_detector("yolox", Options(weights=path)), sequence)
    boxes = fixed_boxes_onnx(tmp_path / "det.onnx", np.zeros((1, 4)), np.zeros(1))
    with pytest.raises(CheckpointError, match="outputs boxes, scores, but an embedder has one"):
        ExportedEmbedder(boxes, None, CPU)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.onnx", None, "cannot read"),
        ("page.onnx", b"<html>", "damaged or no ONNX file"),
        ("page.xml", b"<html>", "is a web page, not a weights file"),
        ("other.xml", b"<mxfile>", "no OpenVINO IR"),
        ("net.xml", b'<?xml version="1.0"?><net name="x" version="11">', "damaged"),
        ("net.pth", b"PK", "neither ONNX nor OpenVINO IR"),
    ],
)
def test_missing_or_invalid_network_files_are_refused(tmp_path, name, content, message):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
        path.with_suffix(".bin").write_bytes(b"")
    with pytest.raises(CheckpointError, match=message):
        open_exported(path, CPU)


def test_ir_without_its_bin_file_is_refused_with_the_missing_path(tmp_path):
    (tmp_path / "net.xml").write_bytes(b'<?xml version="1.0"?><net name="x" version="11">')
    with pytest.raises(CheckpointError, match=r"net\.bin.*put it beside net\.xml"):
        open_exported(tmp_path / "net.xml", CPU)


@pytest.mark.parametrize(("package", "file"), [("onnxruntime", "a.onnx"), ("openvino", "a.xml")])
def test_missing_runtime_error_is_one_line_with_the_pip_command(
    tmp_path, monkeypatch, package, file
):
    monkeypatch.setitem(sys.modules, package, None)
    (tmp_path / file).write_bytes(b"<net ")
    (tmp_path / "a.bin").write_bytes(b"")
    with pytest.raises(MottoolError) as caught:
        open_exported(tmp_path / file, CPU)
    assert f"pip install {package}" in str(caught.value)
    assert "\n" not in str(caught.value)
