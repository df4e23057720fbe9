"""Records beside results: what a result file or a video was made from, as JSON.

The results of `tracks/NAME/SEQUENCE.txt` are recorded in `tracks/NAME.settings/SEQUENCE.json`, so
that a folder of results holds nothing else and can be zipped.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mottool.workdir import whole_file

__all__ = ["is_made_from", "read_record", "record_of", "write_record"]


def record_of(result: Path) -> Path:
    """Return where the record of the file `result` is: in the folder next to its own."""
    folder = result.resolve().parent
    return Path(f"{folder}.settings") / f"{result.stem}.json"


def read_record(result: Path) -> dict[str, Any]:
    """Return the record of a result; {} where there is none that can be read."""
    try:
        content = json.loads(record_of(result).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write_record(result: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a result; an `OutputError` if that cannot be done."""
    with whole_file(record_of(result)) as part:
        part.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def is_made_from(result: Path, inputs: Mapping[str, Any]) -> bool:
    """Whether a result is there and its record says that it was made from these inputs."""
    record = read_record(result)
    wanted = json.loads(json.dumps(inputs))
    return result.is_file() and all(
        name in record and record[name] == value for name, value in wanted.items()
    )
