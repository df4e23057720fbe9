"""Distillation: embed annotated boxes with a teacher, or detect people in unlabelled frames.

Imports no torch, numpy, cv2 or h5py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mottool.errors import CacheError, ignore_warning
from mottool.pipelines.options import device_setting, runtime_setting
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.data.dataset import AnnotatedImage, Dataset
    from mottool.pipelines.interfaces import Embedder, Pipeline
    from mottool.sources.sequence import Sequence

    ImageWithPixels = tuple[AnnotatedImage, npt.NDArray[np.uint8]]

__all__ = ["DistillSettings", "distill", "pseudo_label"]

# A call of the teacher takes images until it has about this many of either.
CROPS_PER_CALL = 64
PIXELS_PER_CALL = 2**24  # of whole images: eight frames of 1920x1080
PREFETCHED_IMAGES = 16  # decoded ahead of the teacher


@dataclass(frozen=True)
class DistillSettings(Settings):
    """The teacher, and the detector for data without annotations."""

    teacher: str = setting(
        "osnet_ain_x1_0",
        "The re-identification network whose embeddings are to be learned: one of the osnet "
        "family, resnet50, reid for an ONNX file or OpenVINO IR, or histogram, which needs no "
        "weights.",
    )
    teacher_weights: Path | None = setting(
        None, "The teacher's checkpoint; for reid, its .onnx or .xml file."
    )
    teacher_pixels: str | None = setting(
        None,
        "The input of reid's file: bgr255 or rgb255 (0 to 255), rgb1 (0 to 1), imagenet "
        "(normalised rgb1). By default, bgr255 for .xml and imagenet for .onnx.",
        choices=("bgr255", "rgb255", "rgb1", "imagenet"),
    )
    detector: str = setting(
        "",
        "Detect people with this detector or network, named as for detect-embed --pipeline, in "
        "videos or images without annotations.",
    )
    detector_weights: Path | None = setting(
        None,
        "The detector's checkpoint, or its .onnx or .xml file. Without it, torchvision's "
        "detectors download their weights.",
    )
    detector_score: float = setting(
        0.5, "Detections that score above this become annotations.", low=0, high=1
    )
    every: int = setting(
        1, "With --detector, use every N-th frame only: consecutive frames are similar.", low=1
    )
    device: str = device_setting()
    runtime: str = runtime_setting()


def distill(
    dataset: Dataset,
    out: Path,
    teacher: Embedder,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Embed every box of `dataset` with `teacher` and write the label file `out`.

    An interrupted run resumes after the last boxes it committed, with the runtime that it began
    with, and gives the same result as an uninterrupted one. A complete file of the same boxes and
    teacher is kept. Raises `CacheError` if `out` was made from other inputs, unless `overwrite`,
    `InputError` for an image that cannot be read, and `CheckpointError` for a teacher that outputs
    NaN.
    """
    import numpy as np

    from mottool.cache.shards import recorded_settings
    from mottool.data.distilled_labels import LAYOUT, LabelHeader, LabelWriter
    from mottool.pipelines.interfaces import Startable
    from mottool.progress import progress
    from mottool.runtimes.registry import recorded_runtime
    from mottool.sources.prefetch import prefetch

    if isinstance(teacher, Startable):
        recorded = {} if overwrite else recorded_settings(out, LAYOUT)
        teacher.start(warn, recorded_runtime(recorded), len(dataset.boxes))
    header = LabelHeader.of(dataset, teacher.name, teacher.weights, teacher.settings)
    with LabelWriter(out, header, overwrite) as labels:
        if labels.already_complete:
            warn(f"{out} is complete already; use --overwrite to make it again")
            return out
        # A commit ends with an image, so the next box is the first of an image.
        start = int(np.searchsorted(dataset.ends, labels.committed, side="right"))
        with closing(prefetch(_images(dataset, start), PREFETCHED_IMAGES)) as decoded:
            shown = progress(decoded, dataset.name, len(dataset), start, "images")
            for batch in _batches(image for image, _ in shown):
                boxes = [image.boxes for image, _ in batch]
                embeddings = teacher.embed([pixels for _, pixels in batch], boxes)
                labels.append(np.concatenate(embeddings))
        return labels.finish()


def _images(dataset: Dataset, start: int) -> Iterator[ImageWithPixels]:
    """Yield the images from index `start` on that have boxes, with their pixels."""
    for index in range(start, len(dataset)):
        image = dataset[index]
        if len(image.boxes):
            yield image, image.pixels()


def _batches(images: Iterable[ImageWithPixels]) -> Iterator[list[ImageWithPixels]]:
    """Group images for calls of the teacher.

    The content of a batch depends only on its first image, so a resumed run forms the same batches.
    """
    batch: list[ImageWithPixels] = []
    crops = pixels = 0
    for image, values in images:
        batch.append((image, values))
        crops += len(image.boxes)
        pixels += image.width * image.height
        if crops >= CROPS_PER_CALL or pixels >= PIXELS_PER_CALL:
            yield batch
            batch, crops, pixels = [], 0, 0
    if batch:
        yield batch


def pseudo_label(
    sequence: Sequence,
    out: Path,
    detector: Pipeline,
    settings: DistillSettings,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Run `detector` over unlabelled frames and write its confident detections as COCO file `out`.

    All detections are cached in `<name>.boxes.h5` in the folder of `out`. An interrupted run
    resumes from there. If only `detector_score` changed, `overwrite` does not detect again. Raises
    the errors of `detect_embed` and of `write_pseudo_labels`.
    """
    from mottool.data.pseudo_labels import write_pseudo_labels
    from mottool.pipelines.detect_embed import detect_embed
    from mottool.sources.sequence import SubsampledSequence

    subsampled = SubsampledSequence.of(sequence, settings.every)
    cache = out.parent / f"{out.stem}.boxes.h5"
    # Do not report that an existing cache is complete.
    warn_of_cache = warn if not cache.exists() else ignore_warning
    try:
        detect_embed(subsampled, cache, detector, overwrite=False, warn=warn_of_cache)
    except CacheError:
        if not overwrite:
            raise
        detect_embed(subsampled, cache, detector, overwrite=True, warn=warn)
    return write_pseudo_labels(subsampled, cache, out, settings.detector_score, overwrite)
