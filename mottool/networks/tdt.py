"""TDT: Yu, Wu, Gu & Fathy, "TDT: teaching detectors to track without fully annotated videos", CVPR
Workshops 2022.
"""

from dataclasses import dataclass

from mottool.errors import SettingError
from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings, setting

__all__ = ["NETWORKS", "TDT", "TDTLearning"]


@dataclass(frozen=True)
class TDTLearning(Settings):
    """TDT's settings of training."""

    embedding_size: int = setting(
        128, "Number of the teacher's dimensions that are learned, from the first on.", low=1
    )
    detector_only: bool = setting(
        False, "Train the detector of a two-stage tracker: without embedder, and without --labels."
    )
    class_weight: float = setting(1.0, "Weight of the classification loss (α_c).", low=0)
    box_weight: float = setting(50.0, "Weight of the box loss (α_b).", low=0)
    embedding_weight: float = setting(10.0, "Weight of the embedding loss (α_e).", low=0)
    finest_level: int = setting(
        3, "Finest level of the feature pyramid; level l has a stride of 2^l.", low=2, high=3
    )
    norm_momentum: float = setting(
        0.997,
        "Decay of batch normalisation's moving averages per step; they need some hundred steps at "
        "0.99 and some thousand at 0.997.",
        low=0,
        high=0.9999,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.detector_only:
            return
        for name in ("embedding_size", "embedding_weight"):
            if getattr(self, name) != self.__dataclass_fields__[name].default:
                flag = f"--{name.replace('_', '-')}"
                raise SettingError(
                    f"{flag} does not apply with --detector-only", "omit one of them"
                )


# §4.2, "Implementation details": 300,000 to 500,000 steps; here the shortest. The limit of the
# gradient is not in the paper: without it, the embedding loss diverges at these rates. The last
# layer of the embedder sees 2304 values of unit variance: a curvature of 2 · α_e · 1000 and more.
RECIPE = Recipe(
    epochs=None,
    steps=300_000,
    batch=16,
    lr=0.15,
    warmup=2000,
    start_lr=0.001,
    schedule="cosine",
    warmup_limit=0.1,
    clip=1.0,
)
TDT = NetworkFamily(
    title="TDT",
    network="mottool.models.tdt:TDT",
    preprocessor="mottool.models.preprocessing:ImageNetLetterbox",
    learner="mottool.training.learners.tdt:TDTLearner",
    learning=TDTLearning,
    recipe=RECIPE,
    # §4.2: horizontal flips, and scales of 0.5 to 2 of the frame.
    augmentation=Augmentation(
        saturation=0, value=0, angle=0, shift=0, shrink=0.5, grow=2, shear=0, crop=True
    ),
    tracker="tdt",
    min_score=0.05,
    distills=True,
)
BOTTOM_UP, TOP_DOWN = "pyramid.separate.0.weight", "pyramid.lateral.0.weight"
RESNET, BOTTLENECK = "backbone.layer1.0.conv1.weight", "backbone.layer1.0.conv3.weight"
MOBILENET, MOBILENET_V2 = "backbone.blocks.0.depthwise.weight", "backbone.features.0.0.weight"


def _signature(*present: str, absent: tuple[str, ...] = ()) -> Signature:
    return Signature.of("classes.norms.0.0.weight", *present, absent=absent)


# Name: ImageNet weights of torchvision for the backbone, tensor names that identify it.
VARIANTS = {
    "tdt-r34": ("resnet34", _signature(RESNET, TOP_DOWN, absent=(BOTTLENECK,))),
    "tdt-r50": ("resnet50", _signature(BOTTLENECK, TOP_DOWN)),
    "tdt-mobilenet": ("", _signature(MOBILENET, TOP_DOWN)),
    "tdt-mobilenet-nofpn": ("", _signature(MOBILENET, BOTTOM_UP)),
    "tdt-mobilenet-v2": ("mobilenet_v2", _signature(MOBILENET_V2, TOP_DOWN)),
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
