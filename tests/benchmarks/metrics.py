"""How long CLEAR, Identity and HOTA take on a made crowd, ours and TrackEval's in one run.

    pip install trackeval
    OMP_NUM_THREADS=1 python tests/benchmarks/metrics.py [PEOPLE FRAMES]

Both start from boxes in memory, overlaps and MOTChallenge's rules included, and must give the
same figures; times are the best of several runs, in seconds of the processor.
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
    """Seconds of the quickest of several runs."""
    taken = []
    for _ in range(runs):
        began = time.process_time()
        job()
        taken.append(time.process_time() - began)
    return min(taken)


def main() -> None:
    """Print both times, their ratio, and the largest difference between the figures."""
    people, frames = map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (150, 600)
    scene, official = crowd(people, frames), Official()

    def ours() -> dict[str, float]:
        made = preprocess(scene.truth, scene.results, scene.length, scene.rules, "crowd")
        return score(made).figures()

    theirs, seconds = {}, []
    for _ in range(RUNS):
        theirs = official.score("crowd", scene)
        seconds.append(official.seconds)
    mine, reference = best(ours), min(seconds)
    figures = ours()
    apart = max(abs(figures[name] - theirs[name]) for name in figures)
    print(f"{people} people, {frames} frames: {len(scene.truth)} + {len(scene.results)} boxes")
    for name, taken in (("mottool", mine), ("trackeval", reference)):
        print(f"{name:10} {taken:7.3f} s  {taken / frames * 1000:6.3f} s per 1,000 frames")
    print(f"ratio      {reference / mine:7.1f}    largest difference of a figure {apart:.1e}")


if __name__ == "__main__":
    main()
