"""Layout of the work folder, and the records beside its results.

<work>/caches/<pipeline>/<sequence>.h5
<work>/camera-motion/<sequence>.h5
<work>/tracks/<pipeline>.<tracker>/<sequence>.txt (<tracker>@<name> with settings of <name>.toml)
<work>/videos/<pipeline>.<tracker>/<sequence>.mp4
<work>/videos/<pipeline>.<tracker>/<sequence>.switches/
<work>/scores/<pipeline>.<tracker>/<sequence>.json, <work>/scores/<pipeline>/<sequence>.npz
<work>/comparison/<recipe>.html
<work>/plots/<pipeline>/ or <pipeline>.<tracker>/<sequence>.<kind>.png
<work>/tuning/<pipeline>.<tracker>/
<work>/training/<pipeline>/
<work>/labels/<teacher>/<dataset>.h5
<work>/benchmark/
<work>/.known-files.json and .store/ (of `mottool run`)

A record is a JSON file that lists what a result was made from. That of FOLDER/<sequence>.txt is
FOLDER.settings/<sequence>.json, so that a folder of results contains nothing else and can be
zipped. An unfinished cache or label file is
the folder `<name>.part/`.
"""

import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, TypeVar

from mottool.errors import writing
from mottool.files import atomic_write, json_record, read_json_record, safe_name, visible_files

__all__ = [
    "RECORDS",
    "WorkDir",
    "find_camera_motion",
    "holds_records",
    "is_made_from",
    "mixed_settings",
    "mixed_with_others",
    "read_record",
    "record_beside",
    "record_of",
    "record_text",
    "remove_record",
    "warn_of_replaced",
    "write_record",
]

CAMERA_MOTION = "camera-motion"
TYPES = {  # of entries that readers of records rely on
    **dict.fromkeys(("settings", "input", "finishing", "seconds"), dict),
    **dict.fromkeys(("tracker", "sha256", "source_hash", "table"), str),
    "took": float,
}
RECORDS = ".settings"  # after the name of a folder of results: that of their records

P = TypeVar("P", bound=PurePath)


@dataclass(frozen=True)
class WorkDir:
    """The folder of all results (`--work`, `$MOTTOOL_WORK`, by default `mottool-work`)."""

    root: Path

    def cache(self, pipeline: str, sequence: str) -> Path:
        """Return the cache file of one sequence."""
        return self.root / "caches" / safe_name(pipeline) / f"{safe_name(sequence)}.h5"

    def caches(self) -> list[Path]:
        """Return every complete cache of the folder, sorted by name."""
        return visible_files(self.root, "caches/*/*.h5")

    def camera_motion(self, sequence: str) -> Path:
        """Return the camera-motion file of one sequence, for the caches of all pipelines."""
        return self.root / CAMERA_MOTION / f"{safe_name(sequence)}.h5"

    def tracks(self, pipeline: str, tracker: str) -> Path:
        """Return the folder of one tracker's result files: it holds nothing else, to be zipped."""
        return self.root / "tracks" / safe_name(f"{pipeline}.{tracker}")

    def results(self) -> list[Path]:
        """Return every folder of result files, sorted by name."""
        folders = self.root.glob("tracks/*")
        return sorted(path for path in folders if path.is_dir() and not holds_records(path))

    def benchmark(self) -> Path:
        """Return the folder of the tables and the plot of a benchmark."""
        return self.root / "benchmark"

    def tuning(self, pipeline: str, tracker: str) -> Path:
        """Return the folder of a search for the tracker's best settings."""
        return self.root / "tuning" / safe_name(f"{pipeline}.{tracker}")

    def video(self, tracks: str, sequence: str) -> Path:
        """Return the annotated video of one sequence; `tracks` is its result folder's name."""
        return self.root / "videos" / safe_name(tracks) / f"{safe_name(sequence)}.mp4"

    def score(self, group: str, sequence: str, form: str) -> Path:
        """Return the scores of a sequence; `group` is its pipeline's or result folder's name."""
        return self.root / "scores" / safe_name(group) / f"{safe_name(sequence)}.{form}"

    def comparison(self, name: str) -> Path:
        """Return the page that compares the results of a recipe."""
        return self.root / "comparison" / f"{safe_name(name)}.html"

    def known_files(self) -> Path:
        """Return the file of `provenance.KnownFiles`."""
        return self.root / ".known-files.json"

    def plot(self, group: str, sequence: str, kind: str, form: str) -> Path:
        """Return one plot of a sequence; `group` is its pipeline's or result folder's name."""
        return self.root / "plots" / safe_name(group) / f"{safe_name(sequence)}.{kind}.{form}"

    def training(self, pipeline: str) -> Path:
        """Return the folder of a training: its weights and its log."""
        return self.root / "training" / safe_name(pipeline)

    def labels(self, teacher: str, dataset: str) -> Path:
        """Return the label file of one dataset."""
        return self.root / "labels" / safe_name(teacher) / f"{safe_name(dataset)}.h5"


def find_camera_motion(cache: Path, sequence: str) -> Path | None:
    """Return the camera-motion file of a cache's sequence, or None.

    It is in the folder `camera-motion` beside the cache or up to two levels above, as that of a
    work folder is.
    """
    parents = cache.resolve().parents[:3]
    files = (parent / CAMERA_MOTION / f"{safe_name(sequence)}.h5" for parent in parents)
    return next((file for file in files if file.exists()), None)


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


def _changed_settings(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Describe the settings in which two records of results differ, such as `max_age 5, now 1`.

    It is "" for equal settings. Settings that one of them lacks are ignored.
    """
    old, new = _settings(before), _settings(after)
    changed = [name for name in new if name in old and old[name] != new[name]]
    return "; ".join(f"{name} {old[name]}, now {new[name]}" for name in changed)


def mixed_settings(results: Mapping[str, Path]) -> str:
    """Describe the settings in which results of several sequences differ; "" if in none."""
    settings = {
        name: made for name, path in results.items() if (made := _settings(read_record(path)))
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
    records: Mapping[Path, Mapping[str, Any]], warn: Callable[[str], None]
) -> None:
    """Warn of result files of other settings that are replaced; `records` are the new ones'."""
    replaced: dict[tuple[Path, str], list[str]] = {}
    for path, record in records.items():
        old = read_record(path)
        change = _changed_settings(old, record) if old else "settings that are not recorded"
        if path.is_file() and change:
            replaced.setdefault((path.parent, change), []).append(path.stem)
    for (folder, change), names in replaced.items():
        fix = "to keep both, give --out, or --settings NAME.toml, whose results go to TRACKER@NAME"
        warn(f"{folder}: replaces {', '.join(names)} of other settings ({change}); {fix}")


def _settings(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tracker and all settings of a record of tracks; {} for another record."""
    parts = (record.get(part) for part in ("settings", "input", "finishing"))
    values = {
        key: value for part in parts if isinstance(part, Mapping) for key, value in part.items()
    }
    settings: dict[str, Any] = json.loads(json.dumps(values))
    return {"tracker": record.get("tracker")} | settings if settings else {}


def is_made_from(result: Path, inputs: Mapping[str, Any]) -> bool:
    """Return whether a result exists and its record lists these inputs."""
    record = read_record(result)
    expected = json.loads(json.dumps(inputs))
    return result.is_file() and all(
        name in record and record[name] == value for name, value in expected.items()
    )
