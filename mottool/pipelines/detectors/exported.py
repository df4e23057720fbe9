"""The detectors `yolox`, `onnx` and `openvino`: networks in ONNX files or OpenVINO IRs.

The name says how the network sees frames, which no file tells; what its outputs mean is told by
their shapes (`mottool.pipelines.detectors.output_formats`). Each of the three takes either kind of
file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from mottool.checkpoints.download import missing_weights_fix
from mottool.detections import PERSON, Detections
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.models.device import Compute
from mottool.models.exported import ExportedNetwork, open_exported
from mottool.models.preprocessing import CornerLetterbox, Preprocessor, Stretch
from mottool.pipelines.detectors.output_formats import read_people
from mottool.pipelines.interfaces import FrameTimes
from mottool.pipelines.options import Options
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["KINDS", "ExportedDetector", "Kind", "detector"]

MIN_SCORE = 0.1


@dataclass(frozen=True)
class Kind:
    """How a family of detectors sees frames.

    `pixels` is one of `models.pixels.FORMS`; `width` and `height` are the input's in pixels,
    where a file leaves them open.
    """

    view: Callable[[int, int, str], Preprocessor]
    pixels: str
    width: int
    height: int


KINDS = {
    "yolox": Kind(CornerLetterbox, "bgr255", 640, 640),
    "onnx": Kind(CornerLetterbox, "rgb1", 1088, 608),  # as PyTorch's detectors are exported
    "openvino": Kind(Stretch, "bgr255", 1088, 608),  # as Open Model Zoo has them
}


def detector(name: str, options: Options) -> "ExportedDetector":
    """One of `KINDS`; a `SettingError` without its file, or where its runtime is missing."""
    if options.weights is None:
        fix = missing_weights_fix(name, "--weights", "its .onnx or .xml file")
        raise SettingError(f"{name} needs its network", fix)
    compute = Compute.named(options.device)
    return ExportedDetector(name, open_exported(options.weights, compute), options)


class ExportedDetector:
    """A network from one frame to boxes; it takes frames one by one."""

    fitted: Mapping[str, Any] = {}

    def __init__(self, name: str, network: ExportedNetwork, options: Options) -> None:
        """`name` is one of `KINDS`. A `CheckpointError` if the outputs are of no known kind."""
        kind = KINDS[name]
        self.name, self.network, self.weights = name, network, network.sha256
        self.batch = options.batch
        size = network.size(options.input, (kind.width, kind.height))
        pixels = options.pixels or kind.pixels
        self.view = kind.view(*size, pixels)
        self.person = options.person_class
        self.min_score = MIN_SCORE if options.min_score is None else options.min_score
        self.settings: dict[str, Any] = {
            "input": f"{size[0]}x{size[1]}",
            "min_score": self.min_score,
            "pixels": pixels,
            "person_class": self.person,
        }
        if network.shape[0] not in {0, 1}:
            fix = "export it for one image, or for any number"
            raise CheckpointError(f"{network.path} takes {network.shape[0]} images at once", fix)

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "ExportedPass":
        """Begin a sequence; an `InputError` if it has no images."""
        if not sequence.has_images:
            fix = "add its frames, or track its public detections (--pipeline public)"
            raise InputError(f"{sequence.path} has no images for a network to see", fix)
        return ExportedPass(self)


class ExportedPass:
    """One sequence going through an exported detector."""

    needs_pixels = True
    replays = False

    def __init__(self, detector: ExportedDetector) -> None:
        self.detector = detector
        self.settings = detector.settings

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """The people in each frame."""
        detector = self.detector
        view = detector.view
        for frame in frames:
            height, width = frame.image.shape[:2]
            begun = perf_counter()
            outputs = detector.network.run(view.image(frame.image)[None])
            seen = perf_counter()
            try:
                size = (view.width, view.height)
                people = read_people(outputs, size, detector.min_score, detector.person)
            except CheckpointError as error:
                path = detector.network.path
                raise CheckpointError(f"{path}: {error.problem}", error.fix) from error
            found = Detections(
                boxes=view.to_frame(people.boxes, width, height),
                scores=people.scores.clip(0, 1),
                classes=np.full(len(people.boxes), PERSON, np.uint16),
            )
            yield found, FrameTimes(network=seen - begun, heads=perf_counter() - seen)
