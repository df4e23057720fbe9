"""Stage `distill-labels`: annotated images in; a teacher's embedding of every box out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options, work_option
from mottool.errors import CacheError, MottoolError, SettingError
from mottool.pipelines.options import Options
from mottool.settings import Settings, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.data.dataset import AnnotatedImage, Dataset
    from mottool.pipelines.interfaces import Embedder, Pipeline
    from mottool.sources.sequence import Sequence as Source

    Seen = tuple[AnnotatedImage, npt.NDArray[np.uint8]]

__all__ = ["Config", "command", "find", "run"]

CROPS = 64  # in one call of the teacher, about
PIXELS = 2**24  # of the images that one call is for, about: eight frames of 1920x1080
AHEAD = 16  # images decoded before the teacher wants them


@dataclass(frozen=True)
class Config(Settings):
    """Who teaches, and who finds people where nobody annotated them."""

    teacher: str = setting(
        "osnet_x1_0",
        "The re-identification network whose embeddings are to be learned: one of the osnet "
        "family, reid for an ONNX file or OpenVINO IR, or histogram, which needs no weights.",
    )
    teacher_weights: Path | None = setting(
        None, "The teacher's checkpoint; the .onnx or .xml file of reid."
    )
    teacher_pixels: str | None = setting(
        None,
        "What the file of reid takes: bgr255 or rgb255 (0 to 255), rgb1 (0 to 1), imagenet (that, "
        "normalised). Without it, bgr255 for .xml and imagenet for .onnx.",
        choices=("bgr255", "rgb255", "rgb1", "imagenet"),
    )
    detector: str = setting(
        "",
        "Find people with this detector or network, as detect-embed --pipeline names it, in videos "
        "or images without annotations.",
    )
    detector_weights: Path | None = setting(
        None,
        "The detector's checkpoint, or its .onnx or .xml file; torchvision's detectors download "
        "theirs without it.",
    )
    detector_score: float = setting(
        0.5, "What the detector finds must score above it to be learned from.", low=0, high=1
    )
    every: int = setting(
        1, "With --detector, take every N-th frame only: neighbours are much alike.", low=1
    )
    device: str = setting("auto", "Where networks run: auto, cpu, cuda or cuda:N.")


def run(
    dataset: Dataset,
    out: Path,
    teacher: Embedder,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Embed every box of `dataset` by `teacher` and write the label file `out`.

    An interrupted run goes on after the last boxes it committed, and gives what an uninterrupted
    one does; a finished file of the same boxes and teacher is left as it is. Raises `CacheError`
    where `out` holds another's, unless `overwrite`, `InputError` for an image that cannot be read,
    and `CheckpointError` for a teacher that says NaN.
    """
    import numpy as np

    from mottool.data.distilled_labels import LabelHeader, LabelWriter
    from mottool.progress import progress
    from mottool.sources.prefetch import ahead

    header = LabelHeader.of(dataset, teacher.name, teacher.weights, teacher.settings)
    with LabelWriter(out, header, overwrite) as labels:
        if labels.already_complete:
            warn(f"{out} is complete already; --overwrite makes it anew")
            return out
        # A commit ends with an image, so the next box is the first of one.
        start = int(np.searchsorted(dataset.ends, labels.committed, side="right"))
        decoded = ahead(_images(dataset, start), AHEAD)
        told = progress(decoded, dataset.name, len(dataset), start, "images")
        for batch in _batches(image for image, _ in told):
            boxes = [image.boxes for image, _ in batch]
            found = teacher.embed([pixels for _, pixels in batch], boxes)
            labels.append(np.concatenate(found))
        return labels.finish()


def _images(dataset: Dataset, start: int) -> Iterator[Seen]:
    """The images from `start` on that show somebody, with their pixels."""
    for index in range(start, len(dataset)):
        image = dataset[index]
        if len(image.boxes):
            yield image, image.pixels()


