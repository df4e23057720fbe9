"""Whole pickled modules: their tensors, exactly, without their classes; and hostile files."""

import os
import pickle
import struct
import sys
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from mottool.checkpoints import torch_files
from mottool.checkpoints.torch_files import read_foreign
from mottool.errors import CheckpointError
from mottool.models.cstrack import CSTrack

FOREIGN = "models.mot.cstrack"  # the authors' package, which isn't here
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
    """`Conv` as a class of the authors' package, which is gone when the file is read."""
    package = types.ModuleType(FOREIGN)
    names = [FOREIGN.rsplit(".", depth)[0] for depth in (2, 1)]
    kind = type("Conv", (Conv,), {"__module__": FOREIGN})
    package.Conv = kind
    for name in names:
        sys.modules[name] = types.ModuleType(name)
    sys.modules[FOREIGN] = package
    yield kind
    for name in (*names, FOREIGN):
        sys.modules.pop(name, None)


def save(content: object, path: Path, zipped: bool) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy format looks for the classes' source
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@BOTH
def test_a_module_has_the_tensors_of_its_state_dict(
    foreign: type[Conv], tmp_path: Path, zipped: bool
) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(foreign(), foreign().half())
    path = save({"epoch": 3, "model": module, "optimizer": None}, tmp_path / "a.pt", zipped)
    for name in [name for name in sys.modules if name.partition(".")[0] == "models"]:
        del sys.modules[name]
    found = read_foreign(path)
    expected = module.state_dict()
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)
        assert found[name].is_contiguous()


@BOTH
def test_named_tensors_and_a_bare_module(tmp_path: Path, zipped: bool) -> None:
    linear = nn.Linear(2, 3)
    expected = linear.state_dict()
    for content in (linear, {"model": expected}, OrderedDict(expected)):
        found = read_foreign(save(content, tmp_path / "a.pt", zipped))
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert list(found) == list(expected)


@BOTH
def test_a_whole_cstrack(tmp_path: Path, zipped: bool) -> None:
    network = CSTrack(0.3, 0.3)
    found = read_foreign(save({"model": network.half()}, tmp_path / "a.pt", zipped))
    again = CSTrack.from_checkpoint(found)
    assert all(
        torch.equal(again.state_dict()[n], v) for n, v in network.float().state_dict().items()
    )


class Evil:
    """Runs a call when unpickled by Python."""

    def __init__(self, call: Callable[..., object], *arguments: object) -> None:
        self.call = call, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def evil(target: Path) -> dict[str, Evil]:
    return {
        "system": Evil(os.system, f"touch {target}"),
        "eval": Evil(eval, f"open({str(target)!r}, 'w').close()"),
        "exec": Evil(exec, f"open({str(target)!r}, 'w').close()"),
    }


@BOTH
@pytest.mark.parametrize("call", evil(Path("x")))
@pytest.mark.parametrize("place", ["beside", "instead", "inside", "as a tensor"])
def test_a_malicious_file_executes_nothing(
    tmp_path: Path, zipped: bool, call: str, place: str
) -> None:
    target = tmp_path / "executed"
    bomb, module = evil(target)[call], nn.Linear(1, 1)
    content: dict[str, object] = {"model": module, "other": bomb}
    if place == "instead":
        content = {"model": bomb}
    elif place == "inside":
        module.attribute = bomb
    elif place == "as a tensor":
        module._buffers["running"] = bomb
    path = save(content, tmp_path / "evil.pt", zipped)
    if place in {"instead", "as a tensor"}:
        with pytest.raises(CheckpointError, match="no network|should"):
            read_foreign(path)
    else:
        assert list(read_foreign(path)) == ["weight", "bias"]
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists(), "the file is harmless, so this test would prove nothing"


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
        (0, (2, 2), (9, 9)),  # in leaps beyond the end
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (2,), (1, 1)),
        (0, (1,), (2**70,)),
        (0, (0, 2**70), (1, 1)),
        (0, ("2",), (1,)),
        (0.0, (2,), (1,)),
    ],
)
def test_tensors_stay_within_their_numbers(
    tmp_path: Path, zipped: bool, start: object, shape: object, strides: object
) -> None:
    storage = torch.arange(10.0)._typed_storage()
    content = {"model": {"weight": Described(storage, start, shape, strides)}}
    path = save(content, tmp_path / "abuse.pt", zipped)
    with pytest.raises(CheckpointError, match="tensor"):
        read_foreign(path)


