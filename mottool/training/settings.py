"""What each family of pipelines can be told of its learning; nothing heavy is imported here.

`LEARNERS` names the `Learner` of a family, which is what its pipelines' names begin with.
"""

from dataclasses import dataclass

from mottool.data.pairs import PairSampling, PreviousFrameSampling
from mottool.data.scene_settings import Composition
from mottool.errors import SettingError, did_you_mean
from mottool.losses.settings import AssignmentSettings
from mottool.pipelines.registry import NETWORKS
from mottool.settings import Settings, setting

__all__ = [
    "LEARNERS",
    "SETTINGS",
    "CSTrackLearning",
    "FairMOTLearning",
    "JDELearning",
    "MottoolSLearning",
    "OTrackLearning",
    "OUTrackLearning",
    "TDTLearning",
    "family",
    "trainable",
]

_HERE = "mottool.training.learners"
_TAU = "Two people hide each other who share more than this of the smaller box."

LEARNERS = {
    "mottool-s": f"{_HERE}.mottool_s:MottoolSLearner",
    "fairmot": f"{_HERE}.fairmot:FairMOTLearner",
    "fairmot-dla34-anchors": f"{_HERE}.fairmot_anchors:FairMOTAnchorsLearner",
    "jde": f"{_HERE}.jde:JDELearner",
    "cstrack": f"{_HERE}.cstrack:CSTrackLearner",
    "outrack": f"{_HERE}.outrack:OUTrackLearner",
    "otrack": f"{_HERE}.otrack:OTrackLearner",
    "tdt": f"{_HERE}.tdt:TDTLearner",
}


@dataclass(frozen=True)
class FairMOTLearning(Settings):
    """FairMOT's choices."""

    single_images: bool = setting(
        False,
        "Take every box for a person of their own, as FairMOT learns from images without "
        "identities (CrowdHuman).",
    )


@dataclass(frozen=True)
class JDELearning(Settings):
    """The rows of JDE's Tables 1 and 3."""

    objective: str = setting(
        "cross-entropy",
        "What teaches identities: cross-entropy, triplet (batch-hard), or its smooth upper bound.",
        choices=("cross-entropy", "triplet", "upper-bound"),
    )
    weighting: str = setting(
        "uncertainty",
        "How the nine tasks are weighed: by uncertainty that is learned, uniform, fixed (near the "
        "authors' optimum), normalisation (of each loss), or mgda (MGDA-UB).",
        choices=("uncertainty", "uniform", "fixed", "normalisation", "mgda"),
    )


@dataclass(frozen=True)
class CSTrackLearning(Settings):
    """CSTrack's choices; the rows of its ablations."""

    eta: float = setting(0.02, "Weight of identity against detection.", low=0)
    relation: str = setting(
        "both",
        "What the reciprocal network (REN) makes of the two tasks' features: their relation to "
        "themselves, to each other, or both; none leaves it out.",
        choices=("both", "self", "cross", "none"),
    )
    attention: str = setting(
        "both",
        "Which attention fuses the levels (SAAN): to places, to channels, or both; with none they "
        "are only joined.",
        choices=("both", "spatial", "channel", "none"),
    )


@dataclass(frozen=True)
class OUTrackLearning(PairSampling, AssignmentSettings):
    """The rows of OUTrack's ablations."""

    intra: float = setting(1.0, "Weight of: people in one frame are different.", low=0)
    inter: float = setting(1.0, "Weight of: people of one frame are in the other too.", low=0)
    cycle: float = setting(1.0, "Weight of: who is whom is mutual.", low=0)
    baseline: bool = setting(False, "Learn by CycAs in the place of these three.")
    tau: float = setting(0.7, _TAU, low=0, high=1)


@dataclass(frozen=True)
class OTrackLearning(PreviousFrameSampling):
    """CenterTrack's errors to live with, and OUTrack's occlusion centres."""

    occlusion: bool = setting(
        True, "Learn where people hide each other; without, it is CenterTrack."
    )
    tau: float = setting(0.7, _TAU, low=0, high=1)


@dataclass(frozen=True)
class TDTLearning(Settings):
    """TDT's choices."""

    embedding_size: int = setting(
        512, "How many of the teacher's dimensions are learned, the first ones.", low=1
    )


@dataclass(frozen=True)
class MottoolSLearning(Composition):
    """What mottool-s learns, and from which scenes."""

    embedding_size: int = setting(64, "Dimensions of the embeddings.", low=1)
    imitation: float = setting(
        3.0, "Weight of the distance from a teacher's embeddings (--labels).", low=0
    )
    relations: float = setting(
        8.0, "Weight of the distance from a teacher's similarities between people.", low=0
    )
    identity: float = setting(0.1, "Weight of the classifier of known identities.", low=0)
    unsupervised: float = setting(
        0.5,
        "Weight of OUTrack's unsupervised losses, learned from pairs of scenes if people have "
        "neither identities nor labels.",
        low=0,
    )
    occlusion: float = setting(0.5, "Weight of occlusion centres.", low=0)
    tau: float = setting(0.7, _TAU, low=0, high=1)

    def weights(self) -> dict[str, float]:
        """What the loss's terms are multiplied by, those of detection aside."""
        alone = dict.fromkeys(("intra", "inter", "cycle"), self.unsupervised)
        hidden = dict.fromkeys(("occlusion", "occlusion_offset"), self.occlusion)
        taught = {name: getattr(self, name) for name in ("imitation", "relations", "identity")}
        return taught | alone | hidden


SETTINGS: dict[str, type[Settings]] = {
    "mottool-s": MottoolSLearning,
    "fairmot": FairMOTLearning,
    "fairmot-dla34-anchors": Settings,
    "jde": JDELearning,
    "cstrack": CSTrackLearning,
    "outrack": OUTrackLearning,
    "otrack": OTrackLearning,
    "tdt": TDTLearning,
}


def trainable() -> list[str]:
    """The pipelines that can be trained."""
    return [name for name in NETWORKS if name.startswith(tuple(LEARNERS))]


def family(pipeline: str) -> str:
    """A pipeline's key in `LEARNERS`, the longest; a `SettingError` if it cannot be trained."""
    if pipeline not in trainable():
        fix = did_you_mean(pipeline, trainable())
        raise SettingError(f"there is no pipeline {pipeline!r} that learns", fix)
    return max((key for key in LEARNERS if pipeline.startswith(key)), key=len)
