"""Darknet weights: values get the names of a network's layers, or the file is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mottool.checkpoints.darknet import DarknetLayer, read_darknet_backbone, read_darknet_weights
from mottool.errors import CheckpointError

LAYERS = [
    DarknetLayer("first.conv", "first.norm", (2, 3, 3, 3)),
    DarknetLayer("last", None, (4, 2, 1, 1)),
]
COUNT = 4 * 2 + 2 * 3 * 9 + 4 + 8


def write(path: Path, count: int) -> Path:
    """Write a file with the values 0, 1, 2, … after a header of ones."""
    header, values = np.ones(5, "<i4"), np.arange(count, dtype="<f4")
    path.write_bytes(header.tobytes() + values.tobytes())
    return path


def test_values_are_named_in_the_order_of_the_file(tmp_path: Path) -> None:
    tensors = read_darknet_weights(write(tmp_path / "a.weights", COUNT), LAYERS)
    assert [(name, tuple(tensor.shape)) for name, tensor in tensors.items()] == [
        ("first.norm.bias", (2,)),
        ("first.norm.weight", (2,)),
        ("first.norm.running_mean", (2,)),
        ("first.norm.running_var", (2,)),
        ("first.conv.weight", (2, 3, 3, 3)),
        ("last.bias", (4,)),
        ("last.weight", (4, 2, 1, 1)),
    ]
    flat = torch.cat([tensor.flatten() for tensor in tensors.values()])
    assert torch.equal(flat, torch.arange(COUNT, dtype=torch.float32))
    assert tensors["first.norm.running_mean"].tolist() == [4, 5]


@pytest.mark.parametrize("surplus", [-1, 1, -COUNT])
def test_file_of_another_length_is_refused_with_both_lengths(tmp_path: Path, surplus: int) -> None:
    path = write(tmp_path / "a.weights", COUNT + surplus)
    with pytest.raises(
        CheckpointError, match=f"{20 + 4 * (COUNT + surplus)} bytes.*{20 + 4 * COUNT}"
    ):
        read_darknet_weights(path, LAYERS)


@pytest.mark.parametrize("path", ["none.weights", "."])
def test_an_unreadable_path_is_named(tmp_path: Path, path: str) -> None:
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        read_darknet_weights(tmp_path / path, LAYERS)


def headed(path: Path, count: int, minor: int, seen: str) -> Path:
    """Write the same after a header of version 0.`minor`, its image count of type `seen`."""
    header = np.array([0, minor, 5], "<i4").tobytes() + np.array([320], seen).tobytes()
    path.write_bytes(header + np.arange(count, dtype="<f4").tobytes())
    return path


@pytest.mark.parametrize(("minor", "seen"), [(1, "<i4"), (1, "<i8"), (2, "<i8")])
@pytest.mark.parametrize("more", [0, 7])
def test_backbone_file_is_the_start_of_the_network_file(
    tmp_path: Path, minor: int, seen: str, more: int
) -> None:
    path = headed(tmp_path / "backbone", COUNT + more, minor, seen)
    tensors = read_darknet_backbone(path, LAYERS, {"bare": 0, "whole": 7})
    flat = torch.cat([tensor.flatten() for tensor in tensors.values()])
    assert torch.equal(flat, torch.arange(COUNT, dtype=torch.float32))


@pytest.mark.parametrize(("minor", "seen"), [(1, "<i4"), (1, "<i8"), (2, "<i8")])
def test_the_header_of_a_network_depends_on_its_version(
    tmp_path: Path, minor: int, seen: str
) -> None:
    tensors = read_darknet_weights(headed(tmp_path / "w", COUNT, minor, seen), LAYERS)
    assert tensors["first.norm.bias"].tolist() == [0, 1]


@pytest.mark.parametrize("surplus", [-1, 3, 8, -COUNT])
def test_a_backbone_of_another_length_is_refused_with_all_that_fit(
    tmp_path: Path, surplus: int
) -> None:
    # A version 0.2 file that lacks one value is not a version 0.1 file.
    path = headed(tmp_path / "backbone", COUNT + surplus, 2, "<i8")
    message = f"{20 + 4 * (COUNT + surplus)} bytes.*: bare {20 + 4 * COUNT}, whole {48 + 4 * COUNT}"
    with pytest.raises(CheckpointError, match=message):
        read_darknet_backbone(path, LAYERS, {"bare": 0, "whole": 7})
