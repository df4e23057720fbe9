"""Pickles read as data: plain values as Python has them, and nothing ever called."""

import collections
import io
import pickle
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.checkpoints.inert_pickle import Made, Named, read_inert

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
KEYS = st.integers() | st.text() | st.binary() | st.tuples(st.text(), st.booleans())
VALUES = st.recursive(
    SCALARS | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner)
        | st.dictionaries(KEYS, inner).map(collections.OrderedDict)
        | st.sets(KEYS)
        | st.frozensets(KEYS)
    ),
    max_leaves=20,
)


def read(content: bytes) -> object:
    return read_inert(io.BytesIO(content), lambda identity: identity)


@settings(derandomize=True, deadline=None)
@given(VALUES, st.sampled_from([4, 5]))
def test_plain_values_round_trip(value: object, protocol: int) -> None:
    assert read(pickle.dumps(value, protocol)) == value


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol(protocol: int) -> None:
    value = {"a": [1, 2.5, None, True, "text"], "b": ((), (1,), (1, 2, 3, 4)), "c": 2**70}
    value["again"] = value["a"]
    found = read(pickle.dumps(value, protocol))
    assert found == value
    assert found["again"] is found["a"]


class Thing(list):
    """Something that a pickle describes as class, arguments, items and state."""

    def __init__(self) -> None:
        super().__init__([1, 2])
        self.colour = "red"


@pytest.mark.parametrize("protocol", range(6))
def test_objects_are_recorded(protocol: int) -> None:
    made = read(pickle.dumps(Thing(), protocol))
    assert isinstance(made, Made)
    assert made.state == {"colour": "red"}
    assert made.items == [1, 2] or made.arguments[2] == [1, 2]  # protocols 0 and 1 pass a list
    assert Named(f"{__name__} Thing") in (made.maker, *made.arguments)


def test_persistent_ids_are_resolved() -> None:
    class Pickler(pickle.Pickler):
        def persistent_id(self, obj: object) -> object:
            return ("kept", 3) if obj is Thing else None

    file = io.BytesIO()
    Pickler(file, 2).dump([Thing, 1])
    file.seek(0)
    assert read_inert(file, lambda identity: f"resolved {identity}") == ["resolved ('kept', 3)", 1]


def test_leaves_the_file_behind_the_pickle() -> None:
    file = io.BytesIO(pickle.dumps([1], 2) + pickle.dumps([2], 2) + b"rest")
    assert [read_inert(file, str), read_inert(file, str), file.read()] == [[1], [2], b"rest"]


def payloads(target: Path) -> dict[str, bytes]:
    """Programs that make the file `target` when Python's own reader runs them."""
    call = f"open({str(target)!r}, 'w').close()"
    quoted = b"S" + repr(call).encode() + b"\n"
    return {
        "reduce": b"cbuiltins\neval\n(" + quoted + b"tR.",
        "a system call": b"cposix\nsystem\n(S'touch " + bytes(target) + b"'\ntR.",
        "instance": b"(" + quoted + b"ibuiltins\neval\n.",
        "object": b"(cbuiltins\neval\n" + quoted + b"o.",
        "a name from the stack": b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93" + quoted + b"\x85R.",
        "build": b"ctypes\nSimpleNamespace\n)R(dS'__setstate__'\ncbuiltins\neval\nsb"
        + quoted
        + b"b.",
    }


@pytest.mark.parametrize("trick", payloads(Path("x")))
def test_nothing_is_executed(trick: str, tmp_path: Path) -> None:
    target = tmp_path / "executed"
    payload = payloads(target)[trick]
    read(payload)
    assert not target.exists()
    pickle.loads(payload)
    assert target.exists(), "the payload is harmless, so this test would prove nothing"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b".",
        b"R.",
        b"(",
        b"]a.",
        b"h\x05.",
        b"\x80\x02}(K\x01u.",
        b"\x82\x01.",
        b"not one",
        b"0.",
    ],
)
def test_broken_pickles(content: bytes) -> None:
    with pytest.raises(ValueError, match="pickle|opcode|exhausted"):
        read(content)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.data())
def test_damage_is_a_value_error_or_other_data(data: st.DataObject) -> None:
    content = bytearray(pickle.dumps({"a": [Thing(), (1, 2)], "b": {3}}, 2))
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(content))
    except ValueError:
        return
