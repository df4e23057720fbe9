"""JDE: Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020."""

from dataclasses import dataclass

from mottool.errors import SettingError
from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Augmentation, Recipe
from mottool.settings import Settings, setting

__all__ = ["JDE", "NETWORKS", "JDELearning"]


@dataclass(frozen=True)
class JDELearning(Settings):
    """JDE's settings of training: the rows of its Table 3.

    The paper prints no weights for "App.Opt". Those of `fixed` are near the weights from which the
    authors' code starts to learn: e^4.5 / 2 for detection, e^2.3 / 2 for identity.
    """

    objective: str = setting(
        "cross-entropy",
        "Identity loss: cross-entropy (Eq. 4), triplet (Eq. 1), or its smooth upper-bound (Eq. 2). "
        "The last two are trained on pairs of consecutive frames.",
        choices=("cross-entropy", "triplet", "upper-bound"),
    )
    weighting: str = setting(
        "uncertainty",
        "How the nine losses are weighted: by learned uncertainty, uniform, fixed (the paper's "
        "App.Opt), normalisation (of each loss), or mgda (MGDA-UB).",
        choices=("uncertainty", "uniform", "fixed", "normalisation", "mgda"),
    )
    detection_weight: float = setting(
        45.0,
        "Weight of classification and of box regression on every level, with --weighting fixed.",
        low=0,
    )
    identity_weight: float = setting(
        5.0, "Weight of the identity loss on every level, with --weighting fixed.", low=0
    )
    triplet_margin: float = setting(
        0.0, "Margin of the triplet loss, with --objective triplet.", low=0
    )
    upper_bound_scale: float = setting(
        1.0, "Factor of the similarities, with --objective upper-bound.", low=0
    )
    reach: int = setting(1, "Largest distance of a pair in a video, in frames.", low=1)

    def __post_init__(self) -> None:
        """Check the values. Raises `SettingError` for a setting that has no effect."""
        super().__post_init__()
        for name, owner, values in (
            ("detection_weight", "weighting", ("fixed",)),
            ("identity_weight", "weighting", ("fixed",)),
            ("triplet_margin", "objective", ("triplet",)),
            ("upper_bound_scale", "objective", ("upper-bound",)),
            ("reach", "objective", ("triplet", "upper-bound")),
        ):
            changed = getattr(self, name) != self.__dataclass_fields__[name].default
            if changed and getattr(self, owner) not in values:
                flag, chosen = name.replace("_", "-"), getattr(self, owner)
                problem = f"--{flag} has no effect with --{owner} {chosen}"
                fix = f"omit it, or give --{owner} {' or '.join(values)}"
                raise SettingError(problem, fix)

    @property
    def pairs(self) -> bool:
        """Whether batches consist of pairs of frames (§4.3)."""
        return self.objective != "cross-entropy"


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
NETWORKS = (
    *(
        NetworkEntry(
            f"jde-{width}x{height}",
            JDE,
            (width, height),
            arguments={"size": (width, height)},
            signatures=SIGNATURES,
            embedding_map="embedding_8",
            detector="level_8.detection",
        )
        for width, height in ((1088, 608), (864, 480), (576, 320))
    ),
    # The anchors that §3.3 of the paper defines, in pixels of its usual input.
    NetworkEntry(
        "jde-paper-anchors",
        JDE,
        (1088, 608),
        arguments={"anchors": "paper"},
        signatures=SIGNATURES,
        embedding_map="embedding_8",
        detector="level_8.detection",
    ),
)
