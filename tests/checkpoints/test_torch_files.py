"""Whole pickled modules: their tensors, exactly, without their classes; and what is refused."""

import argparse
import subprocess
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from mottool.checkpoints.read import read
from mottool.errors import CheckpointError
from mottool.models.cstrack import CSTrack

FOREIGN = "models.mot.cstrack"  # the authors' package, which is not installed
BOTH = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])


class Conv(nn.Module):
    """A stand-in for the authors' class: parameters, buffers, children, other attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.bn = nn.BatchNorm2d(4)
        self.act = nn.LeakyReLU(0.1)
        self.register_buffer("anchors", torch.arange(6.0).view(3, 2))
        self.register_buffer("grid", torch.zeros(2), persistent=False)
        self.register_parameter("nothing", None)
        self.scale = nn.Parameter(torch.ones(1, dtype=torch.float64))
        self.stride = torch.tensor([8.0])
        self.loose = {"a set": {1, 2}}
        self.transposed = nn.Parameter(torch.arange(6.0).view(2, 3).T)
        self.part = nn.Parameter(torch.arange(20.0)[4:9])


@pytest.fixture
def foreign() -> Iterator[type[Conv]]:
    """`Conv` as a class of the authors' package, which cannot be imported when a file is read."""
    package = types.ModuleType(FOREIGN)
    names = [FOREIGN.rsplit(".", depth)[0] for depth in (2, 1)]
    foreign_class = type("Conv", (Conv,), {"__module__": FOREIGN})
    package.Conv = foreign_class
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    sys.modules[FOREIGN] = package
    yield foreign_class
    for name in (*names, FOREIGN):
        sys.modules.pop(name, None)


def save(content: object, path: Path, zipped: bool = True) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy format looks for the classes' source
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def test_a_module_has_the_tensors_of_its_state_dict(foreign: type[Conv], tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(foreign(), foreign().half())
    path = save({"epoch": 3, "model": module, "optimizer": None}, tmp_path / "a.pt")
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        del sys.modules[name]
    tensors = read(path).tensors
    expected = module.state_dict()
    assert list(tensors) == list(expected)
    for name, value in expected.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)
        assert not tensors[name].requires_grad
    assert "models" not in sys.modules


def test_a_bare_module_is_read(tmp_path: Path) -> None:
    module = nn.Linear(2, 3)
    tensors = read(save(module, tmp_path / "a.pt")).tensors
    assert list(tensors) == list(module.state_dict())
    assert all(torch.equal(tensors[name], value) for name, value in module.state_dict().items())


def test_a_whole_cstrack_is_read(tmp_path: Path) -> None:
    network = CSTrack(0.3, 0.3)
    tensors = read(save({"model": network.half()}, tmp_path / "a.pt")).tensors
    loaded = CSTrack.from_checkpoint(tensors).state_dict()
    assert all(torch.equal(loaded[name], v) for name, v in network.float().state_dict().items())


def test_a_whole_module_in_the_legacy_format_is_refused_with_the_way_to_convert_it(
    tmp_path: Path,
) -> None:
    path = save({"model": nn.Linear(2, 3)}, tmp_path / "a.pt", zipped=False)
    with pytest.raises(CheckpointError, match="whole module in PyTorch's legacy format") as caught:
        read(path)
    assert "torch.save(model.state_dict(), FILE)" in caught.value.fix


@BOTH
def test_objects_beside_the_tensors_are_skipped(tmp_path: Path, zipped: bool) -> None:
    """Such as torchreid's checkpoints have, whose rank-1 rate is a NumPy number."""
    content = {"state_dict": {"a": torch.ones(2)}, "rank1": np.float32(0.9), "set": {1, 2}}
    content |= {
        "args": argparse.Namespace(lr=1, path=Path("x")),
        "raw": b"bytes",
        "slice": slice(3),
    }
    checkpoint = read(save(content, tmp_path / "a.pt", zipped))
    assert checkpoint.tensors["a"].tolist() == [1, 1]
    assert checkpoint.foreign.startswith("numpy")


class Described:
    """Pickles as a call of torch's tensor builder with arguments of one's choice."""

    def __init__(self, storage: object, *arguments: object) -> None:
        self.arguments = storage, *arguments

    def __reduce__(self) -> tuple[object, ...]:
        return torch._utils._rebuild_tensor_v2, (*self.arguments, False, OrderedDict())


@BOTH
@pytest.mark.parametrize(
    ("start", "shape", "strides"),
    [
        (9, (2,), (1,)),  # beyond the end
        (-1, (2,), (1,)),  # before the beginning
        (0, (4, 4), (4, 1)),  # more than there is
        (0, (10**12,), (0,)),  # terabytes out of one number
        (0, (2, 2), (9, 9)),  # in steps beyond the end
        (0, (2,), (10**9,)),  # gigabytes beyond the end
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2,), (1, 1)),
        (0, (1,), (2**70,)),
        (0, (0, 2**70), (1, 1)),
        (0, ("2",), (1,)),
        (0.0, (2,), (1,)),
    ],
)
def test_tensors_beyond_their_storage_are_refused(
    tmp_path: Path, zipped: bool, start: object, shape: object, strides: object
) -> None:
    storage = torch.arange(10.0)._typed_storage()
    content = {"model": {"weight": Described(storage, start, shape, strides)}}
    path = save(content, tmp_path / "abuse.pt", zipped)
    with pytest.raises(CheckpointError, match="larger than the file: weight|is damaged"):
        read(path)


