"""The record of a result: a JSON file that lists what the result was made from.

It has the identity of everything that determines the result: the SHA-256 of files, settings, and
the version of mottool or, of a cache, its schema. That of FOLDER/<sequence>.txt is
FOLDER.settings/<sequence>.json, so that a folder of results contains nothing else and can be
zipped.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import Any, TypeVar

from mottool.errors import writing
from mottool.files import atomic_write, file_digest, json_record, read_json_record
from mottool.locks import locked

__all__ = [
    "RECORDS",
    "holds_records",
    "is_made_from",
    "locked_result",
    "read_checked_record",
    "read_record",
    "record_beside",
    "record_of",
    "record_text",
    "remove_record",
    "write_record",
]

RECORDS = ".settings"  # after the name of a folder of results: that of their records
REPLACING_SECONDS = 0.2  # from the rename of a result to that of its record
TYPES = {  # of entries that readers of records rely on
    **dict.fromkeys(("settings", "input", "finishing", "seconds", "comparison"), dict),
    **dict.fromkeys(("tracker", "sha256", "source_hash"), str),
    "took": float,
    "processes": int,
}

P = TypeVar("P", bound=PurePath)


def record_of(result: Path) -> Path:
    """Return where the record of the file `result` is: in the folder next to its own."""
    return record_beside(result.resolve().parent / result.name)


def record_beside(result: P) -> P:
    """Return where the record of a file is if its folder is no link."""
    return type(result)(f"{result.parent}{RECORDS}") / f"{result.stem}.json"


def holds_records(folder: Path) -> bool:
    """Return whether a path is a folder of records, which lies beside the folder of results."""
    return folder.suffix == RECORDS and folder.is_dir()


def read_record(result: Path) -> dict[str, Any]:
    """Return the record of a result; {} if it is missing or damaged."""
    content = read_json_record(record_of(result), checked=False)  # old ones have no checksum
    sound = all(isinstance(content[name], TYPES[name]) for name in content.keys() & TYPES.keys())
    return content if sound else {}


def read_checked_record(result: Path, warn: Callable[[str], None]) -> dict[str, Any]:
    """Return the record of a result; {} and a message to `warn` if it is of other content.

    A process that replaces both just now has time to finish.
    """
    for pause in (REPLACING_SECONDS, 0):
        record = read_record(result)
        if not record.get("sha256") or record["sha256"] == file_digest(result):
            return record
        time.sleep(pause)
    warn(f"{result} differs from what its record describes: it was edited, or copied in part")
    return {}


@contextmanager
def locked_result(result: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Let no other process replace a result or its record, so that the two belong together.

    `waiting` is called if another process does that already. Raises `OutputError` if the folder of
    records cannot be written.
    """
    record = record_of(result)
    with locked(record.with_name(f".{record.stem}.lock"), waiting):
        yield


def remove_record(result: Path) -> None:
    """Remove the record of a result that is about to be replaced.

    Else the old record would be beside the new result if the process is killed between the two.
    Raises `OutputError` if that is impossible.
    """
    record = record_of(result)
    with writing(record):
        record.unlink(missing_ok=True)


def write_record(result: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a result. Raises `OutputError` if that is impossible."""
    with atomic_write(record_of(result)) as temporary:
        temporary.write_text(record_text(record), encoding="utf-8")


def record_text(record: Mapping[str, Any]) -> str:
    """Return the content of the file of a record, with a checksum."""
    return json_record(record, indent=2)


def is_made_from(result: Path, inputs: Mapping[str, Any]) -> bool:
    """Return whether a result exists and its record lists these inputs."""
    record = read_record(result)
    expected = json.loads(json.dumps(inputs))
    return result.is_file() and all(
        name in record and record[name] == value for name, value in expected.items()
    )
