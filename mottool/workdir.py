"""Where results land: the layout of the work folder, names that stay inside it, whole files.

<work>/caches/<pipeline>/<sequence>.h5
<work>/tracks/<pipeline>.<tracker>/<sequence>.txt
<work>/tracks/<pipeline>.<tracker>.settings/<sequence>.json
<work>/videos/<pipeline>.<tracker>/<sequence>.mp4
<work>/videos/<pipeline>.<tracker>/<sequence>.switches/
<work>/plots/<pipeline or pipeline.tracker>/<sequence>.<kind>.png
<work>/tuning/<pipeline>.<tracker>/
<work>/training/<pipeline>/
<work>/labels/<teacher>/<dataset>.h5
"""

import glob
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from mottool.errors import OutputError, writing

__all__ = ["Work", "safe_name", "whole_file"]

FORGOTTEN = 3600  # seconds without a write after which what is half written has no writer any more


@dataclass(frozen=True)
class Work:
    """The folder everything lands in (`--work`, `$MOTTOOL_WORK`, by default `mottool-work`)."""

    root: Path

    def cache(self, pipeline: str, sequence: str) -> Path:
        """The cache file of one sequence."""
        return self.root / "caches" / safe_name(pipeline) / f"{safe_name(sequence)}.h5"

    def caches(self) -> list[Path]:
        """Every finished cache below the folder, in order of name."""
        found = self.root.glob("caches/*/*.h5")
        return sorted(path for path in found if not path.name.endswith(".part.h5"))

    def tracks(self, pipeline: str, tracker: str) -> Path:
        """The folder of one tracker's result files: it holds nothing else and can be zipped."""
        return self.root / "tracks" / safe_name(f"{pipeline}.{tracker}")

    def results(self) -> list[Path]:
        """Every folder of result files below the work folder, in order of name."""
        found = self.root.glob("tracks/*")
        return sorted(path for path in found if path.is_dir() and path.suffix != ".settings")

    def tuning(self, pipeline: str, tracker: str) -> Path:
        """The folder of a search for the tracker's best settings."""
        return self.root / "tuning" / safe_name(f"{pipeline}.{tracker}")

    def video(self, tracks: str, sequence: str) -> Path:
        """The annotated video of one sequence, `tracks` being its result folder's name."""
        return self.root / "videos" / safe_name(tracks) / f"{safe_name(sequence)}.mp4"

    def plot(self, group: str, sequence: str, kind: str, form: str) -> Path:
        """One figure of a sequence; `group` is its pipeline's or result folder's name."""
        return self.root / "plots" / safe_name(group) / f"{safe_name(sequence)}.{kind}.{form}"

    def training(self, pipeline: str) -> Path:
        """The folder of a training: the weights that came of it and its log."""
        return self.root / "training" / safe_name(pipeline)

    def labels(self, teacher: str, dataset: str) -> Path:
        """The label file of one dataset."""
        return self.root / "labels" / safe_name(teacher) / f"{safe_name(dataset)}.h5"


def safe_name(text: str) -> str:
    """`text` as a single file name: no separators, no leading dot, never empty or reserved."""
    return re.sub(r"[^\w.+=@ -]", "_", text, flags=re.UNICODE).strip(". ")[:200] or "unnamed"


@contextmanager
def whole_file(path: Path, scratch: Path | None = None) -> Iterator[Path]:
    """Give a temporary path; when the block ends well it becomes `path`, else it vanishes.

    The temporary file lies in `scratch` (same file system; by default beside `path`), keeps the
    suffix of `path`, and is flushed to the disk before the rename, so `path` is always whole. What
    a killed process left of an earlier one is removed.
    """
    folder = scratch or path.parent
    part = _part(folder, path, str(os.getpid()))
    with writing(path):
        if path.exists() and not path.is_file():  # a rename would replace a device or a pipe
            problem = f"{path} is no regular file and cannot be written whole"
            raise OutputError(problem, "name a file that does not exist yet, or an ordinary one")
        path.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder, path)
    try:
        with writing(path):
            yield part
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _part(folder: Path, path: Path, process: str) -> Path:
    """Where a process writes what becomes `path`."""
    return folder / f".{path.stem}.{process}.part{path.suffix}"


def _sweep(folder: Path, path: Path) -> None:
    """Remove what processes left of `path` that were killed; what was just written is let be."""
    pattern = _part(Path(), Path(glob.escape(path.name)), "*").name
    for left in folder.glob(pattern):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > FORGOTTEN:
                left.unlink()
