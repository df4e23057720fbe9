"""Layout of the work folder, and the records beside its results.

<work>/caches/<pipeline>/<sequence>.h5
<work>/camera-motion/<sequence>.h5
<work>/tracks/<pipeline>.<tracker>/<sequence>.txt
<work>/tracks/<pipeline>.<tracker>.settings/<sequence>.json
<work>/videos/<pipeline>.<tracker>/<sequence>.mp4
<work>/videos/<pipeline>.<tracker>/<sequence>.switches/
<work>/plots/<pipeline or pipeline.tracker>/<sequence>.<kind>.png
<work>/tuning/<pipeline>.<tracker>/
<work>/training/<pipeline>/
<work>/labels/<teacher>/<dataset>.h5

A record is a JSON file that lists what a result was made from. It is in a separate folder, so that
a folder of results contains nothing else and can be zipped. An unfinished cache or label file is
the folder `<name>.part/`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mottool.files import atomic_write, safe_name, visible_files

__all__ = [
    "WorkDir",
    "find_camera_motion",
    "is_made_from",
    "read_record",
    "record_of",
    "write_record",
]

CAMERA_MOTION = "camera-motion"


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
        return sorted(path for path in folders if path.is_dir() and path.suffix != ".settings")

    def tuning(self, pipeline: str, tracker: str) -> Path:
        """Return the folder of a search for the tracker's best settings."""
        return self.root / "tuning" / safe_name(f"{pipeline}.{tracker}")

    def video(self, tracks: str, sequence: str) -> Path:
        """Return the annotated video of one sequence; `tracks` is its result folder's name."""
        return self.root / "videos" / safe_name(tracks) / f"{safe_name(sequence)}.mp4"

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
    folder = result.resolve().parent
    return Path(f"{folder}.settings") / f"{result.stem}.json"


def read_record(result: Path) -> dict[str, Any]:
    """Return the record of a result; {} if it is missing or unreadable."""
    try:
        content = json.loads(record_of(result).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def write_record(result: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a result. Raises `OutputError` if that is impossible."""
    with atomic_write(record_of(result)) as temporary:
        temporary.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def is_made_from(result: Path, inputs: Mapping[str, Any]) -> bool:
    """Return whether a result exists and its record lists these inputs."""
    record = read_record(result)
    expected = json.loads(json.dumps(inputs))
    return result.is_file() and all(
        name in record and record[name] == value for name, value in expected.items()
    )
