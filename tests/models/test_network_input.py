"""Frames that a CUDA device letterboxes have the bytes of the CPU; the device is a stand-in."""

import numpy as np
import pytest
import torch

from mottool.models import network_input
from mottool.models.device import Compute, SideStream
from mottool.models.network_input import NetworkInput
from mottool.models.preprocessing import (
    CenterWarp,
    ClampedLetterbox,
    CornerLetterbox,
    ImageNetLetterbox,
    Letterbox,
    SmoothLetterbox,
)

CPU = Compute(torch.device("cpu"))
NOISE = np.random.default_rng(0).integers(0, 256, (540, 960, 3), np.uint8)
KINDS = (Letterbox, ClampedLetterbox, ImageNetLetterbox, SmoothLetterbox)


@pytest.fixture(autouse=True)
def no_stream(monkeypatch):
    monkeypatch.setattr(network_input, "SideStream", lambda compute: SideStream(CPU))


def on_device(preprocessor):
    """Return the input of a CUDA device, whose tensors are on the CPU."""
    network = NetworkInput(preprocessor, Compute(torch.device("cuda")))
    network._compute = CPU
    return network


def compare(preprocessor, frames):
    """Compare both inputs; return the frames as the device receives them."""
    device, cpu = on_device(preprocessor), NetworkInput(preprocessor, CPU)
    prepared = [device.prepare(frame) for frame in frames]
    expected = cpu.batch([cpu.prepare(frame) for frame in frames])
    images = device.batch(prepared)
    assert (images.dtype, images.shape) == (torch.float32, expected.shape)
    assert torch.equal(images, expected)
    return prepared


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(960, 540), (333, 540), (700, 190), (288, 160), (288, 100)])
def test_frames_that_shrink_are_copied_as_they_are(kind, size):
    width, height = size
    frames = [NOISE[:height, :width], NOISE[-height:, -width:]]
    prepared = compare(kind(288, 160), frames)
    shrinks = width > 288 or height > 160 or kind is not SmoothLetterbox
    assert {part.shape for part in prepared} == {frames[0].shape if shrinks else (160, 288, 3)}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(120, 90), (287, 100), (1, 1)])
def test_frames_that_grow_are_resized_by_the_cpu(kind, size):
    width, height = size
    (prepared,) = compare(kind(288, 160), [NOISE[:height, :width]])
    assert prepared.shape == (160, 288, 3)


@pytest.mark.parametrize("preprocessor", [CenterWarp(288, 160), CornerLetterbox(288, 160, "rgb1")])
def test_other_preprocessors_run_on_the_cpu(preprocessor):
    (prepared,) = compare(preprocessor, [NOISE])
    assert prepared.shape == (160, 288, 3)


def test_frames_of_different_sizes_share_an_input():
    sizes = [(960, 540), (960, 540), (100, 50), (333, 540), (288, 160)]
    compare(Letterbox(288, 160), [NOISE[:height, :width] for width, height in sizes])


def test_large_frames_are_shrunk_in_parts(monkeypatch):
    monkeypatch.setattr(network_input, "BYTES", 2 * NOISE.nbytes)
    counts = []
    shrink = network_input.area_resized

    def watched(frames, width, height):
        counts.append(len(frames))
        return shrink(frames, width, height)

    monkeypatch.setattr(network_input, "area_resized", watched)
    compare(Letterbox(288, 160), [NOISE] * 5)
    assert counts == [2, 2, 1]


def test_frames_that_pytorch_cannot_read_are_copied():
    fixed = NOISE.copy()
    fixed.flags.writeable = False
    for frame in (fixed, NOISE[:, ::-1], NOISE.transpose(1, 0, 2)):
        compare(Letterbox(288, 160), [frame])
