"""CSTrack: Liang, Zhang, Zhou, Li, Zhu & Hu, "Rethinking the competition between detection and ReID
in multi-object tracking", IEEE Transactions on Image Processing 31, 2022.
"""

from dataclasses import dataclass

from mottool.errors import SettingError
from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings, setting

__all__ = ["ARRANGEMENTS", "CSTRACK", "NETWORKS", "RECIPE", "CSTrackLearning"]

# Table III: the attentions of each level, and those after the concatenation of the levels.
ARRANGEMENTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "none": ((), ()),
    "sam": (("sam",), ()),
    "cam": (("cam",), ()),
    "sam+cam": (("sam", "cam"), ()),
    "sam/sam": (("sam",), ("sam",)),
    "sam/cam": (("sam",), ("cam",)),
    "sam/sam+cam": (("sam",), ("sam", "cam")),
}


@dataclass(frozen=True)
class CSTrackLearning(Settings):
    """CSTrack's settings of training: the rows of its ablations."""

    eta: float = setting(0.02, "Weight η of the identity loss against detection (Table V).", low=0)
    relation: str = setting(
        "both",
        "Relation that the reciprocal network (REN) computes between the features of the two "
        "tasks: both, mixed with learned weights λ; fixed, both with λ = 0.5; self or cross; none "
        "omits the network, and cnn replaces it by convolutions (Table II).",
        choices=("both", "fixed", "self", "cross", "none", "cnn"),
    )
    head: str = setting(
        "saan",
        "Identity head. saan: the scale-aware attention network, which fuses the levels. basic: "
        "JDE's, a 1x1 convolution on each level; an embedding is read on the level of its box.",
        choices=("saan", "basic"),
    )
    attention: str = setting(
        "sam/cam",
        "Attentions of SAAN, spatial (sam) and over channels (cam): those of each level, and after "
        "a slash those of the concatenated levels (Table III).",
        choices=tuple(ARRANGEMENTS),
    )
    form: str = setting(
        "code",
        "Structure of the network. code: as in the authors' code. paper: REN and SAAN as written "
        "in the paper, and YOLOv5's blocks of release 4.0.",
        choices=("code", "paper"),
    )
    detection_loss: str = setting(
        "code",
        "Detection loss. code: YOLOv5's, with three cells per person and the IoU as target. paper: "
        "Eq. 5 to 8, with one cell per person and α = 0.25, γ = 0.",
        choices=("code", "paper"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.head == "basic" and self.attention != "sam/cam":
            problem = "--attention does not apply to the basic head, which has no SAAN"
            raise SettingError(problem, "omit --attention, or --head basic")


RECIPE = Recipe(
    epochs=30,
    batch=8,
    lr=5e-4,
    drops=(2 / 3,),
    ema=0.9999,
    warmup=1000,
    warmup_epochs=3,
    warmup_limit=0.5,
    bias_start_lr=0.1,
)
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
    Signature.of("backbone.stem.conv.conv.weight", "identity.levels.0.weight"),
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
