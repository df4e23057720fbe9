"""CUDA graphs, by stand-ins for a capture and for the functions of torch."""

import gc
import weakref
from contextlib import contextmanager

import pytest
import torch
from deforming import Deforming
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from untrained import deployed

from mottool.errors import SettingError
from mottool.models.device import Compute
from mottool.runtimes import cuda_graph
from mottool.runtimes.choice import Runtimes
from mottool.runtimes.cuda_graph import graphed
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.precision import cast_weights
from mottool.runtimes.registry import RUNTIMES

DEFORMABLE = torch.ops.torchvision.deform_conv2d.default
# Operations that read from or write to the host, which no capture allows.
HOST = {
    torch.ops.aten.item.default,
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.lift_fresh.default,
    torch.ops.aten.nonzero.default,
}

ORDERS = []  # of the images of each call of a `Pair`: whether that of channels is last
CACHING = []  # whether the cache of autocast was on, for each call of a `Pair`


class Tape(TorchDispatchMode):
    """A graph of operations, which are computed again in the memory of their results.

    Like a CUDA graph, it lacks the deformable convolutions of torchvision.
    """

    def __init__(self):
        super().__init__()
        self.operations = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        assert func not in HOST, func
        result = func(*args, **(kwargs or {}))
        if func is not DEFORMABLE:
            self.operations.append((func, args, kwargs or {}, result))
        return result

    @torch.inference_mode()
    def replay(self):
        with torch.autocast("cpu", enabled=False):
            for func, args, kwargs, result in self.operations:
                again = tree_leaves(func(*args, **kwargs))
                for memory, value in zip(tree_leaves(result), again, strict=True):
                    if isinstance(memory, torch.Tensor):
                        memory.copy_(value)


def capture(function):
    """Capture as `cuda_graph._capture` does."""
    function()
    tape = Tape()
    with tape:
        heads = function()
    return heads, tape.replay


