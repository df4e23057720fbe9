"""mottool from Python, a line for each step; every name here is also one of `mottool` itself.

    import mottool

    cache = mottool.open_cache("mottool-work/caches/public+histogram/scene.h5")
    tracks = mottool.track(cache, "fairmot", conf_thres=0.5)
    mottool.score(tracks, "scene")["HOTA"]
    mottool.draw(tracks, "scene", "scene.mp4", trail=60)
    mottool.to_pandas(tracks)

What runs over many sequences is in `mottool.stages`: each command's `run` is a function of files.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from mottool.association.fitted_settings import fitted_settings, fitted_tracker
from mottool.association.registry import TRACKERS
from mottool.association.run_tracker import run_tracker
from mottool.boxes import xyxy_from_tlwh
from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import InputError, SettingError, did_you_mean
from mottool.metrics.inputs import GroundTruthFile, find_truth, truth_of
from mottool.metrics.preprocess import preprocess
from mottool.motchallenge.rows import Rows, read_rows, write_tracks
from mottool.motchallenge.rules import detect_rules
from mottool.settings import build_settings

if TYPE_CHECKING:
    import pandas
    import supervision

__all__ = [
    "TrackTable",
    "draw",
    "open_cache",
    "read_tracks",
    "score",
    "to_pandas",
    "to_supervision",
    "track",
]

DECIMALS = 4  # of a result file's boxes: figures are those of the file that would be written
PACKAGES = "install what notebooks use: pip install 'mottool[notebook]'"


@dataclass(frozen=True)
class TrackTable:
    """The tracks of one sequence of so many `frames`.

    `rows` are frame from 1, identity, left, top, width, height in pixels, and in `rest` the score.
    """

    sequence: str
    frames: int
    rows: Rows

    def __len__(self) -> int:
        return len(self.rows)

    def save(self, path: str | Path) -> Path:
        """Write MOTChallenge's rows to `path`, as `mottool associate` does."""
        rows = self.rows
        return write_tracks(Path(path), rows.frames, rows.ids, rows.tlwh, rows.rest[:, 0])


def open_cache(path: str | Path) -> Cache:
    """Open a cache that `mottool detect-embed` made; a `CacheError` if it is none, or not whole.

    Iterate over `cache.frames()` for the `Detections` of each frame; `with` closes it.
    """
    return Cache(Path(path))


def track(
    cache: Cache, tracker: str | None = None, published: bool = False, **settings: Any
) -> TrackTable:
    """Link a cache's detections into tracks; `settings` are those of `mottool associate`'s flags.

    Without a `tracker` it is the one that suits the cache's network, or else fairmot. Settings
    that fit the network are the defaults where there are some; with `published` they are those of
    the tracker's authors. Raises `SettingError` for a tracker or a setting that does not exist,
    `CacheError` if the cache lacks what the tracker needs.
    """
    header = {} if published else cache.header.settings
    tracker = tracker or fitted_tracker(header) or "fairmot"
    if tracker not in TRACKERS:
        raise SettingError(f"there is no tracker {tracker!r}", did_you_mean(tracker, TRACKERS))
    fitted = fitted_settings(header, tracker)
    rows = run_tracker(
        cache, tracker, build_settings(TRACKERS[tracker].settings, fitted | settings, tracker)
    )
    return TrackTable(cache.header.sequence, cache.frame_count, rows)


def read_tracks(path: str | Path) -> TrackTable:
    """Read a result file `SEQUENCE.txt`; an `InputError` if it is none."""
    path = Path(path)
    rows = read_rows(path, "result")
    scores = rows.rest[:, :1] if rows.rest.shape[1] else np.ones((len(rows), 1))
    name = path.name.removesuffix(".gz").removesuffix(".txt")
    plain = Rows(rows.frames, rows.ids, rows.tlwh, scores)
    return TrackTable(name, int(rows.frames.max(initial=0)), plain)