@BOTH
def test_valid_views_are_read(tmp_path: Path, zipped: bool) -> None:
    storage = torch.arange(10.0)._typed_storage()
    views = {"a": Described(storage, 1, (2, 3), (4, 1)), "b": Described(storage, 3, (), ())}
    views["empty"] = Described(storage, 10, (0, 3), (3, 1))
    tensors = read(save({"model": views}, tmp_path / "a.pt", zipped)).tensors
    assert tensors["a"].tolist() == [[1, 2, 3], [5, 6, 7]]
    assert tensors["b"].item() == 3
    assert tensors["empty"].shape == (0, 3)


@pytest.mark.parametrize("device", ["meta", "sparse"])
def test_tensors_without_plain_numbers_are_refused(tmp_path: Path, device: str) -> None:
    odd = torch.eye(2).to_sparse() if device == "sparse" else torch.ones(2, device="meta")
    with pytest.raises(CheckpointError, match="complex or larger than the file: odd"):
        read(save({"odd": odd}, tmp_path / "a.pt"))


def rezipped(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Copy an archive with its members changed, or left out where `change` returns None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = change(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return target


CHANGES: dict[str, Callable[[str, bytes], bytes | None]] = {
    "no numbers": lambda name, content: None if name.endswith("data/0") else content,
    "few numbers": lambda name, content: content[:4] if name.endswith("data/0") else content,
    "byte order": lambda name, content: b"odd" if name.endswith("byteorder") else content,
    "no pickle": lambda name, content: None if name.endswith("data.pkl") else content,
    "half a pickle": lambda name, content: content[:20] if name.endswith("data.pkl") else content,
}


@pytest.mark.parametrize("problem", CHANGES)
@pytest.mark.parametrize("content", [{"model": nn.Linear(2, 3)}, nn.Linear(2, 3).state_dict()])
def test_archives_with_parts_missing_or_odd_are_refused(
    tmp_path: Path, problem: str, content: object
) -> None:
    path = rezipped(save(content, tmp_path / "a.pt"), tmp_path / "broken.pt", CHANGES[problem])
    with pytest.raises(CheckpointError, match=r"broken\.pt is damaged"):
        read(path)


def test_an_archive_that_is_larger_than_its_file_is_refused(tmp_path: Path) -> None:
    """A member cannot overlap another one or claim bytes that are not there."""
    path = save({"a": torch.ones(100)}, tmp_path / "a.pt")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"data/0") - 46 - len("a/")  # in the central directory
    assert content[entry : entry + 4] == b"PK\x01\x02"
    content[entry + 20 : entry + 28] = 2 * (2**30).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        read(path)


# Reads a file with 1 GB of address space to spare; prints the message, and the memory used in MB.
LIMITED = """
import resource, sys
from pathlib import Path

from mottool.checkpoints.read import read
from mottool.errors import CheckpointError

pages = int(Path("/proc/self/statm").read_text().split()[0])
limit = pages * resource.getpagesize() + 2**30
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read(Path(sys.argv[1]))
except CheckpointError as error:
    print(error.problem)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_small_file_does_not_take_much_memory(tmp_path: Path) -> None:
    """0.1 MB of a compressed pickle that makes 100 million empty lists, 5 GB and more."""
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb/data.pkl", b"\x80\x02(" + b"]" * 10**8 + b"l.")
        archive.writestr("bomb/version", "3\n")
    assert path.stat().st_size < 300_000
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True
    )
    problem, memory = done.stdout.splitlines()
    assert problem.endswith("is damaged or cut short")
    assert int(memory) < 100


def test_a_legacy_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    content = save(nn.Linear(2, 3).state_dict(), tmp_path / "whole.pt", zipped=False).read_bytes()
    for length in range(0, len(content), 7):
        path = tmp_path / "cut.pt"
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError, match=r"cut\.pt"):
            read(path)


def test_a_module_within_itself_is_refused(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    module._modules["child"] = module
    with pytest.raises(CheckpointError, match="holds no network: child is not a module"):
        read(save({"model": module}, tmp_path / "a.pt"))


@pytest.mark.parametrize("content", [argparse.Namespace(lr=1), nn.ReLU()])
def test_an_object_without_tensors_is_refused(tmp_path: Path, content: object) -> None:
    with pytest.raises(CheckpointError, match="holds no network: an object of the class"):
        read(save({"model": content}, tmp_path / "a.pt"))


def test_reading_a_file_restores_torchs_safe_globals(tmp_path: Path) -> None:
    before = set(torch.serialization.get_safe_globals())
    read(save({"model": nn.Linear(2, 3)}, tmp_path / "a.pt"))
    assert set(torch.serialization.get_safe_globals()) == before
