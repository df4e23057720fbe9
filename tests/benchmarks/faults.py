"""Kill local workers at random while they track and score made-up sequences. Run it by hand:

    python tests/benchmarks/faults.py [SEQUENCES [KILLS [SEED]]]

By default 1,000 short sequences go through `associate` and `evaluate` in two workers, of which 50
are killed (SIGKILL). The results must be there, and their bytes those of a run without kills, but
for the seconds that it took. `tests/engines/test_faults.py` does the same for a few sequences.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))

import numpy as np
from caches import HEADER, write

from mottool.detections import Detections
from mottool.engines.base import BaseEngine, InProcess
from mottool.engines.local import LocalProcesses
from mottool.engines.task import Task
from mottool.stages import associate, evaluate

PEOPLE, FRAMES = 5, 20


def make(folder: Path, sequences: int, frames: int = FRAMES, distinct: int = 20) -> None:
    """Write caches of walking people and their ground truth; they repeat after `distinct` ones."""
    for number in range(sequences):
        name = f"{number:05d}"
        cache, truth = folder / "caches" / f"{name}.h5", folder / "gt" / f"{name}.txt"
        cache.parent.mkdir(parents=True, exist_ok=True)
        truth.parent.mkdir(parents=True, exist_ok=True)
        if number < distinct:
            drawn = list(_people(number, frames))
            header = replace(HEADER, sequence=name, settings={})
            write(cache, [detections for detections, _ in drawn], header)
            truth.write_text("".join(rows for _, rows in drawn))
        else:
            model = f"{number % distinct:05d}"
            shutil.copy(folder / "caches" / f"{model}.h5", cache)
            shutil.copy(folder / "gt" / f"{model}.txt", truth)


def _people(seed: int, frames: int) -> Iterator[tuple[Detections, str]]:
    """Yield the detections of each frame, and its rows of ground truth."""
    draw = np.random.default_rng(seed)
    start, step = draw.uniform(0, 400, (PEOPLE, 2)), draw.uniform(-4, 4, (PEOPLE, 2))
    for frame in range(1, frames + 1):
        corners = start + frame * step + draw.normal(0, 1, (PEOPLE, 2))
        boxes = np.hstack([corners, corners + (30, 80)]).astype(np.float32)  # (PEOPLE, 4)
        scores, classes = np.full(PEOPLE, 0.9, np.float32), np.zeros(PEOPLE, np.uint16)
        rows = [
            f"{frame},{person},{x:.2f},{y:.2f},30,80,1,1,1\n"
            for person, (x, y) in enumerate(corners.tolist(), 1)
        ]
        yield Detections(boxes, scores, classes), "".join(rows)


def track(cache: Path, out: Path) -> Path:
    """Associate one cache."""
    return associate.run(cache, out, "sort")


def score(tracks: Path, truth: Path, out: Path) -> Path:
    """Score one result."""
    return evaluate.run([tracks], [truth], out)


def plan(folder: Path, out: Path) -> list[Task]:
    """Return two tasks for each cache: its tracks, then their scores."""
    tasks = []
    for cache in sorted((folder / "caches").iterdir()):
        tracks, scores = out / "tracks" / f"{cache.stem}.txt", out / "scores" / f"{cache.stem}.csv"
        truth = folder / "gt" / f"{cache.stem}.txt"
        tasks.append(Task(f"track {cache.stem}", track, (cache, tracks)))
        after = (tasks[-1].name,)
        tasks.append(Task(f"score {cache.stem}", score, (tracks, truth, scores), after))
    return tasks


def results(out: Path) -> dict[str, object]:
    """Return the content of all files of a run, without times and places, by name.

    Hidden files are left out: the temporary ones of killed processes.
    """
    content: dict[str, object] = {}
    for path in sorted(path for path in out.rglob("[!.]*") if path.is_file()):
        name = str(path.relative_to(out))
        if path.suffix == ".json":
            times = {"seconds": None, "processes": None, "record_sha256": None}
            content[name] = {**json.loads(path.read_text()), **times}
        elif path.suffix == ".csv":
            header, *rows = [line.split(",") for line in path.read_text().splitlines()]
            kept = [i for i, column in enumerate(header) if not column.startswith("FPS")]
            content[name] = [[row[i] for i in kept] for row in [header, *rows]]
        else:
            content[name] = path.read_bytes()
    return content


class Killer:
    """Kills a random worker of this process after random pauses, until it is stopped."""

    def __init__(self, kills: int, pause: float, seed: int) -> None:
        """Prepare `kills` kills with up to `pause` seconds between them."""
        self.kills = 0
        self._left, self._pause, self._draw = kills, pause, random.Random(seed)
        self._ended, self._thread = Event(), Thread(target=self._run)

    def _run(self) -> None:
        while self.kills < self._left:
            if self._ended.wait(self._draw.uniform(0, self._pause)):
                return
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            workers = [int(child) for child in children if _is_worker(child)]
            if workers:
                os.kill(self._draw.choice(workers), signal.SIGKILL)
                self.kills += 1

    def __enter__(self) -> "Killer":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()


def _is_worker(process: str) -> bool:
    try:
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def run(engine: BaseEngine, tasks: list[Task]) -> list[str]:
    """Run the tasks; return the errors."""
    return [
        f"{outcome.task.name}: {outcome.error}" for outcome in engine.run(tasks) if outcome.error
    ]


def compare(folder: Path, kills: int, seed: int, pause: float) -> tuple[int, list[str]]:
    """Run the sequences of a folder with and without kills; return the kills and what is wrong."""
    wrong = run(InProcess(), plan(folder, folder / "whole"))
    with LocalProcesses(2) as engine, Killer(kills, pause, seed) as killer:
        wrong += run(engine, plan(folder, folder / "killed"))
    expected, actual = results(folder / "whole"), results(folder / "killed")
    names = sorted(expected.keys() | actual.keys())
    wrong += [name for name in names if expected.get(name) != actual.get(name)]
    return killer.kills, wrong


if __name__ == "__main__":
    sequences, kills, seed = map(int, [*sys.argv[1:], *("1000", "50", "0")[len(sys.argv) - 1 :]])
    with TemporaryDirectory() as scratch:
        start = time.monotonic()
        make(Path(scratch), sequences)
        made = time.monotonic()
        killed, wrong = compare(Path(scratch), kills, seed, pause=float(os.environ.get("PAUSE", 1)))
        print(f"{sequences} sequences made in {made - start:.0f} s, run twice in ", end="")
        print(f"{time.monotonic() - made:.0f} s with {killed} kills of workers, seed {seed}")
        print(f"{len(wrong)} wrong", *wrong[:20], sep="\n  ")
