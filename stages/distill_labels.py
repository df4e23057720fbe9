"""Stage `distill-labels`: annotated or unlabelled images in; a teacher's embeddings out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, pixel_range_option, settings_options, work_option
from mottool.cli.paths import FilePath
from mottool.data.formats import format_names
from mottool.errors import MottoolError, SettingError
from mottool.pipelines.distill import DistillSettings, distill, pseudo_label
from mottool.pipelines.options import Options
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.data.dataset import Dataset
    from mottool.pipelines.interfaces import Embedder
    from mottool.pixel_range import PixelRange
    from mottool.sources.sequence import Sequence as Source

    LabelPath = Callable[[str], Path]

__all__ = ["Config", "command", "run"]

Config = DistillSettings
run = distill


@click.command("distill-labels", epilog=f"Dataset formats: {format_names()}.\n\n{splits_help()}")
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option(
    "--root",
    type=FilePath(),
    help="The folder of the images that lists, .json and .odgt files name.  [default: near the "
    "file]",
)
@click.option(
    "--out",
    type=FilePath(dir_okay=False),
    help="The label file, for a single DATASET.  [default: WORK/labels/TEACHER/DATASET.h5]",
)
@pixel_range_option
@settings_options(Config)
@click.option("--overwrite", is_flag=True, help="Replace existing labels.")
@work_option
@as_json
def command(
    datasets: tuple[str, ...],
    root: Path | None,
    pixel_range: PixelRange | None,
    out: Path | None,
    config: Config,
    overwrite: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Store a teacher's embedding of every person in each DATASET, for TDT to learn.

    Every annotated box is cropped, resized and embedded once by a re-identification network.
    DATASET@SPLIT is a part of a dataset's videos, as for train --data.

    \b
        mottool distill-labels crowdhuman/annotation_train.odgt --teacher-weights osnet_ain_x1_0.pth
        mottool distill-labels PennFudanPed --teacher osnet_x0_25 --teacher-weights x0_25.pth
        mottool distill-labels MOT17/train@first --teacher reid --teacher-weights reid.onnx
        mottool distill-labels street.mp4 --detector yolox --detector-weights yolox_x.onnx \\
            --every 10 --teacher-weights osnet_ain_x1_0.pth --out street.h5

    With --detector, DATASET is a video, a folder of images or any other source of detect-embed.
    The boxes are then the confident detections. They are written as a COCO file, here street.json,
    which train --data reads; the frames of a video are saved in a folder, here street.

    Labels apply to exactly these images and boxes and are refused with any others. To resume an
    interrupted run, run the same command again.
    """
    if out and len(datasets) > 1:
        raise SettingError(f"--out is one file for {len(datasets)} datasets", "leave it out")
    _check_detector(config, root)
    jobs = Jobs(as_json)
    teacher = _teacher(config, jobs.note)

    def label_path(name: str) -> Path:
        return out or WorkDir(work).labels(teacher.name, name)

    opened: Iterable[tuple[Dataset, Path]]
    if config.detector:
        opened = _detect(datasets, label_path, config, pixel_range, overwrite, jobs)
    else:
        opened = _open_annotated(datasets, label_path, root, pixel_range, jobs)
    for dataset, path in opened:
        start = perf_counter()
        written = jobs.run(dataset.name, partial(run, dataset, path, teacher, overwrite, jobs.note))
        if written:
            _report(jobs, dataset.name, written, perf_counter() - start)
    jobs.close()


def _check_detector(config: Config, root: Path | None) -> None:
    """Raise `SettingError` for options that do not apply with, or without, a detector."""
    if config.detector and root:
        raise SettingError("--root does not apply with --detector", "leave it out")
    if config.detector:
        return
    defaults = Config()
    for name in ("detector_weights", "detector_score", "every"):
        if getattr(config, name) != getattr(defaults, name):
            flag = f"--{name.replace('_', '-')}"
            fix = "add --detector, or leave it out"
            raise SettingError(f"{flag} does not apply without --detector", fix)


