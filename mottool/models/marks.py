"""Which network a checkpoint is for, told from the names of its tensors alone."""

from collections.abc import Iterable

__all__ = ["looks_like"]

# A network and the names that only its checkpoints hold together; the first that fits counts.
# Its authors' names come first, then ours, as `mottool weights convert` writes them.
MARKS = (
    ("mottool-s", {"backbone.blocks.0.expand.0.weight", "identity.4.weight"}),
    ("otrack", {"tracking.0.weight", "ltrb_amodal.0.weight"}),
    ("otrack", {"displacement.0.weight", "amodal.0.weight"}),
    ("outrack", {"occlusion.0.weight", "id.0.weight"}),
    ("outrack", {"occlusion.0.weight", "identity.0.weight"}),
    ("fairmot-dla34-anchors", {"backbone.trunk.base_layer.0.weight", "detection.0.weight"}),
    ("fairmot-dla34", {"dla_up.ida_0.proj_1.conv.weight", "id.0.weight"}),
    ("fairmot-dla34", {"backbone.trunk.base_layer.0.weight", "identity.0.weight"}),
    ("fairmot-resnet34-fpn", {"smooth_layer1.conv.weight", "id.0.weight"}),
    ("fairmot-resnet34-fpn", {"backbone.smooth.0.conv.weight", "identity.0.weight"}),
    ("fairmot-resnet50", {"deconv_layers.0.weight", "layer1.0.conv3.weight", "id.0.weight"}),
    ("fairmot-resnet50", {"backbone.trunk.layer1.0.conv3.weight", "identity.0.weight"}),
    ("fairmot-resnet34", {"deconv_layers.0.weight", "id.0.weight"}),
    ("fairmot-resnet34", {"backbone.trunk.layer1.0.conv2.weight", "identity.0.weight"}),
    ("fairmot-hrnet", {"stage4.0.branches.0.0.conv1.weight", "id.0.weight"}),
    ("fairmot-hrnet", {"backbone.stage4.0.branches.0.0.conv1.weight", "identity.0.weight"}),
    ("fairmot-yolov5s", {"backbone.model.0.conv.conv.weight", "id.0.weight"}),
    ("fairmot-yolov5s", {"backbone.stem.conv.conv.weight", "identity.0.weight"}),
    ("jde", {"module_list.0.conv_0.weight"}),
    ("jde", {"level_32.trunk.0.conv.weight"}),
    ("cstrack", {"model.0.conv.conv.weight", "model.28.m.0.weight"}),
    ("cstrack", {"backbone.stem.conv.conv.weight", "attention.embed.weight"}),
    ("tdt-mobilenet-nofpn", {"embedder.embedding.weight", "pyramid.lateral.0.weight"}),
    ("tdt-mobilenet", {"embedder.embedding.weight", "backbone.features.0.0.weight"}),
    ("tdt-r50", {"embedder.embedding.weight", "backbone.layer1.0.conv3.weight"}),
    ("tdt-r34", {"embedder.embedding.weight", "backbone.layer1.0.conv1.weight"}),
    ("osnet", {"conv1.conv.weight", "conv5.conv.weight", "fc.0.weight"}),
    ("a plain YOLOv5 detector", {"model.0.conv.conv.weight", "model.24.m.0.weight"}),
    ("a plain YOLOv5 detector", {"model.0.conv.weight", "model.24.m.0.weight"}),
    ("a plain CenterNet detector", {"hm.0.weight", "wh.0.weight", "reg.0.weight"}),
)


def looks_like(names: Iterable[str]) -> str | None:
    """The network whose checkpoints hold such names, None where nothing is recognised.

    It is a pipeline's name, or what the names of several begin with (`jde`, `osnet`), or in words
    a network that no pipeline has ("a plain YOLOv5 detector").
    """
    held = set(names)
    return next((network for network, marks in MARKS if marks <= held), None)