class Pair(nn.Module):
    """Three heads of two inputs, one of them without a row per image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 4, 3)
        self.register_buffer("grid", torch.rand(7))

    def forward(self, images, previous):
        CACHING.append(torch.is_autocast_cache_enabled())
        ORDERS.append(images.is_contiguous(memory_format=torch.channels_last))
        features = self.convolution(images - previous)
        return {"map": features, "first": features.relu_().mean((2, 3)), "grid": self.grid}


def loaded(module, dtype=torch.float32, **arguments):
    compute = Compute(torch.device("cpu"), dtype)
    channels = getattr(module, "input_channels", (3,))
    arguments = {"size": (64, 32), "channels": channels, **arguments}
    return LoadedNetwork("network", "0", module.eval(), compute, **arguments)


def pair(batch=1, dtype=torch.float32):
    return loaded(Pair(), dtype, batch=batch, channels=(3, 3))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "count"), [(1, 1), (1, 3), (4, 4), (4, 2), (4, 9)])
@torch.inference_mode()
def test_heads_of_any_number_of_images_equal_those_of_pytorch(batch, count, dtype):
    network = pair(batch, dtype)
    forward = graphed(network, capture)
    images = torch.rand(2, count, 3, 32, 64)
    with network.compute.autocast():
        heads, expected = forward(*images), network.heads(*images)
    assert [*heads] == [*expected]
    for name, head in expected.items():
        assert heads[name].dtype == head.dtype
        torch.testing.assert_close(heads[name], head)


@torch.inference_mode()
def test_a_graph_of_images_in_the_order_of_pixels():
    network = pair(batch=2, dtype=torch.bfloat16)
    images = torch.rand(2, 3, 3, 32, 64)
    ORDERS.clear()
    forward = graphed(network, capture, by_pixel=True)
    assert ORDERS[:3] == [False, True, True]  # to cast weights, to warm up, and captured
    heads = forward(*images)
    with network.compute.autocast():
        expected = network.heads(*images)
    for name, head in expected.items():
        assert heads[name].is_contiguous()
        torch.testing.assert_close(heads[name], head)


@pytest.mark.parametrize(("module", "channels"), [(Pair, (3, 3)), (Deforming, (3,))])
def test_all_that_a_graph_reads_is_kept(module, channels, monkeypatch):
    """A CUDA graph reads the memory of its weights, but does not own it."""
    kept = []

    def cast(network):
        result = cast_weights(network)
        kept.extend(map(weakref.ref, (*result.module.parameters(), *result.module.buffers())))
        return result

    def unowned(function):
        heads = function()
        kept.extend(map(weakref.ref, heads.values()))
        return heads, lambda: None

    monkeypatch.setattr(cuda_graph, "_check", lambda network, forward: None)
    monkeypatch.setattr(cuda_graph, "cast_weights", cast)
    network = loaded(module(), torch.bfloat16, channels=channels)
    forward = graphed(network, unowned)
    del network
    gc.collect()
    assert len(kept) > 2
    assert all(reference() is not None for reference in kept)
    assert callable(forward)


@torch.inference_mode()
def test_heads_are_not_overwritten_by_the_next_call():
    forward = graphed(pair(), capture)
    images = torch.rand(2, 2, 1, 3, 32, 64)
    first = forward(*images[0])
    copies = {name: head.clone() for name, head in first.items()}
    second = forward(*images[1])
    assert all(torch.equal(first[name], copy) for name, copy in copies.items())
    assert not torch.equal(first["map"], second["map"])


@torch.inference_mode()
def test_the_network_is_not_called_again_and_keeps_its_images():
    network = pair()
    forward = graphed(network, capture)
    calls = len(CACHING)
    images = torch.rand(2, 1, 3, 32, 64)
    copies = images.clone()
    for _ in range(3):
        forward(*images)
        forward(*images.flip(0))
    assert len(CACHING) == calls
    assert torch.equal(images, copies)


def test_a_capture_does_not_use_the_cache_of_autocast():
    def checked(function):
        CACHING.clear()
        result = capture(function)
        assert CACHING == [False, False]
        return result

    network = pair(dtype=torch.bfloat16)
    with network.compute.autocast():
        graphed(network, checked)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_deformable_convolutions_are_captured(dtype):
    network = loaded(Deforming(), dtype, batch=2)
    images = torch.rand(2, 3, 32, 64)
    with network.compute.autocast():
        heads, expected = graphed(network, capture)(images), network.heads(images)
    rounding = {"atol": 1e-2, "rtol": 1e-2} if dtype is torch.bfloat16 else {}
    torch.testing.assert_close(heads["map"], expected["map"], **rounding)
    assert not network.module.convolution.by_sampling


def test_a_graph_without_an_operation_is_refused(monkeypatch):
    monkeypatch.setattr(cuda_graph, "_without_other_streams", lambda network: network)
    with pytest.raises(SettingError, match="its heads differ from those of torch. Fix: give --run"):
        graphed(loaded(Deforming()), capture)


def test_a_graph_that_does_not_read_its_input_is_refused():
    def constant(function):
        return function(), lambda: None

    with pytest.raises(SettingError, match="its heads differ"):
        graphed(pair(), constant)


@pytest.mark.parametrize("name", ["mottool-s", "fairmot-resnet34", "otrack", "osnet_x0_25"])
@torch.inference_mode()
def test_networks_are_captured(name):
    check_network(name)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name", ["fairmot-dla34", "jde-576x320", "cstrack-s", "outrack", "tdt-r34"]
)
@torch.inference_mode()
def test_networks_of_every_family_are_captured(name):
    check_network(name)


def check_network(name):
    """Compare the heads of a graph with those of eager PyTorch."""
    network = loaded(deployed(name))
    images = [part.flip(-1) for part in network.example()]
    heads, expected = graphed(network, capture)(*images), network.heads(*images)
    assert [*heads] == [*expected]
    for key, head in expected.items():
        torch.testing.assert_close(heads[key], head, atol=2e-3, rtol=1e-3)


def test_the_calls_of_a_capture(monkeypatch):
    """The network is warmed up on the stream that captures it, and is replayed on the caller's."""
    calls = []

    @contextmanager
    def entered(name):
        calls.append(f"enter {name}")
        try:
            yield
        finally:
            calls.append(f"leave {name}")

    class Stream:
        def __init__(self, name="side"):
            self.name = name

        def wait_stream(self, other):
            calls.append(f"{self.name} waits for {other.name}")

    class Graph:
        def replay(self):
            calls.append("replay")

    def graph(graph, stream, capture_error_mode):
        assert capture_error_mode == "thread_local"
        return entered(f"capture on {stream.name}")

    cuda = torch.cuda
    monkeypatch.setattr(cuda, "device", lambda device: entered(device))
    monkeypatch.setattr(cuda, "current_stream", lambda: Stream("main"))
    monkeypatch.setattr(cuda, "Stream", Stream)
    monkeypatch.setattr(cuda, "stream", lambda stream: entered(stream.name))
    monkeypatch.setattr(cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(cuda, "graph", graph)

    def compute():
        calls.append("compute")
        return {"head": len(calls)}

    heads, replay = cuda_graph._capture(torch.device("cuda:1"), compute)
    assert calls == [
        *("enter cuda:1", "side waits for main", "enter main"),
        *("enter side", "compute", "compute", "compute", "leave side"),
        *("main waits for side", "enter capture on side", "compute", "leave capture on side"),
        *("leave main", "leave cuda:1"),
    ]
    assert heads == {"head": calls.index("leave capture on side")}
    replay()
    assert calls[-1] == "replay"

    def fail():
        if calls[-1].startswith("enter capture"):
            raise RuntimeError("not captured")

    with pytest.raises(RuntimeError, match="not captured"):
        cuda_graph._capture(torch.device("cuda:1"), fail)
    assert calls[-3:] == ["leave capture on side", "leave main", "leave cuda:1"]


def test_it_needs_a_cuda_device():
    message = "cuda-graph does not run on cpu. Fix: give --device cuda, or --runtime torch"
    with pytest.raises(SettingError, match=message):
        Runtimes(pair(), "cuda-graph")


def test_auto_measures_it_on_cuda_devices_only(monkeypatch):
    monkeypatch.delenv("MOTTOOL_RUNTIME")
    offered = []

    def recall(network, names):
        offered.append(names)

    monkeypatch.setattr("mottool.runtimes.choice.recall", recall)
    for device in ("cpu", "cuda"):
        network = LoadedNetwork("pair", "0", Pair(), Compute(torch.device(device)), (64, 32))
        Runtimes(network).start(print, images=1)
    on_cpu, on_cuda = offered
    for name in ("cuda-graph", "cuda-graph-channels-last"):
        assert name not in on_cpu
        assert name in on_cuda
        assert RUNTIMES[name].devices == ("cuda",)