def _teacher(config: Config, warn: Callable[[str], None]) -> Embedder:
    """Build the teacher that the settings name."""
    from mottool.pipelines.build import build_teacher

    options = Options(
        embedder_weights=config.teacher_weights,
        embedder_pixels=config.teacher_pixels,
        device=config.device,
        runtime=config.runtime,
    )
    with _rename_flags("--embedder-", "--teacher-"):
        return build_teacher(config.teacher, options, warn)


@contextmanager
def _rename_flags(old: str, new: str) -> Iterator[None]:
    """Replace the flags in error messages by those of this command."""
    try:
        yield
    except MottoolError as error:
        problem, fix = error.problem.replace(old, new), error.fix.replace(old, new)
        raise type(error)(problem, fix) from error


def _open_annotated(
    sources: Sequence[str],
    label_path: LabelPath,
    root: Path | None,
    pixel_range: PixelRange | None,
    jobs: Jobs,
) -> list[tuple[Dataset, Path]]:
    """Open all annotated datasets, before any is processed; return each with its label path."""
    from mottool.data.formats import open_datasets

    opened: dict[Path, tuple[str, Dataset]] = {}
    for source in sources:
        datasets = jobs.run(source, partial(open_datasets, [source], jobs.note, root, pixel_range))
        if datasets is None:
            continue
        (dataset,) = datasets
        first, _ = opened.setdefault(label_path(dataset.name), (source, dataset))
        if first != source:
            problem = f"{first} and {source} are both named {dataset.name}"
            raise SettingError(problem, "run one of them separately, with --out")
    return [(dataset, path) for path, (_, dataset) in opened.items()]


def _detect(
    sources: Sequence[str],
    label_path: LabelPath,
    config: Config,
    pixel_range: PixelRange | None,
    overwrite: bool,
    jobs: Jobs,
) -> Iterator[tuple[Dataset, Path]]:
    """Yield the dataset of pseudo-labels of each unlabelled source, with its label path."""
    from mottool.data.formats import open_datasets
    from mottool.networks.registry import NETWORKS
    from mottool.pipelines.build import build_detector
    from mottool.sources.discovery import find_sequences

    sequences = find_sequences(sources, None, jobs.fail, jobs.note, pixel_range)
    if len({label_path(sequence.name) for sequence in sequences}) < len(sequences):
        raise SettingError(f"--out is one file for {len(sequences)} sequences", "leave it out")
    if not sequences:
        return
    options = Options(weights=config.detector_weights, device=config.device)
    with _rename_flags("--weights", "--detector-weights"):
        if config.detector in NETWORKS:  # others have a runtime of their own
            options = replace(options, runtime=config.runtime)
        detector = build_detector(config.detector, options, jobs.note)
    for sequence in sequences:
        path = label_path(sequence.name)
        boxes = path.parent / f"{path.stem}.json"

        def job(sequence: Source = sequence, boxes: Path = boxes) -> Dataset:
            pseudo_label(sequence, boxes, detector, config, overwrite, jobs.note)
            return open_datasets([boxes], jobs.note, None, pixel_range)[0]

        dataset = jobs.run(sequence.name, job)
        if dataset is not None:
            yield dataset, path


def _report(jobs: Jobs, name: str, path: Path, seconds: float) -> None:
    """Report the label file of one dataset."""
    from mottool.data.distilled_labels import DistilledLabels

    labels = DistilledLabels(path)
    size, image_bytes = path.stat().st_size, labels.header.image_bytes
    overhead = size / max(image_bytes, 1)
    summary = f"{len(labels)} boxes, {labels.size}-d embeddings of {labels.header.teacher}, "
    summary += f"{size / 1e6:.2f} MB for {image_bytes / 1e6:.2f} MB of images "
    summary += f"({100 * overhead:.1f} % more), {seconds:.1f} s"
    jobs.report(
        name,
        path,
        summary,
        boxes=len(labels),
        embedding_size=labels.size,
        teacher=labels.header.teacher,
        label_bytes=size,
        image_bytes=image_bytes,
        overhead=round(overhead, 6),
        seconds=round(seconds, 3),
    )
