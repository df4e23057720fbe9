"""Score a network on held-out videos: detection, embeddings and tracking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.registry import TRACKERS
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.boxes import tlwh_from_xyxy, xyxy_from_tlwh
from mottool.data.readers.motchallenge import scored_rows
from mottool.errors import InputError, ignore_warning
from mottool.metrics.detection import average_precision, true_positives
from mottool.metrics.evaluate import load_ground_truth, score_tracks
from mottool.metrics.inputs import GroundTruthFile
from mottool.metrics.reid import true_positive_rate
from mottool.metrics.tracking import TrackingScore, combine
from mottool.models.device import Compute
from mottool.models.interfaces import EmbeddingNetwork
from mottool.motchallenge.rows import Rows
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines.one_shot import NetworkEmbedder, OneShotPipeline
from mottool.progress import progress
from mottool.settings import Settings
from mottool.sources.sequence import Sequence as Source

__all__ = ["FIGURES", "HIGHEST", "TRACKED", "Validation"]

FIGURES = ("MOTA", "IDF1", "AP@0.5", "TPR@FAR=0.1")
HIGHEST, TRACKED = "highest score", "tracked boxes"
# Score thresholds of trackers, and the attributes that hold their values.
THRESHOLDS = {
    "conf_thres": "conf_thres",
    "track_thresh": "track_thresh",
    "new_thresh": "creation_threshold",
}
GROUND_TRUTH = "gt/gt.txt"
MIN_SCORE = 0.05  # below the thresholds of trackers, for a complete precision-recall curve

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class VideoResults:
    """Results of one video with n detections and m ground-truth boxes.

    `scores` (n,) float and `correct` (n,) bool describe the detections; `embeddings` (m, D), D = 0
    without embeddings, and `identities` (m,) int64 the ground truth. `highest` is the highest score
    of all detections, also of those below `MIN_SCORE`, and `tracked` the number of tracked boxes.
    """

    scores: Floats
    correct: npt.NDArray[np.bool_]
    embeddings: Floats
    identities: npt.NDArray[np.int64]
    highest: float
    tracked: int
    tracking: TrackingScore


class Validation:
    """Runs a network and a tracker over videos with ground truth, and scores the results."""

    def __init__(
        self,
        pipeline: str,
        sequences: Sequence[Source],
        size: tuple[int, int],
        tracker: str,
        compute: Compute,
        tracking: Settings | None = None,
    ) -> None:
        """Prepare the validation of the network `pipeline` with input `size` (width, height).

        `tracking` are the settings of `tracker`, by default its own. Raises `InputError` for a
        sequence without images or ground truth.
        """
        for sequence in sequences:
            if sequence.ground_truth is None or not sequence.has_images:
                problem = f"{sequence.path} has no ground truth or no images to validate on"
                raise InputError(problem, "give MOTChallenge folders with both")
        self.family, self.pipeline = NETWORKS[pipeline].family, pipeline
        self.preprocessor = load(self.family.preprocessor)(*size)
        self.sequences, self.tracker, self.compute = sequences, tracker, compute
        self.tracking = tracking or TRACKERS[tracker].settings()
        self.thresholds = {
            name: float(getattr(self.tracking, value))
            for name, value in THRESHOLDS.items()
            if name in self.tracking.__dataclass_fields__
        }
        self.floor = min([MIN_SCORE, *self.thresholds.values()])

    def __call__(self, network: EmbeddingNetwork) -> dict[str, float]:
        """Return the `FIGURES` of a network over all sequences, as fractions.

        TPR is omitted for a network without embeddings. The result also contains the `HIGHEST`
        score and the number of `TRACKED` boxes.
        """
        videos = [self._sequence(network, sequence) for sequence in self.sequences]
        renumbered, count = [], 0
        for video in videos:  # no identity appears in two videos
            renumbered.append(np.where(video.identities < 0, -1, video.identities + count))
            count += int(video.identities.max(initial=-1)) + 1
        identities = np.concatenate(renumbered)
        scores = np.concatenate([video.scores for video in videos])
        correct = np.concatenate([video.correct for video in videos])
        tracking = combine(video.tracking for video in videos).metrics()
        precision = average_precision(scores, correct, len(identities))
        values = [tracking["MOTA"], tracking["IDF1"], precision]
        if self.family.embeds:
            embeddings = [video.embeddings for video in videos if len(video.identities)]
            stacked = np.concatenate(embeddings or [np.zeros((0, 0))])
            values.append(true_positive_rate(stacked, identities))
        metrics = dict(zip(FIGURES, map(float, values), strict=False))
        metrics[HIGHEST] = max(video.highest for video in videos)
        return metrics | {TRACKED: float(sum(video.tracked for video in videos))}

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

    def _sequence(self, network: EmbeddingNetwork, sequence: Source) -> VideoResults:
        """Run the network and the tracker over one video, and match its detections."""
        ground_truth = scored_rows(sequence)
        session = load(self.family.session) if self.family.session else None
        parts = network, "", self.preprocessor, self.compute
        pipeline = OneShotPipeline(self.pipeline, *parts, self.floor, batch=1, session=session)
        run = pipeline.start(sequence, ignore_warning)  # reported when the training started
        embedder = NetworkEmbedder(self.pipeline, *parts)
        tracker = TRACKERS[self.tracker].load()(
            self.tracking, SequenceInfo(sequence.fps, sequence.width, sequence.height)
        )
        scores, correct, embeddings, order, tracks = [], [], [], [], []
        highest = 0.0
        for frame in progress(sequence.frames(), f"validate {sequence.name}", sequence.length):
            ((detections, _),) = run.detect([frame])
            rows = np.flatnonzero(ground_truth.frames == frame.number)
            boxes = xyxy_from_tlwh(ground_truth.tlwh[rows])  # (m, 4)
            keep = detections.scores > MIN_SCORE  # independent of the tracker's thresholds
            scores.append(detections.scores[keep])
            matched = true_positives(detections.boxes, detections.scores, boxes)
            correct.append(matched[keep])
            highest = max(highest, float(detections.scores.max(initial=0.0)))
            order.append(rows)
            if self.family.embeds and len(rows):
                embeddings += embedder.embed([frame.image], [boxes])
            tracks.append(tracker.update(detections))
        return VideoResults(
            np.concatenate(scores),
            np.concatenate(correct),
            np.concatenate(embeddings) if embeddings else np.zeros((0, 0)),
            ground_truth.ids[np.concatenate(order)],
            highest,
            sum(map(len, tracks)),
            _score(sequence, tracks),
        )


def _score(sequence: Source, tracks: Sequence[Tracks]) -> TrackingScore:
    """Score the tracks of a video by the rules of its benchmark."""
    first, last = sequence.first_frame, sequence.first_frame + len(tracks) - 1
    span = None if sequence.name == sequence.whole_name else (first, last)
    file = GroundTruthFile(sequence.name, sequence.path / GROUND_TRUTH, last, span)
    numbers = np.repeat(np.arange(first, last + 1), [len(frame) for frame in tracks])
    results = Rows(
        numbers,
        np.concatenate([frame.ids for frame in tracks]),
        tlwh_from_xyxy(np.concatenate([frame.boxes for frame in tracks])).astype(np.float64),
        np.ones((len(numbers), 1)),
    )
    return score_tracks(results, load_ground_truth(file, sequence.name), decimals=None)
