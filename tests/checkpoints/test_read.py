"""Weights files are read by content, never executed, and refused with a message."""

import argparse
import hashlib
import os
import pickle
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mottool.checkpoints.darknet import DarknetLayer
from mottool.checkpoints.fitting import dimension, fit
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2)}


class Trap:
    """An object whose unpickling would create a file."""

    def __init__(self, victim: Path) -> None:
        self.victim = victim

    def __reduce__(self):
        return os.mkdir, (str(self.victim),)


def saved(path: Path, content: object, legacy: bool, protocol: int = 2) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy format looks for the classes' source
        torch.save(
            content, path, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol
        )
    return path


LAYERS = [
    DarknetLayer("first.conv", "first.norm", (2, 3, 3, 3)),
    DarknetLayer("last", None, (4, 2, 1, 1)),
]
COUNT = 4 * 2 + 2 * 3 * 9 + 4 + 8


def darknet(path: Path, values: np.ndarray, minor: int = 2) -> Path:
    header = np.array([0, minor, 0, 100, 0], "<i4")
    path.write_bytes(header.tobytes() + values.astype("<f4").tobytes())
    return path


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize(
    "wrap",
    [
        lambda tensors: tensors,
        OrderedDict,
        lambda tensors: {"epoch": 30, "state_dict": tensors, "optimizer": {"lr": 1e-4}},
        lambda tensors: {"epoch": 30, "model": OrderedDict(tensors), "optimizer": None},
        lambda tensors: {"state_dict": {f"module.{name}": t for name, t in tensors.items()}},
    ],
    ids=["bare", "ordered", "state_dict", "model", "parallel"],
)
def test_tensors_are_unwrapped(tmp_path, wrap, legacy):
    path = saved(tmp_path / "w.pth", wrap(TENSORS), legacy)
    checkpoint = read(path)
    assert checkpoint.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(checkpoint.tensors[name], TENSORS[name]) for name in TENSORS)
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.format == ("PyTorch legacy file" if legacy else "PyTorch zip archive")
    assert checkpoint.foreign == ""


def test_module_list_is_not_a_wrapper(tmp_path):
    path = saved(tmp_path / "w.pt", {"model": {"module_list.0.weight": torch.ones(1)}}, False)
    assert list(read(path).tensors) == ["module_list.0.weight"]


def test_safetensors_are_identified_by_content(tmp_path):
    save_file(TENSORS, tmp_path / "weights.bin", metadata={"pipeline": "fairmot-dla34"})
    checkpoint = read(tmp_path / "weights.bin")
    assert torch.equal(checkpoint.tensors["a.weight"], TENSORS["a.weight"])
    assert checkpoint.format == "safetensors"


@pytest.mark.parametrize("first", [0x78, 0x80, 0x88])
def test_safetensors_may_begin_as_a_pickle_does(tmp_path, first):
    """The first byte is part of the header's length and may be any value, even a pickle's 0x80."""
    path = tmp_path / "w"
    lengths = []
    for padding in range(0, 256, 8):
        save_file(TENSORS, path, metadata={"padding": "x" * padding})
        lengths.append(path.read_bytes()[0])
        if lengths[-1] == first:
            break
    assert lengths[-1] == first
    assert read(path).format == "safetensors"


@pytest.mark.parametrize("minor", [1, 2])
def test_darknet_weights_are_identified_by_content_and_named_by_their_network(tmp_path, minor):
    path = darknet(tmp_path / "w.pt", np.arange(COUNT), minor)
    checkpoint = read(path, darknet=lambda: LAYERS)
    assert checkpoint.format == "darknet weights"
    assert checkpoint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert checkpoint.tensors["last.bias"].tolist() == [62, 63, 64, 65]


