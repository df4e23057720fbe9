"""OTrack: OUTrack's occlusion centres on CenterTrack (Zhou, Koltun & Krähenbühl, "Tracking objects
as points", ECCV 2020).
"""

from dataclasses import dataclass

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import (
    OCCLUSION_HELP,
    Augmentation,
    PreviousFrameSampling,
    Recipe,
)
from mottool.settings import setting

__all__ = ["NETWORKS", "OTRACK", "OTrackLearning"]


@dataclass(frozen=True)
class OTrackLearning(PreviousFrameSampling):
    """OTrack's settings of training."""

    occlusion: bool = setting(True, "Learn occlusion centres; without them it is CenterTrack.")
    tau: float = setting(0.7, OCCLUSION_HELP, low=0, high=1)


OTRACK = NetworkFamily(
    title="OTrack",
    network="mottool.models.otrack:OTrack",
    preprocessor="mottool.models.preprocessing:CenterWarp",
    learner="mottool.training.learners.otrack:OTrackLearner",
    learning=OTrackLearning,
    recipe=Recipe(epochs=70, batch=32, lr=1e-4, drops=(6 / 7,)),
    augmentation=Augmentation(
        saturation=0.4, value=0.4, angle=0, shift=0.4, shrink=0.7, grow=1.7, shear=0
    ),
    tracker="otrack",
    session="mottool.models.otrack:Recurrence",
    embeds=False,
    occlusion=True,
)
NETWORKS = (
    NetworkEntry(
        "otrack",
        OTRACK,
        (960, 544),
        signatures=(
            Signature.of("tracking.0.weight", "ltrb_amodal.0.weight"),
            Signature.of("displacement.0.weight", "amodal.0.weight"),
        ),
    ),
)