def _batches(images: Iterable[Seen]) -> Iterator[list[Seen]]:
    """Images for one call of the teacher: what one holds follows from its first image alone."""
    batch: list[Seen] = []
    crops = pixels = 0
    for image, seen in images:
        batch.append((image, seen))
        crops += len(image.boxes)
        pixels += image.width * image.height
        if crops >= CROPS or pixels >= PIXELS:
            yield batch
            batch, crops, pixels = [], 0, 0
    if batch:
        yield batch


def find(
    sequence: Source,
    out: Path,
    detector: Pipeline,
    config: Config,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Run `detector` over unlabelled frames and write who it is sure of as the COCO file `out`.

    What it finds is cached beside `out`, so that an interrupted run goes on, and `overwrite` with
    nothing new but `detector_score` runs it no second time. Raises as `detect_embed.run` and
    `found.write_found`.
    """
    from mottool.data.pseudo_labels import write_pseudo_labels
    from mottool.sources.sequence import SubsampledSequence
    from mottool.stages import detect_embed

    thinned = SubsampledSequence.of(sequence, config.every)
    cache = out.parent / f"{out.stem}.boxes.h5"
    tell = warn if not cache.exists() else lambda told: None  # a finished one is no news here
    try:
        detect_embed.run(thinned, cache, detector, False, tell)
    except CacheError:
        if not overwrite:
            raise
        detect_embed.run(thinned, cache, detector, True, warn)
    return write_pseudo_labels(thinned, cache, out, config.detector_score, overwrite)


@click.command("distill-labels")
@click.argument("datasets", nargs=-1, required=True, metavar="DATASET...")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    help="Where the images lie that lists, .json and .odgt files name.  [default: near by]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The label file of the one DATASET.  [default: WORK/labels/TEACHER/DATASET.h5]",
)
@settings_options(Config)
@click.option("--overwrite", is_flag=True, help="Start again where another run's labels lie.")
@work_option
@as_json
def command(
    datasets: tuple[str, ...],
    root: Path | None,
    out: Path | None,
    config: Config,
    overwrite: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Keep what a teacher says of every person in each DATASET, for TDT to learn.

    Every annotated box is cut out, resized and embedded by a re-identification network, once. A
    DATASET is anything that train --data takes.

    \b
        mottool distill-labels crowdhuman/annotation_train.odgt --teacher-weights osnet_x1_0.pth
        mottool distill-labels PennFudanPed --teacher osnet_x0_25 --teacher-weights x0_25.pth
        mottool distill-labels MOT17/train@first --teacher reid --teacher-weights reid.onnx
        mottool distill-labels street.mp4 --detector yolox --detector-weights yolox_x.onnx \\
            --every 10 --teacher-weights osnet_x1_0.pth --out street.h5

    With --detector, DATASET is a video, a folder of images or whatever else detect-embed takes,
    and the boxes are those that the detector is sure of: street.json holds them as a COCO file,
    which train --data takes, and the folder street the frames of the video.

    The labels fit these very images and boxes, and are refused with any others. A run that was
    stopped goes on where it was when the same command is given again.
    """
    if out and len(datasets) > 1:
        raise SettingError(f"--out is one file for {len(datasets)} datasets", "leave it out")
    _check_detector(config, root)
    batch = Jobs(as_json)
    teacher = _teacher(config, batch.note)

    def place(name: str) -> Path:
        return out or WorkDir(work).labels(teacher.name, name)

    opened: Iterable[tuple[Dataset, Path]]
    if config.detector:
        opened = _found(datasets, place, config, overwrite, batch)
    else:
        opened = _annotated(datasets, place, root, batch)
    for dataset, path in opened:

        def job(dataset: Dataset = dataset, path: Path = path) -> tuple[Path, float]:
            begun = perf_counter()
            made = run(dataset, path, teacher, overwrite, batch.note)
            return made, perf_counter() - begun

        made = batch.run(dataset.name, job)
        if made:
            _report(batch, dataset.name, *made)
    batch.close()


def _check_detector(config: Config, root: Path | None) -> None:
    """A `SettingError` for what means nothing with, or without, a detector."""
    if config.detector and root:
        raise SettingError("--root means nothing with --detector", "leave it out")
    if config.detector:
        return
    plain = Config()
    for name in ("detector_weights", "detector_score", "every"):
        if getattr(config, name) != getattr(plain, name):
            flag = f"--{name.replace('_', '-')}"
            raise SettingError(f"{flag} means nothing without --detector", "name one, or leave it")


def _teacher(config: Config, warn: Callable[[str], None]) -> Embedder:
    from mottool.pipelines.build import build_teacher

    options = Options(
        embedder_weights=config.teacher_weights,
        embedder_pixels=config.teacher_pixels,
        device=config.device,
    )
    with _own_flags("--embedder-", "--teacher-"):
        return build_teacher(config.teacher, options, warn)


@contextmanager
def _own_flags(theirs: str, ours: str) -> Iterator[None]:
    """Have errors name the flags as they are called here."""
    try:
        yield
    except MottoolError as error:
        told = (text.replace(theirs, ours) for text in (error.problem, error.fix))
        raise type(error)(*told) from error


def _annotated(
    sources: Sequence[str], place: Callable[[str], Path], root: Path | None, batch: Jobs
) -> list[tuple[Dataset, Path]]:
    """The datasets with the places of their labels, all of them opened before any work."""
    from mottool.data.formats import open_dataset

    opened: dict[Path, tuple[str, Dataset]] = {}
    for source in sources:
        dataset = batch.run(source, partial(open_dataset, source, batch.note, root))
        if dataset is None:
            continue
        twin, _ = opened.setdefault(place(dataset.name), (source, dataset))
        if twin != source:
            problem = f"{twin} and {source} are both named {dataset.name}"
            raise SettingError(problem, "run one of them by itself, with --out")
    return [(dataset, path) for path, (_, dataset) in opened.items()]


def _found(
    sources: Sequence[str],
    place: Callable[[str], Path],
    config: Config,
    overwrite: bool,
    batch: Jobs,
) -> Iterator[tuple[Dataset, Path]]:
    """The datasets that the detector makes of unlabelled sources, one after the other."""
    from mottool.data.formats import open_dataset
    from mottool.pipelines.build import build_detector
    from mottool.sources.discovery import find_sequences

    sequences = find_sequences(sources, None, batch.fail)
    if len({place(sequence.name) for sequence in sequences}) < len(sequences):
        raise SettingError(f"--out is one file for {len(sequences)} sequences", "leave it out")
    if not sequences:
        return
    options = Options(weights=config.detector_weights, device=config.device)
    with _own_flags("--weights", "--detector-weights"):
        detector = build_detector(config.detector, options, batch.note)
    for sequence in sequences:
        path = place(sequence.name)
        boxes = path.parent / f"{path.stem}.json"

        def job(sequence: Source = sequence, boxes: Path = boxes) -> Dataset:
            find(sequence, boxes, detector, config, overwrite, batch.note)
            return open_dataset(boxes, batch.note)

        dataset = batch.run(sequence.name, job)
        if dataset is not None:
            yield dataset, path


def _report(batch: Jobs, name: str, path: Path, seconds: float) -> None:
    from mottool.data.distilled_labels import DistilledLabels

    labels = DistilledLabels(path)
    size, images = path.stat().st_size, labels.header.image_bytes
    told = f"{len(labels)} boxes, {labels.size}-d embeddings of {labels.header.teacher}, "
    told += f"{size / 1e6:.2f} MB beside {images / 1e6:.2f} MB of images "
    told += f"({100 * size / max(images, 1):.1f} % more), {seconds:.1f} s"
    batch.report(
        name,
        path,
        told,
        boxes=len(labels),
        embedding_size=labels.size,
        teacher=labels.header.teacher,
        label_bytes=size,
        image_bytes=images,
        overhead=round(size / max(images, 1), 6),
        seconds=round(seconds, 3),
    )
