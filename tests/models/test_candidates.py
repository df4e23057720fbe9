"""Candidates of non-maximum suppression, and how often decoding waits for a device."""

import sys

import pytest
import torch
from torch.overrides import TorchFunctionMode
from untrained import network as untrained

from mottool.models import device
from mottool.models.candidates import candidates

IMAGES = 4
NETWORKS = (
    *("mottool-s", "fairmot-resnet34", "fairmot-dla34-anchors8", "jde-576x320", "outrack"),
    *("otrack", "tdt-mobilenet", "cstrack-s"),
)
BLOCKING = {"__bool__", "bincount", "item", "masked_select", "nonzero", "tolist", "unique"}


def test_candidates_are_the_anchors_above_the_threshold_of_each_image():
    scores = torch.tensor([[0.2, 0.05, 0.9], [0.0, 0.01, 0.05], [0.6, 0.3, 0.1]])
    values = torch.arange(18.0).reshape(3, 3, 2)
    result = [[part.tolist() for part in each] for each in candidates(scores, 0.05, values)]
    first, second, third = result
    assert first[0] == [0, 2]
    assert first[2] == [[0.0, 1.0], [4.0, 5.0]]
    assert second == [[], [], []]
    assert third[0] == [0, 1, 2]
    torch.testing.assert_close(torch.tensor(third[1]), scores[2])


class OnCPU(torch.Tensor):
    """What a transfer to the CPU has returned, and what is computed from it."""


class Waits(TorchFunctionMode):
    """Lists the calls for whose results a GPU must finish its work."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        name = function.__name__
        masked = name in {"__getitem__", "__setitem__"} and any(
            isinstance(index, torch.Tensor) and index.dtype == torch.bool
            for index in (args[1] if isinstance(args[1], tuple) else [args[1]])
        )
        if (name in BLOCKING or masked) and not any(isinstance(arg, OnCPU) for arg in args):
            self.calls.append(name)
        return function(*args, **(kwargs or {}))


def random_heads(network, size=(96, 160)):
    """Return heads of several images with a few people in each."""
    draw = torch.Generator().manual_seed(0)
    with torch.inference_mode():
        channels = getattr(network, "input_channels", (3,))
        heads = network(*(torch.zeros(1, count, *size) for count in channels))
    made = {}
    for name, head in heads.items():
        made[name] = torch.randn(IMAGES, *head.shape[1:], generator=draw)
        if name in {"heatmap", "occlusion", "scores"}:
            made[name] -= 2
        if name.startswith("detection_"):
            made[name][:, 4::6] += 3  # the logit of the background
        if name == "anchors":
            made[name] = head
    return made


def of_images(heads, images):
    return {name: head if name == "anchors" else head[images] for name, head in heads.items()}


@pytest.mark.parametrize("name", NETWORKS)
def test_decoding_a_batch_waits_as_often_as_for_one_image_and_decodes_the_same(name, monkeypatch):
    torch.manual_seed(0)
    network = untrained(name).eval()
    heads = random_heads(network)
    waits = Waits()

    def transfer(tensors):
        waits.calls.append("to_host")
        return [tensor.as_subclass(OnCPU) for tensor in tensors]

    to_host = device.to_host
    for module in [*sys.modules.values()]:
        if getattr(module, "to_host", None) is to_host:
            monkeypatch.setattr(module, "to_host", transfer)
    with torch.inference_mode(), waits:
        together = network.decode(heads, 0.3)
        calls, waits.calls = waits.calls, []
        (first,) = network.decode(of_images(heads, [0]), 0.3)
    assert calls == waits.calls
    assert 1 <= calls.count("to_host") <= 3
    assert len(calls) <= 4
    assert len(first.boxes) > 1
    with torch.inference_mode():
        for image, both in enumerate(together):
            (alone,) = network.decode(of_images(heads, [image]), 0.3)
            for field, value in vars(alone).items():
                # TDT multiplies the features of all people of a batch by its last weights at once,
                # and the sigmoid of an element depends on its place in memory, by the last bit.
                exact = (name, field) != ("tdt-mobilenet", "embeddings") and name != "cstrack-s"
                tolerance = {"rtol": 0 if exact else 1e-6, "atol": 0 if exact else 1e-6}
                if value is not None:
                    torch.testing.assert_close(value, getattr(both, field), **tolerance)