def score(found: TrackTable | Cache, truth: str | Path, rules: str = "auto") -> dict[str, float]:
    """The figures of tracks or of a cache, as fractions and counts, as `mottool evaluate` has them.

    `truth` is a dataset, a sequence folder or one file of ground truth, `rules` a benchmark's
    (mot15, mot16, mot17, mot20) or auto. Raises `InputError` if the two do not belong together.
    """
    sequence = found.header.sequence if isinstance(found, Cache) else found.sequence
    own = _truth(Path(truth), sequence)
    objects = read_rows(own.path, "ground truth")
    rules = detect_rules(sequence, objects) if rules == "auto" else rules
    if isinstance(found, Cache):
        from mottool.metrics.cache_metrics import figures, find
        from mottool.metrics.evaluate import MIN_SCORE

        return figures([find(found, objects, rules)], MIN_SCORE)
    from mottool.metrics import tracking

    rows = found.rows
    length = own.length or max(found.frames, int(objects.frames.max(initial=0)))
    written = Rows(rows.frames, rows.ids, rows.tlwh.round(DECIMALS), rows.rest)
    return tracking.score(preprocess(objects, written, length, rules, sequence)).figures()


def _truth(place: Path, sequence: str) -> GroundTruthFile:
    """The sequence's ground truth; a file alone is, whatever its name."""
    truths = find_truth([place])
    if place.is_file():
        return next(iter(truths.values()))
    return truth_of(sequence, truths)


def draw(tracks: TrackTable, source: str | Path, out: str | Path, **looks: Any) -> Path:
    """Draw tracks over the frames of `source`, a video or folder, into the H.264 video `out`.

    `looks` are the settings of `mottool render`'s flags, such as `scale=0.5` or `trail=60`.
    Raises `InputError` if the source cannot be read or holds several sequences.
    """
    from mottool.sources.discovery import find_sequences
    from mottool.stages import render

    sequences = find_sequences([source])
    if len(sequences) != 1:
        names = ", ".join(each.name for each in sequences)
        raise InputError(f"{source} holds several sequences: {names}", "name one of them")
    with TemporaryDirectory(prefix="mottool-") as folder:
        rows = tracks.save(Path(folder) / f"{sequences[0].name}.txt")
        config = build_settings(render.Config, looks, "render")
        return render.run(sequences[0], rows, Path(out), config)


def to_pandas(tracks: TrackTable) -> pandas.DataFrame:
    """A row for each box: frame, id, left, top, width, height, score."""
    try:
        from pandas import DataFrame
    except ImportError as error:
        raise SettingError("pandas is not installed", PACKAGES) from error
    rows = tracks.rows
    sides = zip(("left", "top", "width", "height"), rows.tlwh.T, strict=True)
    score = rows.rest[:, 0]
    return DataFrame({"frame": rows.frames, "id": rows.ids, **dict(sides), "score": score})


def to_supervision(
    found: TrackTable | Detections, frame: int | None = None
) -> supervision.Detections:
    """One frame as `supervision.Detections`, of tracks with their identities.

    `found` are tracks, of which `frame` counted from 1 is taken, or the detections of a cache's
    frame. A `SettingError` for tracks without a frame, or if supervision is not installed.
    """
    try:
        import supervision
    except ImportError as error:
        raise SettingError("supervision is not installed", PACKAGES) from error
    if isinstance(found, Detections):
        return supervision.Detections(
            xyxy=found.boxes, confidence=found.scores, class_id=found.classes.astype(int)
        )
    if frame is None:
        raise SettingError("tracks have many frames", "say which one, such as frame=1")
    here = np.flatnonzero(found.rows.frames == frame)
    return supervision.Detections(
        xyxy=xyxy_from_tlwh(found.rows.tlwh[here]).astype(np.float32),
        confidence=found.rows.rest[here, 0].astype(np.float32),
        class_id=np.zeros(len(here), int),
        tracker_id=found.rows.ids[here],
    )
