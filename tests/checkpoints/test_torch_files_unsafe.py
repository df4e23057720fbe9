"""Hostile PyTorch files: nothing of them is executed or imported, wherever the trap is."""

import io
import os
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mottool.checkpoints.read import read
from mottool.errors import CheckpointError

BOTH = pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
REFUSED = "cannot be read without executing it|no network|damaged"


class Evil:
    """Runs a call when Python unpickles it."""

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
@pytest.mark.parametrize("position", ["beside", "instead", "inside", "as a tensor"])
def test_a_malicious_file_executes_nothing(
    tmp_path: Path, zipped: bool, call: str, position: str
) -> None:
    target = tmp_path / "executed"
    bomb, module = evil(target)[call], nn.Linear(1, 1)
    content: dict[str, object] = {"model": module, "other": bomb}
    if position == "instead":
        content = {"model": bomb}
    elif position == "inside":
        module.attribute = bomb
    elif position == "as a tensor":
        module._buffers["running"] = bomb
    path = tmp_path / "evil.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy format looks for the classes' source
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
    # torch never lets a stub stand in for the modules `posix` and `os`.
    if zipped and position in {"beside", "inside"} and call != "system":
        assert list(read(path).tensors) == ["weight", "bias"]
    else:
        with pytest.raises(CheckpointError, match=REFUSED):
            read(path)
    assert not target.exists()
    torch.load(path, weights_only=False)
    assert target.exists(), "the file is harmless, so this test would prove nothing"


def payloads(target: Path) -> dict[str, bytes]:
    """Programs that make the file `target` when Python's own unpickler runs them."""
    call = f"open({str(target)!r}, 'w').close()"
    text = b"X" + len(call).to_bytes(4, "little") + call.encode()
    return {
        "reduce": b"cbuiltins\neval\n(" + text + b"tR.",
        "python 2": b"c__builtin__\neval\n(" + text + b"tR.",
        "a system call": b"cposix\nsystem\n(S'touch " + bytes(target) + b"'\ntR.",
        "instance": b"(" + text + b"ibuiltins\neval\n.",
        "object": b"(cbuiltins\neval\n" + text + b"o.",
        "a name from the stack": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93" + text + b"\x85R.",
        "build": b"ctypes\nSimpleNamespace\n)R(dX\x0c\x00\x00\x00__setstate__cbuiltins\neval\nsb"
        + text
        + b"b.",
    }


@pytest.mark.parametrize("trick", payloads(Path("x")))
def test_nothing_is_executed(trick: str, tmp_path: Path) -> None:
    target, path = tmp_path / "executed", tmp_path / "w.pt"
    payload = payloads(target)[trick]
    archive(path, payload)
    with pytest.raises(CheckpointError):
        read(path)
    assert not target.exists()
    pickle.loads(payload)
    assert target.exists(), "the payload is harmless, so this test would prove nothing"


def archive(path: Path, payload: bytes) -> None:
    """Write a zip archive of torch's form with a pickle of one's choice."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("w/data.pkl", payload)
        file.writestr("w/version", "3\n")


def test_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "hostile.py").write_text("raise SystemExit('imported')\n")
    path = tmp_path / "w.pt"
    archive(path, b"\x80\x02chostile\nThing\n)\x81}X\x01\x00\x00\x00aK\x01sb.")
    sys.path.insert(0, str(tmp_path))
    try:
        with pytest.raises(CheckpointError, match="no network"):
            read(path)
    finally:
        sys.path.remove(str(tmp_path))
    assert "hostile" not in sys.modules


@pytest.mark.parametrize(
    "content",
    [b"", b".", b"R.", b"(", b"]a.", b"h\x05.", b"\x80\x02}(K\x01u.", b"\x82\x01.", b"odd", b"0."],
)
def test_broken_pickles_are_refused(tmp_path: Path, content: bytes) -> None:
    archive(tmp_path / "w.pt", content)
    with pytest.raises(CheckpointError, match=r"w\.pt"):
        read(tmp_path / "w.pt")


@settings(derandomize=True, deadline=None, max_examples=200)
@given(data=st.data())
def test_damage_is_refused_or_changes_values(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    buffer = io.BytesIO()
    torch.save({"model": nn.Linear(1, 1), "best": {3}}, buffer)
    with zipfile.ZipFile(buffer) as file:
        members = {name: file.read(name) for name in file.namelist()}
    (name,) = (name for name in members if name.endswith("data.pkl"))
    content = bytearray(members[name])
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("damage") / "w.pt"
    with zipfile.ZipFile(path, "w") as file:
        for member, original in members.items():
            file.writestr(member, bytes(content) if member == name else original)
    try:
        read(path)
    except CheckpointError:
        return


def nested(levels: int) -> bytes:
    """A dictionary whose key is a tuple inside `levels` others."""
    return b"\x80\x02}" + b")" + b"\x85" * levels + b"K\x01s."


def copies(items: int, times: int) -> bytes:
    """A list of `times` ordered dictionaries, all made from one list of `items` pairs."""
    pairs = b"".join(b"K%cK\x01\x86" % (item % 256) for item in range(items))
    first = b"ccollections\nOrderedDict\nq\x02h\x01\x85R"
    others = b"h\x02h\x01\x85R" * (times - 1)
    return b"\x80\x02](]q\x01(" + pairs + b"e" + first + others + b"e."


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (nested(100_000), "more than 500 values are inside each other"),
        (copies(5000, 5000), "copies far more items than it holds"),
        (b"\x80\x02c__builtin__\nbytearray\n\x8a\x05\x00\x00\x00\x00\x02\x85R.", "copies far more"),
    ],
    ids=["nesting", "copies", "a large array"],
)
def test_a_small_file_neither_overflows_the_stack_nor_fills_the_memory(
    tmp_path: Path, payload: bytes, reason: str
) -> None:
    path = tmp_path / "w.pt"
    archive(path, payload)
    with pytest.raises(CheckpointError, match=reason):
        read(path)


def test_tensors_that_share_their_values_are_limited_by_the_size_of_the_file(
    tmp_path: Path,
) -> None:
    values = torch.zeros(10_000)
    path = tmp_path / "w.pt"
    torch.save({f"tensor{number}": values for number in range(100)}, path)
    with pytest.raises(CheckpointError, match="more than 8 times larger than the file"):
        read(path)


def test_complex_tensors_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    torch.save({"weight": torch.zeros(3, dtype=torch.complex64)}, path)
    with pytest.raises(CheckpointError, match="complex"):
        read(path)
