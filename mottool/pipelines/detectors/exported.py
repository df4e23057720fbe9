"""The detectors `yolox`, `onnx` and `openvino`: networks in ONNX files or OpenVINO IRs.

The name determines preprocessing, which no file contains. The format of the outputs is recognised
(`mottool.pipelines.detectors.output_reader`). All three read both kinds of file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from mottool.checkpoints.download import required_weights
from mottool.detections import PERSON, Detections
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.models.device import Compute
from mottool.models.exported import ExportedNetwork, open_exported, pixel_format
from mottool.models.preprocessing import CornerLetterbox, Preprocessor, Stretch
from mottool.pipelines.detectors.output_reader import OutputReader
from mottool.pipelines.interfaces import NO_SETTINGS, FrameTimes
from mottool.pipelines.options import Options
from mottool.pipelines.staged import PreparedFrame, Stages
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["KINDS", "DetectorSpec", "ExportedDetector", "detector"]

MIN_SCORE = 0.1
PEOPLE = ("person", "pedestrian", "people", "human")
# Tasks of Ultralytics whose outputs have the shapes of upright boxes, or none.
OTHER_TASKS = {"obb": "detects rotated boxes", "classify": "classifies whole images"}
MOST_SHOWN = 10  # classes in an error


@dataclass(frozen=True)
class DetectorSpec:
    """Preprocessing of a family of detectors.

    `pixels` is one of `models.pixel_formats.FORMS`. `width` and `height` are the input size in
    pixels if the file leaves it open.
    """

    preprocessor: Callable[[int, int, str], Preprocessor]
    pixels: str
    width: int
    height: int


KINDS = {
    "yolox": DetectorSpec(CornerLetterbox, "bgr255", 640, 640),
    "onnx": DetectorSpec(CornerLetterbox, "rgb1", 1088, 608),  # as PyTorch's detectors are exported
    "openvino": DetectorSpec(Stretch, "bgr255", 1088, 608),  # as in Open Model Zoo
}


def detector(name: str, options: Options) -> "ExportedDetector":
    """Build one of `KINDS`. Raises `SettingError` if its file or its runtime is missing."""
    weights = required_weights(name, options.weights, "--weights")
    compute = Compute.named(options.device)
    return ExportedDetector(name, open_exported(weights, compute), options)


class ExportedDetector:
    """A detector in an exported file; it processes frames one by one."""

    fitted: Mapping[str, Any] = {}
    weights_files: Mapping[str, str] = {}

    def __init__(self, name: str, network: ExportedNetwork, options: Options) -> None:
        """Create the detector `name`, one of `KINDS`."""
        spec = KINDS[name]
        self.name, self.network, self.weights = name, network, network.sha256
        self.batch = options.batch
        size = network.size(options.input, (spec.width, spec.height))
        pixels = pixel_format(network, options.pixels, spec.pixels)
        self.preprocessor = spec.preprocessor(*size, pixels)
        self.person = options.person_class
        if self.person is None and network.class_names:
            self.person = _person_class(network)
        self.output_format = options.detector_format
        self.min_score = MIN_SCORE if options.min_score is None else options.min_score
        self.settings: dict[str, Any] = {
            "input": f"{size[0]}x{size[1]}",
            "min_score": self.min_score,
            "pixels": pixels,
            "person_class": self.person,
        }
        if self.output_format:
            self.settings["output_format"] = self.output_format
        if problem := OTHER_TASKS.get(network.task):
            fix = "export a network that detects upright boxes, of the task detect, segment or pose"
            raise CheckpointError(f"{network.path} {problem}", fix)
        if network.shape[0] not in {0, 1}:
            fix = "export it for one image, or for any number of images"
            raise CheckpointError(f"{network.path} takes batches of {network.shape[0]} images", fix)

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> "ExportedRun":
        """Start a sequence. Raises `InputError` if it has no images."""
        if not sequence.has_images:
            fix = "add its frames, or track its public detections (--pipeline public)"
            raise InputError(f"{sequence.path} has no images for a network", fix)
        return ExportedRun(self, warn)


def _person_class(network: ExportedNetwork) -> int:
    """Return the class of people by its name in the file, or the only class.

    Raises `SettingError` if there are several and none has a name of people.
    """
    names = network.class_names
    people = [number for number, name in names.items() if name.strip().lower() in PEOPLE]
    if not people and len(names) > 1:
        shown = ", ".join(f"{number} {name}" for number, name in list(names.items())[:MOST_SHOWN])
        more = ", …" if len(names) > MOST_SHOWN else ""
        problem = f"{network.path} has no class of people: its classes are {shown}{more}"
        raise SettingError(problem, "choose the class to track with --person-class")
    return people[0] if people else next(iter(names))


class Inferred(NamedTuple):
    """The outputs of the network for a frame, the frame's width and height, and the seconds."""

    outputs: dict[str, npt.NDArray[Any]]
    size: tuple[int, int]
    seconds: float


class ExportedRun(Stages):
    """An exported detector processing one sequence."""

    needs_pixels = True
    needs_all_frames = False
    last_frame = 0

    def __init__(self, detector: ExportedDetector, warn: Callable[[str], None]) -> None:
        """Start with an unknown output format; `warn` receives the one that is recognised."""
        self.detector = detector
        self.settings = detector.settings
        size = detector.preprocessor.width, detector.preprocessor.height
        path = detector.network.path
        if name := detector.network.class_names.get(detector.person or 0):
            count = len(detector.network.class_names)
            warn(f"{path}: detects class {detector.person or 0} ({name}) of {count}")
        self.reader = OutputReader(
            size,
            detector.min_score,
            detector.person,
            detector.output_format,
            lambda message: warn(f"{path}: {message}"),
        )

    def prepare(self, frame: Frame) -> PreparedFrame:
        """Resize a frame to the network's input."""
        start = perf_counter()
        pixels = self.detector.preprocessor.image(frame.image)
        height, width = frame.image.shape[:2]
        return PreparedFrame(pixels, (width, height), perf_counter() - start)

    def infer(self, prepared: Sequence[PreparedFrame]) -> list[Inferred]:
        """Run the network on each frame."""
        inferred = []
        for frame in prepared:
            start = perf_counter()
            outputs = self.detector.network.run(frame.pixels[None])
            seconds = frame.seconds + perf_counter() - start
            inferred.append(Inferred(outputs, frame.size, seconds))
        return inferred

    def finish(self, inferred: Sequence[Inferred]) -> Iterator[tuple[Detections, FrameTimes]]:
        """Decode the people in each frame."""
        for outputs, size, seconds in inferred:
            start = perf_counter()
            try:
                people = self.reader.people(outputs)
            except CheckpointError as error:
                path = self.detector.network.path
                raise CheckpointError(f"{path}: {error.problem}", error.fix) from error
            detections = Detections(
                boxes=self.detector.preprocessor.to_frame(people.boxes, *size),
                scores=people.scores.clip(0, 1),
                classes=np.full(len(people.boxes), PERSON, np.uint16),
            )
            yield detections, FrameTimes(network=seconds, heads=perf_counter() - start)
