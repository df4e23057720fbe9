"""mottool-s: the small network that comes with mottool."""

from dataclasses import dataclass

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import OCCLUSION_HELP, Composition, Recipe
from mottool.settings import setting

__all__ = ["MOTTOOL_S", "NETWORKS", "MottoolSLearning"]


@dataclass(frozen=True)
class MottoolSLearning(Composition):
    """Settings of training of mottool-s: its losses, and how scenes are composed."""

    embedding_size: int = setting(64, "Dimensions of the embeddings.", low=1)
    imitation: float = setting(
        3.0, "Weight of the distance to a teacher's embeddings (--labels).", low=0
    )
    relations: float = setting(
        8.0, "Weight of the distance to a teacher's similarities between people.", low=0
    )
    identity: float = setting(0.1, "Weight of the classifier of annotated identities.", low=0)
    unsupervised: float = setting(
        0.5,
        "Weight of OUTrack's unsupervised losses on pairs of scenes, for people with neither "
        "identities nor labels.",
        low=0,
    )
    occlusion_weight: float = setting(0.5, "Weight of occlusion centres.", low=0)
    tau: float = setting(0.7, OCCLUSION_HELP, low=0, high=1)

    def weights(self) -> dict[str, float]:
        """Return the weights of the loss terms, except those of detection."""
        unsupervised = dict.fromkeys(("intra", "inter", "cycle"), self.unsupervised)
        occlusion = dict.fromkeys(("occlusion", "occlusion_offset"), self.occlusion_weight)
        supervised = {name: getattr(self, name) for name in ("imitation", "relations", "identity")}
        return supervised | unsupervised | occlusion


MOTTOOL_S = NetworkFamily(
    title="mottool-s",
    network="mottool.models.mottool_s:MottoolS",
    preprocessor="mottool.models.preprocessing:SmoothLetterbox",
    learner="mottool.training.learners.mottool_s:MottoolSLearner",
    learning=MottoolSLearning,
    recipe=Recipe(epochs=100, batch=32, lr=2e-3, ema=0.998, schedule="cosine", rise=0.03, end=0.01),
    min_score=0.05,
    occlusion=True,
    distills=True,
)
NETWORKS = (
    NetworkEntry(
        "mottool-s",
        MOTTOOL_S,
        (640, 384),
        signatures=(Signature.of("backbone.blocks.0.expand.0.weight", "identity.4.weight"),),
        embedding_map="identity",
        detector="heatmap.4",
        bundled="mottool-s.safetensors",
    ),
)
