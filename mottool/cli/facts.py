"""Facts about files as text: names, settings and hashes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["brief_facts", "fact_lines", "named_values", "shortened", "shown_value"]

HASH = re.compile("[0-9a-f]{64}")  # a SHA-256
HASH_SHOWN = 12  # digits of a hash, which tell files apart
SHOWN = 3  # items of a list
EMPTY: Sequence[Any] = (None, "", {}, [])
LONGEST = 60  # characters of a setting in a summary


def brief_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a summary of facts: without empty ones and tables in tables, and with short values.

    Hashes are cut after their first digits, long settings after `LONGEST` characters.
    """
    brief = dict[str, Any]()
    for name, value in facts.items():
        if isinstance(value, Mapping):
            plain = {key: item for key, item in value.items() if not isinstance(item, Mapping)}
            value = {key: _cut(shown_value(item)) for key, item in plain.items()}
        elif isinstance(value, str):
            value = shown_value(value) if value else ""
        if value is not False and value not in EMPTY:
            brief[name] = value
    return brief


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def fact_lines(facts: Mapping[str, Any]) -> list[str]:
    """Format facts as lines of name and value; a dict in a dict becomes a line below it."""
    lines = []
    for name, value in facts.items():
        inner = []
        if isinstance(value, Mapping):
            tables = {key: item for key, item in value.items() if isinstance(item, Mapping)}
            value = {key: item for key, item in value.items() if key not in tables}
            inner = [
                f"        {line.lstrip()}"
                for table in tables.values()
                for line in fact_lines(table)
            ]
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        elif isinstance(value, list | tuple):
            value = ", ".join(map(str, value))
        text = "none" if value is None or value == "" else value
        lines += [f"    {name.replace('_', ' '):<24}{text}", *inner]
    return lines


def named_values(values: Mapping[str, Any]) -> str:
    """Return names and values in one line, such as `max_age 1, smooth none`."""
    return ", ".join(f"{name} {shown_value(value)}" for name, value in values.items())


def shown_value(value: object) -> str:
    """Return a setting as the command line says it: on, off or none; of a hash its first digits."""
    if isinstance(value, bool):
        return "on" if value else "off"
    text = "none" if value is None or value == "" else str(value)
    return text[:HASH_SHOWN] if HASH.fullmatch(text) else text


def shortened(items: Sequence[str]) -> str:
    """Return the first items of a list, and how many more there are."""
    more = [f"{len(items) - SHOWN} more"] if len(items) > SHOWN else []
    return ", ".join([*items[:SHOWN], *more])
