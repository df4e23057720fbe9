"""OUTrack: Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022.
"""

from dataclasses import dataclass

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import OCCLUSION_HELP, AssignmentSettings, PairSampling, Recipe
from mottool.settings import setting

__all__ = ["NETWORKS", "OUTRACK", "OUTrackLearning"]


@dataclass(frozen=True)
class OUTrackLearning(PairSampling, AssignmentSettings):
    """OUTrack's settings of training: the rows of its ablations."""

    intra: float = setting(1.0, "Weight of the loss that separates the people of one frame.", low=0)
    inter: float = setting(1.0, "Weight of the loss that matches people between two frames.", low=0)
    cycle: float = setting(1.0, "Weight of the cycle-consistency loss.", low=0)
    baseline: bool = setting(False, "Train with CycAs instead of these three losses.")
    id_weight: float = setting(
        1.0,
        "Weight of the re-identification loss, before its learned weight; the authors give it 10 "
        "for CrowdHuman.",
        low=0,
    )
    occlusion: bool = setting(
        True,
        "Learn occlusion centres; without them it is FairMOT with unsupervised re-identification.",
    )
    tau: float = setting(0.7, OCCLUSION_HELP, low=0, high=1)


OUTRACK = NetworkFamily(
    title="OUTrack",
    network="mottool.models.outrack:OUTrack",
    preprocessor="mottool.models.preprocessing:Letterbox",
    learner="mottool.training.learners.outrack:OUTrackLearner",
    learning=OUTrackLearning,
    recipe=Recipe(epochs=30, batch=8, lr=1e-4, drops=(2 / 3,)),
    tracker="outrack",
    occlusion=True,
)
NETWORKS = (
    NetworkEntry(
        "outrack",
        OUTRACK,
        (1088, 608),
        signatures=(
            Signature.of("occlusion.0.weight", "id.0.weight"),
            Signature.of("occlusion.0.weight", "identity.0.weight"),
        ),
        embedding_map="identity",
        detector="heatmap.2",
    ),
)