def test_darknet_weights_of_another_network_or_of_none_are_refused(tmp_path):
    path = darknet(tmp_path / "w.weights", np.arange(COUNT - 1))
    with pytest.raises(CheckpointError, match="would be 316"):
        read(path, darknet=lambda: LAYERS)
    with pytest.raises(CheckpointError, match="have no names.*such as jde"):
        read(path)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_objects_beside_the_tensors_are_skipped(tmp_path, legacy):
    content = {"state_dict": TENSORS, "best": np.float64(0.7), "args": argparse.Namespace(lr=1)}
    checkpoint = read(saved(tmp_path / "w.pth", content, legacy))
    assert checkpoint.tensors.keys() == TENSORS.keys()
    assert checkpoint.foreign


def test_a_whole_module_is_read_as_its_state_dict(tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).half()
    checkpoint = read(saved(tmp_path / "w.pth", {"epoch": 3, "model": module}, legacy=False))
    expected = module.state_dict()
    assert list(checkpoint.tensors) == list(expected)
    assert all(torch.equal(checkpoint.tensors[name], value) for name, value in expected.items())
    assert checkpoint.foreign == "torch.nn.modules.container.Sequential"


def test_a_torchscript_program_is_refused(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is on its way out
        torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)).save(tmp_path / "w.pt")
    with pytest.raises(CheckpointError, match="is a TorchScript program"):
        read(tmp_path / "w.pt")


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("position", ["beside", "inside", "instead"])
def test_a_malicious_file_does_nothing(tmp_path, legacy, protocol, position):
    victim, module = tmp_path / "executed", nn.Linear(2, 3)
    if position == "inside":
        module.attribute = Trap(victim)
    content = {
        "beside": {"state_dict": TENSORS, "x": Trap(victim)},
        "inside": {"model": module},
        "instead": {"model": Trap(victim)},
    }[position]
    path = saved(tmp_path / "w.pth", content, legacy, protocol)
    # torch refuses the module `posix`, most of protocol 4, and modules in the legacy format.
    with pytest.raises(CheckpointError, match="cannot be read without executing it"):
        read(path)
    assert not victim.exists()
    torch.load(path, weights_only=False)  # a careless reader falls into it
    assert victim.exists()


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ["w.pth", "w.safetensors", "w.weights"])
def test_a_malicious_plain_pickle_is_refused_by_whatever_name(tmp_path, name, protocol):
    victim, path = tmp_path / "executed", tmp_path / name
    path.write_bytes(pickle.dumps(Trap(victim), protocol))
    with pytest.raises(CheckpointError):
        read(path, darknet=lambda: LAYERS)
    assert not victim.exists()


def test_code_in_safetensors_and_darknet_weights_is_not_executed(tmp_path):
    victim = tmp_path / "executed"
    bomb = pickle.dumps(Trap(victim), 2)
    hidden = np.frombuffer(bomb.ljust(COUNT * 4, b"."), np.float32).copy()
    save_file(
        {"a": torch.from_numpy(hidden)}, tmp_path / "w", metadata={"x": bomb.decode("latin1")}
    )
    assert list(read(tmp_path / "w").tensors) == ["a"]
    path = darknet(tmp_path / "v", hidden)
    assert len(read(path, darknet=lambda: LAYERS).tensors) == 7
    assert not victim.exists()


