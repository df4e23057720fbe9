"""How fast the trackers are, beside another package's, and whether they stay so. Run it by hand:

    python tests/benchmarks/association.py [LONG]

Prints, as frames per second of CPU time on one thread, association only, best of three passes:

- each tracker on the two reference streams (5 people a frame) and on a made-up crowd (150 people,
  600 frames, 128-d embeddings, 8 % missed, 5 % false);
- the trackers of the package `trackers` on the same boxes, if it is installed, and how many times
  as fast ours are;
- the first and the last 1,000 frames of a crowd over LONG frames (25,000 by default), which no
  tracker has seen the end of, with the slots of its tracklets and the memory of the process.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import resource
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from streams import Stream, crowd, reference

from mottool.association.settings import REGISTRY, SETTINGS

PASSES = 3
PEERS = ("SORTTracker", "ByteTrackTracker", "OCSORTTracker")
WINDOW = 1000  # frames of a long video over which its speed is taken


def ours(name: str, fps: float) -> Any:
    """A tracker of the registry with its published settings."""
    module, _, kind = REGISTRY[name].partition(":")
    return getattr(import_module(module), kind)(SETTINGS[name](), fps)


def frames_per_second(step: Callable[[Any], Any], frames: list[Any]) -> float:
    """Of one pass over the frames."""
    begun = process_time()
    for frame in frames:
        step(frame)
    return len(frames) / (process_time() - begun)


def best(make: Callable[[], Callable[[Any], Any]], frames: list[Any]) -> float:
    """Of several passes, each by a new tracker."""
    return max(frames_per_second(make(), frames) for _ in range(PASSES))


def long_run(name: str, length: int) -> None:
    """Print the speed at both ends of a long crowd."""
    tracker = ours(name, 30.0)
    speeds, window = [], []
    for detections in crowd(length):
        window.append(detections)
        if len(window) == WINDOW:
            speeds.append(frames_per_second(tracker.step, window))
            window.clear()
            if len(speeds) in {2, length // WINDOW}:
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(
                    f"{name:>10}: frames to {len(speeds) * WINDOW:>6,}: {speeds[-1]:6,.0f} f/s, "
                    f"{tracker._pool.capacity} slots, process at most {memory:.0f} MiB",
                    flush=True,
                )


def peers(streams: dict[str, Stream], speeds: dict[str, list[float]]) -> None:
    """Print the speed of the package `trackers`, and of ours as a multiple of it."""
    try:
        package, supervision = import_module("trackers"), import_module("supervision")
    except ImportError:
        print("no peer: `pip install trackers` for a comparison")
        return
    boxes = [
        [supervision.Detections(xyxy=each.boxes, confidence=each.scores) for each in stream.frames]
        for stream in streams.values()
    ]
    for name in PEERS:
        kind = getattr(package, name)
        row = [best(lambda kind=kind: kind().update, each) for each in boxes]
        print(f"{name:>18}", *(f"{speed:>15,.0f}" for speed in row))
        for mine, fast in speeds.items():
            ratios = (one / other for one, other in zip(fast, row, strict=True))
            print(f"{mine + ' to it':>18}", *(f"{f'{r:.1f}x':>15}" for r in ratios), flush=True)


def main() -> None:
    """Print the three tables."""
    streams = {sequence: reference(sequence) for sequence in ("PETS09-S2L1", "TUD-Stadtmitte")}
    streams["crowd of 150"] = Stream(list(crowd()), 30.0)
    print("frames/s".rjust(18), *(f"{title:>15}" for title in streams))
    speeds: dict[str, list[float]] = {}
    for name in REGISTRY:
        speeds[name] = [
            best(lambda name=name, fps=stream.fps: ours(name, fps).step, stream.frames)
            for stream in streams.values()
        ]
        print(f"{name:>18}", *(f"{speed:>15,.0f}" for speed in speeds[name]), flush=True)
    peers(streams, speeds)
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 25_000
    for name in REGISTRY:
        long_run(name, length)


if __name__ == "__main__":
    main()
