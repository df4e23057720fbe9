"""Inputs of a result that differ from those in its record, in words."""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["changed_inputs"]

NAMES = {  # keys of records as a reader calls them
    "ground_truth": "the ground truth",
    "made_with": "the pipeline's options",
    "mottool": "the version of mottool",
    "pixel_range": "the pixel range",
    "schema": "the schema",
    "source_hash": "the content of the source",
    "tracks": "the tracks",
}
SHOWN = 40  # characters of a value that a reason shows
HASH = 64  # characters of a SHA-256 in hex


def changed_inputs(record: Mapping[str, Any], inputs: Mapping[str, Any]) -> list[str]:
    """Describe each input that differs from that in a record, such as `max_age 5, now 1`.

    The list is empty if the record has all `inputs`. Of hashes, only the names are given.
    """
    expected = json.loads(json.dumps(inputs))
    reasons = []
    for name, value in expected.items():
        before = record.get(name)
        if name in record and before == value:
            continue
        if isinstance(value, dict) and isinstance(before, dict):
            keys = sorted(key for key in {*value, *before} if value.get(key) != before.get(key))
            reasons += [_change(key, before.get(key), value.get(key)) for key in keys]
        else:
            reasons.append(_change(name, before, value))
    return reasons


def _change(name: str, before: Any, now: Any) -> str:
    """Describe a changed input; hashes and long values say nothing to a reader."""
    shown = NAMES.get(name, name.replace("_", " ") if name.endswith("weights") else name)
    values = [value for value in (before, now) if isinstance(value, str | dict | list)]
    if any(not isinstance(value, str) or len(value) == HASH for value in values):
        return f"{shown} changed"
    if max(len(str(before)), len(str(now))) > SHOWN:
        return f"{shown} changed"
    return f"{shown} {before}, now {now}"
