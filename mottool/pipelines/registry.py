"""Detectors and embedders by name.

A pipeline is a network (`fairmot-dla34`), a detector without embeddings (`yolox`), or
`<detector>+<embedder>` (`yolox+osnet_x1_0`); a network can take either part.
"""

from dataclasses import dataclass

__all__ = ["AUTHORS_FILE", "DETECTORS", "EMBEDDERS", "PUBLIC", "PartEntry"]

PUBLIC = "public"
AUTHORS_FILE, PYTORCH_FILE = "its authors' file", "its authors' .pth"
EXPORTED_FILE = "its .onnx or .xml file"


@dataclass(frozen=True)
class PartEntry:
    """A detector or an embedder.

    `factory` is `module:function`, called with the name and the `Options`. `options` are the names
    of the options that it accepts beside `device` and `batch`, which apply to all. `needs_weights`
    describes the file of weights without which it is refused ("" if it can do without).
    """

    factory: str
    options: tuple[str, ...] = ()
    needs_weights: str = ""


_FROM_FILE = ("weights", "min_score", "input", "pixels", "person_class")
_TORCHVISION = PartEntry(
    "mottool.pipelines.detectors.torchvision:detector",
    ("weights", "min_score", "input", "precision"),
)
_EXPORTED = PartEntry("mottool.pipelines.detectors.exported:detector", _FROM_FILE, EXPORTED_FILE)
_FROM_PYTORCH = ("embedder_weights", "precision", "runtime")
_OSNET = PartEntry("mottool.pipelines.embedders.osnet:embedder", _FROM_PYTORCH, PYTORCH_FILE)

DETECTORS = {
    PUBLIC: PartEntry(
        "mottool.pipelines.detectors.boxes_from_files:detector", ("detections", "score_scale")
    ),
    "gt": PartEntry("mottool.pipelines.detectors.boxes_from_files:detector"),
    "fasterrcnn": _TORCHVISION,
    "retinanet": _TORCHVISION,
    "fcos": _TORCHVISION,
    "ssdlite": _TORCHVISION,
    "yolox": _EXPORTED,
    "onnx": _EXPORTED,
    "openvino": _EXPORTED,
}

EMBEDDERS = {
    "histogram": PartEntry("mottool.pipelines.embedders.histogram:embedder"),
    "osnet_x1_0": _OSNET,
    "osnet_x0_75": _OSNET,
    "osnet_x0_5": _OSNET,
    "osnet_x0_25": _OSNET,
    "osnet_ibn_x1_0": _OSNET,
    "osnet_ain_x1_0": _OSNET,
    "resnet50": PartEntry(
        "mottool.pipelines.embedders.resnet50:embedder", _FROM_PYTORCH, PYTORCH_FILE
    ),
    "reid": PartEntry(
        "mottool.pipelines.embedders.exported:embedder",
        ("embedder_weights", "embedder_pixels"),
        EXPORTED_FILE,
    ),
}
