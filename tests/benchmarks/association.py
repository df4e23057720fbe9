"""How fast the trackers are, beside another package's, and whether they stay so. Run it by hand:

    python tests/benchmarks/association.py [LONG [TRACKER...]]

Prints, as frames per second of CPU time on one thread, association only, best of three passes:

- each tracker on the two reference streams (5 people a frame) and on a made-up crowd (150 people,
  600 frames, 128-d embeddings, 8 % missed, 5 % false), beside the least it should reach on one core
  of the machine that these bars were set on;
- the trackers of the package `trackers` on the same boxes, if it is installed, and how many times
  as fast ours are;
- the first and the last 1,000 frames of a crowd over LONG frames (25,000 by default), which no
  tracker has seen the end of, with the size of its pickled state and the memory of the process.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import pickle
import resource
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from time import process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from streams import Stream, crowd, reference

from mottool.association.registry import TRACKERS
from mottool.association.tracks import SequenceInfo

BARS = {  # frames a second on PETS09-S2L1 and on the crowd
    "sort": (6500, 1500),
    "bytetrack": (6500, 1500),
    "fairmot": (4500, 1200),
    "jde": (4500, 1200),
    "cstrack": (4500, 1200),
    "outrack": (3000, 800),
    "otrack": (0, 500),
    "deepsort": (3000, 500),
    "ocsort": (3000, 400),
    "deepocsort": (2000, 300),
}
PASSES = 3
PEERS = ("SORTTracker", "ByteTrackTracker", "OCSORTTracker")
CROWD = SequenceInfo(30.0, 1920, 1080)
WINDOW = 1000  # frames of a long video over which its speed is taken


def ours(name: str, video: SequenceInfo) -> Any:
    """A tracker of the registry with its published settings."""
    entry = TRACKERS[name]
    return entry.load()(entry.settings(), video)


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
    tracker = ours(name, CROWD)
    speeds, window = [], []
    for detections in crowd(length):
        window.append(detections)
        if len(window) == WINDOW:
            speeds.append(frames_per_second(tracker.update, window))
            window.clear()
            if len(speeds) in {2, length // WINDOW}:
                memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(
                    f"{name:>10}: frames to {len(speeds) * WINDOW:>6,}: {speeds[-1]:6,.0f} f/s, "
                    f"state {len(pickle.dumps(tracker)) / 2**20:.1f} MiB, "
                    f"process at most {memory:.0f} MiB",
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
    length = int(sys.argv[1]) if len(sys.argv) > 1 else 25_000
    names = sys.argv[2:] or list(TRACKERS)
    streams = {sequence: reference(sequence) for sequence in ("PETS09-S2L1", "TUD-Stadtmitte")}
    streams["crowd of 150"] = Stream(list(crowd()), CROWD)
    print("frames/s".rjust(18), *(f"{title:>15}" for title in streams), "   (bars: first, last)")
    speeds: dict[str, list[float]] = {}
    for name in names:
        # Public detections have no offsets for otrack.
        speeds[name] = [
            best(lambda name=name, video=each.video: ours(name, video).update, each.frames)
            if name != "otrack" or each.frames[0].offsets is not None
            else float("nan")
            for each in streams.values()
        ]
        bars = " ".join(f"{bar:,}" for bar in BARS.get(name, ()))
        message = (f"{each:>15,.0f}" for each in speeds[name])
        print(f"{name:>18}", *message, f"   {bars}", flush=True)
    peers(streams, speeds)
    for name in names:
        long_run(name, length)


if __name__ == "__main__":
    main()
