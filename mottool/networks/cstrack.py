"""CSTrack: Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID
in multiobject tracking", IEEE Transactions on Image Processing 31, 2022.
"""

from dataclasses import dataclass

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings, setting

__all__ = ["CSTRACK", "NETWORKS", "RECIPE", "CSTrackLearning"]


@dataclass(frozen=True)
class CSTrackLearning(Settings):
    """CSTrack's settings of training: the rows of its ablations."""

    eta: float = setting(0.02, "Weight of the identity loss against detection.", low=0)
    relation: str = setting(
        "both",
        "Relation that the reciprocal network (REN) computes between the features of the two "
        "tasks: self, cross, or both; none omits the network.",
        choices=("both", "self", "cross", "none"),
    )
    attention: str = setting(
        "both",
        "Attention that fuses the levels (SAAN): spatial, channel, or both; none only concatenates "
        "them.",
        choices=("both", "spatial", "channel", "none"),
    )


RECIPE = Recipe(epochs=30, batch=8, lr=5e-4, drops=(2 / 3,), ema=0.9999)
CSTRACK = NetworkFamily(
    title="CSTrack",
    network="mottool.models.cstrack:CSTrack",
    preprocessor="mottool.models.preprocessing:Letterbox",
    learner="mottool.training.learners.cstrack:CSTrackLearner",
    learning=CSTrackLearning,
    recipe=RECIPE,
    augmentation=Augmentation(
        hue=0.015, saturation=0.5, value=0.4, angle=0, shift=0, shrink=1, grow=1, shear=0
    ),
    tracker="cstrack",
)
SIGNATURES = (
    Signature.of("model.0.conv.conv.weight", "model.28.m.0.weight"),
    Signature.of("backbone.stem.conv.conv.weight", "attention.embed.weight"),
)
NETWORKS = tuple(
    NetworkEntry(
        name,
        CSTRACK,
        (1088, 608),
        arguments={"pipeline": name},
        signatures=SIGNATURES,
        embedding_map="identity",
        detector="detection.0",
    )
    for name in ("cstrack", "cstrack-s")
)
