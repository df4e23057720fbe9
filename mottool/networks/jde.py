"""JDE: Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020."""

from dataclasses import dataclass

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings, setting

__all__ = ["JDE", "NETWORKS", "JDELearning"]


@dataclass(frozen=True)
class JDELearning(Settings):
    """JDE's settings of training: the rows of its Tables 1 and 3."""

    objective: str = setting(
        "cross-entropy",
        "Identity loss: cross-entropy, triplet (batch-hard), or its smooth upper bound.",
        choices=("cross-entropy", "triplet", "upper-bound"),
    )
    weighting: str = setting(
        "uncertainty",
        "How the nine losses are weighted: by learned uncertainty, uniform, fixed (near the "
        "authors' optimum), normalisation (of each loss), or mgda (MGDA-UB).",
        choices=("uncertainty", "uniform", "fixed", "normalisation", "mgda"),
    )


JDE = NetworkFamily(
    title="JDE",
    network="mottool.models.jde:JDE",
    preprocessor="mottool.models.preprocessing:ClampedLetterbox",
    learner="mottool.training.learners.jde:JDELearner",
    learning=JDELearning,
    recipe=Recipe(epochs=30, batch=32, lr=1e-2, drops=(1 / 2, 3 / 4), warmup=1000, quartic=True),
    augmentation=Augmentation(clip=True),
    tracker="jde",
    darknet=True,
)
SIGNATURES = (
    Signature.of("module_list.0.conv_0.weight"),
    Signature.of("level_32.trunk.0.conv.weight"),
)
# Each size has its own anchors, which no checkpoint contains.
NETWORKS = tuple(
    NetworkEntry(
        f"jde-{width}x{height}",
        JDE,
        (width, height),
        arguments={"size": (width, height)},
        signatures=SIGNATURES,
        embedding_map="embedding_8",
    )
    for width, height in ((1088, 608), (864, 480), (576, 320))
)
