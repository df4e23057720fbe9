"""Measure the whole stage `detect-embed` against its network alone. Run it by hand:

    python tests/benchmarks/stage.py
    python tests/benchmarks/stage.py --video street.mp4 --milliseconds 30 --input 640x384
    python tests/benchmarks/stage.py --network mottool-s

The stage reads a video of 1920x1080, by default a made one. The network is a stand-in that takes a
given time: it sleeps, as while a GPU works, or it convolves on all cores. With --network it is a
real one with its bundled or downloaded weights. Network and stage are measured in turn, so that a
load on the machine concerns both; minima over the repeats are printed.

    ms alone      of a frame in the network alone
    ms stage      of a frame in the whole stage, from the video to the cache
    ratio         of the two
    CPU others    ms of processor time a frame that the stage spends beside the network
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import torch

from mottool.drawing.video_writer import video_writer
from mottool.models.device import Compute
from mottool.models.interfaces import Decoded
from mottool.models.preprocessing import Letterbox
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.one_shot import OneShotPipeline
from mottool.pipelines.options import Options, input_size
from mottool.sources.discovery import find_sequences

CRF = 23  # quality of the made video
CHANNELS = 32  # of the convolution
PEOPLE = 35  # detections a frame, with embeddings of 128 values


class StandIn:
    """A network that takes a given time; it detects the same people in every image."""

    stride = 4

    def __init__(self, seconds: float, convolves: bool) -> None:
        """Calibrate the number of convolutions that take `seconds` an image."""
        torch.manual_seed(0)
        self.seconds = seconds
        self.people = Decoded(
            torch.rand(PEOPLE, 4) * 100 + torch.tensor([0, 0, 100, 100]),
            torch.rand(PEOPLE),
            torch.zeros(PEOPLE, dtype=torch.int64),
            torch.nn.functional.normalize(torch.rand(PEOPLE, 128)),
        )
        self.rounds = 0
        if convolves:
            self.convolution = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
            self.features = torch.rand(1, CHANNELS, 96, 160)
            self.rounds = 1
            single = min(_seconds(lambda: self._convolve()) for _ in range(50))
            self.rounds = max(1, round(seconds / single))

    @torch.inference_mode()
    def _convolve(self) -> None:
        features = self.features
        for _ in range(self.rounds):
            features = self.convolution(features)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Take the time of the images."""
        for _ in images:
            if self.rounds:
                self._convolve()
            else:
                time.sleep(self.seconds)
        return {"images": images[:, :, :1, :1]}

    def decode(self, heads: dict[str, torch.Tensor], min_score: float) -> list[Decoded]:
        """Return the people."""
        return [self.people] * len(heads["images"])


def _seconds(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def moving_scene(path: Path, frames: int) -> Path:
    """Write a video of 1920x1080 with people who walk over a moving background."""
    draw = np.random.default_rng(0)
    small = draw.integers(0, 255, (160, 290, 3), np.uint8)
    ground = cv2.resize(small, (2320, 1280), interpolation=cv2.INTER_CUBIC)
    people = draw.uniform((0, 100, 30, -4), (1920, 800, 90, 4), (30, 4))

    with video_writer(path, 30.0, CRF) as writer:
        for number in range(frames):
            left, top = int(200 + 150 * np.sin(number / 40)), int(100 + 60 * np.cos(number / 50))
            picture = ground[top : top + 1080, left : left + 1920].copy()
            for index, (x, y, width, speed) in enumerate(people):
                first = int((x + speed * number) % 1920)
                rows = slice(int(y), int(y + 3 * width))
                picture[rows, first : first + int(width)] = (8 * index, 90, 255 - 8 * index)
            noise = draw.integers(0, 6, (1080, 1920, 1), np.uint8)
            writer.write(cv2.add(picture, np.repeat(noise, 3, 2)), number / 30)
    return path


def measure(
    title: str, pipeline: Any, sequence: Any, folder: Path, frames: int, repeats: int
) -> None:
    """Print a row: the network alone and the whole stage, in turn."""
    images = torch.zeros(1, 3, pipeline.preprocessor.height, pipeline.preprocessor.width)
    run = pipeline.start(sequence, print)  # in the runtime of the stage

    @torch.inference_mode()
    def network() -> None:
        for _ in range(frames):
            run.network.forward(images)

    def stage() -> None:
        detect_embed(sequence, folder / "cache.h5", pipeline, overwrite=True)

    rows = []
    network()
    for _ in range(repeats):
        row = []
        for call in (network, stage):
            cpu = time.process_time()
            row += [_seconds(call), time.process_time() - cpu]
        rows.append(row)
    alone, alone_cpu, whole, whole_cpu = 1000 * np.min(rows, axis=0) / frames
    ratio = min(row[2] / row[0] for row in rows)
    others = whole_cpu - alone_cpu
    print(f"{title:30}{alone:10.2f}{whole:10.2f}{ratio:8.3f}{others:12.2f}", flush=True)


@click.command()
@click.option("--video", type=click.Path(path_type=Path), help="Instead of a made one.")
@click.option("--frames", default=150, help="Of the made video.")
@click.option("--repeats", default=3)
@click.option("--milliseconds", "times", type=float, multiple=True, default=[30, 50, 100])
@click.option("--kind", "kinds", multiple=True, default=["sleep", "convolution"])
@click.option("--input", "size", default="640x384", help="Input of the stand-in.")
@click.option("--network", "networks", multiple=True, help="Real networks instead of stand-ins.")
def main(
    video: Path | None,
    frames: int,
    repeats: int,
    times: tuple[float, ...],
    kinds: tuple[str, ...],
    size: str,
    networks: tuple[str, ...],
) -> None:
    """Measure and print."""
    width, height = input_size(size)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (sequence,) = find_sequences([video or moving_scene(folder / "made.mp4", frames)])
        frames = sequence.count_frames()
        print(f"{'':30}{'ms alone':>10}{'ms stage':>10}{'ratio':>8}{'CPU others':>12}")
        for name in networks:
            pipeline = build_pipeline(name, Options())
            measure(name, pipeline, sequence, folder, frames, repeats)
        for kind in [] if networks else kinds:
            for milliseconds in times:
                network = StandIn(milliseconds / 1000, kind == "convolution")
                compute, letterbox = Compute(torch.device("cpu")), Letterbox(width, height)
                pipeline = OneShotPipeline("toy", network, "", letterbox, compute, 0.1, 1)
                title = f"{kind}, {milliseconds:g} ms"
                measure(title, pipeline, sequence, folder, frames, repeats)


if __name__ == "__main__":
    main()
