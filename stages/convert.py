"""Stage `convert`: convert tracks or ground truth into the format of another program."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options
from mottool.cli.paths import FilePath
from mottool.errors import InputError, ignore_warning
from mottool.formats.registry import TRACK_FORMATS
from mottool.records.tracker_settings import mixed_settings
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    from mottool.formats.sequence_rows import SequenceRows

__all__ = ["Config", "command", "run"]


@dataclass(frozen=True)
class Config(Settings):
    """The format to convert into."""

    to: str = setting(
        "motchallenge",
        " ".join(f"{key}: {entry.name}." for key, entry in TRACK_FORMATS.items() if entry.write),
        choices=[key for key, entry in TRACK_FORMATS.items() if entry.write],
    )
    kind: str = setting(
        "auto",
        "What SOURCES are: results or (ground) truth. auto reads gt.txt and texts with nine "
        "columns as ground truth, and reports the latter.",
        choices=("auto", "results", "truth"),
    )


def run(
    sources: Iterable[Path],
    out: Path,
    config: Config | None = None,
    dataset: Iterable[Path] = (),
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Write the tracks or the ground truth in `sources` to `out`, in the format `config.to`.

    The other parameters are those of `read_sources`. Raises `InputError` as that does, and for what
    the format cannot hold.
    """
    from mottool.formats.registry import write

    config = config or Config()
    return write(read_sources(sources, config, dataset, warn), config.to, out)


def read_sources(
    sources: Iterable[Path],
    config: Config,
    dataset: Iterable[Path] = (),
    warn: Callable[[str], None] = ignore_warning,
) -> list[SequenceRows]:
    """Read the tracks or the ground truth of the sequences in `sources`.

    `dataset` are paths of the sequences themselves, for the width, height, frame rate and length
    that `sources` do not contain; results in a work folder have them from their caches, if the
    format holds sizes. `warn` receives a message for everything that is left out, for the caches,
    and for results of different settings in a format that is scored as one tracker's. Raises
    `InputError` for sources that cannot be read.
    """
    from mottool.formats.cached_sizes import add_cached_sizes
    from mottool.formats.registry import read
    from mottool.formats.sequence_rows import as_kind
    from mottool.motchallenge.seqinfo import SeqInfo
    from mottool.sources.discovery import find_sequences

    converted = [rows for source in sources for rows in read(source, warn)]
    if config.kind != "auto":
        converted = [as_kind(rows, config.kind == "truth") for rows in converted]
    elif guessed := [rows.name for rows in converted if rows.guessed]:
        reason = "read as ground truth, because the rows have nine columns"
        warn(f"{', '.join(guessed)}: {reason}; for results add --kind results")
    unidentified = [
        rows.name for rows in converted if not rows.is_ground_truth and _is_detections(rows)
    ]
    if unidentified:
        warn(f"{', '.join(unidentified)}: no row has an identity; these are detections, not tracks")
    paths = list(dataset)
    if not converted:
        raise InputError("there is nothing to convert", "name results or ground truth")
    if paths:
        sequences = {sequence.name: sequence for sequence in find_sequences(paths, note=warn)}
        for index, rows in enumerate(converted):
            sequence = sequences.get(rows.name)
            if sequence is None:
                named = ", ".join(map(str, paths))
                warn(f"there is no sequence {rows.name} in {named}")
                continue
            media = sequence.media
            folder = media.name if media and media.is_dir() else "img1"
            size = sequence.width, sequence.height
            info = SeqInfo(sequence.name, folder, sequence.fps, sequence.length, *size)
            converted[index] = replace(rows, info=info)
    results = {rows.name: rows.path for rows in converted if rows.path and not rows.is_ground_truth}
    if TRACK_FORMATS[config.to].is_scored and (mixed := mixed_settings(results)):
        warn(f"results of different settings are scored as those of one tracker: {mixed}")
    return add_cached_sizes(converted, warn) if TRACK_FORMATS[config.to].has_sizes else converted


def _is_detections(sequence: SequenceRows) -> bool:
    """Return whether a sequence has rows, none of which has an identity."""
    return len(sequence.rows) > 0 and bool((sequence.rows.ids < 0).all())


@click.command("convert")
@click.argument("sources", nargs=-1, required=True, type=FilePath())
@click.option(
    "--out",
    required=True,
    type=FilePath(),
    help="The file or folder to write. Existing sequences in it are overwritten.",
)
@settings_options(Config)
@click.option(
    "--dataset",
    multiple=True,
    type=FilePath(),
    help="The dataset or the videos themselves, for the width, height, frame rate and length of "
    "each sequence where SOURCES do not contain them; those of results in a work folder are also "
    "in their caches. May be repeated.",
)
@as_json
def command(
    sources: tuple[Path, ...],
    out: Path,
    config: Config,
    dataset: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Convert results or ground truth into the format of another program.

    SOURCES are folders of SEQUENCE.txt, TrackEval's TRACKER/data, sequence folders or datasets
    with gt/gt.txt, zip files for MOTChallenge's server, zip files that CVAT exported as MOT 1.1 or
    folders of those, COCO's JSON with videos, or labels of KITTI tracking, VisDrone-MOT, BDD100K
    MOT, Ultralytics or CVAT for video (XML). Their format is detected from their content.

    \b
        mottool convert mottool-work/tracks/jde-1088x608.jde --to server --out upload.zip
        mottool convert my-tracker --to cvat --out tasks/
        mottool convert corrected.zip --to motchallenge --out dataset/ --dataset videos/
        mottool convert MOT17/train --to coco --out train.json
        mottool convert results/ --to yolo --out labels/ --dataset video.mp4

    Every format keeps frames, identities and boxes. CVAT's has no scores; it receives results as
    boxes to be corrected. Ground truth keeps its classes: those that MOTChallenge does not have
    are numbered from 14 on and named in gt/labels.txt. Images are not copied; in COCO's format
    they are named SEQUENCE/img1/000001.jpg.
    """
    jobs = Jobs(as_json)
    name = ", ".join(map(str, sources))

    def job() -> None:
        from mottool.formats.registry import write

        sequences = read_sources(sources, config, dataset, jobs.note)
        form = TRACK_FORMATS[config.to]
        unsized = [rows.name for rows in sequences if not (rows.info and rows.info.width)]
        if unsized and form.has_sizes and not form.needs_sizes:
            names = ", ".join(unsized)
            jobs.note(f"{names}: width and height are unknown and written as 0; give --dataset")
        path = write(sequences, config.to, out)
        kind = "ground truth" if sequences[0].is_ground_truth else "results"
        count = f"{len(sequences)} sequence" + "s" * (len(sequences) != 1)
        rows = sum(len(sequence.rows) for sequence in sequences)
        summary = f"{kind} of {count}, {rows} rows, as {form.name}"
        jobs.report(name, path, summary, sequences=len(sequences), rows=rows)

    jobs.run(name, job)
    jobs.close()
