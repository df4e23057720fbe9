"""How much memory the commands take on long videos. Run it by hand:

    python tests/benchmarks/memory.py [FRAMES ...]

Prints the peak resident memory of detect-embed, associate, render and evaluate, each in a process
of its own, on videos of 1,000, 10,000 and 100,000 frames (or FRAMES) with three people in each.
detect-embed runs with a made-up network, so that only decoding and writing take time.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

TESTS = Path(__file__).parents[1]
sys.path.insert(0, str(TESTS / "helpers"))
PEOPLE, SIZE = 3, 64  # in every frame; of their embeddings


class MadeUp:
    """A pipeline and its run: three people who walk to and fro, with embeddings of their own."""

    name, weights, weights_files, batch, fitted = "made-up", "", {}, 1, {}
    settings: dict[str, Any] = {}
    needs_pixels, needs_all_frames, last_frame = True, False, 0

    def start(self, sequence: object, warn: object, recorded: object = None) -> "MadeUp":
        """Start a sequence."""
        return self

    def detect(self, frames: Sequence[Any]) -> Iterator[tuple[Any, Any]]:
        """Detect the people in each frame."""
        import numpy as np

        from mottool.boxes import xyxy_from_tlwh
        from mottool.detections import Detections
        from mottool.pipelines.interfaces import FrameTimes

        for frame in frames:
            boxes = xyxy_from_tlwh(np.array(people(frame.number), np.float32))
            embeddings = np.eye(PEOPLE, SIZE, dtype=np.float32)
            scores, classes = np.full(PEOPLE, 0.9, np.float32), np.zeros(PEOPLE, np.uint16)
            yield Detections(boxes, scores, classes, embeddings), FrameTimes()


def people(frame: int) -> list[tuple[float, float, float, float]]:
    """Return left, top, width and height of everyone in a frame."""
    return [(20 * person + abs(frame % 20 - 10), 5 * person, 12, 30) for person in range(PEOPLE)]


def detect(film: str, out: str) -> None:
    """Write the cache of a film."""
    from mottool.sources.discovery import find_sequences
    from mottool.stages.detect_embed import run

    (sequence,) = find_sequences([film])
    run(sequence, Path(out), MadeUp())


def make_inputs(folder: Path, frames: int) -> None:
    """Write a film and the ground truth of its people."""
    from footage import video

    video(folder / "film.mp4", frames)
    (folder / "gt").mkdir()
    with (folder / "gt" / "film.txt").open("w") as file:
        for frame in range(1, frames + 1):
            for identity, (left, top, width, height) in enumerate(people(frame), 1):
                file.write(f"{frame},{identity},{left},{top},{width},{height},1,1,1\n")


def peak(*arguments: object) -> float:
    """Run Python with arguments and return its peak resident memory in MiB."""
    command = [sys.executable, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    process.stderr.close()
    assert process.returncode == 0, errors
    return usage.ru_maxrss / 1024


def measure(folder: Path, frames: int) -> dict[str, float]:
    """Return the peak memory of each command on a film of so many frames."""
    make_inputs(folder, frames)
    work, film, mottool = ("--work", folder / "work"), folder / "film.mp4", ("-m", "mottool")
    cache, tracks = folder / "work/caches/made-up/film.h5", folder / "work/tracks/made-up.fairmot"
    return {
        "detect-embed": peak(__file__, "--detect", film, cache),
        "associate": peak(*mottool, "associate", cache, "--tracker", "fairmot", *work),
        "render": peak(*mottool, "render", film, "--tracks", tracks, *work),
        "evaluate": peak(*mottool, "evaluate", tracks, "--gt", folder / "gt"),
    }


if __name__ == "__main__":
    if sys.argv[1:2] == ["--detect"]:
        detect(sys.argv[2], sys.argv[3])
    else:
        for frames in [int(text) for text in sys.argv[1:]] or [1000, 10_000, 100_000]:
            with TemporaryDirectory() as scratch:
                sizes = measure(Path(scratch), frames)
            columns = "".join(f"  {name} {size:.0f} MiB" for name, size in sizes.items())
            print(f"{frames:7} frames{columns}", flush=True)
