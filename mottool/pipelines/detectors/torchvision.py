"""The detectors `fasterrcnn`, `retinanet`, `fcos` and `ssdlite`: torchvision's, trained on COCO.

Ren et al., "Faster R-CNN", 2015; Lin et al., "Focal loss for dense object detection", 2017; Tian
et al., "FCOS", 2019; Sandler et al., "MobileNetV2", 2018, and Howard et al., "Searching for
MobileNetV3", 2019. Their weights are torchvision's, which downloads them when they are first used.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision.models import detection

from mottool.checkpoints.fitting import fit
from mottool.checkpoints.read import read
from mottool.detections import PERSON, Detections
from mottool.errors import CheckpointError, InputError
from mottool.models.device import Compute, DeviceTimer, SideStream, to_host, uploadable
from mottool.models.pixel_formats import normalised, planes
from mottool.pipelines.interfaces import NO_SETTINGS, FrameTimes
from mottool.pipelines.options import Options
from mottool.pipelines.staged import PreparedFrame, Stages
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["KINDS", "DetectorSpec", "TorchvisionDetector", "detector"]

CLASSES, COCO_PERSON = 91, 1
MIN_SCORE = 0.1
PIXELS = "rgb1"


@dataclass(frozen=True)
class DetectorSpec:
    """torchvision's names for a detector: of its builder, weights and score threshold."""

    build: str
    weights: str
    threshold: str = "score_thresh"


KINDS = {
    "fasterrcnn": DetectorSpec(
        "fasterrcnn_resnet50_fpn_v2", "FasterRCNN_ResNet50_FPN_V2_Weights", "box_score_thresh"
    ),
    "retinanet": DetectorSpec("retinanet_resnet50_fpn_v2", "RetinaNet_ResNet50_FPN_V2_Weights"),
    "fcos": DetectorSpec("fcos_resnet50_fpn", "FCOS_ResNet50_FPN_Weights"),
    "ssdlite": DetectorSpec(
        "ssdlite320_mobilenet_v3_large", "SSDLite320_MobileNet_V3_Large_Weights"
    ),
}


def detector(name: str, options: Options) -> "TorchvisionDetector":
    """Build one of `KINDS` with the weights of a file, by default torchvision's.

    Raises `CheckpointError` if the file does not fit or the download fails.
    """
    compute = Compute.named(options.device, options.precision)
    return TorchvisionDetector(name, options, compute)


class TorchvisionDetector:
    """A detector of torchvision; detections of other classes than people are dropped."""

    fitted: Mapping[str, Any] = {}
    weights_files: Mapping[str, str] = {}

    def __init__(self, name: str, options: Options, compute: Compute) -> None:
        """Create the detector `name`, one of `KINDS`, and load its weights."""
        spec = KINDS[name]
        self.name, self.batch, self.compute = name, options.batch, compute
        self.min_score = MIN_SCORE if options.min_score is None else options.min_score
        path = options.weights or _downloaded(name)
        checkpoint = read(path)
        network = getattr(detection, spec.build)(
            weights=None,
            weights_backbone=None,
            num_classes=CLASSES,
            **{spec.threshold: self.min_score},
        )
        try:
            fit(network, checkpoint.tensors, name)
        except CheckpointError as error:
            raise CheckpointError(f"{path}: {error.problem}", error.fix) from error
        self.weights = checkpoint.sha256
        self.network = network.eval().to(compute.device)
        self.decoding = SideStream(compute)
        if options.input:
            _resize(self.network.transform, options.input)
        self.settings: dict[str, Any] = {
            "input": "x".join(map(str, options.input)) if options.input else "torchvision's",
            "min_score": self.min_score,
            "precision": str(compute.dtype).removeprefix("torch."),
        }

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> "TorchvisionRun":
        """Start a sequence. Raises `InputError` if it has no images."""
        if not sequence.has_images:
            fix = "add its frames, or track its public detections (--pipeline public)"
            raise InputError(f"{sequence.path} has no images for a network", fix)
        return TorchvisionRun(self)


class Inferred(NamedTuple):
    """The results of a batch on the device, with its seconds and the network's timer."""

    results: list[dict[str, Tensor]]
    seconds: float
    timer: DeviceTimer


class TorchvisionRun(Stages):
    """A torchvision detector processing one sequence; torchvision resizes the frames."""

    needs_pixels = True
    needs_all_frames = False
    last_frame = 0

    def __init__(self, detector: TorchvisionDetector) -> None:
        self.detector = detector
        self.settings = detector.settings
        self._on_cpu = detector.compute.device.type == "cpu"

    def prepare(self, frame: Frame) -> PreparedFrame:
        """Convert the pixels of a frame; a GPU receives bytes."""
        start = perf_counter()
        image: npt.NDArray[Any] = frame.image
        pixels = planes(image, PIXELS) if self._on_cpu else uploadable(image)
        height, width = image.shape[:2]
        return PreparedFrame(pixels, (width, height), perf_counter() - start)

    @torch.inference_mode()
    def infer(self, prepared: Sequence[PreparedFrame]) -> Inferred:
        """Detect objects in a batch of frames with one call."""
        compute, seconds = self.detector.compute, sum(frame.seconds for frame in prepared)
        timer = DeviceTimer(compute)
        with compute.within_memory():
            images = [compute.upload([frame.pixels]) for frame in prepared]  # sizes may differ
            if not self._on_cpu:
                images = [normalised(image, PIXELS) for image in images]
            with compute.autocast():
                results = self.detector.network([image[0] for image in images])
        timer.stop()
        return Inferred(results, seconds, timer)

    @torch.inference_mode()
    def finish(self, inferred: Inferred) -> list[tuple[Detections, FrameTimes]]:
        """Select the people in a batch."""
        frames = len(inferred.results)
        network = (inferred.seconds + inferred.timer.seconds()) / frames
        start = perf_counter()
        values = [
            result[name] for result in inferred.results for name in ("boxes", "scores", "labels")
        ]
        with self.detector.decoding.entered():
            copies = iter(to_host(values))
        people = [self._people(*parts) for parts in zip(copies, copies, copies, strict=True)]
        times = FrameTimes(network=network, heads=(perf_counter() - start) / frames)
        return [(detections, times) for detections in people]

    def _people(self, boxes: Tensor, scores: Tensor, labels: Tensor) -> Detections:
        """Return the objects of an image that are people and score enough."""
        people = (labels == COCO_PERSON) & (scores > self.detector.min_score)
        classes = np.full(int(people.sum()), PERSON, np.uint16)
        return Detections(boxes[people].float().numpy(), scores[people].float().numpy(), classes)


def _downloaded(name: str) -> Path:
    """Return the path of torchvision's weights; download them if they are missing."""
    weights = getattr(detection, KINDS[name].weights).DEFAULT
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(weights.url).name
    if not path.is_file():
        try:
            weights.get_state_dict(progress=False, check_hash=True)
        except (OSError, RuntimeError) as error:  # no network, or another hash
            fix = f"download {weights.url} elsewhere and give the file with --weights"
            raise CheckpointError(
                f"the weights of {name} cannot be downloaded: {error}", fix
            ) from error
    return path


def _resize(transform: Any, size: tuple[int, int]) -> None:
    """Set torchvision's transform to fit frames into `size`, width and height."""
    if transform.fixed_size is not None:
        transform.fixed_size = size
    else:
        transform.min_size, transform.max_size = (min(size),), max(size)
