"""The score of a tracker: CLEAR, Identity and HOTA of one sequence, or of several joined."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from mottool.metrics.clear import Clear, clear
from mottool.metrics.hota import Hota, hota
from mottool.metrics.identity import Identity, identity
from mottool.metrics.preprocess import EvalSequence

__all__ = ["TrackingScore", "combined", "score"]


@dataclass(frozen=True)
class TrackingScore:
    """The three families of figures; adding two joins their sequences as TrackEval combines."""

    clear: Clear = field(default_factory=Clear)
    identity: Identity = field(default_factory=Identity)
    hota: Hota = field(default_factory=Hota)

    def __add__(self, other: "TrackingScore") -> "TrackingScore":
        return TrackingScore(
            self.clear + other.clear, self.identity + other.identity, self.hota + other.hota
        )

    def figures(self) -> dict[str, float]:
        """The figures by TrackEval's names: ratios as fractions (not per cent), counts whole."""
        means = {name: float(curve.mean()) for name, curve in self.hota.curves().items()}
        return {
            **{name: means[name] for name in ("HOTA", "DetA", "AssA", "LocA")},
            "MOTA": self.clear.mota,
            "MOTP": self.clear.motp,
            "IDF1": self.identity.f1,
            "IDP": self.identity.precision,
            "IDR": self.identity.recall,
            "Rcll": self.clear.recall,
            "Prcn": self.clear.precision,
            "MT": self.clear.mostly_tracked,
            "PT": self.clear.partly_tracked,
            "ML": self.clear.mostly_lost,
            "TP": self.clear.hits,
            "FP": self.clear.false_alarms,
            "FN": self.clear.misses,
            "IDSW": self.clear.switches,
            "Frag": self.clear.fragmentations,
            "IDTP": self.identity.right,
            "IDFP": self.identity.wrong,
            "IDFN": self.identity.missed,
        }


def score(scene: EvalSequence) -> TrackingScore:
    """Score one sequence, prepared by its benchmark's rules."""
    return TrackingScore(clear(scene), identity(scene), hota(scene))


def combined(scores: Iterable[TrackingScore]) -> TrackingScore:
    """All sequences as one: counts are added, HOTA's means are weighted by their detections."""
    return sum(scores, TrackingScore())