@pytest.mark.parametrize("kind", ["zip", "legacy", "safetensors"])
def test_a_file_cut_short_anywhere_is_refused(tmp_path, kind):
    whole, path = tmp_path / "whole", tmp_path / "w.pth"
    tensors = {"a.weight": torch.randn(50, 50)}
    if kind == "safetensors":
        save_file(tensors, whole)
    else:
        saved(whole, tensors, kind == "legacy")
    content = whole.read_bytes()
    for end in [1, 7, 100, len(content) // 2, len(content) - 1]:
        path.write_bytes(content[:end])
        with pytest.raises(CheckpointError):
            read(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\n<!DOCTYPE html><html>sign in</html>", "is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "a pointer of Git LFS"),
        (b"hello, this is a text", "not a weights file of a known format"),
        (b"cos\nsystem\n(S'true'\ntR.", "not a weights file of a known format"),
        (b"PK\x03\x04" + bytes(200), "damaged"),
        (b"\x80\x02}q\x00.", "damaged"),
    ],
)
def test_another_kind_of_file_is_refused(tmp_path, content, words):
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=words) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(CheckpointError, match="cannot read"):
            read(path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("readme/notes.txt", "nothing")
    with pytest.raises(CheckpointError, match="damaged"):
        read(tmp_path / "w.pth")


@pytest.mark.parametrize("content", [torch.ones(3), [TENSORS], {}, {"state_dict": {}}, 7])
def test_a_file_without_named_tensors_is_refused(tmp_path, content):
    path = saved(tmp_path / "w.pth", content, legacy=False)
    with pytest.raises(CheckpointError, match="holds no named tensors"):
        read(path)


def test_a_dictionary_of_other_things_is_refused(tmp_path):
    path = saved(tmp_path / "w.pth", {"epoch": 3, **TENSORS}, legacy=False)
    with pytest.raises(CheckpointError, match="more than tensors: epoch"):
        read(path)


def test_loading_converts_values_to_the_network_s_precision():
    network = nn.Linear(3, 2)
    fit(network, {"weight": TENSORS["a.weight"].half(), "bias": TENSORS["a.bias"]}, "toy")
    assert torch.equal(network.weight, TENSORS["a.weight"])
    assert network.weight.dtype == torch.float32


def test_error_lists_a_dozen_tensor_names_and_counts_the_others():
    with pytest.raises(CheckpointError) as caught:
        fit(nn.Linear(3, 2), {f"odd{i}": torch.ones(1) for i in range(20)}, "toy")
    problem = caught.value.problem
    assert "weight is missing, odd0 is unexpected, bias is missing, odd1 is unexp" in problem
    assert problem.endswith("and 10 more")
    assert problem.count("odd") == 10


def test_failed_loading_does_not_change_the_network():
    network = nn.Linear(3, 2)
    before = network.weight.clone()
    with pytest.raises(CheckpointError, match="bias is a single number instead of 2"):
        fit(network, {"weight": torch.ones(2, 3), "bias": torch.tensor(1.0)}, "toy")
    assert torch.equal(network.weight, before)


def test_unused_names_are_ignored_unless_the_network_has_them():
    extra = {"weight": torch.ones(2, 3), "bias": torch.ones(2), "bias_of_training": torch.ones(1)}
    network = nn.Linear(3, 2)
    fit(network, extra, "toy", unused="bias")
    assert torch.equal(network.bias, torch.ones(2))


@pytest.mark.parametrize(
    ("pipeline", "names", "words"),
    [
        ("toy", ["model.0.conv.conv.weight", "model.24.m.0.weight"], "of a plain YOLOv5 detector"),
        ("toy", ["module_list.0.conv_0.weight"], "weights of jde: choose"),
        ("jde-576x320", ["module_list.0.conv_0.weight"], "give a checkpoint of jde-576x320"),
        ("toy", ["odd"], "give a checkpoint of toy"),
    ],
)
def test_error_names_the_network_that_the_file_looks_like(pipeline, names, words):
    """It is identified by the names in the file, whatever they were renamed to."""
    renamed = {f"renamed{i}": torch.ones(1) for i, _ in enumerate(names)}
    with pytest.raises(CheckpointError) as caught:
        fit(nn.Linear(3, 2), renamed, pipeline, file_names=names)
    assert words in caught.value.fix


def test_dimension_of_a_missing_tensor_or_axis_is_the_default():
    assert dimension(TENSORS, "a.weight", 1, 9) == 3
    assert dimension(TENSORS, "a.bias", 1, 9) == 9
    assert dimension(TENSORS, "b.weight", 0, 9) == 9
    assert dimension({"n": torch.tensor(np.float32(1))}, "n", 0, 9) == 9


def test_a_device_is_not_read():
    with pytest.raises(CheckpointError, match="/dev/zero is not a regular file"):
        read(Path("/dev/zero"))
