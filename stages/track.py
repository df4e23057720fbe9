"""Stage `track`: videos in; caches, result files and, if asked for, annotated videos out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import click

from mottool.association.associate import inputs_of
from mottool.association.fitted_settings import CacheSettings, fitted_tracker
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
    profile_option,
    published_option,
    set_option,
    settings_file,
    settings_options,
    work_option,
)
from mottool.cli.tracker_flags import tracker_command
from mottool.drawing.render import video_inputs
from mottool.files import safe_name
from mottool.pipelines.choice import pipeline_of, unused_detections
from mottool.progress import progress
from mottool.splits import splits_help
from mottool.stages import associate, camera_motion, detect_embed, render
from mottool.workdir import WorkDir, is_made_from, read_record, warn_of_replaced, write_record

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Frame, Sequence

__all__ = ["Linking", "Tracked", "command", "run"]


class Linking(NamedTuple):
    """How a cache is associated: the tracker, and what flags and a settings file say.

    With `published` the settings start from those of the tracker's authors, with `profile` from
    another release's, else from those that fit the cache's network.
    """

    tracker: str
    given: Mapping[str, Any]
    sequence_settings: SequenceSettings
    published: bool = False
    profile: str | None = None


class Tracked(NamedTuple):
    """The files of a sequence; `video` is None if none was asked for."""

    cache: Path
    tracks: Path
    video: Path | None


def run(
    sequence: Sequence,
    work: WorkDir,
    pipeline: Pipeline,
    linking: Linking,
    drawn: bool = False,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> Tracked:
    """Detect, embed and associate the people of a sequence; draw the video if `drawn`.

    Files are those of the three stages, and what is there already and was made from the same
    inputs is kept, unless `overwrite`. Raises what the stages raise.
    """
    cache = work.cache(pipeline.name, sequence.name)
    detect_embed.run(sequence, cache, pipeline, overwrite, warn)
    tracks = _tracks(sequence, cache, work, linking, overwrite, warn)
    if not drawn:
        return Tracked(cache, tracks, None)
    video = work.video(tracks.parent.name, sequence.name)
    inputs = video_inputs(sequence, tracks, render.Config())
    if overwrite or not is_made_from(video, inputs):
        watch = partial(_watched, f"render {sequence.name}", sequence.length)
        render.run(sequence, tracks, video, render.Config(), warn, watch)
        write_record(video, inputs)
    return Tracked(cache, tracks, video)


def _tracks(
    sequence: Sequence,
    cache: Path,
    work: WorkDir,
    linking: Linking,
    overwrite: bool,
    warn: Callable[[str], None],
) -> Path:
    """Associate a cache, unless its result file is up to date, and return that file.

    The camera motion is estimated first if the tracker compensates for it.
    """
    from mottool.association.camera_motion import needs_motion
    from mottool.cache.reader import Cache

    with Cache(cache) as opened:
        header = opened.header
    tracker = linking.tracker
    fitting = CacheSettings(
        tracker,
        settings_classes_of(tracker),
        linking.given,
        linking.sequence_settings,
        linking.published,
        linking.profile,
    )
    settings, inputs, postprocessing = cast(Any, fitting.of(header))
    for note in fitting.notes:
        warn(note)
    motion = work.camera_motion(sequence.name)
    if needs_motion(opened, tracker, settings) and (overwrite or not motion.exists()):
        camera_motion.run(sequence, motion, None, overwrite, warn)
    variant = linking.sequence_settings.variant(tracker)
    path = work.tracks(header.pipeline, variant) / f"{safe_name(header.sequence)}.txt"
    made_from = inputs_of(opened, tracker, settings, postprocessing, inputs)
    if overwrite or not is_made_from(path, made_from):
        warn_of_replaced({path: made_from}, warn)
        associate.run(
            cache,
            path,
            tracker,
            settings=settings,
            postprocessing=postprocessing,
            inputs=inputs,
            warn=warn,
        )
    return path


def _watched(label: str, total: int | None, frames: Iterable[Frame]) -> Iterable[Frame]:
    return progress(frames, label, total)


@click.command("track", cls=tracker_command(settings_by_tracker()), epilog=splits_help())
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@list_option
@settings_options(detect_embed.Config)
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
    config: detect_embed.Config,
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

    A second run makes only what is missing or was made from other inputs.
    """
    from mottool.sources.discovery import find_sequences

    batch = Jobs(as_json)
    sequences = find_sequences(sources, listed, batch.fail, batch.note)
    pipeline = pipeline_of(config, len(sequences), batch.note)
    if note := unused_detections(config, sequences):
        batch.note(note)
    sequence_settings = SequenceSettings(file)
    suited = None if published or profile else fitted_tracker(pipeline.fitted)
    tracker = choose_tracker(tracker, sequence_settings, suited)
    kinds = settings_classes_of(tracker)
    sequence_settings.check(kinds)
    given = given_settings(kinds, given | finishing, texts)
    sequence_settings.of("", kinds, given)  # errors in the flags concern every sequence
    linking = Linking(tracker, given, sequence_settings, published, profile)
    for sequence in sequences:
        job = partial(
            run, sequence, WorkDir(work), pipeline, linking, drawn, overwrite, warn=batch.note
        )
        if made := batch.run(sequence.name, job):
            _report(batch, sequence.name, made)
    batch.close()


def _report(batch: Jobs, sequence: str, made: Tracked) -> None:
    record = read_record(made.tracks)
    rows, identities = record["rows"], record["identities"]
    video = None if made.video is None else str(made.video)
    summary = f"{rows} rows, {identities} identities" + (f"; drawn in {video}" if video else "")
    more = {"cache": str(made.cache), "rows": rows, "identities": identities, "video": video}
    batch.report(sequence, made.tracks, summary, **more)
