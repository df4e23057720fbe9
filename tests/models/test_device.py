"""Devices: copies to and from them, clocks, streams; CUDA by stand-ins for torch's functions."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from mottool.models.device import Compute, DeviceTimer, SideStream, pack, to_host, unpack
from mottool.models.network_input import NetworkInput
from mottool.models.preprocessing import CenterWarp, Letterbox


def test_packed_tensors_come_back_with_their_types_shapes_and_bits():
    torch.manual_seed(0)
    tensors = [
        torch.rand(3, 5)[:, ::2],
        torch.arange(7),
        torch.zeros(0, 4),
        torch.randint(0, 255, (2, 3), dtype=torch.uint8),
        torch.rand(5).half(),
        torch.tensor(2.5),
    ]
    for tensor, copy in zip(tensors, unpack(pack(tensors), tensors), strict=True):
        assert (copy.dtype, copy.shape) == (tensor.dtype, tensor.shape)
        assert torch.equal(copy, tensor)


def test_tensors_on_the_cpu_are_not_copied():
    tensor = torch.rand(3)
    assert to_host([tensor])[0] is tensor
    assert to_host([]) == []


@pytest.mark.parametrize("preprocessor", [Letterbox(64, 32), CenterWarp(64, 32)])
def test_another_device_receives_bytes_and_normalises_them(preprocessor):
    frame = np.zeros((48, 64, 3), np.uint8)
    other = NetworkInput(preprocessor, Compute(torch.device("meta")))
    prepared = [other.prepare(frame)] * 2
    assert (prepared[0].dtype, prepared[0].shape) == (np.uint8, (32, 64, 3))
    images = other.batch(prepared)
    on_cpu = NetworkInput(preprocessor, Compute(torch.device("cpu")))
    expected = on_cpu.batch([on_cpu.prepare(frame)] * 2)
    assert images.device.type == "meta"
    assert (images.shape, images.dtype) == (expected.shape, expected.dtype)
    assert (images.stride(), expected.dtype) == (expected.stride(), torch.float32)


def test_a_single_frame_is_not_copied_on_the_cpu():
    array = np.ones((3, 4, 5), np.float32)
    tensor = Compute(torch.device("cpu")).upload([array])
    assert tensor.shape == (1, 3, 4, 5)
    assert tensor.data_ptr() == array.ctypes.data


def test_a_copy_from_memory_that_is_not_pinned_is_complete(monkeypatch):
    waits = []

    def copy(tensor, device, non_blocking):
        waits.append(not non_blocking)

    monkeypatch.setattr(torch.Tensor, "to", copy)
    Compute(torch.device("mps")).upload([np.zeros(3, np.float32)])
    assert waits == [True]


def test_the_clock_of_a_cuda_device_waits_only_when_it_is_read(monkeypatch):
    calls = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self, stream):
            calls.append("record")

        def synchronize(self):
            calls.append("synchronize")

        def elapsed_time(self, end):
            return 250.0  # milliseconds

    @contextmanager
    def entered(stream):
        calls.append(f"enter {stream}")
        yield
        calls.append("leave")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: "main")
    monkeypatch.setattr(torch.cuda, "Stream", lambda device: f"side of {device}")
    monkeypatch.setattr(torch.cuda, "stream", entered)
    compute = Compute(torch.device("cuda:1"))
    timer = DeviceTimer(compute)
    timer.stop()
    assert calls == ["record", "record"]
    assert timer.seconds() == 0.25
    with SideStream(compute).entered():
        calls.append("decode")
    assert calls[2:] == ["synchronize", "enter side of cuda:1", "decode", "leave"]
