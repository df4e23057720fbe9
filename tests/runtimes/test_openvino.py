"""OpenVINO computes the heads that PyTorch does, from a conversion that is kept."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from untrained import network as untrained

from mottool.models.device import Compute
from mottool.runtimes import conversions
from mottool.runtimes.agreement import agree
from mottool.runtimes.interfaces import FEATURES, LoadedNetwork
from mottool.runtimes.openvino import open_openvino

pytest.importorskip("openvino")
CPU = Compute(torch.device("cpu"))


class Pair(nn.Module):
    """Two heads of two inputs, and one without a row per image."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.convolution = nn.Conv2d(3, 4, 3)

    def forward(self, images, previous):
        features = self.convolution(images - previous)
        return {"last": features.relu(), "first": features.mean((2, 3)), "grid": torch.arange(7.0)}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pair(batch=1, weights="0"):
    return LoadedNetwork("pair", weights, Pair().eval(), CPU, (16, 8), batch, (3, 3))


@pytest.mark.parametrize(("batch", "count"), [(1, 1), (1, 3), (4, 4), (4, 2), (4, 9)])
@torch.inference_mode()
def test_heads_of_any_number_of_images_equal_those_of_pytorch(batch, count):
    network = pair(batch)
    images = torch.rand(2, count, 3, 8, 16)
    heads, expected = open_openvino(network)(*images), network.heads(*images)
    assert [*heads] == [*expected]
    for name, head in expected.items():
        torch.testing.assert_close(heads[name], head, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_heads_are_not_overwritten_by_the_next_call():
    forward = open_openvino(pair())
    images = torch.rand(2, 2, 1, 3, 8, 16)
    first = forward(*images[0])
    copies = {name: head.clone() for name, head in first.items()}
    forward(*images[1])
    assert all(torch.equal(first[name], copy) for name, copy in copies.items())


@torch.inference_mode()
def test_images_in_any_memory_order_are_read():
    network = pair()
    images = torch.rand(2, 1, 8, 16, 3).movedim(-1, 2)
    heads, expected = open_openvino(network)(*images), network.heads(*images)
    torch.testing.assert_close(heads["last"], expected["last"])


def test_a_network_is_converted_once(cache):
    open_openvino(pair())
    (folder,) = cache.iterdir()
    os.utime(folder / "network.bin", (1, 1))
    open_openvino(pair())
    assert [*cache.iterdir()] == [folder]
    assert (folder / "network.bin").stat().st_mtime == 1
    open_openvino(pair(weights="1"))
    assert len([*cache.iterdir()]) == 2


def test_a_conversion_depends_on_the_code_that_builds_networks():
    package = Path(conversions.__file__).parents[1]
    assert all((package / folder / "__init__.py").is_file() for folder in conversions.CODE)


def test_a_damaged_conversion_is_replaced(cache):
    open_openvino(pair())
    (folder,) = cache.iterdir()
    (folder / "network.xml").write_bytes(b"<net")
    open_openvino(pair())
    assert [*cache.iterdir()] == [folder]
    assert (folder / "network.xml").stat().st_size > 100


@torch.inference_mode()
def test_a_conversion_with_other_weights_is_replaced(cache):
    network, images = pair(), torch.rand(2, 1, 3, 8, 16)
    open_openvino(network)
    (folder,) = cache.iterdir()
    weights = folder / "network.bin"
    before = weights.read_bytes()
    weights.write_bytes(
        before[:64] + bytes(value ^ 0x40 for value in before[64:128]) + before[128:]
    )
    heads, expected = open_openvino(network)(*images), network.heads(*images)
    torch.testing.assert_close(heads["last"], expected["last"], atol=1e-5, rtol=1e-5)
    assert weights.read_bytes() == before


def test_a_failed_conversion_leaves_nothing(cache):
    def fail(folder):
        (folder / "network.xml").write_text("half")
        raise ValueError("no such operation")

    with pytest.raises(ValueError, match="no such operation"):
        conversions.converted(pair(), "openvino", fail, lambda folder: None)
    assert not [*cache.iterdir()]


def test_two_processes_may_convert_at_once(cache):
    def convert(folder):
        (folder / "file").write_text("ours")
        other = folder.parent / folder.name[1:].split(".")[0]
        if not other.exists():
            shutil.copytree(folder, other)
            (other / "file").write_text("theirs")

    read = lambda folder: (folder / "file").read_text()  # noqa: E731
    assert conversions.converted(pair(), "openvino", convert, read) == "theirs"
    assert len([*cache.iterdir()]) == 1


def test_conversions_unused_for_long_and_leftovers_are_removed(cache):
    name = "net-openvino-{}123456789abcdef".format
    kept = {f".{name(2)}.7.1", name(4), "photos", ".ssh", "notes-openvino-1", f"{name(5)}.txt"}
    ages = {f".{name(1)}.7.1": 1, f".{name(2)}.7.1": 0, name(3): 91, name(4): 89}
    for folder in {*ages, *kept}:
        (cache / folder).mkdir(parents=True)
        (cache / folder / "file").write_text("")
        seconds = (cache / folder).stat().st_mtime - 86400 * ages.get(folder, 1000)
        os.utime(cache / folder, (seconds, seconds))
    open_openvino(pair())
    assert {path.name for path in cache.iterdir()} > kept
    assert len([*cache.iterdir()]) == len(kept) + 1


def test_a_cache_that_cannot_be_written_is_an_error_with_a_fix(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path / "file"))
    with pytest.raises(conversions.OutputError, match="MOTTOOL_RUNTIME_CACHE"):
        open_openvino(pair())


@torch.inference_mode()
def test_an_embedder_returns_features():
    torch.manual_seed(0)
    network = LoadedNetwork("flat", "0", nn.Sequential(nn.Flatten()), CPU, (4, 2), 2)
    images = torch.rand(3, 3, 2, 4)
    torch.testing.assert_close(open_openvino(network)(images)[FEATURES], images.flatten(1))


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name", ["mottool-s", "fairmot-dla34", "cstrack-s", "jde-576x320", "otrack", "tdt-mobilenet"]
)
@torch.inference_mode()
def test_every_family_is_converted(name):
    module = untrained(name).eval()
    channels = getattr(module, "input_channels", (3,))
    network = LoadedNetwork(name, "0", module, CPU, (128, 96), channels=channels)
    images = network.example()
    expected = network.heads(*images)  # first: what a network keeps is there when it is traced
    heads = open_openvino(network)(*images)
    assert [*heads] == [*expected]
    for head_name, head in expected.items():
        torch.testing.assert_close(heads[head_name], head, atol=2e-3, rtol=1e-3)


@torch.inference_mode()
def test_bfloat16_rounds_no_more_than_in_pytorch():
    compute = Compute(CPU.device, torch.bfloat16)
    network = replace(pair(), compute=compute)
    images = network.example()
    exact = network.heads(*images)
    with compute.autocast():
        eager = network.heads(*images)
        heads = open_openvino(network)(*images)
    assert agree(heads, eager, exact)
    shifted = {name: head + 0.1 for name, head in heads.items()}
    assert not agree(shifted, eager, exact)
