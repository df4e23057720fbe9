"""Options of pipelines: flags of `detect-embed` and of the commands that run networks."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mottool.errors import SettingError
from mottool.networks.registry import families
from mottool.runtimes.registry import AUTO, RUNTIMES, VARIABLE, runtimes_help
from mottool.settings import Settings, setting

__all__ = [
    "AUTO_BATCH",
    "STRIDE",
    "Options",
    "batch_size",
    "device_setting",
    "input_size",
    "runtime_setting",
]

# The keys of `detectors.output_formats.OUTPUT_FORMATS`, which imports torch.
DETECTOR_FORMATS = (
    *("end-to-end", "image-rows", "detr-rows", "yolox", "yolov8", "yolov8-rows", "yolov5", "ssd"),
    *("efficient-nms", "deepstream"),
    *("scored-boxes", "boxes-scores", "detr", "boxes-class-scores", "boxes-scores-classes"),
)
AUTO_BATCH = 0  # frames per call, to be measured
STRIDE = 32  # pixels, of the coarsest level of networks with a free input size


def input_size(text: str) -> tuple[int, int]:
    """Parse `WxH` into width and height, multiples of 32."""
    width, times, height = text.lower().partition("x")
    size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (0, 0)
    if not (times and all(size)):
        raise SettingError(f"--input {text!r} is not a size", "write it as WxH, such as 1088x608")
    if size[0] % STRIDE or size[1] % STRIDE:
        near = "x".join(str(max(round(side / STRIDE), 1) * STRIDE) for side in size)
        problem = f"--input {text} is not a multiple of {STRIDE} in width and height"
        raise SettingError(problem, f"give for example {near}")
    return size


def batch_size(text: str) -> int:
    """Parse a number of frames, or `auto` as `AUTO_BATCH`; `ValueError` for other texts."""
    if text.lower() == "auto":
        return AUTO_BATCH
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def device_setting() -> Any:
    """Declare the device of networks, which `models.device.Compute` parses."""
    return setting(
        "auto",
        "Device of networks: auto (the first CUDA device, or else cpu), cpu, cuda, cuda:1 (or 1 "
        "for short), or mps.",
    )


def runtime_setting() -> Any:
    """Declare what computes networks, which `runtimes.choice.Runtimes` opens."""
    return setting(
        AUTO,
        f"What computes networks from PyTorch checkpoints: {runtimes_help()}. auto "
        f"stands for ${VARIABLE}, or else for the one that is the fastest on this machine, by a "
        "measurement that is made once, when a run has 300 frames; until then it is torch.",
        choices=(AUTO, *RUNTIMES),
    )


def _min_scores() -> str:
    """Return the default score thresholds of networks and detectors for the help text."""
    others = {family.title: family.min_score for family in families()}
    different = [f"{score:g} with {title}" for title, score in others.items() if score != 0.1]
    return ", ".join(["0.1", *different])


SCORES = _min_scores()


@dataclass(frozen=True)
class Options(Settings):
    """Options of the parts of a pipeline; each part accepts some of them and refuses the others."""

    weights: Path | None = setting(
        None,
        "Checkpoint of the network or detector, as published by its authors or written by train; "
        "the .onnx or .xml file of yolox, onnx and openvino. By default the one downloaded by "
        "`mottool weights fetch`; torchvision's detectors download theirs themselves.",
    )
    embedder_weights: Path | None = setting(
        None, "Checkpoint of the embedder; the .onnx or .xml file of reid."
    )
    detections: Path | None = setting(
        None,
        "Public detections: MOTChallenge's det.txt or DeepSORT's .npy (10 columns, then the "
        "embedding) of the only sequence, or a folder of <sequence>.txt or .npy. By default each "
        "sequence's det/det.txt.",
    )
    score_scale: float | None = setting(
        None,
        "Convert public scores to 1/(1+exp(-score/SCALE)). By default only raw margins outside "
        "[0, 1] are converted, with the median magnitude of the file as SCALE.",
        low=1e-9,
    )
    min_score: float | None = setting(
        None,
        f"Keep only detections that score above this. By default that of the pipeline: {SCORES}.",
        low=0,
        high=1,
    )
    input: tuple[int, int] | None = setting(
        None,
        "Input size of the network in pixels, multiples of 32. By default the size at which the "
        "weights were trained, or that the network was published with.",
        parse=input_size,
        form="WxH",
    )
    pixels: str | None = setting(
        None,
        "Pixel format of the file of yolox, onnx or openvino: bgr255 or rgb255 (0 to 255), rgb1 (0 "
        "to 1), imagenet (rgb1, normalised). By default bgr255, or with onnx rgb1, for a file that "
        "takes bytes rgb255.",
        choices=("bgr255", "rgb255", "rgb1", "imagenet"),
    )
    embedder_pixels: str | None = setting(
        None,
        "Pixel format of the file of reid. By default bgr255 for .xml and imagenet for .onnx.",
        choices=("bgr255", "rgb255", "rgb1", "imagenet"),
    )
    person_class: int | None = setting(
        None,
        "Class number of people in the file of yolox, onnx or openvino. By default that of the "
        "class named person in an ONNX file of Ultralytics, else 1 for output formats with a "
        "background class 0, else 0.",
        low=0,
    )
    detector_format: str | None = setting(
        None,
        "Output format of the file of yolox, onnx or openvino. By default it is recognised by "
        "names, shapes and values.",
        choices=DETECTOR_FORMATS,
    )
    embed_min_score: float | None = setting(
        None,
        "Boxes that score below this are not embedded, which saves time if the tracker matches "
        "them by position only, as botsort-reid below --track-high-thresh. By default all are.",
        low=0,
        high=1,
    )
    occlusion_maps: bool = setting(
        False, "Also keep the heatmaps of occlusion centres, if the network predicts them."
    )
    device: str = device_setting()
    precision: str = setting(
        "fp32",
        "Precision of networks from PyTorch checkpoints; files for other runtimes have a fixed "
        "precision. bf16 is faster on CPUs with units for it (AMX, avx512_bf16), above all with "
        "--runtime openvino, and much slower on others.",
        choices=("fp32", "fp16", "bf16"),
    )
    runtime: str = runtime_setting()
    batch: int = setting(
        1,
        "Frames per call of a network, or auto: on a GPU the number that is fastest and fits its "
        "memory, by measurement; 1 on the CPU, where more are not faster.",
        low=AUTO_BATCH,
        high=1024,
        parse=batch_size,
        form="N|auto",
    )
