"""Class names beside or inside of OpenVINO files."""

import numpy as np
import pytest
import torch
from exports import fixed_boxes_ir

from mottool.models import exported
from mottool.models.device import Compute
from mottool.models.exported import open_exported

BOXES = np.array([[1, 2, 30, 20, 0.9]])


def names(path):
    return open_exported(path, Compute.named("cpu")).class_names


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ("names:\n  0: person\n  7: traffic light\n", {0: "person", 7: "traffic light"}),
        ("names: [person]\n", {}),
        ("names: {0: [a, b], 1: car}\n", {1: "car"}),
        ("names: " + "[" * 5000, {}),
        ("\x00", {}),
        ("- a\n", {}),
    ],
)
def test_class_names_of_an_ir_are_read_from_its_metadata(tmp_path, metadata, expected):
    path = fixed_boxes_ir(tmp_path / "best.xml", BOXES)
    assert names(path) == {}
    (tmp_path / "metadata.yaml").write_text(metadata)
    assert names(path) == expected


def test_class_names_are_read_from_the_model_information_of_an_ir(tmp_path):
    openvino = pytest.importorskip("openvino")
    plain = fixed_boxes_ir(tmp_path / "plain.xml", BOXES)
    model = openvino.Core().read_model(str(plain))
    model.set_rt_info(["person", "traffic_light"], ["model_info", "labels"])
    openvino.save_model(model, str(tmp_path / "named.xml"), False)
    assert names(tmp_path / "named.xml") == {0: "person", 1: "traffic light"}


@pytest.mark.parametrize(("device", "number"), [("cuda", 0), ("cuda:1", 1)])
def test_onnx_runs_on_the_chosen_gpu(tmp_path, monkeypatch, device, number):
    opened = []

    class Stop(Exception):
        pass

    class Runtime:
        class SessionOptions:
            pass

        @staticmethod
        def get_available_providers():
            return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

        class InferenceSession:
            def __init__(self, path, options, providers):
                opened.extend(providers)

            def get_outputs(self):
                raise Stop

    path = tmp_path / "net.onnx"
    path.write_bytes(b"")
    monkeypatch.setattr(exported, "_runtime", lambda name, path: Runtime)
    with pytest.raises(Stop):
        open_exported(path, Compute(torch.device(device)))
    assert opened == [("CUDAExecutionProvider", {"device_id": number}), "CPUExecutionProvider"]
