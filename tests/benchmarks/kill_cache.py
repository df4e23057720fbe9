"""Kills a writer of caches over and over and counts what is lost. Run it by hand:

    python tests/benchmarks/kill_cache.py [KILLS [SEED]]

A child process writes a made-up sequence as fast as it can, and tells through a pipe how many
frames are committed, after each commit. It is killed (SIGKILL) after a random time. Then the part
file must open, hold at least the frames that were told, and each of them with its right values;
the next child goes on with it. When the sequence is finished, its content must equal that of an
uninterrupted run. `tests/test_cache.py` does the same a dozen times.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory

import h5py
import numpy as np

from mottool.cache.reader import Cache
from mottool.cache.writer import CacheWriter, Header, part_of
from mottool.detections import Detections
from mottool.errors import MottoolError

SIZE = 128  # of the embeddings
FIRST = 20  # frames without anything, so that the embedding size is not known at first


def made_up(number: int) -> Detections:
    """The detections of frame `number` (from 0): the same in every process."""
    draw = np.random.default_rng(number)
    count = 0 if number < FIRST else int(draw.integers(0, 12))
    return Detections(
        draw.uniform(0, 1000, (count, 4)).astype(np.float32),
        draw.random(count, np.float32),
        draw.integers(0, 3, count).astype(np.uint16),
        draw.random((count, SIZE), np.float32).astype(np.float16).astype(np.float32),
        draw.uniform(0, 1, (number % 3, 3)).astype(np.float32),
    )


def header(frames: int) -> Header:
    """The header of a made-up sequence of so many frames."""
    settings = {"frames": frames, "name": "made up"}
    return Header("made-up", "kill+test", "/nowhere", "c0ffee", 1920, 1080, 29.97, "", settings)


def write(path: Path, frames: int, tell: Callable[[int], None]) -> None:
    """Write the sequence from where it stands and tell the committed frames after each commit."""
    with CacheWriter(path, header(frames)) as cache:
        told = cache.committed
        tell(told)
        for number in range(cache.committed, frames):
            cache.append(made_up(number), number / 29.97, (0.25, 0.5, number, 0))
            if cache.committed > told:
                told = cache.committed
                tell(told)
        cache.finish()


def content(path: Path) -> dict[str, bytes]:
    """Every dataset's and attribute's type, shape and bytes, by name."""
    found: dict[str, bytes] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = f"{item.dtype} {item.shape} {item.chunks} ".encode() + item[:].tobytes()
        for key, value in item.attrs.items():
            found[f"{name}@{key}"] = f"{type(value)} {value!r}".encode()

    with h5py.File(path, "r") as file:
        visit("", file)
        file.visititems(visit)
    return found


@dataclass
class Report:
    """What the kills of one run came to."""

    kills: int = 0
    finished: int = 0
    commits_cut_short: int = 0
    wrong: list[str] = field(default_factory=list)


def check(path: Path, told: int, report: Report) -> None:
    """Look at what a killed writer has left."""
    kept = path if path.exists() else part_of(path)
    if not kept.exists() or kept.stat().st_size == 0 and told == 0:
        return  # killed before the first commit
    journal = kept.with_name(kept.name + ".journal")
    report.commits_cut_short += journal.exists() and journal.stat().st_size > 0
    try:
        with Cache(kept, unfinished=True) as cache:
            if cache.frame_count < told:
                report.wrong.append(f"{told} committed, {cache.frame_count} there")
            for number, found in enumerate(cache.frames()):
                wanted = made_up(number)
                for name in ("boxes", "scores", "classes", "occlusion_centres"):
                    if not np.array_equal(getattr(found, name), getattr(wanted, name)):
                        report.wrong.append(f"{name} of frame {number}")
                if len(wanted) and not np.array_equal(found.embeddings, wanted.embeddings):
                    report.wrong.append(f"embeddings of frame {number}")
    except MottoolError as error:
        report.wrong.append(str(error))


def run(folder: Path, kills: int, seed: int, frames: int = 3000, longest: float = 0.25) -> Report:
    """Kill `kills` writers, each at most `longest` seconds after it has begun to write."""
    draw = random.Random(seed)
    report = Report()
    write(folder / "whole.h5", frames, lambda committed: None)
    wanted = content(folder / "whole.h5")
    path = folder / "killed.h5"
    while report.kills < kills or not path.exists():
        if path.exists():
            report.finished += 1
            path.unlink()
        child = subprocess.Popen(
            [sys.executable, __file__, "--child", str(path), str(frames)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        lines = [child.stdout.readline()]  # the file is open
        if report.kills < kills:
            time.sleep(draw.uniform(0, longest))
            child.kill()
        lines += child.stdout.readlines()
        report.kills += child.wait() == -SIGKILL  # and not done before the kill
        child.stdout.close()
        check(path, max(int(line or 0) for line in lines), report)
        if path.exists() and content(path) != wanted:
            report.wrong.append("the finished file differs from an uninterrupted run's")
    report.finished += 1
    return report


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        write(Path(sys.argv[2]), int(sys.argv[3]), lambda committed: print(committed, flush=True))
    else:
        kills, seed = map(int, [*sys.argv[1:], *("1000", "0")[len(sys.argv) - 1 :]])
        with TemporaryDirectory() as scratch:
            start = time.monotonic()
            told = run(Path(scratch), kills, seed)
            print(f"{told.kills} kills in {time.monotonic() - start:.0f} s, seed {seed}")
            print(f"{told.finished} sequences finished, each equal to an uninterrupted run's")
            print(f"{told.commits_cut_short} commits were cut short and completed by the journal")
            print(f"{len(told.wrong)} losses", *told.wrong[:20], sep="\n  ")
