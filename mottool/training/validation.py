"""How good a network is while it learns: detection, embeddings and tracking of held-out videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.association.registry import TRACKERS
from mottool.association.tracks import SequenceInfo, Tracks
from mottool.boxes import tlwh_from_xyxy, xyxy_from_tlwh
from mottool.data.readers.motchallenge import scored_rows
from mottool.errors import InputError
from mottool.metrics.detection import average_precision, hits
from mottool.metrics.preprocess import preprocess
from mottool.metrics.reid import true_positive_rate
from mottool.metrics.tracking import TrackingScore, combined, score
from mottool.models.device import Compute
from mottool.models.interfaces import EmbeddingNetwork
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import detect_rules
from mottool.pipelines.one_shot import NetworkEmbedder, OneShotPipeline
from mottool.pipelines.registry import NETWORKS, resolve
from mottool.progress import progress
from mottool.settings import Settings
from mottool.sources.sequence import Sequence as Source

__all__ = ["FIGURES", "HIGHEST", "TRACKED", "Validation"]

FIGURES = ("MOTA", "IDF1", "AP@0.5", "TPR@FAR=0.1")
HIGHEST, TRACKED = "highest score", "tracked boxes"
# A tracker's settings that scores have to pass, and what holds their values.
THRESHOLDS = {
    "conf_thres": "conf_thres",
    "track_thresh": "track_thresh",
    "new_thresh": "creation_threshold",
}
TRUTH = "gt/gt.txt"
MIN_SCORE = 0.05  # trackers have thresholds of their own; the curve of precision wants them all

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Findings:
    """What one video showed: n detections, and m boxes that were to be found.

    `scores` (n,) float, `right` (n,) bool; `embeddings` (m, D) of the boxes to be found (D = 0
    without any) and `identities` (m,) int64; the `highest` of all scores, those left out too, and
    how many boxes were `tracked`.
    """

    scores: Floats
    right: npt.NDArray[np.bool_]
    embeddings: Floats
    identities: npt.NDArray[np.int64]
    highest: float
    tracked: int
    tracking: TrackingScore


class Validation:
    """Runs a network over videos with ground truth and scores what comes out."""

    def __init__(
        self,
        pipeline: str,
        sequences: Sequence[Source],
        size: tuple[int, int],
        tracker: str,
        compute: Compute,
        tracking: Settings | None = None,
    ) -> None:
        """`pipeline` says how frames go in, at `size` (width, height); `tracker` links.

        `tracking` are the tracker's settings, by default its own. Raises `InputError` for a
        sequence without images or ground truth.
        """
        for sequence in sequences:
            if sequence.ground_truth is None or not sequence.has_images:
                problem = f"{sequence.path} has no ground truth or no images to validate on"
                raise InputError(problem, "give MOTChallenge folders with both")
        self.entry, self.pipeline = NETWORKS[pipeline], pipeline
        self.view = resolve(self.entry.view)(*size)
        self.sequences, self.tracker, self.compute = sequences, tracker, compute
        self.tracking = tracking or TRACKERS[tracker].settings()
        self.thresholds = {
            name: float(getattr(self.tracking, value))
            for name, value in THRESHOLDS.items()
            if name in self.tracking.__dataclass_fields__
        }
        self.floor = min([MIN_SCORE, *self.thresholds.values()])

    def __call__(self, network: EmbeddingNetwork) -> dict[str, float]:
        """The `FIGURES` of a network over all sequences, as fractions.

        TPR, which is of embeddings, is left out for a network that makes none. Beside them are the
        `HIGHEST` score and how many boxes the tracker wrote, `TRACKED`.
        """
        found = [self._sequence(network, sequence) for sequence in self.sequences]
        people, known = [], 0
        for each in found:  # nobody is in two videos
            people.append(np.where(each.identities < 0, -1, each.identities + known))
            known += int(each.identities.max(initial=-1)) + 1
        identities = np.concatenate(people)
        scores, right = (
            np.concatenate([getattr(each, name) for each in found]) for name in ("scores", "right")
        )
        tracking = combined(each.tracking for each in found)
        precision = average_precision(scores, right, len(identities))
        values = [tracking.clear.mota, tracking.identity.f1, precision]
        if self.entry.embeds:
            seen = [each.embeddings for each in found if len(each.identities)] or [np.zeros((0, 0))]
            values.append(true_positive_rate(np.concatenate(seen), identities))
        figures = dict(zip(FIGURES, map(float, values), strict=False))
        figures[HIGHEST] = max(each.highest for each in found)
        return figures | {TRACKED: float(sum(each.tracked for each in found))}

    def remark(self, figures: Mapping[str, float]) -> str:
        """What has to be known of `figures`: that nothing was tracked, and why; else empty.

        AP and TPR do not depend on the tracker's threshold, which a network takes its time to pass.
        """
        highest, threshold = figures.get(HIGHEST, 1.0), max(self.thresholds.values(), default=0.0)
        if figures.get(TRACKED, 1):
            return ""
        if highest > threshold:
            some = ", such as min_box_area," if hasattr(self.tracking, "min_box_area") else ""
            return f"nothing was tracked, as other settings of {self.tracker}{some} left all out"
        if not highest:
            return f"nothing scored above {self.floor:g} yet"
        name = max(self.thresholds, key=lambda each: self.thresholds[each])
        lower = " ".join(
            f"--tracker-set {each}={highest / 2:.1g}"
            for each, value in self.thresholds.items()
            if highest <= value
        )
        return (
            f"nothing was tracked, as no score passed {self.tracker}'s {name} of {threshold:g} "
            f"(the highest is {highest:.2f}); {lower} tracks more"
        )

    def _sequence(self, network: EmbeddingNetwork, sequence: Source) -> Findings:
        """One video through the network, the tracker and the metrics."""
        truth = scored_rows(sequence)
        session = resolve(self.entry.session) if self.entry.session else None
        how = self.view, self.compute
        whole = OneShotPipeline(
            self.pipeline, network, "", *how, self.floor, batch=1, session=session
        )
        begun = whole.start(sequence, _silent)
        embedder = NetworkEmbedder(self.pipeline, network, "", *how)
        tracker = TRACKERS[self.tracker].load()(
            self.tracking, SequenceInfo(sequence.fps, sequence.width, sequence.height)
        )
        scores, right, embeddings, order, tracks = [], [], [], [], []
        highest = 0.0
        for frame in progress(sequence.frames(), f"validate {sequence.name}", sequence.length):
            ((found, _),) = begun.detect([frame])
            here = np.flatnonzero(truth.frames == frame.number)
            boxes = xyxy_from_tlwh(truth.tlwh[here])  # (m, 4)
            counted = found.scores > MIN_SCORE  # whatever the tracker takes
            scores.append(found.scores[counted])
            right.append(hits(found.boxes, found.scores, boxes)[counted])
            highest = max(highest, float(found.scores.max(initial=0.0)))
            order.append(here)
            if self.entry.embeds and len(here):
                embeddings += embedder.embed([frame.image], [boxes])
            tracks.append(tracker.update(found))
        return Findings(
            np.concatenate(scores),
            np.concatenate(right),
            np.concatenate(embeddings) if embeddings else np.zeros((0, 0)),
            truth.ids[np.concatenate(order)],
            highest,
            sum(map(len, tracks)),
            _scored(sequence, tracks),
        )


def _scored(sequence: Source, tracks: Sequence[Tracks]) -> TrackingScore:
    """The score of a video's tracks by the rules of its benchmark."""
    objects = read_rows(sequence.path / TRUTH, "ground truth")
    numbers = np.repeat(np.arange(1, len(tracks) + 1), [len(frame) for frame in tracks])
    results = Rows(
        numbers,
        np.concatenate([frame.ids for frame in tracks]),
        tlwh_from_xyxy(np.concatenate([frame.boxes for frame in tracks])).astype(np.float64),
        np.ones((len(numbers), 1)),
    )
    rules = detect_rules(sequence.name, objects)
    return score(preprocess(objects, results, len(tracks), rules, sequence.name))


def _silent(told: str) -> None:
    """Pass over a remark: what a source lacks has been told when the training began."""
