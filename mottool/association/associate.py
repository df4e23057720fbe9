"""Track one cache: write its result file and the record of what it was made from.

Imports no numpy, scipy or h5py, because the command line reads the settings of trackers for help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool._version import __version__
from mottool.association.fitted_settings import fitted_settings
from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.engines.task import PROCESSES
from mottool.errors import ignore_warning
from mottool.files import atomic_write, file_digest
from mottool.records.record import locked_result, record_of, record_text
from mottool.settings import Settings, build_settings, to_json

if TYPE_CHECKING:
    from mottool.cache.camera_motion import CameraMotion
    from mottool.cache.reader import Cache
    from mottool.detections import Detections

__all__ = ["associate", "inputs_of", "settings_record", "track_inputs"]


def associate(
    cache: Path,
    out: Path,
    tracker: str = "fairmot",
    settings: Settings | None = None,
    postprocessing: PostprocessSettings | None = None,
    progress: Callable[[Iterable[Detections]], Iterable[Detections]] = lambda frames: frames,
    inputs: InputSettings | None = None,
    public: Path | None = None,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Track the detections of `cache` and write the tracks to `out`.

    `tracker` is a name in the registry. `settings` are by default those that fit the cache's
    network (`association.fitted_settings`), else the published ones. `postprocessing` does nothing
    by default. Rows are sorted by frame, counted from 1. `record_of(out)` stores all settings, the
    fingerprint of the cache's source, the numbers of rows and identities, the seconds that
    `metrics.speed` defines, and how many processes worked meanwhile. `progress`, `inputs`, `public`
    and `warn` are those of `run_tracker`. Raises `CacheError` if the cache cannot be read or lacks
    what the tracker needs.
    """
    from mottool.association.camera_motion import required_motion
    from mottool.association.postprocess import postprocess
    from mottool.association.result_rows import CountedRows, join_blocks, join_rows
    from mottool.association.run_tracker import track_frames
    from mottool.cache.reader import Cache
    from mottool.metrics.speed import (
        FrameTimer,
        SystemTime,
        detection_and_embedding,
        has_given_boxes,
    )
    from mottool.motchallenge.rows import write_rows

    postprocessing, inputs = postprocessing or PostprocessSettings(), inputs or InputSettings()
    record, timer = record_of(out), FrameTimer()
    with Cache(cache) as opened:
        if settings is None:
            fitted = fitted_settings(opened.header.settings, tracker)
            settings = build_settings(TRACKERS[tracker].settings, fitted, tracker)
        motion = required_motion(opened, tracker, settings)
        described = settings_record(tracker, settings, inputs, postprocessing, public)
        made_from = inputs_of(opened, described, motion)
        tracks = track_frames(
            opened, tracker, settings, motion, lambda f: timer(progress(f)), inputs, public, warn
        )
        blocks = join_blocks(map(timer.stop, tracks), opened.first_frame)
        if postprocessing != PostprocessSettings():
            blocks = iter([postprocess(join_rows(blocks), postprocessing)])
        rows = CountedRows(blocks)
        with (
            ExitStack() as stack,
            atomic_write(record) as record_part,  # renamed after the tracks
            # The unfinished file is next to the record: the folder of results holds results only.
            atomic_write(out, scratch=record.parent) as part,
        ):
            write_rows(part, rows)
            boxes_given = has_given_boxes(opened.header.pipeline)
            parts = *detection_and_embedding(opened.timing), timer.array
            seconds = SystemTime.of(*parts, boxes_given=boxes_given)
            counts = {"rows": rows.rows, "identities": rows.identities}
            times = {"seconds": seconds.to_json(), "boxes_given": boxes_given}
            times["processes"] = PROCESSES.get()
            source = {"cache": str(cache), "source_hash": opened.header.source_hash}
            content = made_from | source | {"sha256": file_digest(part)} | counts | times
            record_part.write_text(record_text(content), encoding="utf-8")
            stack.enter_context(locked_result(out))  # for the two renames
    return out


def settings_record(
    tracker: str,
    settings: Settings,
    inputs: InputSettings,
    postprocessing: PostprocessSettings,
    public: Path | None = None,
) -> dict[str, Any]:
    """Return the tracker and all settings of a result file, as in its record."""
    return {
        "tracker": tracker,
        "settings": to_json(settings),
        "input": to_json(inputs) | {"public": str(public) if public else None},
        "finishing": to_json(postprocessing),
    }


def inputs_of(
    cache: Cache, described: Mapping[str, Any], motion: CameraMotion | None
) -> dict[str, Any]:
    """Return what determines a result file, as in its record: the cache and all settings.

    `described` are the settings (`settings_record`), and `motion` the camera motion that the
    tracker requires.
    """
    of_motion = dict(motion.header.settings) if motion else None
    return track_inputs(described, cache.header_digest, of_motion)


def track_inputs(
    described: Mapping[str, Any], cache_header: str, camera_motion: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return what determines a result file, from its settings (`settings_record`) and inputs.

    `cache_header` is the digest of the header of the cache, and `camera_motion` are the settings of
    the file of camera motion, if the tracker needs it.
    """
    return {
        **described,
        "mottool": __version__,
        "cache_header": cache_header,
        "camera_motion": camera_motion,
    }
