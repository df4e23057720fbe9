"""Measure the time per frame of each pipeline, with random weights. Run it by hand:

    python tests/benchmarks/networks.py --frames 8 fairmot-dla34 jde-576x320
    python tests/benchmarks/networks.py --device cuda --batch 1 --batch 8 --channels-last
    python tests/benchmarks/networks.py --people 10 --people 50 --people 100 tdt-r34

Without names it measures every network and every detector of torchvision. It prints milliseconds
a frame of 1920x1080 video without detections: the decoding of the video, the network with
its pre-processing and the decoding of the heads; then the sum of the last two, since video is
decoded in a thread of its own, and frames a second.

With --people it prints what that sum becomes as more people are in the frame: in a one-shot
network, which reads embeddings off a map (TDT finds at most 100 people), and in two stages, which
look at every person again.
"""

import sys
import tempfile
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import click
import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from footage import video
from untrained import checkpoint

from mottool.networks.registry import NETWORKS
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.detectors.torchvision import KINDS
from mottool.pipelines.embedders.osnet import VARIANTS
from mottool.pipelines.interfaces import FrameTimes, Pipeline
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences
from mottool.sources.prefetch import prefetch
from mottool.sources.sequence import Sequence

SIZE = 1920, 1080
WARM = 1  # calls before the clock counts
NO_DETECTION = 0.9  # a score that no untrained network reaches
ONE_SHOT, EMBEDDERS = ("fairmot-dla34", "tdt-r34"), ("osnet_x0_25", "osnet_x1_0")


def made(name: str, folder: Path, options: Options, channels_last: bool = False) -> Pipeline:
    """The pipeline with random weights."""
    files = dict.fromkeys(("weights", "embedder_weights"))
    for part, flag in zip(name.split("+"), files, strict=False):
        if part in NETWORKS or part in KINDS or part in VARIANTS:
            files[flag] = checkpoint(part, folder)
    pipeline = build_pipeline(name, replace(options, **files))
    if channels_last:
        for part in (pipeline, *(getattr(pipeline, key, None) for key in ("detector", "embedder"))):
            network = getattr(part, "network", None)
            if isinstance(network, torch.nn.Module):
                network.to(memory_format=torch.channels_last)
    return pipeline


def cost(pipeline: Pipeline, sequence: Sequence, calls: int) -> tuple[float, FrameTimes]:
    """Milliseconds a frame for decoding the video, and for each part of the pipeline."""
    running = pipeline.start(sequence, print)
    frames = prefetch(sequence.frames(), pipeline.batch)
    decode, parts = [], []
    for call in range(WARM + calls):
        batch = [next(frames) for _ in range(pipeline.batch)]
        result = list(running.detect([frame for frame, _ in batch]))
        if call >= WARM:
            decode += [seconds for _, seconds in batch]
            parts += [times for _, times in result]
    frames.close()
    return 1000 * float(np.mean(decode)), FrameTimes(*(1000 * np.mean(parts, axis=0)))


def table(
    names: Iterable[str],
    sequence: Sequence,
    folder: Path,
    options: list[Options],
    calls: int,
    layouts: list[bool],
) -> None:
    """Print a row for every pipeline, batch and memory layout."""
    heads = ("batch", "layout", "decode", "network", "heads", "sum", "frames/s")
    print(f"{'pipeline':32}" + "".join(f"{head:>10}" for head in heads))
    for name in names:
        for message in options:
            for channels_last in layouts:
                if name in NETWORKS and NETWORKS[name].family.session and message.batch > 1:
                    continue
                decode, times = cost(made(name, folder, message, channels_last), sequence, calls)
                layout = "last" if channels_last else "first"
                figures = "".join(
                    f"{value:10.1f}" for value in (decode, times.network, times.heads, sum(times))
                )
                print(f"{name:32}{message.batch:10}{layout:>10}{figures}{1000 / sum(times):10.1f}")


