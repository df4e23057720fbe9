"""Score a network on held-out data: detections and embeddings, and the tracking of videos."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mottool.association.registry import TRACKERS
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.boxes import areas, tlwh_from_xyxy, xyxy_from_tlwh
from mottool.data.dataset import Dataset
from mottool.data.readers.motchallenge import scored_rows
from mottool.errors import InputError, ignore_warning
from mottool.files import digest
from mottool.layouts.registry import digest_of_labels
from mottool.metrics.cache_metrics import cache_metrics
from mottool.metrics.detection import size_of
from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.matches import CacheMatches, MatchBuilder
from mottool.metrics.settings import RetrievalSettings
from mottool.metrics.track_evaluation import score_tracks
from mottool.metrics.tracking import TrackingScore, combine
from mottool.models.device import Compute
from mottool.models.interfaces import EmbeddingNetwork
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import CLASS_COLUMNS
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines.match_images import match_images
from mottool.pipelines.one_shot import NetworkEmbedder, OneShotPipeline
from mottool.progress import progress
from mottool.settings import Settings, to_json
from mottool.sources.sequence import Sequence as Source

__all__ = ["FIGURES", "HIGHEST", "TRACKED", "Validation", "warn_of_shared"]

FIGURES = ("MOTA", "IDF1", "AP@0.5", "TPR@FAR=0.1", "Rank1", "mAP")
HIGHEST, TRACKED = "highest score", "tracked boxes"
# Score thresholds of trackers, and the attributes that hold their values.
THRESHOLDS = {
    "conf_thres": "conf_thres",
    "track_thresh": "track_thresh",
    "new_thresh": "creation_threshold",
}
GROUND_TRUTH = "gt/gt.txt"
MIN_SCORE = 0.05  # below the thresholds of trackers, for a complete precision-recall curve


@dataclass(frozen=True)
class VideoResults:
    """Results of one video.

    `matches` are its detections that score above `MIN_SCORE`, and the embeddings at ground-truth
    boxes. `highest` is the highest score of all detections, also of those below `MIN_SCORE`, and
    `tracked` the number of tracked boxes.
    """

    matches: CacheMatches
    highest: float
    tracked: int
    tracking: TrackingScore


class Validation:
    """Scores a network on datasets, and with a tracker on videos with ground truth."""

    def __init__(
        self,
        pipeline: str,
        sequences: Sequence[Source],
        size: tuple[int, int],
        tracker: str,
        compute: Compute,
        tracking: Settings | None = None,
        datasets: Sequence[Dataset] = (),
        retrieval: RetrievalSettings | None = None,
        embeds: bool = True,
    ) -> None:
        """Prepare the validation of the network `pipeline` with input `size` (width, height).

        `tracking` are the settings of `tracker`, by default its own. `datasets` are scored without
        tracking. With `retrieval`, a protocol, the metrics include Rank1 and mAP. `embeds` states
        whether the network has its family's embeddings. Raises `InputError` for a sequence without
        images or ground truth.
        """
        for sequence in sequences:
            if sequence.ground_truth is None or not sequence.has_images:
                problem = f"{sequence.path} has no ground truth or no images to validate on"
                raise InputError(problem, "give MOTChallenge folders with both")
        for dataset in datasets:
            searched = embeds and NETWORKS[pipeline].family.embeds and dataset.identity_count
            if dataset.is_crop().all() and not searched:
                problem = f"{dataset.name} consists of crops, on which {pipeline} scores nothing"
                raise InputError(problem, "give images with boxes, or crops with identities")
        self.family, self.pipeline = NETWORKS[pipeline].family, pipeline
        self.embeds = embeds and self.family.embeds
        self.preprocessor = load(self.family.preprocessor)(*size)
        self.sequences, self.tracker, self.compute = sequences, tracker, compute
        self.datasets, self.retrieval = datasets, retrieval
        self.tracking = tracking or TRACKERS[tracker].settings()
        self.thresholds = {
            name: float(getattr(self.tracking, value))
            for name, value in THRESHOLDS.items()
            if name in self.tracking.__dataclass_fields__
        }
        self.floor = min([MIN_SCORE, *self.thresholds.values()])

    def __call__(self, network: EmbeddingNetwork) -> dict[str, float]:
        """Return the `FIGURES` of a network over all sequences and datasets, as fractions.

        Detections and embeddings of all of them are scored together, with distinct identities. MOTA
        and IDF1 are omitted without videos, TPR for a network without embeddings, Rank1 and mAP
        without a protocol. The result also contains the `HIGHEST` score and, with videos, the
        number of `TRACKED` boxes.
        """
        videos = [self._sequence(network, sequence) for sequence in self.sequences]
        others = [self._dataset(network, dataset) for dataset in self.datasets]
        matches = [video.matches for video in videos] + others
        scored = cache_metrics(matches, MIN_SCORE, retrieval=self.retrieval)
        highest = [video.highest for video in videos]
        highest += [float(match.scores.max(initial=0.0)) for match in others]
        metrics, tracked = dict[str, float](), dict[str, float]()
        if videos:
            tracking = combine(video.tracking for video in videos).metrics()
            metrics = {name: float(tracking[name]) for name in FIGURES[:2]}
            tracked = {TRACKED: float(sum(video.tracked for video in videos))}
        metrics[FIGURES[2]] = scored["AP"]
        if self.embeds:
            metrics[FIGURES[3]] = scored.get("TPR", float("nan"))
        if self.retrieval and self.embeds:
            metrics |= {name: scored.get(name, float("nan")) for name in FIGURES[4:]}
        return metrics | {HIGHEST: max(highest)} | tracked

    def content(self) -> str:
        """Return the SHA-256, in hex, of what is scored and how, wherever the data is."""
        truth = [
            [sequence.name, digest_of_labels(sequence.ground_truth or sequence.path / GROUND_TRUTH)]
            for sequence in self.sequences
        ]
        datasets = [dataset.fingerprint() for dataset in self.datasets]
        retrieval = to_json(self.retrieval) if self.retrieval else None
        return digest([truth, datasets, self.tracker, to_json(self.tracking), retrieval])

    def remark(self, metrics: Mapping[str, float]) -> str:
        """Return why nothing was tracked, or "" if something was.

        AP and TPR do not depend on the score thresholds of the tracker, which the scores of a
        network exceed only after some epochs.
        """
        highest, threshold = metrics.get(HIGHEST, 1.0), max(self.thresholds.values(), default=0.0)
        if metrics.get(TRACKED, 1):
            return ""
        if highest > threshold:
            example = ", such as min_box_area," if hasattr(self.tracking, "min_box_area") else ""
            return (
                f"nothing was tracked: other settings of {self.tracker}{example} exclude all boxes"
            )
        if not highest:
            return f"nothing scored above {self.floor:g} yet"
        name = max(self.thresholds, key=lambda key: self.thresholds[key])
        lower = " ".join(
            f"--tracker-set {key}={highest / 2:.1g}"
            for key, value in self.thresholds.items()
            if highest <= value
        )
        return (
            f"nothing was tracked: no score exceeds {self.tracker}'s {name} of {threshold:g} "
            f"(the highest is {highest:.2f}); {lower} tracks more"
        )

    def _parts(self, network: EmbeddingNetwork, floor: float) -> tuple[Any, NetworkEmbedder]:
        """Return the network as a pipeline that keeps scores above `floor`, and as an embedder."""
        session = load(self.family.session) if self.family.session else None
        parts = network, "", self.preprocessor, self.compute
        pipeline = OneShotPipeline(self.pipeline, *parts, floor, batch=1, session=session)
        return pipeline, NetworkEmbedder(self.pipeline, *parts)

    def _dataset(self, network: EmbeddingNetwork, dataset: Dataset) -> CacheMatches:
        """Run the network over the images of a dataset; crops are embedded only."""
        pipeline, embedder = self._parts(network, MIN_SCORE)
        detector = None if dataset.is_crop().all() else pipeline
        embeds = self.embeds and dataset.identity_count
        return match_images(dataset, detector, embedder if embeds else None, self.retrieval)

    def _sequence(self, network: EmbeddingNetwork, sequence: Source) -> VideoResults:
        """Run the network and the tracker over one video, and match its detections."""
        ground_truth = scored_rows(sequence)
        annotated = ground_truth.rest.shape[1] == CLASS_COLUMNS[-1]
        visibility = ground_truth.rest[:, 2] if annotated else np.ones(len(ground_truth))
        pipeline, embedder = self._parts(network, self.floor)
        run = pipeline.start(sequence, ignore_warning)  # reported when the training started
        tracker = TRACKERS[self.tracker].load()(
            self.tracking, SequenceInfo(sequence.fps, sequence.width, sequence.height)
        )
        builder, tracks, highest = MatchBuilder(), [], 0.0
        for frame in progress(sequence.frames(), f"validate {sequence.name}", sequence.length):
            ((detections, _),) = run.detect([frame])
            rows = np.flatnonzero(ground_truth.frames == frame.number)
            boxes = xyxy_from_tlwh(ground_truth.tlwh[rows])  # (m, 4)
            keep = detections.scores > MIN_SCORE  # independent of the tracker's thresholds
            found = detections.take(keep)
            sizes = size_of(ground_truth.tlwh[rows, 2] * ground_truth.tlwh[rows, 3])
            builder.add_ground_truth(sizes)
            found_sizes = size_of(areas(found.boxes))
            none_ignored = np.zeros(len(rows), bool)
            builder.add_detections(
                found.boxes, found.scores, found_sizes, boxes, none_ignored, sizes
            )
            highest = max(highest, float(detections.scores.max(initial=0.0)))
            known = rows[ground_truth.ids[rows] >= 0]
            if self.embeds and len(known):
                of_known = xyxy_from_tlwh(ground_truth.tlwh[known])
                (embeddings,) = embedder.embed([frame.image], [of_known])
                known_sizes = sizes[ground_truth.ids[rows] >= 0]
                described = ground_truth.ids[known], known_sizes, visibility[known]
                builder.add_embeddings(embeddings, *described, 0)
            tracks.append(tracker.update(detections))
        matches = builder.matches(self.retrieval or RetrievalSettings())
        tracked = sum(map(len, tracks))
        return VideoResults(matches, highest, tracked, _score(sequence, tracks))


def _score(sequence: Source, tracks: Sequence[Tracks]) -> TrackingScore:
    """Score the tracks of a video by the rules of its benchmark."""
    first, last = sequence.first_frame, sequence.first_frame + len(tracks) - 1
    span = None if sequence.name == sequence.whole_name else (first, last)
    path = sequence.ground_truth or sequence.path / GROUND_TRUTH
    file = GroundTruthFile(sequence.name, path, last, span)
    numbers = np.repeat(np.arange(first, last + 1), [len(frame) for frame in tracks])
    results = Rows(
        numbers,
        np.concatenate([frame.ids for frame in tracks]),
        tlwh_from_xyxy(np.concatenate([frame.boxes for frame in tracks])).astype(np.float64),
        np.ones((len(numbers), 1)),
    )
    return score_tracks(results, load_ground_truth(file, sequence.name), decimals=None)


def warn_of_shared(
    datasets: Sequence[Dataset],
    sequences: Sequence[Source],
    held_out: Sequence[Dataset],
    warn: Callable[[str], None],
) -> None:
    """Warn of held-out images that are trained on, in whichever folder both are named."""
    trained = {path for dataset in datasets for path in dataset.real_paths()}
    shared = {other.name: len(trained.intersection(other.real_paths())) for other in held_out}
    for sequence in sequences:
        shared[sequence.name] = len(trained.intersection(sequence.image_paths()))
    names = [f"{count} images of {name}" for name, count in shared.items() if count]
    if names:
        warn(
            f"--data and --validate share {', '.join(names)}: the validation overrates the network "
            "and may choose the wrong epoch; hold out other videos, or PATH@second"
        )
