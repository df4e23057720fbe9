"""Every network, detector and embedder by name: what it is, and what it can be told.

A pipeline is a network alone (`fairmot-dla34`), a detector alone (`yolox`: no embeddings), or
`<detector>+<embedder>` (`yolox+osnet_x1_0`), where a network may stand on either side.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

__all__ = [
    "DEFAULT",
    "DETECTORS",
    "EMBEDDERS",
    "NETWORKS",
    "PUBLIC",
    "NetworkEntry",
    "Part",
    "resolve",
]

PUBLIC = "public"
DEFAULT = "mottool-s"


@dataclass(frozen=True)
class NetworkEntry:
    """A network that detects in one pass over the frame, and embeds if `embeds`.

    `network` is `module:class` with `from_checkpoint(tensors, **arguments)`; `view` is
    `module:class`, made of the network input's `width` and `height` in pixels. Detections that
    score above `min_score` are kept. `session` is `module:class`, what takes one sequence through
    a recurrent network, image by image; "" where images do not depend on each other.
    `embedding_map` is the raw head, the finest if there are several, that embeds every place of
    the image; "" where only boxes are embedded. `bundled` is the file in `mottool.weights` that is
    used without `--weights`; "" where there is none.
    """

    network: str
    view: str
    width: int
    height: int
    arguments: Mapping[str, Any] = field(default_factory=dict)
    min_score: float = 0.1
    session: str = ""
    embeds: bool = True
    embedding_map: str = ""
    bundled: str = ""


@dataclass(frozen=True)
class Part:
    """A detector or an embedder: `make` is `module:function` of its name and the `Options`.

    `takes` are the options it heeds, `device` and `batch` aside, which mean something to all.
    """

    make: str
    takes: tuple[str, ...] = ()


_MODELS = "mottool.models"
_VIEWS = f"{_MODELS}.preprocessing"


def _fairmot(backbone: str, **arguments: Any) -> NetworkEntry:
    network = f"{_MODELS}.fairmot:FairMOT"
    arguments = {"backbone": backbone, **arguments}
    view = f"{_VIEWS}:Letterbox"
    return NetworkEntry(network, view, 1088, 608, arguments, embedding_map="identity")


def _anchors(stride: int) -> NetworkEntry:
    network = f"{_MODELS}.fairmot_anchors:FairMOTAnchors"
    view, finest = f"{_VIEWS}:Letterbox", f"embedding_{stride}"
    return NetworkEntry(network, view, 1088, 608, {"stride": stride}, embedding_map=finest)


def _jde(width: int, height: int) -> NetworkEntry:
    # Each size has its own anchors, which no file tells.
    size = {"size": (width, height)}
    network, view = f"{_MODELS}.jde:JDE", f"{_VIEWS}:ClampedLetterbox"
    return NetworkEntry(network, view, width, height, size, embedding_map="embedding_8")


def _cstrack(name: str) -> NetworkEntry:
    network = f"{_MODELS}.cstrack:CSTrack"
    view = f"{_VIEWS}:Letterbox"
    return NetworkEntry(network, view, 1088, 608, {"pipeline": name}, embedding_map="identity")


def _tdt(variant: str) -> NetworkEntry:
    network = f"{_MODELS}.tdt:TDT"
    view = f"{_VIEWS}:ImageNetLetterbox"
    return NetworkEntry(network, view, 1088, 608, {"variant": variant}, min_score=0.05)


NETWORKS = {
    "mottool-s": NetworkEntry(
        f"{_MODELS}.mottool_s:MottoolS",
        f"{_VIEWS}:SmoothLetterbox",
        640,
        384,
        min_score=0.05,
        embedding_map="identity",
        bundled="mottool-s.safetensors",
    ),
    "fairmot-dla34": _fairmot("dla34"),
    "fairmot-resnet34": _fairmot("resnet34"),
    "fairmot-resnet34-fpn": _fairmot("resnet34-fpn"),
    "fairmot-resnet50": _fairmot("resnet50"),
    "fairmot-hrnet18": _fairmot("hrnet18"),
    "fairmot-hrnet32": _fairmot("hrnet32"),
    "fairmot-yolov5s": _fairmot("yolov5s"),
    "fairmot-dla34-stride2": _fairmot("dla34-stride2"),
    "fairmot-dla34-stride8": _fairmot("dla34-stride8"),
    "fairmot-dla34-anchors4": _anchors(4),
    "fairmot-dla34-anchors8": _anchors(8),
    "fairmot-dla34-64d": _fairmot("dla34", embedding_size=64),
    "fairmot-dla34-256d": _fairmot("dla34", embedding_size=256),
    "fairmot-dla34-512d": _fairmot("dla34", embedding_size=512),
    "jde-1088x608": _jde(1088, 608),
    "jde-864x480": _jde(864, 480),
    "jde-576x320": _jde(576, 320),
    "cstrack": _cstrack("cstrack"),
    "cstrack-s": _cstrack("cstrack-s"),
    "outrack": NetworkEntry(
        f"{_MODELS}.outrack:OUTrack",
        f"{_VIEWS}:Letterbox",
        1088,
        608,
        embedding_map="identity",
    ),
    "otrack": NetworkEntry(
        f"{_MODELS}.otrack:OTrack",
        f"{_VIEWS}:CenterWarp",
        960,
        544,
        session=f"{_MODELS}.otrack:Recurrence",
        embeds=False,
    ),
    "tdt-r34": _tdt("tdt-r34"),
    "tdt-r50": _tdt("tdt-r50"),
    "tdt-mobilenet": _tdt("tdt-mobilenet"),
    "tdt-mobilenet-nofpn": _tdt("tdt-mobilenet-nofpn"),
}

_FROM_FILE = ("weights", "min_score", "input", "pixels", "person_class")
_TORCHVISION = Part(
    "mottool.pipelines.detectors.torchvision:detector",
    ("weights", "min_score", "input", "precision"),
)
_EXPORTED = Part("mottool.pipelines.detectors.exported:detector", _FROM_FILE)
_OSNET = Part("mottool.pipelines.embedders.osnet:embedder", ("embedder_weights", "precision"))

DETECTORS = {
    PUBLIC: Part(
        "mottool.pipelines.detectors.boxes_from_files:detector", ("detections", "score_scale")
    ),
    "gt": Part("mottool.pipelines.detectors.boxes_from_files:detector"),
    "fasterrcnn": _TORCHVISION,
    "retinanet": _TORCHVISION,
    "fcos": _TORCHVISION,
    "ssdlite": _TORCHVISION,
    "yolox": _EXPORTED,
    "onnx": _EXPORTED,
    "openvino": _EXPORTED,
}

EMBEDDERS = {
    "histogram": Part("mottool.pipelines.embedders.histogram:embedder"),
    "osnet_x1_0": _OSNET,
    "osnet_x0_75": _OSNET,
    "osnet_x0_5": _OSNET,
    "osnet_x0_25": _OSNET,
    "osnet_ibn_x1_0": _OSNET,
    "osnet_ain_x1_0": _OSNET,
    "reid": Part(
        "mottool.pipelines.embedders.exported:embedder", ("embedder_weights", "embedder_pixels")
    ),
}


def resolve(name: str) -> Any:
    """The object that `module:attribute` names."""
    module, attribute = name.split(":")
    return getattr(import_module(module), attribute)
