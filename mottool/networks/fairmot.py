"""FairMOT: Zhang et al., "FairMOT: on the fairness of detection and re-identification", IJCV 2021.

The variant with anchors is that of its first version, "A simple baseline for multi-object
tracking", arXiv 2004.01888v1, Table 1.
"""

from dataclasses import dataclass
from typing import Any

from mottool.networks.entry import NetworkEntry, NetworkFamily, Signature
from mottool.networks.learning import Recipe
from mottool.settings import Settings, setting

__all__ = ["FAIRMOT", "FAIRMOT_ANCHORS", "NETWORKS", "FairMOTLearning"]

INPUT = 1088, 608


@dataclass(frozen=True)
class FairMOTLearning(Settings):
    """FairMOT's settings of training."""

    single_images: bool = setting(
        False,
        "Give every box an identity of its own, as FairMOT does for images without identities "
        "(CrowdHuman).",
    )
    size_head: str = setting(
        "ltrb",
        "Numbers that the size head predicts. ltrb: the distances from the centre to the four "
        "sides, as in FairMOT's code since September 2020. wh: width and height, as in the first "
        "version of its paper.",
        choices=("ltrb", "wh"),
    )


RECIPE = Recipe(epochs=30, batch=12, lr=1e-4, drops=(2 / 3, 9 / 10))
FAIRMOT = NetworkFamily(
    title="FairMOT",
    network="mottool.models.fairmot:FairMOT",
    preprocessor="mottool.models.preprocessing:Letterbox",
    learner="mottool.training.learners.fairmot:FairMOTLearner",
    learning=FairMOTLearning,
    recipe=RECIPE,
)
FAIRMOT_ANCHORS = NetworkFamily(
    title="FairMOT with anchors",
    network="mottool.models.fairmot_anchors:FairMOTAnchors",
    preprocessor="mottool.models.preprocessing:Letterbox",
    learner="mottool.training.learners.fairmot_anchors:FairMOTAnchorsLearner",
    recipe=RECIPE,
)

# By backbone, the authors' tensor names first, then ours. OUTrack has FairMOT's and one more.
OUTRACK = ("occlusion.0.weight",)
SIGNATURES = {
    "dla34": (
        Signature.of("dla_up.ida_0.proj_1.conv.weight", "id.0.weight", absent=OUTRACK),
        Signature.of(
            "backbone.trunk.base_layer.0.weight",
            "identity.0.weight",
            absent=("detection.0.weight", *OUTRACK),
        ),
    ),
    "resnet34": (
        Signature.of(
            "deconv_layers.0.weight", "id.0.weight", absent=("layer1.0.conv3.weight", *OUTRACK)
        ),
        Signature.of(
            "backbone.trunk.layer1.0.conv2.weight",
            "identity.0.weight",
            absent=("backbone.trunk.layer1.0.conv3.weight", "backbone.smooth.0.conv.weight"),
        ),
    ),
    "resnet34-fpn": (
        Signature.of("smooth_layer1.conv.weight", "id.0.weight"),
        Signature.of("backbone.smooth.0.conv.weight", "identity.0.weight"),
    ),
    "resnet50": (
        Signature.of("deconv_layers.0.weight", "layer1.0.conv3.weight", "id.0.weight"),
        Signature.of("backbone.trunk.layer1.0.conv3.weight", "identity.0.weight"),
    ),
    "hrnet": (
        Signature.of("stage4.0.branches.0.0.conv1.weight", "id.0.weight"),
        Signature.of("backbone.stage4.0.branches.0.0.conv1.weight", "identity.0.weight"),
    ),
    "yolov5s": (
        Signature.of("backbone.model.0.conv.conv.weight", "id.0.weight", absent=OUTRACK),
        Signature.of("backbone.stem.conv.conv.weight", "identity.0.weight", absent=OUTRACK),
    ),
    "anchors": (Signature.of("backbone.trunk.base_layer.0.weight", "detection.0.weight"),),
}


def _entry(
    name: str, backbone: str, names: str, torchvision: str = "", **arguments: Any
) -> NetworkEntry:
    return NetworkEntry(
        name,
        FAIRMOT,
        INPUT,
        arguments={"backbone": backbone, **arguments},
        signatures=SIGNATURES[names],
        embedding_map="identity",
        detector="heatmap.2",
        torchvision_backbone=torchvision,
    )


def _anchors(stride: int) -> NetworkEntry:
    return NetworkEntry(
        f"fairmot-dla34-anchors{stride}",
        FAIRMOT_ANCHORS,
        INPUT,
        arguments={"stride": stride},
        signatures=SIGNATURES["anchors"],
        embedding_map=f"embedding_{stride}",
        detector="detection.2",
    )


NETWORKS = (
    _entry("fairmot-dla34", "dla34", "dla34"),
    _entry("fairmot-resnet34", "resnet34", "resnet34", "resnet34"),
    _entry("fairmot-resnet34-fpn", "resnet34-fpn", "resnet34-fpn", "resnet34"),
    _entry("fairmot-resnet50", "resnet50", "resnet50", "resnet50"),
    _entry("fairmot-hrnet18", "hrnet18", "hrnet"),
    _entry("fairmot-hrnet32", "hrnet32", "hrnet"),
    _entry("fairmot-yolov5s", "yolov5s", "yolov5s"),
    _entry("fairmot-dla34-stride2", "dla34-stride2", "dla34"),
    _entry("fairmot-dla34-stride8", "dla34-stride8", "dla34"),
    _anchors(4),
    _anchors(8),
    _entry("fairmot-dla34-64d", "dla34", "dla34", embedding_size=64),
    _entry("fairmot-dla34-256d", "dla34", "dla34", embedding_size=256),
    _entry("fairmot-dla34-512d", "dla34", "dla34", embedding_size=512),
)