def with_people(pipeline: Pipeline, image: np.ndarray, count: int, calls: int) -> float:
    """Milliseconds a frame of a one-shot network in whose heads `count` people are planted.

    TDT (supplement C) reads embeddings at its detections, so their number matters; networks with a
    map of embeddings read a fixed number of cells, and nothing is planted.
    """
    network, view = pipeline.network, pipeline.preprocessor
    times = []
    for call in range(WARM + calls):
        begun = perf_counter()
        pixels = torch.from_numpy(view.image(image))[None].to(pipeline.compute.device)
        with torch.inference_mode(), pipeline.compute.autocast():
            heads = network.forward(pixels)
        if "anchors" in heads:
            draw = torch.Generator().manual_seed(count)
            rows = torch.randperm(heads["scores"].shape[1], generator=draw)[:count]
            heads["scores"] = torch.full_like(heads["scores"], -20.0)
            heads["scores"][:, rows] = 5.0
            heads["boxes"] = torch.zeros_like(heads["boxes"])
            heads["boxes"][..., 2:] = -3.0  # so small that they do not overlap
        pipeline.compute.wait()
        with torch.inference_mode():
            (decoded,) = network.decode(heads, pipeline.min_score)
        pipeline.compute.wait()
        if call >= WARM:
            times.append(1000 * (perf_counter() - begun))
        assert "anchors" not in heads or len(decoded.boxes) > 0.9 * min(count, 100)
    return float(np.median(times))


def crowds(
    names: Iterable[str],
    people: Iterable[int],
    sequence: Sequence,
    folder: Path,
    options: Options,
    calls: int,
) -> None:
    """Print how the cost grows with the people in the frame, for each one-shot network."""
    image = next(sequence.frames()).image
    plain = replace(options, min_score=None)  # public boxes have their scores already
    for name in names:
        titles = [name, *(f"{name}+{embedder}" for embedder in EMBEDDERS)]
        print("people" + "".join(f"{title:>32}" for title in titles) + "   ms a frame")
        one_shot = made(name, folder, replace(options, min_score=0.5))
        stages = [made(f"public+{embedder}", folder, plain).embedder for embedder in EMBEDDERS]
        for count in people:
            draw = np.random.default_rng(count)
            corner = draw.uniform(0, (SIZE[0] - 80, SIZE[1] - 200), (count, 2))
            boxes = np.c_[corner, corner + (80, 200)].astype(np.float32)
            row = [with_people(one_shot, image, count, calls)]
            for stage in stages:
                stage.embed([image], [boxes])
                begun = perf_counter()
                stage.embed([image], [boxes])
                row.append(row[0] + 1000 * (perf_counter() - begun))
            print(f"{count:6}" + "".join(f"{value:32.1f}" for value in row), flush=True)


@click.command()
@click.argument("names", nargs=-1)
@click.option("--device", default="auto", help="auto, cpu, cuda or cuda:N.")
@click.option("--precision", default="fp32", help="fp32, fp16 or bf16.")
@click.option("--batch", "batches", type=int, multiple=True, default=[1])
@click.option("--channels-last", is_flag=True, help="Measure that memory layout too.")
@click.option("--frames", "calls", default=5, help="Calls that are measured.")
@click.option("--people", type=int, multiple=True, help="People in the frame.")
def main(
    names: tuple[str, ...],
    device: str,
    precision: str,
    batches: tuple[int, ...],
    channels_last: bool,
    calls: int,
    people: tuple[int, ...],
) -> None:
    """Measure and print."""
    # Untrained networks give low scores.
    message = Options(device=device, precision=precision, min_score=NO_DETECTION)
    options = [replace(message, batch=batch) for batch in batches]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        length = max(batches) * (WARM + calls + 2)
        (sequence,) = find_sequences([video(folder / "made.mp4", length, size=SIZE)])
        if people:
            crowds(names or ONE_SHOT, people, sequence, folder, options[0], calls)
            return
        layouts = [False, True] if channels_last else [False]
        table(names or (*NETWORKS, *KINDS), sequence, folder, options, calls, layouts)


if __name__ == "__main__":
    main()
