"""Compare an embedder with the loop that it replaced, and TDT with and without people.

    python tests/benchmarks/embedders.py
    python tests/benchmarks/embedders.py osnet_x0_25 osnet_x1_0 --people 10 --people 50

For every number of people in a frame of 1920x1080 it prints milliseconds a frame: the former loop
over single frames (crops resized one by one, PyTorch's network as it is, 64 crops a call), then
`embed` with as many frames a call as the pipeline gives it, and the ratio of both; then TDT's
network with its decoder. The weights are random. All forms run in one process, alternately; a
figure is the minimum of the processor time of all threads, which other programs disturb least, or
with --wall of the time that passed.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import click
import numpy as np
import torch
from PIL import Image as Pictures

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from untrained import checkpoint, network

from mottool.models.device import Compute
from mottool.models.pixel_formats import IMAGENET_DEVIATION, IMAGENET_MEAN
from mottool.pipelines.embedders.osnet import VARIANTS, OSNet

SIZE = 1920, 1080
FORMER_BATCH = 64
TDT, TDT_SIZE, TDT_PEOPLE = "tdt-r34", (1088, 608), (0, 25, 50, 100)


def former_crop(image, box):
    """Cut a box out of an image, as the former loop."""
    height, width = image.shape[:2]
    left, top = np.floor(np.clip(box[:2], 0, [width, height])).astype(int)
    right, bottom = np.ceil(np.clip(box[2:], 0, [width, height])).astype(int)
    return image[top:bottom, left:right]


def former_resize(crop):
    """Resize a crop to (256, 128, 3), as the former loop."""
    picture = Pictures.fromarray(np.ascontiguousarray(crop[..., ::-1]))
    across = picture.resize((128, picture.height), Pictures.Resampling.BILINEAR)
    return np.asarray(across.resize((128, 256), Pictures.Resampling.BILINEAR))


@torch.inference_mode()
def former_embed(module, image, boxes):
    """Embed the boxes (n, 4) of an image as the former loop: (n, D)."""
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    crops = [former_resize(former_crop(image, box)) for box in boxes]
    parts = []
    for start in range(0, len(crops), FORMER_BATCH):
        stack = np.stack(crops[start : start + FORMER_BATCH])
        pixels = torch.from_numpy(stack).permute(0, 3, 1, 2)
        parts.append(module((pixels.float() / 255 - mean) / deviation).numpy())
    features = np.concatenate(parts)
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def made_frames(people: int, frames: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Draw frames of noise and boxes of people, 80 to 400 pixels tall."""
    draw = np.random.default_rng(people)
    images = [draw.integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8) for _ in range(frames)]
    boxes = []
    for _ in range(frames):
        height = draw.uniform(80, 400, people)
        corner = draw.uniform(0, 1, (people, 2)) * (SIZE[0] - 160, SIZE[1] - 400)
        boxes.append(np.c_[corner, corner + np.c_[0.4 * height, height]].astype(np.float32))
    return images, boxes


def alternately(
    forms: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Return the least milliseconds that each of the forms takes, run in turn."""
    for form in forms.values():
        form()  # the first call reserves memory
    times = {name: np.inf for name in forms}
    for _ in range(rounds):
        for name, form in forms.items():
            begun = clock()
            form()
            times[name] = min(times[name], 1000 * (clock() - begun))
    return times


def compare_embedder(name: str, people: list[int], rounds: int, clock: Callable[[], float]) -> None:
    """Print the cost of an embedder before and now."""
    with tempfile.TemporaryDirectory() as folder:
        embedder = OSNet(name, checkpoint(name, Path(folder)), Compute.named("cpu"))
    module = network(name).eval()
    module.classifier = torch.nn.Identity()
    print(f"{name:24}{'people':>8}{'former':>10}{'now':>10}{'ratio':>8}   ms a frame")
    for count in people:
        images, boxes = made_frames(count, embedder.frames)
        forms = {
            "former": lambda images=images, boxes=boxes: former_embed(module, images[0], boxes[0]),
            "now": lambda images=images, boxes=boxes: embedder.embed(images, boxes),
        }
        np.testing.assert_allclose(forms["former"](), forms["now"]()[0], atol=1e-4)
        times = alternately(forms, rounds, clock)
        now = times["now"] / len(images)
        figures = f"{times['former']:10.1f}{now:10.1f}{times['former'] / now:8.2f}"
        print(f"{'':24}{count:8}{figures}", flush=True)


@torch.inference_mode()
def compare_people(rounds: int, clock: Callable[[], float]) -> None:
    """Print the cost of TDT's network and decoder with people planted into its heads."""
    model = network(TDT).eval()
    images = torch.rand(1, 3, TDT_SIZE[1], TDT_SIZE[0])
    raw = model(images)

    def decode(count: int) -> None:
        heads = planted(raw, count)
        begun = clock()
        (decoded,) = model.decode(heads, 0.05)
        costs[count].append(1000 * (clock() - begun))
        assert len(decoded.boxes) > 0.9 * count

    costs: dict[int, list[float]] = {count: [] for count in TDT_PEOPLE}
    forms = {count: lambda count=count: decode(count) for count in TDT_PEOPLE}
    alternately(forms, 5 * rounds, clock)
    alone = alternately({0: lambda: model(images)}, rounds, clock)[0]
    least = {count: min(values) for count, values in costs.items()}
    print(f"{TDT:24}{'people':>8}{'network':>10}{'decode':>10}{'rise':>8}   ms a frame")
    for count, value in least.items():
        rise = 100 * (value - least[0]) / (alone + least[0])
        print(f"{'':24}{count:8}{alone:10.1f}{value:10.2f}{rise:7.1f}%", flush=True)


def planted(heads: dict[str, torch.Tensor], count: int) -> dict[str, torch.Tensor]:
    """Return TDT's heads with `count` people that do not overlap and no other detections."""
    draw = torch.Generator().manual_seed(count)
    rows = torch.randperm(heads["scores"].shape[1], generator=draw)[:count]
    scores = torch.full_like(heads["scores"], -20.0)
    scores[:, rows] = 5.0
    boxes = torch.zeros_like(heads["boxes"])
    boxes[..., 2:] = -3.0  # a twentieth of the anchor's sides
    return heads | {"scores": scores, "boxes": boxes}


@click.command()
@click.argument("names", nargs=-1, type=click.Choice([*VARIANTS, TDT]))
@click.option("--people", type=int, multiple=True, default=[10, 50, 150])
@click.option("--rounds", default=5, help="Measurements of each form.")
@click.option("--wall", is_flag=True, help="Measure elapsed instead of processor time.")
def main(names: tuple[str, ...], people: list[int], rounds: int, wall: bool) -> None:
    """Measure and print."""
    clock = perf_counter if wall else process_time
    for name in names or ("osnet_x0_25", TDT):
        if name == TDT:
            compare_people(rounds, clock)
        else:
            compare_embedder(name, list(people), rounds, clock)


if __name__ == "__main__":
    main()
