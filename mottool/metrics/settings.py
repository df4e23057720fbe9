"""Settings of `evaluate`. Imports no numpy, because help texts use it."""

from dataclasses import dataclass

from mottool.errors import SettingError
from mottool.motchallenge.rules import AUTO, RULES
from mottool.settings import Settings, setting
from mottool.splits import Span, parse_span

__all__ = [
    "GALLERIES",
    "MIN_SCORE",
    "POOLED",
    "SEQUENCE",
    "TRAPEZOID",
    "EvaluationSettings",
    "RetrievalSettings",
]

MIN_SCORE = 0.5  # of a detection that counts in recall and precision

GALLERIES = SEQUENCE, POOLED = "sequence", "pooled"
AP_SUMS = _, TRAPEZOID = "steps", "trapezoid"


def class_names(text: str) -> tuple[str, ...]:
    """Parse names of classes, separated by commas."""
    names = tuple(name.strip() for name in text.split(","))
    if not all(names):
        raise SettingError(f"classes cannot be {text!r}", "write names, such as car,van")
    return names


@dataclass(frozen=True)
class RetrievalSettings(Settings):
    """The protocol of the retrieval metrics Rank1 and mAP.

    OUTrack's Table 7 is `gallery` pooled, `min_visibility` 0.7 and `ap_sum` trapezoid.
    """

    gallery: str = setting(
        SEQUENCE,
        "Where Rank1 and mAP search with the first half of a track: in the second halves of its "
        "own sequence, or, pooled, of all sequences. Identities of sequences are kept apart.",
        choices=GALLERIES,
    )
    min_visibility: float = setting(
        0.0,
        "Lowest visibility of the ground-truth boxes that Rank1 and mAP search with and for, such "
        "as 0.7. Tracks are halved without the other boxes.",
        low=0,
        high=1,
    )
    ap_sum: str = setting(
        "steps",
        "The average precision of a query in mAP: the mean of the precision p at each hit (steps), "
        "or of (p before the hit + p) / 2, as Market-1501's code has it (trapezoid).",
        choices=AP_SUMS,
    )


@dataclass(frozen=True)
class EvaluationSettings(RetrievalSettings):
    """The rules by which results and caches are scored, and additional metrics."""

    rules: str = setting(
        AUTO,
        "Which ground truth is scored, and which is ignored with the results on it. auto chooses "
        "by the ground truth's columns and the sequence's name.",
        choices=RULES,
    )
    frames: Span | None = setting(
        None,
        "Score result files on these frames only, as if all files were cut to them: 300-600, 300- "
        "or 7.",
        parse=parse_span,
    )
    by_size: bool = setting(
        False,
        "Also count identity switches of small, medium and large people (IDSW_S, _M, _L).",
    )
    classes: tuple[str, ...] = setting(
        (),
        "Score the objects of these classes of the ground truth instead of people, as car or "
        "car,van. All results are scored.",
        parse=class_names,
        form="NAME,…",
    )
    per_class: bool = setting(
        False,
        "Score each class of the ground truth separately. Results give their class in column 8, "
        "as ground truth does. Of classes other than pedestrians, all rows are scored whose flag "
        "is not 0.",
    )
    small: float = setting(
        6000.0, "A person with a smaller box, in square pixels, is small.", low=0
    )
    large: float = setting(
        25000.0, "A person with a larger box, in square pixels, is large.", low=0
    )
    min_score: float = setting(
        MIN_SCORE,
        "Lowest score of a cache's detections that count in Rcll and Prcn; AP ranks all.",
        low=0,
        high=1,
    )
    bootstrap: int = setting(
        0,
        "Draw the sequences this many times with replacement, such as 1000, and show the 95 % "
        "confidence interval of the COMBINED metrics.",
        low=0,
    )
    seed: int = setting(0, "Random seed of --bootstrap.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.classes and self.per_class:
            fix = "give one of them: --classes scores some classes together"
            raise SettingError("--classes and --per-class are both given", fix)
        if self.small > self.large:
            problem = f"small people below {self.small:g} and large ones above {self.large:g}"
            raise SettingError(f"{problem} overlap", "let --small be no more than --large")

    @property
    def size_limits(self) -> tuple[float, float]:
        """Return the limits between small, medium and large, in square pixels."""
        return self.small, self.large
