"""Stage `track`: videos in; caches, result files and, if asked for, annotated videos out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mottool.association.fitted_settings import fitted_tracker
from mottool.association.registry import TRACKERS, profiles_by_tracker, settings_by_tracker
from mottool.association.sequence_settings import (
    PostprocessSettings,
    SequenceSettings,
    choose_tracker,
    given_settings,
    settings_classes_of,
)
from mottool.cli.jobs import Jobs
from mottool.cli.name_choice import NameChoice
from mottool.cli.options import (
    as_json,
    list_option,
    merged_options,
    pixel_range_option,
    profile_option,
    published_option,
    set_option,
    settings_file,
    settings_options,
    work_option,
)
from mottool.cli.tracker_flags import tracker_command
from mottool.errors import ignore_warning
from mottool.files import file_digest, safe_name
from mottool.pipelines.cache_record import pipeline_inputs, record_cache
from mottool.pipelines.choice import (
    PipelineConfig,
    check_tracker,
    has_card,
    pipeline_of,
    unused_detections,
)
from mottool.pipelines.detect_embed import detect_embed
from mottool.progress import progress
from mottool.recipes.jobs import compensates, make_tracks, make_video
from mottool.recipes.recipe import RecipeTracker
from mottool.records.record import read_record
from mottool.records.tracker_settings import mixed_with_others
from mottool.splits import splits_help
from mottool.stages import camera_motion
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.pixel_range import PixelRange
    from mottool.sources.sequence import Frame, Sequence

__all__ = ["Tracked", "command", "run"]


class Tracked(NamedTuple):
    """The files of a sequence; `video` is None if none was asked for."""

    cache: Path
    tracks: Path
    video: Path | None


def run(
    sequence: Sequence,
    work: WorkDir,
    pipeline: Pipeline,
    tracker: RecipeTracker,
    drawn: bool = False,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> Tracked:
    """Detect, embed and associate the people of a sequence; draw the video if `drawn`.

    Files are those of the three stages, and what is there already and was made from the same
    inputs is kept, unless `overwrite`. Raises what the stages raise.
    """
    cache = work.cache(pipeline.name, sequence.name)
    detect_embed(sequence, cache, pipeline, overwrite, warn)
    motion = work.camera_motion(sequence.name)
    if compensates(cache, tracker) and (overwrite or not motion.exists()):
        camera_motion.run(sequence, motion, None, overwrite, warn)
    tracks = work.tracks(pipeline.name, tracker.name) / f"{safe_name(sequence.name)}.txt"
    make_tracks(cache, tracks, tracker, overwrite, warn)
    if not drawn:
        return Tracked(cache, tracks, None)
    video = work.video(tracks.parent.name, sequence.name)
    watch = partial(_watched, f"render {sequence.name}", sequence.length)
    make_video(sequence, tracks, video, overwrite, warn, watch)
    return Tracked(cache, tracks, video)


def _watched(label: str, total: int | None, frames: Iterable[Frame]) -> Iterable[Frame]:
    return progress(frames, label, total)


@click.command("track", cls=tracker_command(settings_by_tracker()), epilog=splits_help())
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@list_option
@pixel_range_option
@settings_options(PipelineConfig)
@click.option(
    "--tracker",
    type=NameChoice(TRACKERS, "tracker"),
    help="The tracker.  [default: the one that --settings names, or else the one "
    "that suits the network, or else fairmot]",
)
@settings_file
@published_option
@profile_option(profiles_by_tracker())
@merged_options(settings_by_tracker(), "given")
@merged_options({"finishing": PostprocessSettings}, "finishing")
@set_option
@click.option("--render", "drawn", is_flag=True, help="Draw the tracks over the video, too.")
@click.option("--overwrite", is_flag=True, help="Replace existing output.")
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    listed: Path | None,
    pixel_range: PixelRange | None,
    config: PipelineConfig,
    tracker: str | None,
    file: Path | None,
    published: bool,
    profile: str | None,
    given: dict[str, Any],
    finishing: dict[str, Any],
    texts: tuple[str, ...],
    drawn: bool,
    overwrite: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Track people in every SOURCE: detect-embed, associate and, with --render, render in one.

    \b
        mottool track video.mp4
        mottool track video.mp4 --render
        mottool track MOT17/train --tracker bytetrack --track-thresh 0.4
        mottool track video.mp4 --pipeline fairmot-dla34 --weights fairmot_dla34.pth

    A SOURCE is what detect-embed takes. Files land where the three commands put them, so that each
    of them can be rerun alone:

    \b
        WORK/caches/PIPELINE/SEQUENCE.h5
        WORK/camera-motion/SEQUENCE.h5 (if the tracker compensates for camera motion)
        WORK/tracks/PIPELINE.TRACKER/SEQUENCE.txt
        WORK/videos/PIPELINE.TRACKER/SEQUENCE.mp4

    A second run makes what is missing, and replaces tracks and videos whose inputs have changed. A
    cache made by other weights or options is refused: --overwrite makes it again, another --work
    keeps both.
    """
    from mottool.sources.discovery import find_sequences

    batch = Jobs(as_json)
    sequences = find_sequences(sources, listed, batch.fail, batch.note, pixel_range)
    if not sequences:
        batch.close()  # before the network is loaded
    sequence_settings = SequenceSettings(file)

    def tracker_with(fitted: str | None) -> RecipeTracker:
        name = choose_tracker(tracker, sequence_settings, fitted)
        check_tracker(config, name)
        kinds = settings_classes_of(name)
        sequence_settings.check(kinds)
        settings = given_settings(kinds, given | finishing, texts)
        sequence_settings.of("", kinds, settings)  # errors in the flags concern every sequence
        variant = sequence_settings.variant(name)
        return RecipeTracker(variant, name, settings, sequence_settings, published, profile)

    named = tracker or sequence_settings.tracker or published or profile
    chosen = tracker_with(None) if named or not has_card(config) else None
    pipeline = pipeline_of(config, len(sequences), batch.note)
    if note := unused_detections(config, sequences):
        batch.note(note)
    chosen = chosen or tracker_with(fitted_tracker(pipeline.fitted))
    of_pipeline, written = pipeline_inputs(config, file_digest), list[Path]()
    for sequence in sequences:
        job = partial(
            run, sequence, WorkDir(work), pipeline, chosen, drawn, overwrite, warn=batch.note
        )
        if made := batch.run(sequence.name, job):
            record_cache(made.cache, sequence, config, of_pipeline)
            _report(batch, sequence.name, made)
            written.append(made.tracks)
    for folder in dict.fromkeys(path.parent for path in written):
        for note in mixed_with_others(folder, written):
            batch.note(note)
    batch.close()


def _report(batch: Jobs, sequence: str, made: Tracked) -> None:
    record = read_record(made.tracks)
    rows, identities = record["rows"], record["identities"]
    video = None if made.video is None else str(made.video)
    summary = f"{rows} rows, {identities} identities" + (f"; drawn in {video}" if video else "")
    more = {"cache": str(made.cache), "rows": rows, "identities": identities, "video": video}
    batch.report(sequence, made.tracks, summary, **more)
