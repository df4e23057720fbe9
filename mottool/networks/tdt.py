"""TDT: Yu, Wu, Gu & Fathy, "TDT: teaching detectors to track without fully annotated videos", CVPR
Workshops 2022.
"""

from dataclasses import dataclass

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings, setting

__all__ = ["NETWORKS", "TDT", "TDTLearning"]


@dataclass(frozen=True)
class TDTLearning(Settings):
    """TDT's settings of training."""

    embedding_size: int = setting(
        512, "Number of the teacher's dimensions that are learned, from the first on.", low=1
    )


TDT = NetworkFamily(
    title="TDT",
    network="mottool.models.tdt:TDT",
    preprocessor="mottool.models.preprocessing:ImageNetLetterbox",
    learner="mottool.training.learners.tdt:TDTLearner",
    learning=TDTLearning,
    recipe=Recipe(epochs=12, batch=16, lr=2e-3, drops=(2 / 3, 8 / 9), warmup=500, quartic=True),
    augmentation=Augmentation(saturation=0, value=0, angle=0, shift=0, shrink=1, grow=1, shear=0),
    tracker="tdt",
    min_score=0.05,
    distills=True,
)
EMBEDDING, THIRD, PYRAMID = (
    "embedder.embedding.weight",
    "backbone.layer1.0.conv3.weight",
    "pyramid.lateral.0.weight",
)
# Name: ImageNet weights of torchvision for the backbone, tensor names that identify it.
VARIANTS = {
    "tdt-r34": (
        "resnet34",
        Signature.of(EMBEDDING, "backbone.layer1.0.conv1.weight", absent=(THIRD,)),
    ),
    "tdt-r50": ("resnet50", Signature.of(EMBEDDING, THIRD)),
    "tdt-mobilenet": (
        "mobilenet_v2",
        Signature.of(EMBEDDING, "backbone.features.0.0.weight", absent=(PYRAMID,)),
    ),
    "tdt-mobilenet-nofpn": ("mobilenet_v2", Signature.of(EMBEDDING, PYRAMID)),
}
NETWORKS = tuple(
    NetworkEntry(
        name,
        TDT,
        (1088, 608),
        arguments={"variant": name},
        signatures=(signature,),
        torchvision_backbone=backbone,
    )
    for name, (backbone, signature) in VARIANTS.items()
)
