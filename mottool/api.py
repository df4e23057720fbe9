"""Python API: one function per step. Every name here is also a name of `mottool`.

    import mottool

    cache = mottool.open_cache("mottool-work/caches/public+histogram/scene.h5")
    tracks = mottool.track(cache, "fairmot", conf_thres=0.5)
    mottool.score(tracks, "scene")["HOTA"]
    mottool.draw(tracks, "scene", "scene.mp4", trail=60)
    rows = mottool.compare("mottool-work", "MOT17/train", ["fairmot", "bytetrack"])
    best = mottool.tune("mottool-work/caches/mottool-s", "MOT17/train", "bytetrack", trials=30)

For many sequences use the `run` functions of `mottool.stages`, which read and write files.
"""

from __future__ import annotations

import csv
import logging
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mottool.association.fitted_settings import fitted_settings, fitted_tracker
from mottool.association.postprocess import postprocess
from mottool.association.registry import TRACKERS
from mottool.association.run_tracker import join_frames, run_tracker
from mottool.association.sequence_settings import (
    SequenceSettings,
    read_settings_by_tracker,
    settings_classes_of,
)
from mottool.association.tracks import Tracks
from mottool.boxes import xyxy_from_tlwh
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import InputError, SettingError, did_you_mean, naming_arguments
from mottool.metrics.cache_evaluation import score_cache
from mottool.metrics.cache_metrics import cache_metrics
from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import (
    GroundTruthFile,
    find_ground_truth,
    get_ground_truth,
    part_of_cache,
)
from mottool.metrics.inputs import find_caches
from mottool.metrics.settings import MIN_SCORE
from mottool.metrics.track_evaluation import score_tracks
from mottool.motchallenge.rows import Rows, read_rows, write_tracks
from mottool.motchallenge.rules import AUTO
from mottool.motchallenge.text_files import stem_of
from mottool.online.detections import as_supervision
from mottool.settings import build_settings
from mottool.splits import parse_source

if TYPE_CHECKING:
    import pandas
    import supervision

    from mottool.comparison.results import ComparisonRow

__all__ = [
    "TrackTable",
    "TuningResult",
    "compare",
    "draw",
    "open_cache",
    "read_tracks",
    "score",
    "to_pandas",
    "to_supervision",
    "track",
    "tune",
]

LOGGER = logging.getLogger(__name__)

Paths = str | Path | Cache | Iterable[str | Path | Cache]

PACKAGES_FIX = "install the packages for notebooks: pip install pandas supervision"


@dataclass(frozen=True)
class TrackTable:
    """The tracks of one sequence with `frames` frames.

    `rows` contain frame from 1, identity, left, top, width and height in pixels; `rest` the score.
    """

    sequence: str
    frames: int
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of_frames(cls, sequence: str, tracks: Sequence[Tracks]) -> TrackTable:
        """Return the table of what `Tracker.update` returned for each frame from 1 on."""
        return cls(sequence, len(tracks), join_frames(tracks))

    def save(self, path: str | Path) -> Path:
        """Write the tracks to `path` in MOTChallenge's format, as `mottool associate` does."""
        rows = self.rows
        return write_tracks(Path(path), [rows])


@naming_arguments()
def open_cache(path: str | Path) -> Cache:
    """Open a cache written by `mottool detect-embed`.

    Iterate over `cache.frames()` for the `Detections` of each frame; `with` closes it. Raises
    `CacheError` if the file is not a cache or not complete.
    """
    return Cache(Path(path))


@naming_arguments()
def track(
    cache: Cache, tracker: str | None = None, published: bool = False, **settings: Any
) -> TrackTable:
    """Link a cache's detections into tracks; `settings` are those of `mottool associate`'s flags.

    They include those of every tracker, such as `min_score=0.3` and `fill_gaps=18`. By default the
    `tracker` is the one fitted to the cache's network, or else fairmot, and settings are those
    fitted to the network, if any; with `published` those of the tracker's authors. Raises
    `SettingError` for an unknown tracker or setting, and `CacheError` if the cache lacks data that
    the tracker needs.
    """
    header = {} if published else cache.header.settings
    tracker = tracker or fitted_tracker(header) or "fairmot"
    _known_tracker(tracker)
    fitted = fitted_settings(header, tracker)
    kinds = settings_classes_of(tracker)
    chosen: Any = SequenceSettings().of(cache.header.sequence, kinds, settings, fitted)
    of_tracker, inputs, postprocessing = chosen
    rows = postprocess(run_tracker(cache, tracker, of_tracker, inputs=inputs), postprocessing)
    return TrackTable(cache.header.sequence, cache.last_frame, rows)


