"""Settings of trackers in records: in which ones the results of a folder differ."""

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from mottool.records.record import read_record

__all__ = ["mixed_settings", "mixed_with_others", "settings_of", "warn_of_replaced"]


def mixed_settings(results: Mapping[str, Path]) -> str:
    """Describe the settings in which results of several sequences differ; "" if in none."""
    settings = {
        name: made for name, path in results.items() if (made := settings_of(read_record(path)))
    }
    differences = []
    for key in dict.fromkeys(key for made in settings.values() for key in made):
        sequences: dict[str, list[str]] = {}
        for name, made in settings.items():
            if key in made:
                sequences.setdefault(str(made[key]), []).append(name)
        if len(sequences) > 1:
            values = (f"{value} of {', '.join(names)}" for value, names in sequences.items())
            differences.append(f"{key} is {' and '.join(values)}")
    return "; ".join(differences)


def mixed_with_others(folder: Path, written: Collection[Path]) -> list[str]:
    """Return a message if results of a folder differ in settings from those `written` to it."""
    results = {path.stem: path for path in sorted(folder.glob("*.txt"))}
    others = any(path not in written for path in results.values())
    mixed = mixed_settings(results) if others else ""
    return [f"{folder} mixes results of different settings: {mixed}"] if mixed else []


def warn_of_replaced(
    records: Mapping[Path, Mapping[str, Any]], warn: Callable[[str], None], fix: str
) -> None:
    """Warn of result files of other settings that are replaced; `records` are the new ones'.

    `fix` says how to keep both in the command that replaces them.
    """
    replaced: dict[tuple[Path, str], list[str]] = {}
    for path, record in records.items():
        old = read_record(path)
        change = _changed_settings(old, record) if old else "settings that are not recorded"
        if path.is_file() and change:
            replaced.setdefault((path.parent, change), []).append(path.stem)
    for (folder, change), names in replaced.items():
        problem = f"{folder}: replaces {', '.join(names)} of other settings ({change})"
        warn(f"{problem}; to keep both, {fix}")


def _changed_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Describe the settings in which two records of results differ, such as `max_age 5, now 1`.

    It is "" for equal settings. Settings that one of them lacks are ignored.
    """
    old, new = settings_of(before), settings_of(after)
    changed = [name for name in new if name in old and old[name] != new[name]]
    return "; ".join(f"{name} {old[name]}, now {new[name]}" for name in changed)


def settings_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tracker and all settings of a record of tracks; {} for another record."""
    parts = (record.get(part) for part in ("settings", "input", "finishing"))
    values = {
        key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()
    }
    settings: dict[str, Any] = json.loads(json.dumps(values))
    return {"tracker": record.get("tracker")} | settings if settings else {}
