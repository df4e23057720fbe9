"""Networks on a CUDA device that PyTorch imagines: every tensor is on it, and none is waited for.

Imagined tensors have a shape, a type and a device, but no values. An operation of tensors on two
devices raises an error, and so does one that needs a value on the host.
"""

from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode
from torch.nn.utils.stateless import _reparametrize_module
from untrained import deployed

from mottool.models import jde, retinanet
from mottool.models.backbones.deformable import DeformableConv2d
from mottool.models.centre_heads import people_at_peaks
from mottool.models.grid import cell_grid

CACHES = (cell_grid, jde._anchor_sides, retinanet._anchors)  # of tensors on a device
SIZE = 256, 160
BATCH, BOXES = 2, 5


@contextmanager
def float16():
    """Enter autocast for a CUDA device, which `torch.autocast` refuses without one."""
    torch.set_autocast_enabled("cuda", True)
    torch.set_autocast_dtype("cuda", torch.float16)
    torch.autocast_increment_nesting()
    try:
        yield
    finally:
        torch.autocast_decrement_nesting()
        torch.clear_autocast_cache()
        torch.set_autocast_enabled("cuda", False)


@contextmanager
def on_cuda(network):
    """Let a network have weights on the imagined device."""
    for part in network.modules():
        if isinstance(part, DeformableConv2d):
            part.by_sampling = True  # as in a CUDA graph
    for cached in CACHES:
        cached.cache_clear()
    mode = FakeTensorMode()
    tensors = {
        name: mode.from_tensor(value.detach())
        for name, value in (*network.named_parameters(), *network.named_buffers())
    }
    try:
        with mode, torch.inference_mode():
            tensors = {name: value.to("cuda") for name, value in tensors.items()}
            with _reparametrize_module(network, tensors):
                yield
    finally:
        for cached in CACHES:
            cached.cache_clear()


def check(name, precision):
    """Check the heads, their peaks, and embeddings that are read at boxes."""
    network = deployed(name)
    width, height = (576, 320) if name.startswith("jde") else SIZE
    with on_cuda(network):
        images = [
            torch.empty(BATCH, channels, height, width, device="cuda")
            for channels in getattr(network, "input_channels", (3,))
        ]
        with precision():
            heads = network(*images)
        heads = heads if isinstance(heads, dict) else {"features": heads}
        assert {head.device.type for head in heads.values()} == {"cuda"}
        lower = {head.dtype for head in heads.values()} - {torch.float32}
        assert lower == ({torch.float16} if precision is float16 else set())
        if hasattr(network, "embed_at") and "anchors" not in heads:  # TDT sorts them on the host
            boxes = [torch.empty(BOXES, 4, device="cuda")] * BATCH
            embeddings = network.embed_at(heads, boxes)
            assert {(len(rows), rows.device.type) for rows in embeddings} == {(BOXES, "cuda")}
        if {"heatmap", "size", "identity"} <= heads.keys():
            people = people_at_peaks(heads, network.stride, 100)
            assert {value.device.type for value in people.values()} == {"cuda"}


@pytest.mark.parametrize("precision", [nullcontext, float16])
@pytest.mark.parametrize("name", ["mottool-s", "fairmot-resnet34", "otrack", "osnet_x0_25"])
def test_networks(name, precision):
    check(name, precision)


@pytest.mark.heavy
@pytest.mark.parametrize("precision", [nullcontext, float16])
@pytest.mark.parametrize(
    "name",
    [
        *("fairmot-dla34", "fairmot-hrnet18", "fairmot-yolov5s", "fairmot-dla34-anchors4"),
        *("jde-576x320", "cstrack-s", "outrack", "tdt-r34", "tdt-mobilenet"),
    ],
)
def test_networks_of_every_family(name, precision):
    check(name, precision)


def test_tensors_on_two_devices_and_values_on_the_host_are_errors():
    network = deployed("mottool-s")
    with on_cuda(network):
        heads = network(torch.empty(1, 3, 64, 96, device="cuda"))
        with pytest.raises(RuntimeError, match="to be on the same device"):
            heads["heatmap"] + torch.empty(1, 1, 16, 24)
        with pytest.raises(DataDependentOutputException):
            heads["heatmap"].max().item()
