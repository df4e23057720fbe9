"""One pickle read as plain data: nothing that it names is imported, and nothing is called.

A pickle is a program for a small stack machine (Python's `pickletools` documents every
operation). Python's own reader imports classes and calls them on the way; this one puts down a
record of what would have been called. So it needs no list of what is safe, and a file can't do
more than describe itself.
"""

import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

__all__ = ["Made", "Named", "read_inert"]

LITERALS = {"INT", "LONG", "LONG1", "LONG4", "BININT", "BININT1", "BININT2", "FLOAT", "BINFLOAT"}
LITERALS |= {"STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8"}
LITERALS |= {"UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BYTEARRAY8"}
CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
EMPTY: dict[str, type] = {"EMPTY_LIST": list, "EMPTY_DICT": dict, "EMPTY_SET": set}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
PUTS = {"PUT", "BINPUT", "LONG_BINPUT"}
GETS = {"GET", "BINGET", "LONG_BINGET"}
IGNORED = {"PROTO", "FRAME", "STOP"}
MAPPINGS = {"collections OrderedDict"}


@dataclass(frozen=True)
class Named:
    """A class or function that the pickle names, as `module qualified_name`; never looked up."""

    name: str


@dataclass(eq=False)
class Made:
    """What `maker` would have made of `arguments`, had it been called, and was then told.

    `state` is what the object would have been set up with; `items` and `entries` what would
    have been appended to it, were it a list, and set in it, were it a dict.
    """

    maker: object
    arguments: tuple[Any, ...]
    state: object = None
    items: list[Any] = field(default_factory=list)
    entries: dict[Any, Any] = field(default_factory=dict)


def read_inert(file: IO[bytes], resolve: Callable[[object], object]) -> Any:
    """The one pickle that begins where `file` stands, leaving `file` behind its end.

    Numbers, texts and containers come as they are, an OrderedDict as a dict, every other object
    as a `Made`. `resolve` gets each persistent id and says what stands in its place. Raises
    ValueError for anything that is not a sound pickle.
    """
    machine = _Machine(resolve)
    try:
        for operation, argument, _ in pickletools.genops(file):
            machine.step(operation.name, argument)
        return machine.stack.pop()
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"a broken pickle ({type(error).__name__})") from error


class _Machine:
    """The stack, the stacks below marks, and the memo."""

    def __init__(self, resolve: Callable[[object], object]) -> None:
        self.resolve = resolve
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carry out one operation; one that is not listed here is a ValueError."""
        if name in LITERALS:
            self._push(argument)
        elif name in CONSTANTS:
            self._push(CONSTANTS[name])
        elif name in EMPTY:
            self._push(EMPTY[name]())
        elif name in TUPLES:
            self._push(self._taken(TUPLES[name]))
        elif name in PUTS:
            self.memo[argument] = self.stack[-1]
        elif name in GETS:
            self._push(self.memo[argument])
        elif name not in IGNORED:
            operation = getattr(self, f"_{name.lower()}", None)
            if operation is None:
                raise ValueError(f"a pickle with the operation {name}")
            operation(argument) if argument is not None else operation()

    def _push(self, value: object) -> None:
        self.stack.append(value)

    def _taken(self, count: int) -> tuple[Any, ...]:
        """The top `count` values, in the order they were pushed."""
        if count > len(self.stack):
            raise IndexError
        taken = tuple(self.stack[len(self.stack) - count :])
        del self.stack[len(self.stack) - count :]
        return taken

    def _marked(self) -> list[Any]:
        """Everything above the last mark."""
        above, self.stack = self.stack, self.below.pop()
        return above

    def _mark(self) -> None:
        self.below.append(self.stack)
        self.stack = []

    def _pop(self) -> None:
        self.stack.pop()

    def _pop_mark(self) -> None:
        self._marked()

    def _dup(self) -> None:
        self._push(self.stack[-1])

    def _memoize(self) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _tuple(self) -> None:
        self._push(tuple(self._marked()))

    def _list(self) -> None:
        self._push(self._marked())

    def _dict(self) -> None:
        self._push(_paired(self._marked()))

    def _frozenset(self) -> None:
        self._push(frozenset(self._marked()))

    def _append(self) -> None:
        (item,) = self._taken(1)
        self._extended([item])

    def _appends(self) -> None:
        self._extended(self._marked())

    def _extended(self, items: list[Any]) -> None:
        target = self.stack[-1]
        (target.items if isinstance(target, Made) else target).extend(items)

    def _additems(self) -> None:
        items = self._marked()
        target = self.stack[-1]
        if isinstance(target, Made):
            target.items.extend(items)
        else:
            target.update(items)

    def _setitem(self) -> None:
        self._updated(list(self._taken(2)))

    def _setitems(self) -> None:
        self._updated(self._marked())

    def _updated(self, flat: list[Any]) -> None:
        target = self.stack[-1]
        (target.entries if isinstance(target, Made) else target).update(_paired(flat))

    def _global(self, name: str) -> None:
        self._push(Named(name))

    def _stack_global(self) -> None:
        module, name = self._taken(2)
        self._push(Named(f"{module} {name}"))

    def _reduce(self) -> None:
        maker, arguments = self._taken(2)
        self._make(maker, tuple(arguments))

    _newobj = _reduce

    def _newobj_ex(self) -> None:
        maker, arguments, named = self._taken(3)
        self._make(maker, (*arguments, named))

    def _obj(self) -> None:
        maker, *arguments = self._marked()
        self._make(maker, tuple(arguments))

    def _inst(self, name: str) -> None:
        self._make(Named(name), tuple(self._marked()))

    def _make(self, maker: object, arguments: tuple[Any, ...]) -> None:
        if isinstance(maker, Named) and maker.name in MAPPINGS:
            self._push(dict(*arguments))
        else:
            self._push(Made(maker, arguments))

    def _build(self) -> None:
        (state,) = self._taken(1)
        target = self.stack[-1]
        if isinstance(target, Made):  # an OrderedDict's attributes are of no use here
            target.state = state

    def _binpersid(self) -> None:
        (identity,) = self._taken(1)
        self._push(self.resolve(identity))


def _paired(flat: list[Any]) -> dict[Any, Any]:
    """Keys and values in turn, as a dict."""
    if len(flat) % 2:
        raise IndexError
    return dict(zip(flat[::2], flat[1::2], strict=True))
