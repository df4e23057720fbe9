"""Stage `render`: read frames and result files; write annotated H.264 video or switch strips."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    ground_truth_option,
    list_option,
    pixel_range_option,
    settings_options,
    work_option,
)
from mottool.cli.paths import FilePath
from mottool.drawing.render import RenderSettings as Config
from mottool.drawing.render import render_switches, video_inputs
from mottool.drawing.render import render_video as run
from mottool.errors import InputError, SettingError, ignore_warning
from mottool.files import file_digest
from mottool.motchallenge.zip_files import file_on_disk, is_archive
from mottool.progress import progress
from mottool.records.known_files import refuse_changes
from mottool.records.record import locked_result, read_checked_record, remove_record, write_record
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pixel_range import PixelRange
    from mottool.sources.sequence import Frame, Sequence

__all__ = ["Config", "command", "run"]


@click.command("render", epilog=splits_help())
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--tracks",
    type=FilePath(),
    help="The folder or zip file of result files, <sequence>.txt each, or one result file.  "
    "[default: the only folder in WORK/tracks that has the sequences]",
)
@click.option(
    "--beside",
    type=FilePath(),
    help="Other results of the same sequences, drawn side by side, with differences in heavy "
    "lines.",
)
@ground_truth_option(
    "Ground truth, as for mottool evaluate: boxes are coloured as hit, false, missed or switched."
)
@click.option(
    "--switches",
    is_flag=True,
    help="Instead of a video, write an image strip for every identity switch against --gt.",
)
@click.option(
    "--cache",
    type=FilePath(),
    help="The cache for --detections, --occlusion and --refound, or a folder of <sequence>.h5.  "
    "[default: WORK/caches/PIPELINE for the results PIPELINE.TRACKER]",
)
@list_option
@pixel_range_option
@settings_options(Config)
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    tracks: Path | None,
    beside: Path | None,
    ground_truth: tuple[Path, ...],
    switches: bool,
    cache: Path | None,
    listed: Path | None,
    pixel_range: PixelRange | None,
    config: Config,
    work: Path,
    as_json: bool,
) -> None:
    """Draw tracks over the frames of each SOURCE: boxes, identities, trails.

    \b
        mottool render video.mp4
        mottool render MOT17/train --tracks results/mytracker --frames 1-100 --scale 0.5
        mottool render video.mp4 --detections --occlusion --refound
        mottool render MOT17/train --gt MOT17/train
        mottool render MOT17/train --gt MOT17/train --switches
        mottool render video.mp4 --tracks results/mine --beside results/theirs

    A SOURCE is a video, a folder of images, a MOTChallenge sequence folder, a folder that contains
    such, or a quoted glob pattern. Its rows are read from the result file <sequence>.txt. The video
    is written to WORK/videos/<result folder>/<sequence>.mp4, and with --beside to
    WORK/videos/<result folder>_vs_<other>.

    The video is H.264, which browsers play. Its frames keep the times of the source. An identity
    has one colour in a video, which differs from those of identities near it at the same time.

    With --gt a hit is green, a false positive vermilion, a false negative dashed in blue, and an
    identity switch heavy and yellow, labelled OLD>NEW. With --beside a person has one colour in
    both images. A heavy line means that the other tracker gives another identity, which is written
    beside the number, a heavy dashed line that it has no box there. --beside with --gt classifies
    the boxes of both. A legend is below the picture.

    --switches writes WORK/videos/<result folder>/<sequence>.switches/<frame>_object<id>.png: the
    person before, at and after each switch, with the ground-truth box dashed in white.
    """
    from mottool.metrics.ground_truth_files import (
        find_ground_truth,
        get_ground_truth,
        has_ground_truth,
    )
    from mottool.metrics.inputs import find_result
    from mottool.sources.discovery import find_sequences

    if switches and (not ground_truth or beside or config.needs_cache):
        problem = "--switches requires --gt, and shows neither --beside nor a cache"
        raise SettingError(problem, "give --gt and --tracks only")
    jobs = Jobs(as_json)
    truth_files = find_ground_truth(ground_truth)
    sequences = find_sequences(sources, listed, jobs.fail, jobs.note, pixel_range)
    results = tracks or _only_results(WorkDir(work), [each.name for each in sequences])
    if len(sequences) == len(truth_files) == 1 and ground_truth[0].is_file():
        truth_files = dict(zip([sequences[0].name], truth_files.values(), strict=True))
    for path in (results, *([beside] if beside else [])):
        if path.is_file() and not is_archive(path) and len(sequences) > 1:
            problem = f"{path} is one result file but there are {len(sequences)} sequences"
            raise SettingError(problem, "give the folder of their result files")
    scored = [each for each in sequences if has_ground_truth(each.name, truth_files)]
    # If --gt has none of the sequences, it is a mistake, which is an error of each.
    without_truth = [each for each in sequences if scored and each not in scored]
    if without_truth:
        names = ", ".join(each.name for each in without_truth)
        effect = "left out" if switches else "drawn in the colours of identities"
        jobs.note(f"{names} {effect}: no ground truth is given")
    folder = _folder_name(results)
    name = f"{folder}_vs_{_folder_name(beside)}" if beside else folder
    first, last = config.span

    def job(sequence: Sequence) -> None:
        rows = find_result(results, sequence.name)
        is_scored = truth_files and sequence not in without_truth
        truth = get_ground_truth(sequence.name, truth_files) if is_scored else None
        out = WorkDir(work).video(name, sequence.name)

        def show_progress(frames: Iterable[Frame]) -> Iterable[Frame]:
            return progress(frames, sequence.name, last or sequence.length, first - 1)

        if switches and truth:
            out = out.with_suffix(".switches")
            strips = render_switches(sequence, rows, truth, out, config, jobs.note, show_progress)
            count = len(strips)
            jobs.report(sequence.name, out, f"{count} switches", switches=count)
            return
        other = find_result(beside, sequence.name) if beside else None
        cache_file = (
            _cache_file(sequence, cache, WorkDir(work), folder) if config.needs_cache else None
        )
        files = [rows, other, truth.path if truth else None, cache_file]

        def waiting() -> None:
            jobs.note(f"{sequence.name}: another process draws {out}; waiting for it")

        with locked_result(out, waiting):
            with refuse_changes(*(file_on_disk(file) for file in files if file)):
                fingerprint = sequence.fingerprint()
                for drawn in filter(None, (rows, other)):
                    _warn_of_other_source(drawn, sequence, fingerprint, jobs.note)
                inputs = video_inputs(
                    fingerprint,
                    rows,
                    config,
                    truth,
                    other,
                    cache_file,
                    pixel_range=sequence.pixel_range,
                )
                remove_record(out)
                run(sequence, rows, out, config, jobs.note, show_progress, truth, other, cache_file)
            write_record(out, inputs | {"sha256": file_digest(out)})
        jobs.report(sequence.name, out, "rendered")

    for sequence in scored if switches and scored else sequences:
        jobs.run(sequence.name, partial(job, sequence))
    jobs.close()


def _warn_of_other_source(
    result: Path, sequence: Sequence, fingerprint: str, warn: Callable[[str], None]
) -> None:
    """Warn if the record of a result names a source of other content than the sequence has."""
    from mottool.sources.sequence import hash_of_span

    made_from = read_checked_record(result, ignore_warning).get("source_hash", "")
    last = sequence.first_frame + (sequence.length or 0) - 1
    part = hash_of_span(made_from, (sequence.first_frame, last))  # of a half
    if made_from and fingerprint not in (made_from, part):
        warn(
            f"{sequence.name}: {result} was made from a source of other content than "
            f"{sequence.path}; its boxes may not fit"
        )


def _folder_name(results: Path) -> str:
    """Return the name of a folder or zip file of results, or of the folder of a result file."""
    if is_archive(results):
        return results.stem
    return (results.resolve().parent if results.is_file() else results.resolve()).name


def _cache_file(sequence: Sequence, given: Path | None, work: WorkDir, results: str) -> Path:
    """Return the cache of a sequence: as given, or of the pipeline that `results` names."""
    path = given or work.cache(results.rpartition(".")[0], sequence.name)
    path = path / f"{sequence.name}.h5" if path.is_dir() else path
    if not path.is_file():
        fix = "run mottool detect-embed, or name the cache with --cache"
        raise InputError(f"there is no cache {path}", fix)
    return path


def _only_results(work: WorkDir, sequences: list[str]) -> Path:
    """Return the only folder in the work folder that has results of these sequences.

    Raises `InputError` if there is none, and `SettingError` if there are several; the fix names the
    one with most of the sequences.
    """
    fix = "run mottool associate first, or name result files with --tracks"
    folders = work.results()
    if not folders:
        raise InputError(f"there are no results under {work.root / 'tracks'}", fix)
    if len(folders) == 1 or not sequences:
        return folders[0]
    counts = {folder: sum(_has_result(folder, name) for name in sequences) for folder in folders}
    having = [folder for folder in folders if counts[folder]]
    if not having:
        problem = f"none of the {len(folders)} folders under {work.root / 'tracks'} has results of"
        raise InputError(f"{problem} {', '.join(sequences)}", fix)
    if len(having) > 1:
        names, most = (
            ", ".join(folder.name for folder in having),
            max(having, key=lambda folder: counts[folder]),
        )
        problem = f"there are several folders of results of {', '.join(sequences)}: {names}"
        raise SettingError(problem, f"choose one with --tracks {most}")
    return having[0]


def _has_result(folder: Path, sequence: str) -> bool:
    """Return whether a folder has the result file of a sequence."""
    from mottool.metrics.inputs import find_result

    try:
        return bool(find_result(folder, sequence))
    except InputError:
        return False
