"""Run a pipeline over the annotated images of a dataset, and match it with their boxes.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking" (JDE), ECCV 2020, section
4.1: average precision of the detections at an IoU of 0.5, and retrieval metrics of the embeddings
at all ground-truth boxes with an identity, on datasets that may consist of still images.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mottool.boxes import areas
from mottool.data.dataset import STILL, AnnotatedImage, Dataset
from mottool.detections import PERSON
from mottool.errors import ignore_warning
from mottool.metrics.detection import FAIRMOT_SIZE_LIMITS, size_of
from mottool.metrics.matches import CacheMatches, MatchBuilder
from mottool.metrics.settings import RetrievalSettings
from mottool.networks.registry import NETWORKS
from mottool.pipelines.interfaces import Embedder, Pipeline, PipelineRun
from mottool.pipelines.one_shot import NetworkEmbedder, OneShotPipeline
from mottool.pipelines.two_stage import TwoStage
from mottool.progress import progress
from mottool.sources.prefetch import prefetch
from mottool.sources.sequence import Frame, Sequence

__all__ = ["embedder_of", "match_images"]

PREFETCHED_BATCHES = 2
Images = list[tuple[AnnotatedImage, npt.NDArray[np.uint8]]]


def embedder_of(pipeline: Pipeline) -> Embedder | None:
    """Return what embeds given boxes in a pipeline: its network or its second stage, or None."""
    if isinstance(pipeline, TwoStage):
        return pipeline.embedder
    if isinstance(pipeline, OneShotPipeline) and NETWORKS[pipeline.name].family.embeds:
        parts = pipeline.network, pipeline.weights, pipeline.preprocessor, pipeline.compute
        embedder: Embedder = NetworkEmbedder(pipeline.name, *parts)  # type: ignore[arg-type]
        return embedder
    return None


def match_images(
    dataset: Dataset,
    detector: Pipeline | None,
    embedder: Embedder | None,
    retrieval: RetrievalSettings | None = None,
    batch: int = 1,
) -> CacheMatches:
    """Match detections with the boxes of a dataset, and embed its boxes that have an identity.

    Without `detector` or `embedder` that part is left out. Regions to ignore are treated like
    "difficult" objects of PASCAL VOC. Images of a video are processed in the order of its frames;
    with the gallery `sequence` of `retrieval` all still images are one sequence. `batch` images
    share a call of either part. Raises `InputError` for an image that cannot be read.
    """
    builder, run, video = MatchBuilder(), None, None
    for images in prefetch(_batches(dataset, batch), PREFETCHED_BATCHES):
        numbers = {image.video for image, _ in images[0]}
        if detector:
            new = run is None or (run.needs_all_frames and (numbers != video or STILL in numbers))
            run = detector.start(_source(dataset), ignore_warning) if new else run
            video = numbers
            _detect(builder, run, images[0])
        if embedder:
            _embed(builder, embedder, images[0])
    return builder.matches(retrieval or RetrievalSettings())


def _batches(dataset: Dataset, size: int) -> Iterator[Images]:
    """Yield the images with their pixels: stills in the dataset's order, then video by video."""
    order = np.lexsort((dataset.frames, dataset.videos))
    batch: Images = []
    for index in progress(order.tolist(), f"validate {dataset.name}", len(dataset), unit="images"):
        image = dataset[index]
        batch.append((image, image.pixels()))
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _source(dataset: Dataset) -> Sequence:
    """Return a sequence that stands for a dataset; detectors check only that it has images."""
    path, (width, height) = dataset[0].path, dataset.sizes[0].tolist()
    return Sequence(dataset.name, path, 1.0, width, height, len(dataset), media=path)


def _detect(builder: MatchBuilder, run: PipelineRun | None, images: Images) -> None:
    """Detect people in images, and match them with the boxes and the regions to ignore."""
    assert run is not None
    frames = [Frame(max(1, image.frame), pixels, 0.0) for image, pixels in images]
    for (image, _), (detections, _) in zip(images, run.detect(frames), strict=True):
        people = detections.take(detections.classes == PERSON)
        boxes = np.concatenate([image.boxes, image.ignored])  # (m, 4)
        sizes = size_of(areas(boxes), FAIRMOT_SIZE_LIMITS)
        builder.add_ground_truth(sizes[: len(image.boxes)])
        ignored = np.arange(len(boxes)) >= len(image.boxes)
        detected = people.boxes, people.scores, size_of(areas(people.boxes), FAIRMOT_SIZE_LIMITS)
        builder.add_detections(*detected, boxes, ignored, sizes)


def _embed(builder: MatchBuilder, embedder: Embedder, images: Images) -> None:
    """Embed the boxes with an identity."""
    known = [image.identities >= 0 for image, _ in images]
    boxes = [image.boxes[rows] for (image, _), rows in zip(images, known, strict=True)]
    chosen = [index for index, rows in enumerate(boxes) if len(rows)]
    if not chosen:
        return
    embedded = embedder.embed([images[i][1] for i in chosen], [boxes[i] for i in chosen])
    for index, embeddings in zip(chosen, embedded, strict=True):
        image, rows = images[index][0], known[index]
        sizes = size_of(areas(boxes[index]), FAIRMOT_SIZE_LIMITS)
        described = image.identities[rows], sizes, image.visibility[rows]
        builder.add_embeddings(embeddings, *described, image.video)
