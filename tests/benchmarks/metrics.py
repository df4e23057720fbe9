"""Compare the speed of CLEAR, Identity and HOTA on a generated crowd with TrackEval's.

    pip install trackeval
    OMP_NUM_THREADS=1 python tests/benchmarks/metrics.py [PEOPLE FRAMES]

Both start from boxes in memory, include overlaps and MOTChallenge's rules, and must give the same
metrics. Times are the best of several runs, in seconds of processor time.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

from official import Official
from scenes import crowd

from mottool.metrics.preprocess import preprocess
from mottool.metrics.tracking import score

RUNS = 5


def best(job: Callable[[], object], runs: int = RUNS) -> float:
    """Return the seconds of the fastest of several runs."""
    seconds = []
    for _ in range(runs):
        start = time.process_time()
        job()
        seconds.append(time.process_time() - start)
    return min(seconds)


def main() -> None:
    """Print both times, their ratio, and the largest difference between metrics."""
    people, frames = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (150, 600)
    scene, official = crowd(people, frames), Official()

    def ours() -> dict[str, float]:
        sequence = preprocess(scene.truth, scene.results, scene.length, scene.rules, "crowd")
        return score(sequence).metrics()

    theirs, seconds = {}, []
    for _ in range(RUNS):
        theirs = official.score("crowd", scene)
        seconds.append(official.seconds)
    mine, reference = best(ours), min(seconds)
    metrics = ours()
    difference = max(abs(metrics[name] - theirs[name]) for name in metrics)
    print(f"{people} people, {frames} frames: {len(scene.truth)} + {len(scene.results)} boxes")
    for name, time_s in (("mottool", mine), ("trackeval", reference)):
        print(f"{name:10} {time_s:7.3f} s  {time_s / frames * 1000:6.3f} s per 1,000 frames")
    print(f"ratio      {reference / mine:7.1f}    largest difference of a metric {difference:.1e}")


if __name__ == "__main__":
    main()
