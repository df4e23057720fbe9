"""What a pipeline can be told beside its name: the flags of `detect-embed` and of `run`."""

from dataclasses import dataclass
from pathlib import Path

from mottool.errors import SettingError
from mottool.settings import Settings, setting

__all__ = ["STRIDE", "Options", "input_size"]

STRIDE = 32  # pixels: the coarsest level of every network that takes frames of any size


def input_size(text: str) -> tuple[int, int]:
    """Width and height of `WxH`, multiples of 32."""
    width, times, height = text.lower().partition("x")
    size = (int(width), int(height)) if width.isdecimal() and height.isdecimal() else (0, 0)
    if not (times and all(size)):
        raise SettingError(f"--input {text!r} is no size", "write it as WxH, such as 1088x608")
    if size[0] % STRIDE or size[1] % STRIDE:
        near = "x".join(str(max(round(side / STRIDE), 1) * STRIDE) for side in size)
        problem = f"--input {text} is not a multiple of {STRIDE} in width and height"
        raise SettingError(problem, f"give for example {near}")
    return size


@dataclass(frozen=True)
class Options(Settings):
    """How the parts of a pipeline are made; each part takes some of these, and refuses others."""

    weights: Path | None = setting(
        None,
        "The checkpoint of the network or detector, as its authors publish it or train leaves it; "
        "the .onnx or .xml file of yolox, onnx and openvino. Without it, the one that `mottool "
        "weights fetch` has downloaded; torchvision's detectors download theirs themselves.",
    )
    embedder_weights: Path | None = setting(
        None, "The checkpoint of the embedder; the .onnx or .xml file of reid."
    )
    detections: Path | None = setting(
        None,
        "Public detections: MOTChallenge's det.txt or DeepSORT's .npy (10 columns, then the "
        "embedding) of the one sequence, or a folder of <sequence>.txt or .npy. Without it, each "
        "sequence's own det/det.txt.",
    )
    score_scale: float | None = setting(
        None,
        "Public scores become 1/(1+exp(-score/SCALE)). Without it, that is done only where they "
        "are raw margins outside [0, 1], SCALE being the median magnitude in the file.",
        low=1e-9,
    )
    min_score: float | None = setting(
        None,
        "Detections of a network must score above it. Without it, the pipeline's own: 0.1, or "
        "0.05 with mottool-s and TDT.",
        low=0,
        high=1,
    )
    input: tuple[int, int] | None = setting(
        None,
        "The network's input in pixels, multiples of 32. Without it, the size that train trained "
        "it at, or that the network was published with.",
        parse=input_size,
        form="WxH",
    )
    pixels: str | None = setting(
        None,
        "What the file of yolox, onnx or openvino takes: bgr255 or rgb255 (0 to 255), rgb1 (0 to "
        "1), imagenet (that, normalised). Without it, bgr255; rgb1 with onnx.",
        choices=("bgr255", "rgb255", "rgb1", "imagenet"),
    )
    embedder_pixels: str | None = setting(
        None,
        "The same for the file of reid. Without it, bgr255 for .xml and imagenet for .onnx.",
        choices=("bgr255", "rgb255", "rgb1", "imagenet"),
    )
    person_class: int | None = setting(
        None,
        "The number of the class of people in the file of yolox, onnx or openvino. Without it, "
        "that of its kind of output: 1 where 0 is the background, else 0.",
        low=0,
    )
    occlusion_maps: bool = setting(
        False, "Keep the heatmaps of occlusion centres too, of networks that make them."
    )
    device: str = setting("auto", "Where networks run: auto, cpu, cuda or cuda:N.")
    precision: str = setting(
        "fp32",
        "The precision of networks from PyTorch checkpoints; files for other runtimes have their "
        "own.",
        choices=("fp32", "fp16", "bf16"),
    )
    batch: int = setting(1, "Frames in one call of a network.", low=1)