@naming_arguments()
def read_tracks(path: str | Path) -> TrackTable:
    """Read a result file, `SEQUENCE.txt` or `ARCHIVE.zip/SEQUENCE.txt`.

    Raises `InputError` if it is none.
    """
    path = Path(path)
    rows = read_rows(path, "result")
    scores = rows.rest[:, :1] if rows.rest.shape[1] else np.ones((len(rows), 1))
    last = int(rows.frames.max(initial=0))
    return TrackTable(stem_of(path), last, Rows(rows.frames, rows.ids, rows.tlwh, scores))


@naming_arguments()
def score(result: TrackTable | Cache, truth: str | Path, rules: str = AUTO) -> dict[str, float]:
    """Return the metrics of tracks or of a cache, as fractions and counts.

    They are those of `mottool evaluate`. `truth` is a dataset, a sequence folder or one
    ground-truth file, or a half of them, such as `MOT17/train@second`; `rules` are a benchmark's
    (mot15, mot16, mot17, mot20) or auto. Raises `InputError` if there is no ground truth of this
    sequence.
    """
    sequence = result.header.sequence if isinstance(result, Cache) else result.sequence
    file = _ground_truth(Path(truth), sequence)
    ground_truth = load_ground_truth(file, sequence, rules)
    if isinstance(result, Cache):
        part = part_of_cache(result.path, sequence, file)
        with nullcontext(result) if part == result.path else Cache(part) as cache:
            return cache_metrics([score_cache(cache, ground_truth)], MIN_SCORE)
    return score_tracks(result.rows, ground_truth, result.frames).metrics()


def _ground_truth(path: Path, sequence: str) -> GroundTruthFile:
    """Return the ground truth of a sequence; a single file matches any sequence."""
    files = find_ground_truth([path])
    if parse_source(path)[0].is_file():
        return next(iter(files.values()))
    return get_ground_truth(sequence, files)


@naming_arguments()
def draw(tracks: TrackTable, source: str | Path, out: str | Path, **settings: Any) -> Path:
    """Draw tracks over the frames of `source`, a video or folder, into the H.264 video `out`.

    `settings` are those of `mottool render`'s flags, such as `scale=0.5` or `trail=60`.
    Raises `InputError` if the source cannot be read or holds several sequences.
    """
    from mottool.drawing.render import RenderSettings, render_video
    from mottool.sources.discovery import find_sequences

    if Path(out).suffix.lower() != ".mp4":
        raise SettingError(f"{out} is not a file name for an H.264 video", "end it in .mp4")
    sequences = find_sequences([source])
    if len(sequences) != 1:
        names = ", ".join(sequence.name for sequence in sequences)
        raise InputError(f"{source} holds several sequences: {names}", "name one of them")
    with TemporaryDirectory(prefix="mottool-") as folder:
        rows = tracks.save(Path(folder) / f"{sequences[0].name}.txt")
        config = build_settings(RenderSettings, settings, "render")
        return render_video(sequences[0], rows, Path(out), config)


def to_pandas(tracks: TrackTable) -> pandas.DataFrame:
    """Return a row per box: frame, id, left, top, width, height, score."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise SettingError("pandas is not installed", PACKAGES_FIX) from error
    rows = tracks.rows
    sides = zip(("left", "top", "width", "height"), rows.tlwh.T, strict=True)
    score = rows.rest[:, 0]
    return DataFrame({"frame": rows.frames, "id": rows.ids, **dict(sides), "score": score})


def to_supervision(
    boxes: TrackTable | Tracks | Detections, frame: int | None = None
) -> supervision.Detections:
    """Convert one frame to `supervision.Detections`; those of tracks have identities.

    `boxes` are the tracks of a video, of which `frame` (from 1) is selected, or the tracks or
    detections of one frame. Raises `SettingError` for tracks without a frame, or if supervision is
    not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise SettingError("supervision is not installed", PACKAGES_FIX) from error
    if isinstance(boxes, Detections):
        return supervision.Detections(
            xyxy=boxes.boxes, confidence=boxes.scores, class_id=boxes.classes.astype(int)
        )
    if isinstance(boxes, Tracks):
        return as_supervision(boxes)
    if frame is None:
        raise SettingError("tracks have many frames", "choose one, such as frame=1")
    rows = boxes.rows
    in_frame = np.flatnonzero(rows.frames == frame)
    corners = np.asarray(xyxy_from_tlwh(rows.tlwh[in_frame]), np.float64)
    return as_supervision(Tracks(rows.ids[in_frame], corners, rows.rest[in_frame, 0]))


@dataclass(frozen=True)
class TuningResult:
    """The best settings that a search found.

    `settings` are keywords of `mottool.track`. `score` is the value of the metric `objective` on
    all sequences together, and `default` that of the default settings. `trials` has a dict for each
    trial, in their order: its number, its settings and its metrics.
    """

    tracker: str
    objective: str
    score: float
    default: float
    settings: dict[str, Any]
    trials: list[dict[str, Any]]


