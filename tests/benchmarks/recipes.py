"""Time the plans of a recipe over many small made-up caches. Run it by hand:

    python tests/benchmarks/recipes.py [SEQUENCES [JOBS]]

It writes caches and ground truth of made-up sequences, tracks and scores them, and then measures:
a second run, in which nothing is stale, with and without the start of Python; and a run after one
setting of one of three trackers has changed, which must remake its results only.
"""

import subprocess
import sys
import time
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from tempfile import TemporaryDirectory

import numpy as np

from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections
from mottool.recipes.recipe import read_recipe
from mottool.recipes.run import RecipeRun
from mottool.workdir import WorkDir

FRAMES, PEOPLE = 10, 3
RECIPE = """
work = "work"
[[dataset]]
gt = "truth"
[[pipeline]]
name = "made"
caches = "caches"
[[tracker]]
tracker = "sort"
settings = {{ min_track_length = {length} }}
[[tracker]]
tracker = "bytetrack"
sweep = {{ track_thresh = [0.5, 0.6] }}
"""


def write_sequence(folder: Path, name: str, draw: np.random.Generator) -> None:
    """Write the cache and the ground truth of people who walk to the right."""
    header = Header(name, "made", f"/{name}.mp4", name, 640, 480, 25.0)
    start = draw.uniform(0, 400, (PEOPLE, 2))
    rows = []
    with CacheWriter(folder / "caches" / f"{name}.h5", header) as cache:
        for frame in range(FRAMES):
            corner = start + [4 * frame, 0]
            boxes = np.concatenate([corner, corner + [40, 100]], axis=1).astype(np.float32)
            scores, classes = np.full(PEOPLE, 0.9, np.float32), np.zeros(PEOPLE, np.uint16)
            cache.append(Detections(boxes, scores, classes), frame / 25, (0.01, 0.02, 0.0, 0.0))
            for person, (x, y) in enumerate(corner, 1):
                rows.append(f"{frame + 1},{person},{x:.2f},{y:.2f},40,100,1,1,1")
        cache.finish()
    (folder / "truth" / f"{name}.txt").write_text("\n".join(rows) + "\n")


def timed(recipe: Path, jobs: int) -> tuple[float, float, str]:
    """Run a recipe; return the elapsed seconds, those of the processor, and the output."""
    start, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "mottool", "run", str(recipe), "--jobs", str(jobs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = getrusage(RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, used, done.stdout


def planned(recipe: Path, work: Path) -> tuple[float, int]:
    """Return the processor seconds of a plan after all imports, and its number of results."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        run = RecipeRun(read_recipe(recipe), WorkDir(work), print, print)
        plan = run.plan()
        seconds.append(time.process_time() - start)
    assert not plan.stale
    return min(seconds), len(plan.results)


def times(work: Path) -> dict[Path, int]:
    """Return the time of modification of each result."""
    return {path: path.stat().st_mtime_ns for path in work.rglob("*.*") if path.is_file()}


def main(count: int, jobs: int) -> None:
    """Measure, and print a line for each run."""
    with TemporaryDirectory() as temporary:
        folder, draw = Path(temporary), np.random.default_rng(0)
        for name in ("caches", "truth"):
            (folder / name).mkdir()
        for number in range(count):
            write_sequence(folder, f"s{number:05}", draw)
        recipe, work = folder / "recipe.toml", folder / "work"
        recipe.write_text(RECIPE.format(length=1))
        elapsed, used, _ = timed(recipe, jobs)
        print(f"first run: {elapsed:.1f} s, {used:.1f} s of the processor, {jobs} jobs")
        before = times(work)
        elapsed, used, output = timed(recipe, jobs)
        assert times(work) == before, "a second run has written results"
        seconds, results = planned(recipe, work)
        print(
            f"nothing stale, {results} results: {elapsed:.2f} s, {used:.2f} s of the processor; "
            f"without start-up {seconds:.2f} s, {1000 * seconds / results:.3f} s per 1,000 results"
        )
        recipe.write_text(RECIPE.format(length=2 * FRAMES))
        elapsed, used, output = timed(recipe, jobs)
        changed = {path for path, at in times(work).items() if before.get(path) != at}
        folders = {path.parent.name for path in changed if path.suffix != ".html"}
        allowed = {"made.sort", "made.sort.settings", "comparison.settings", "work"}
        assert folders <= allowed, folders - allowed
        remade = sum(path.parent.name == "made.sort" for path in changed)
        assert remade == 2 * count, remade
        print(f"one setting changed: {remade} of {results} results remade in {elapsed:.1f} s")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]) if len(sys.argv) > 2 else (int((sys.argv + ["1000"])[1]), 2))
