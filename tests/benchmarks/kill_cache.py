"""Kill a writer of caches again and again and count what is lost. Run it by hand:

    python tests/benchmarks/kill_cache.py [KILLS [SEED [FRAMES]]]

A forked process writes a made-up sequence as fast as it can, and reports how many frames are
committed, after each commit. It is killed (SIGKILL) after a random time. Removing the shards takes
a thousandth of a run, so that one child in eight kills itself there, if it gets so far. Then the
shards, or the complete file, must contain at least the reported number of frames, with the right
values; the next child resumes. When the sequence is complete, its content must equal that of an
uninterrupted run.
`tests/cache/test_writer.py` does the same a dozen times.
"""

import os
import random
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from signal import SIGKILL
from tempfile import TemporaryDirectory
from typing import IO

import h5py
import numpy as np

from mottool.cache.hdf5 import open_file, shard_folder
from mottool.cache.layout import LAYOUT
from mottool.cache.shards import shard_files
from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections
from mottool.errors import MottoolError

SIZE = 128  # of the embeddings
REMOVING = 1 / 8  # share of the children that kill themselves while they remove shards
FIRST = 20  # frames without detections, so that the embedding size is not known at first


@cache
def made_up(number: int) -> Detections:
    """Return the detections of frame `number` (from 0): the same in every process."""
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
    """Return the header of a made-up sequence of so many frames."""
    settings = {"frames": frames, "name": "made up"}
    return Header("made-up", "kill+test", "/nowhere", "c0ffee", 1920, 1080, 29.97, "", settings)


def write(path: Path, frames: int, report: Callable[[int], None], overwrite: bool = False) -> None:
    """Start or resume the sequence and report the committed frames after each commit."""
    with CacheWriter(path, header(frames), overwrite) as writer:
        reported = writer.committed
        report(reported)
        for number in range(writer.committed, frames):
            writer.append(made_up(number), number / 29.97, (0.25, 0.5, number, 0))
            if writer.committed > reported:
                reported = writer.committed
                report(reported)
        writer.finish()


def content(path: Path) -> dict[str, bytes]:
    """Return every dataset's and attribute's type, shape and bytes, by name."""
    items: dict[str, bytes] = {}

    def visit(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if isinstance(item, h5py.Dataset):
            items[name] = f"{item.dtype} {item.shape} {item.chunks} ".encode() + item[:].tobytes()
        for key, value in item.attrs.items():
            items[f"{name}@{key}"] = f"{type(value)} {value!r}".encode()

    with h5py.File(path, "r") as file:
        visit("", file)
        file.visititems(visit)
    return items


@dataclass
class Report:
    """What the kills of one run caused."""

    kills: int = 0
    finished: int = 0
    phases: dict[str, int] = field(
        default_factory=lambda: {
            "writing a shard": 0,
            "merging": 0,
            "removing shards": 0,
            "at another time": 0,
        }
    )
    wrong: list[str] = field(default_factory=list)


def phase(path: Path) -> str:
    """Return what a killed writer was doing, judged by the files that it left."""
    folder = shard_folder(path)
    if path.exists():
        return "removing shards" if folder.exists() else "at another time"
    if (folder / f"{path.name}.tmp").exists():
        return "merging"
    return "writing a shard" if any(folder.glob("0*.tmp")) else "at another time"


def check(path: Path, committed: int, report: Report) -> None:
    """Compare what a killed writer has left with what it wrote: at least `committed` frames."""
    first = 0
    try:
        for file in [path] if path.exists() else shard_files(path):
            if not path.exists() and int(file.stem) != first:
                report.wrong.append(f"{file.name} follows frame {first}")
            opened, _, lengths = open_file(file, LAYOUT, shard=not path.exists())
            with opened:
                check_frames(opened, first, report)
            first += lengths["frames"]
    except MottoolError as error:
        report.wrong.append(str(error))
    if first < committed:
        report.wrong.append(f"{committed} frames were committed, {first} are there")


def check_frames(file: h5py.File, first: int, report: Report) -> None:
    """Compare all frames of a file with the made-up ones, beginning with frame `first`."""
    columns = {name: file[name][:] for name in ("boxes", "scores", "classes")}
    columns["occlusion_centres"] = file["occlusion/centres"][:]
    if "embeddings" in file:
        columns["embeddings"] = file["embeddings"][:].astype(np.float32)
    rows, centre_rows = file["frame_ptr"][:], file["occlusion/ptr"][:]
    for i in range(len(rows) - 1):
        expected = made_up(first + i)
        for name, values in columns.items():
            pointer = centre_rows if name == "occlusion_centres" else rows
            if not np.array_equal(values[pointer[i] : pointer[i + 1]], getattr(expected, name)):
                report.wrong.append(f"{name} of frame {first + i}")


def die_removing(path: Path, removals: int) -> None:
    """Kill this process at removal `removals` (from 0) in the shards' folder of a complete file."""
    folder, left = str(shard_folder(path)), [removals]

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event in {"os.remove", "os.rmdir"} and str(arguments[0]).startswith(folder):
            if path.exists() and (event == "os.rmdir" or not left[0]):
                os.kill(os.getpid(), SIGKILL)
            left[0] -= path.exists()

    sys.addaudithook(hook)


def fork_writer(path: Path, frames: int, removals: int) -> tuple[int, IO[str]]:
    """Fork a writer; return its process number and the file of its reports, a number a line.

    If `removals` is not negative, it kills itself as in `die_removing`.
    """
    read, send = os.pipe()
    process = os.fork()
    if process:
        os.close(send)
        return process, os.fdopen(read)
    try:
        if removals >= 0:
            die_removing(path, removals)
        write(path, frames, lambda committed: os.write(send, b"%d\n" % committed))
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def run(folder: Path, kills: int, seed: int, frames: int = 3000, longest: float = 0.25) -> Report:
    """Kill `kills` writers, each at most `longest` seconds after it has begun to write."""
    draw = random.Random(seed)
    report = Report()
    write(folder / "complete.h5", frames, lambda committed: None)
    expected = content(folder / "complete.h5")
    path = folder / "killed.h5"
    while report.kills < kills or not path.exists():
        if path.exists():
            # Shards that are left beside it must be a beginning that the next child can resume.
            report.finished += 1
            path.unlink()
        removals = (
            draw.randrange(frames // 50)
            if draw.random() < REMOVING and report.kills < kills
            else -1
        )
        process, output = fork_writer(path, frames, removals)
        with output:
            lines = [output.readline()]  # the file is open
            if report.kills < kills and removals < 0:
                time.sleep(draw.uniform(0, longest))
                os.kill(process, SIGKILL)
            lines += output.readlines()
        if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -SIGKILL:  # and not finished
            report.kills += 1
            report.phases[phase(path)] += 1
        check(path, max(int(line or 0) for line in lines), report)
        if path.exists() and content(path) != expected:
            report.wrong.append("the complete file differs from that of an uninterrupted run")
    report.finished += 1
    return report


if __name__ == "__main__":
    kills, seed, frames = map(int, [*sys.argv[1:], *("1000", "0", "3000")[len(sys.argv) - 1 :]])
    with TemporaryDirectory() as scratch:
        start = time.monotonic()
        report = run(Path(scratch), kills, seed, frames)
        print(f"{report.kills} kills in {time.monotonic() - start:.0f} s, seed {seed}")
        print(*(f"{count} {name}" for name, count in report.phases.items()), sep="\n")
        print(f"{report.finished} sequences finished, each compared to an uninterrupted run")
        print(f"{len(report.wrong)} losses", *report.wrong[:20], sep="\n  ")