@naming_arguments()
def compare(
    caches: Paths,
    truth: Paths,
    trackers: Iterable[str] = ("fairmot", "sort"),
    *,
    settings: Paths = (),
    rules: str = AUTO,
    oracle: bool = False,
    published: bool = False,
    camera_motion: bool | None = None,
    warn: Callable[[str], None] = LOGGER.warning,
) -> list[ComparisonRow]:
    """Track the caches of each pipeline with each tracker, and return a row for each pair.

    `caches` are work folders, folders of caches, or caches of any number of pipelines; `truth` are
    paths of ground truth, as for `mottool.score`. `settings` are TOML files that name a tracker, as
    `mottool tune` writes them. The others are as the flags of `mottool compare`. A row has
    `pipeline`, `tracker`, and the metrics in `figures` and `by_sequence`: fractions, counts and
    frames per second. `warn` receives a message for each pair and sequence that is left out.

    Raises `SettingError` for an unknown tracker, `InputError` and `CacheError` for files that are
    missing, malformed or do not belong together.
    """
    from mottool.comparison.comparison import Comparison

    names = [trackers] if isinstance(trackers, str) else trackers
    chosen = read_settings_by_tracker(map(_known_tracker, names), _paths(settings))
    comparison = Comparison(
        _paths(caches),
        _paths(truth),
        chosen,
        rules=rules,
        oracle=oracle,
        published=published,
        camera_motion=camera_motion,
    )
    rows = [comparison.measure(*pair) for pair in comparison.pairs]
    for note in comparison.notes:
        warn(note)
    return rows


@naming_arguments()
def tune(
    caches: Paths,
    truth: Paths,
    tracker: str = "fairmot",
    search: Mapping[str, Any] | Iterable[str] = (),
    *,
    fixed: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    **options: Any,
) -> TuningResult:
    """Search the settings of a tracker that score highest on caches with ground truth.

    `caches` are caches of one pipeline, folders of them, or a work folder; `truth` are paths of
    ground truth. `search` maps each setting to its values, such as `{"max_age": (1, 5, 30)}`, or to
    a range, `{"second": "0.3:0.8"}`, or to None for all its values; by default `mottool tune`
    chooses. `fixed` are settings that all trials have. `options` are `objective`, `method`,
    `trials`, `seed` and `rules`, as the flags of `mottool tune`. With the folder `out`, the files
    of the search are kept there, and an interrupted search resumes. `jobs` processes run trials at
    the same time.

    Raises `SettingError` for unknown names and values, `InputError` and `CacheError` for files that
    cannot be used.
    """
    from mottool.stages import tune as tune_stage

    _known_tracker(tracker)
    config = build_settings(tune_stage.Config, options, "tune")
    searched = map(_axis, search.items()) if isinstance(search, Mapping) else search
    texts = {name: _text(value) for name, value in (fixed or {}).items()}
    with TemporaryDirectory(prefix="mottool-") as temporary:
        folder = Path(out) if out else Path(temporary)
        best = tune_stage.run(
            _cache_files(caches),
            _paths(truth),
            folder,
            tracker,
            list(searched),
            texts,
            config,
            jobs,
            overwrite,
        )
        settings = tomllib.loads(best.read_text(encoding="utf-8"))["default"]
        with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    trials = [{name: _value(cell) for name, cell in row.items()} for row in rows]
    scores = [float(trial[config.objective]) for trial in trials if trial[config.objective] != ""]
    return TuningResult(tracker, config.objective, max(scores), scores[0], settings, trials)


def _known_tracker(name: str) -> str:
    if name not in TRACKERS:
        raise SettingError(f"there is no tracker {name!r}", did_you_mean(name, TRACKERS))
    return name


def _paths(values: Paths) -> list[Path]:
    """Return paths of one or several paths and open caches."""
    several = [values] if isinstance(values, str | Path | Cache) else values
    return [Path(value.path if isinstance(value, Cache) else value) for value in several]


def _cache_files(values: Paths) -> list[Path]:
    """Return the caches in files, folders and work folders. Raises `InputError` without any."""
    files, others = find_caches(_paths(values))
    if others:
        fix = "run mottool detect-embed first, or give caches"
        raise InputError(f"there are no caches in {others[0]}", fix)
    return files


def _axis(item: tuple[str, Any]) -> str:
    """Return a searched setting as `mottool tune --search` has it."""
    name, values = item
    return name if values is None else f"{name}={_text(values)}"


def _text(value: Any) -> str:
    """Return a setting as on the command line."""
    several = isinstance(value, Iterable) and not isinstance(value, str)
    return ",".join(map(str, value)) if several else str(value)


def _value(cell: str) -> Any:
    """Return the number in a cell of a table; any other text as it is."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() and "." not in cell else number
