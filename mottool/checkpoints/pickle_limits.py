"""Limits on a pickle before it is unpickled: how deep it nests, and how much it copies.

A pickle is a program for a stack machine with a memo. A few hundred kilobytes can build tuples so
deep that hashing one overflows the stack of the interpreter, or copy one list thousands of times.
`check_pickle` runs the program on descriptions of the values in place of the values.
"""

import pickletools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO

__all__ = ["PickleLimitError", "check_pickle"]

# Both are far above any network. --unpack-limit does not raise them: more crashes the interpreter.
MOST_NESTED = 500  # values inside each other; a network has one to two dozen
FREE_COPIES = 1000  # items that may be copied in addition to one per instruction
CALLS = frozenset({"REDUCE", "NEWOBJ", "NEWOBJ_EX", "BUILD", "INST", "OBJ"})
SIZED = "bytearray"  # its argument may be a number of bytes
MEMOISE = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"})
RECALL = frozenset({"GET", "BINGET", "LONG_BINGET"})
EXTEND = {"APPEND": 1, "APPENDS": 1, "ADDITEMS": 1, "SETITEM": 2, "SETITEMS": 2}  # items per entry


class PickleLimitError(ValueError):
    """A pickle that nests too deep or copies too much; the text says which."""


@dataclass
class _Value:
    """What is known of a value: its depth, its number of items, and the items of a tuple.

    `argument` is that of the instruction that made it: the number or the name itself.
    """

    depth: int = 0
    items: int = 0
    parts: Sequence["_Value"] = field(default=(), repr=False)
    argument: object = None


MARK = _Value()


def check_pickle(file: IO[bytes]) -> Iterator[tuple[str, object]]:
    """Yield the name and argument of each instruction of one pickle, and check the limits.

    The file is left after the pickle. Raises `PickleLimitError` for a pickle that nests more than
    500 values, or that copies far more items than it has instructions; any other exception means
    that it is damaged.
    """
    stack: list[_Value] = []
    memo: dict[object, _Value] = {}
    copied = 0
    for count, (operation, argument, _) in enumerate(pickletools.genops(file), 1):
        name = operation.name
        yield name, argument
        if name in MEMOISE:
            memo[len(memo) if name == "MEMOIZE" else argument] = stack[-1]
        elif name in RECALL:
            stack.append(memo[argument])
        elif name == "MARK":
            stack.append(MARK)
        elif name == "DUP":
            stack.append(stack[-1])
        else:
            taken = _take(stack, operation)
            if name in EXTEND:
                target, *items = taken
                target.items += len(items) // EXTEND[name]
                target.depth = max([target.depth, *(item.depth + 1 for item in items)])
                stack.append(target)
            else:
                if name in CALLS:
                    copied += sum(_copied(value) for value in taken)
                    copied += _reserved(taken)
                depth = 1 + max((value.depth for value in taken), default=-1)
                parts = taken if name.startswith("TUPLE") else ()
                result = _Value(depth, len(taken), parts, argument)
                stack += [result] * len(operation.stack_after)
        if stack and stack[-1].depth > MOST_NESTED:
            raise PickleLimitError(
                f"more than {MOST_NESTED} values are inside each other, a fixed limit"
            )
        if copied > FREE_COPIES + count:
            raise PickleLimitError("it copies far more items than it holds, a fixed limit")


def _take(stack: list[_Value], operation: pickletools.OpcodeInfo) -> list[_Value]:
    """Remove from the stack what an instruction consumes, and return it without the mark."""
    before = list(operation.stack_before)
    if operation.name == "POP" and stack[-1] is MARK:
        stack.pop()
        return []
    if pickletools.markobject not in before:
        first = len(stack) - len(before)
        if first < 0:
            raise ValueError("the stack is empty")
        taken = stack[first:]
        del stack[first:]
        return taken
    mark = max(index for index, value in enumerate(stack) if value is MARK)
    first = mark - before.index(pickletools.markobject)
    if first < 0:
        raise ValueError("the stack is empty")
    taken = stack[first:mark] + stack[mark + 1 :]
    del stack[first:]
    return taken


def _copied(value: _Value) -> int:
    """Return how many items a call may copy from an argument, or from the tuple of arguments."""
    return value.items + sum(part.items for part in value.parts)


def _reserved(taken: Sequence[_Value]) -> int:
    """Return how many bytes a call reserves for a number."""
    if not any(str(value.argument).endswith(SIZED) for value in taken):
        return 0
    numbers = [part.argument for value in taken for part in (value, *value.parts)]
    return sum(number for number in numbers if isinstance(number, int))
