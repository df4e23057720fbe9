"""A cache to associate, and the job of a process that does so.

Imports no click, because worker processes import this module and need no command line.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mottool.association.associate import associate
from mottool.association.empty_result import explain_empty
from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.progress import progress
from mottool.records.record import read_record
from mottool.settings import Settings

if TYPE_CHECKING:
    from mottool.detections import Detections

__all__ = ["Association", "Summary", "run_association"]

Summary = dict[str, Any]


class Association(NamedTuple):
    """A cache to track, its number of frames, the file for its tracks, and its settings."""

    sequence: str
    cache: Path
    out: Path
    frames: int
    settings: Settings
    inputs: InputSettings
    postprocessing: PostprocessSettings


def run_association(task: Association, tracker: str, public: Path | None, bar: bool) -> Summary:
    """Track one cache, in any process, and return a summary; `bar` shows progress by frame.

    The speed is that of association, as `metrics.speed` defines it; `empty` is the `EmptyResult`
    of a result without rows. Raises `CacheError` as `associate`.
    """
    from mottool.metrics.speed import SystemTime

    notes = list[str]()

    def show_progress(frames: Iterable[Detections]) -> Iterable[Detections]:
        return progress(frames, task.sequence, task.frames) if bar else frames

    associate(
        task.cache,
        task.out,
        tracker,
        settings=task.settings,
        postprocessing=task.postprocessing,
        progress=show_progress,
        inputs=task.inputs,
        public=public,
        warn=notes.append,
    )
    record = read_record(task.out)
    time = SystemTime.read(record) or SystemTime()
    return {
        "rows": record["rows"],
        "identities": record["identities"],
        "frames": task.frames,
        "frames_per_second": round(time.rates()["FPSA"] or 0.0, 1),
        "notes": notes,
        "empty": None if record["rows"] else explain_empty(task.sequence, task.cache, *task[4:]),
    }
