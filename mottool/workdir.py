"""Layout of the work folder.

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
<work>/.known-files.json, .<recipe>.run.lock and .store/ (of `mottool run`)

Records of results (see `mottool.records`) are in a folder next to each folder of results. An
unfinished cache or label file is the folder `<name>.part/`.
"""

from dataclasses import dataclass
from pathlib import Path

from mottool.files import safe_name, visible_files
from mottool.records.record import holds_records

__all__ = ["WorkDir", "find_camera_motion"]

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
        """Return every folder that has result files, sorted by name; failures leave empty ones."""
        folders = sorted(self.root.glob("tracks/*"))
        return [path for path in folders if not holds_records(path) and _has_results(path)]

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

    def run_lock(self, name: str) -> Path:
        """Return the file that a run of a recipe locks while it makes results."""
        return self.root / f".{safe_name(name)}.run.lock"

    def known_files(self) -> Path:
        """Return the file of `mottool.records.known_files.KnownFiles`."""
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


def _has_results(folder: Path) -> bool:
    return any(visible_files(folder, pattern) for pattern in ("*.txt", "*.txt.gz"))


def find_camera_motion(cache: Path, sequence: str) -> Path | None:
    """Return the camera-motion file of a cache's sequence, or None.

    It is in the folder `camera-motion` beside the cache or up to two levels above, as that of a
    work folder is.
    """
    parents = cache.resolve().parents[:3]
    files = (parent / CAMERA_MOTION / f"{safe_name(sequence)}.h5" for parent in parents)
    return next((file for file in files if file.exists()), None)