def test_sound_views_are_read(tmp_path: Path) -> None:
    storage = torch.arange(10.0)._typed_storage()
    views = {"a": Described(storage, 1, (2, 3), (4, 1)), "b": Described(storage, 3, (), ())}
    views["empty"] = Described(storage, 10, (0, 3), (3, 1))
    found = read_foreign(save({"model": views}, tmp_path / "a.pt", zipped=True))
    assert found["a"].tolist() == [[1, 2, 3], [5, 6, 7]]
    assert found["b"].item() == 3
    assert found["empty"].shape == (0, 3)


def rezipped(source: Path, target: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The archive with its members changed, or left out where `change` says None."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for entry in old.infolist():
            content = change(entry.filename, old.read(entry))
            if content is not None:
                new.writestr(entry.filename, content)
    return target


def test_archives_with_parts_missing_or_odd(tmp_path: Path) -> None:
    whole = save({"model": nn.Linear(2, 3)}, tmp_path / "whole.pt", zipped=True)
    broken = {
        "missing": lambda name, content: None if name.endswith("data/0") else content,
        "not as many": lambda name, content: content[:4] if name.endswith("data/0") else content,
        "big-endian": lambda name, content: b"big" if name.endswith("byteorder") else content,
        "but not torch's": lambda name, content: None if name.endswith("data.pkl") else content,
        "newline": lambda name, content: content[:20] if name.endswith("data.pkl") else content,
    }
    for problem, change in broken.items():
        path = rezipped(whole, tmp_path / "broken.pt", change)
        with pytest.raises(CheckpointError, match=problem):
            read_foreign(path)


def test_a_compressed_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", pickle.dumps({}, 2))
        archive.writestr("a/data/0", bytes(10**6))
    with pytest.raises(CheckpointError, match="compressed"):
        read_foreign(path)


def test_a_legacy_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = save({"model": nn.Linear(2, 3)}, tmp_path / "whole.pt", zipped=False).read_bytes()
    for length in range(0, len(whole), 7):
        path = tmp_path / "cut.pt"
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match="cut.pt"):
            read_foreign(path)


def test_a_legacy_count_that_lies_is_refused(tmp_path: Path) -> None:
    """The count before the numbers is not what bounds them: the pickle's is, and the file's end."""
    path = save({"model": nn.Linear(1, 1)}, tmp_path / "a.pt", zipped=False)
    content = bytearray(path.read_bytes())
    content[-12:-4] = struct.pack("<q", 2**60)
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not as many"):
        read_foreign(path)


@pytest.mark.parametrize("content", [b"", b"<html></html>", pickle.dumps(3, 2), b"\x80\x02}."])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"other\.pt"):
        read_foreign(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        read_foreign(tmp_path / "none.pt")


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    path = save({"model": {3: torch.zeros(1)}}, tmp_path / "a.pt", zipped=True)
    with pytest.raises(CheckpointError, match="other than names"):
        read_foreign(path)


def test_a_module_within_itself_is_refused(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    module._modules["again"] = module
    path = save({"model": module}, tmp_path / "a.pt", zipped=True)
    with pytest.raises(CheckpointError, match="no module"):
        read_foreign(path)


def test_numbers_of_an_unknown_kind_are_refused() -> None:
    for identity in (3, ("storage",), ("storage", "torch FloatStorage", "0", "cpu", 1), ("other",)):
        with pytest.raises(ValueError, match="unknown kind"):
            torch_files._storage(identity)
