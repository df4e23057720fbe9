"""ONNX Runtime and torch.compile compute the heads that PyTorch does."""

import pytest
import torch
from deforming import Deforming
from torch import nn

from mottool.errors import SettingError
from mottool.models.device import Compute
from mottool.runtimes.choice import Runtimes
from mottool.runtimes.eager import open_channels_last
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.onnx import open_onnx

CPU = Compute(torch.device("cpu"))


class Pooling(nn.Module):
    """Means of the cells of a grid; sides need not be multiples of its cells."""

    def __init__(self, cells):
        super().__init__()
        self.cells = cells

    def forward(self, images):
        return {"means": nn.functional.adaptive_avg_pool2d(images, self.cells)}


class Unconvertible(nn.Module):
    """A network with an operator that ONNX lacks."""

    def forward(self, images):
        return {"inverse": images.erfinv()}


def rand():
    return torch.rand(1, 3, 8, 16, generator=torch.Generator().manual_seed(0))


def deforming(batch=2):
    return LoadedNetwork("deforming", "0", Deforming().eval(), CPU, (16, 8), batch)


@pytest.mark.parametrize("count", [2, 3])
def test_onnx_computes_deformable_convolutions(count, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path))
    network, images = deforming(), torch.rand(count, 3, 8, 16)
    with torch.inference_mode():
        heads, expected = open_onnx(network)(images), network.heads(images)
    assert [*heads] == [*expected]
    for name, head in expected.items():
        torch.testing.assert_close(heads[name], head, atol=1e-4, rtol=1e-4)
    assert not any(module.training for module in network.module.modules())


@pytest.mark.parametrize("cells", [(3, 5), (4, 4), (8, 16), (1, 1)])
def test_onnx_computes_the_means_of_any_grid(cells, tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path))
    network, images = LoadedNetwork("pooling", "0", Pooling(cells), CPU, (16, 8)), rand()
    with torch.inference_mode():
        means = open_onnx(network)(images)["means"]
    torch.testing.assert_close(means, nn.functional.adaptive_avg_pool2d(images, cells))


def test_a_network_that_cannot_be_converted_is_refused_in_one_line(tmp_path, monkeypatch, capfd):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path))
    network = LoadedNetwork("unconvertible", "0", Unconvertible(), CPU, (16, 8))
    with pytest.raises(SettingError, match=r"onnx cannot run unconvertible \(.*erfinv") as caught:
        Runtimes(network, "onnx").open("onnx")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_onnx_on_a_gpu_needs_a_package_that_supports_it(monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    network = LoadedNetwork("n", "0", Deforming(), Compute(torch.device("cuda")), (16, 8))
    with pytest.raises(SettingError, match=r"does not support CUDA\. Fix: .*onnxruntime-gpu"):
        open_onnx(network)


@torch.inference_mode()
def test_channels_last_returns_heads_in_the_usual_order():
    network, images = deforming(), torch.rand(2, 3, 8, 16)
    heads, expected = open_channels_last(network)(images), network.heads(images)
    for name, head in expected.items():
        assert heads[name].is_contiguous()
        torch.testing.assert_close(heads[name], head)
