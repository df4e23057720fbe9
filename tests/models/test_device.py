"""Devices: copies to and from them, clocks, streams; CUDA by stand-ins for torch's functions."""

import threading
from contextlib import contextmanager, nullcontext

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mottool.models.device import (
    Compute,
    DeviceTimer,
    SideStream,
    pack,
    to_host,
    unpack,
    uploadable,
)
from mottool.models.network_input import NetworkInput
from mottool.models.preprocessing import CenterWarp, Letterbox
from mottool.runtimes.agreement import eager_heads
from mottool.runtimes.interfaces import LoadedNetwork


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


def test_arrays_are_copied_only_if_pytorch_cannot_read_them():
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert uploadable(array) is array
    fixed = array.copy()
    fixed.flags.writeable = False
    compute = Compute(torch.device("cpu"))
    for other in (fixed, array[::-1], array.T):
        (tensor,) = compute.upload([uploadable(other)])
        assert torch.equal(tensor, torch.tensor(other.tolist()))


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


@pytest.mark.parametrize("preprocessor", [Letterbox(64, 32), CenterWarp(64, 32)])
def test_the_values_of_bytes_are_copied_to_a_device_once(preprocessor):
    copies = []

    class Copies(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            result = func(*args, **(kwargs or {}))
            tensors = [each for each in args if isinstance(each, torch.Tensor)]
            if any(each.device.type == "cpu" for each in tensors) and result.device.type == "meta":
                copies.append(func)
            return result

    given = NetworkInput(preprocessor, Compute(torch.device("meta")))
    prepared = [given.prepare(np.zeros((48, 64, 3), np.uint8))] * 2
    given.batch(prepared)
    with Copies():
        given.batch(prepared)
    assert len(copies) == 1  # that of the frames


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


def test_what_a_side_stream_hands_over_is_waited_for_and_kept(monkeypatch):
    calls = []

    class Stream:
        def __init__(self, name):
            self.name, self.device = f"side of {name}", name

        def wait_stream(self, other):
            calls.append(f"{self.name} waits for {other.name}")

    class Result:
        def record_stream(self, stream):
            calls.append(f"kept for {stream.name}")

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: Stream("main"))
    result = Result()
    stream = SideStream(Compute(torch.device("cuda:1")))
    assert stream.handed_over(result) is result
    assert calls == ["side of main waits for side of cuda:1", "kept for side of main"]
    assert SideStream(Compute(torch.device("cpu"))).handed_over(result) is result
    assert len(calls) == 2


def test_convolutions_of_a_cuda_device_are_without_tf32_while_any_thread_computes(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    compute = Compute(torch.device("cuda"))
    inside, leave, before = threading.Event(), threading.Event(), []

    def other():
        with compute.autocast():
            inside.set()
            assert leave.wait(60)
            before.append(torch.backends.cudnn.allow_tf32)

    thread = threading.Thread(target=other)
    with compute.autocast():
        thread.start()
        assert inside.wait(60)
    assert not torch.backends.cudnn.allow_tf32
    leave.set()
    thread.join()
    assert before == [False]
    assert torch.backends.cudnn.allow_tf32
    with pytest.raises(ValueError, match="failed"), compute.autocast():
        raise ValueError("failed")
    assert torch.backends.cudnn.allow_tf32


def test_the_cpu_leaves_convolutions_of_cuda_devices_as_they_are(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    with Compute(torch.device("cpu"), torch.bfloat16).autocast():
        assert torch.backends.cudnn.allow_tf32
        assert torch.is_autocast_enabled("cpu")


def test_reference_heads_in_float32_are_without_tf32(monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    allowed = []

    class Network(torch.nn.Module):
        def forward(self, images):
            allowed.append(torch.backends.cudnn.allow_tf32)
            return {"head": images}

    device = torch.device("cuda")
    with monkeypatch.context() as patch:
        patch.setattr(torch, "autocast", lambda *given, **options: nullcontext())
        network = LoadedNetwork("n", "0", Network(), Compute(device, torch.float16), (8, 8))
        eager_heads(network, [torch.zeros(1, 3, 8, 8)])
    assert allowed == [False, False]
