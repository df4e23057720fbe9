"""The commands that `kill_commands.py` kills, with the inputs that each needs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from caches import HEADER, write
from figures import street
from footage import video
from recipe_project import RECIPE
from rowed import rowed_pair

from mottool.detections import Detections

__all__ = ["CASES", "Case", "make_checkpoint", "make_results", "make_rows", "make_street"]


@dataclass(frozen=True)
class Case:
    """A command with small inputs.

    `make` writes the inputs into the current folder, the command with `arguments` writes to `OUT`
    only. `growing` are patterns of files that are replaced or extended during a run, so that they
    may differ from the last ones after a kill.
    """

    arguments: str
    make: Callable[[], object]
    growing: tuple[str, ...] = ()


def make_rows(frames: int = 20, switch: int = 20) -> str:
    """Return rows of three people who walk, as ground truth, with new identities after `switch`."""
    rows = [
        f"{frame},{person + 3 * (frame > switch)},{20 * person + frame},{5 * person},12,30,1,1,1\n"
        for frame in range(1, frames + 1)
        for person in (1, 2, 3)
    ]
    return "".join(rows)


def make_detections(frame: int) -> Detections:
    """Return the people of `make_rows` in a frame, each with an embedding of its own."""
    left, top = 20 * np.arange(1, 4) + frame, 5 * np.arange(1, 4)
    boxes = np.stack([left, top, left + 12, top + 30], axis=1).astype(np.float32)
    scores, classes = np.full(3, 0.9, np.float32), np.zeros(3, np.uint16)
    return Detections(boxes, scores, classes, np.eye(3, 8, dtype=np.float32))


def make_results() -> None:
    """Write ground truth and results of two sequences, a video and a cache of each."""
    from dataclasses import replace

    for name in ("a", "b"):
        truth, result = Path("truth", name, "gt", "gt.txt"), Path("results", f"{name}.txt")
        for file, text in ((truth, make_rows()), (result, make_rows(switch=10))):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text if file is truth else text.replace(",1,1,1\n", ",0.9,-1,-1,-1\n"))
        Path("truth", name, "seqinfo.ini").write_text("[Sequence]\nseqLength=20\n")
        frames = [make_detections(frame) for frame in range(1, 21)]
        path = Path("caches", "pipe", f"{name}.h5")
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, frames, replace(HEADER, sequence=name, settings={}))
    video(Path("a.mp4"), 20)


def make_videos() -> None:
    """Write two videos of more than one block of a cache, and their public detections."""
    Path("boxes").mkdir()
    for name in ("a", "b"):
        video(Path(f"{name}.mp4"), 140)
        rows = (f"{frame},-1,10,8,20,30,0.9,-1,-1,-1\n" for frame in range(1, 141))
        Path("boxes", f"{name}.txt").write_text("".join(rows))


def make_checkpoint() -> None:
    """Write a checkpoint of a network with random weights, in its authors' layout."""
    from untrained import checkpoint

    checkpoint("fairmot-yolov5s", Path())


def make_recipe_of_videos() -> None:
    """Write a recipe of one pipeline and two trackers on a small data set, with videos."""
    make_street()
    Path("recipe.toml").write_text(
        '[[dataset]]\npath = "street"\n[[pipeline]]\npipeline = "public"\nembedder = "none"\n'
        '[[tracker]]\ntracker = "sort"\n[[tracker]]\ntracker = "bytetrack"\n'
        "[produce]\nvideos = true\n"
    )


def make_street() -> None:
    """Draw a small data set with public detections."""
    folder = street(Path("street"), frames=4, size=(96, 64))
    (folder / "det").mkdir()
    (folder / "det" / "det.txt").write_text(make_rows(4).replace(",1,1,1\n", ",0.9,-1,-1,-1\n"))


def make_recipe() -> None:
    """Write a recipe of three trackers, and two sequences of rows only."""
    rowed_pair(Path("data"))
    Path("r.toml").write_text(RECIPE)


CASES = {
    "detect-embed": Case(
        "detect-embed a.mp4 b.mp4 --pipeline public --detections boxes --embedder histogram "
        "--jobs 1 --work out",
        make_videos,
    ),
    "track": Case(
        "track a.mp4 --detections boxes --pipeline public --work out --render", make_videos
    ),
    "associate": Case("associate caches/pipe --tracker fairmot --jobs 1 --work out", make_results),
    "convert": Case("convert results --to motchallenge --out out/results", make_results),
    "convert to truth": Case("convert truth --out out/truth", make_results),
    "convert to trackeval": Case(
        "convert results --to trackeval --out out/trackeval/a", make_results
    ),
    "convert to cvat": Case("convert truth --to cvat --out out/cvat", make_results),
    "convert to server": Case("convert results --to server --out out/up.zip", make_results),
    "convert to coco": Case("convert truth --to coco --out out/truth.json", make_results),
    "evaluate": Case(
        "evaluate results --gt truth --csv out/scores.csv --markdown out/scores.md", make_results
    ),
    "compare": Case(
        "compare caches/pipe --gt truth --tracker sort --csv out/c.csv --html out/c.html "
        "--plots out/plots --markdown out/c.md",
        make_results,
    ),
    "run": Case(
        "run r.toml --jobs 1 --work out",
        make_recipe,
        growing=("comparison/*", "comparison.settings/*"),
    ),
    "render": Case("render a.mp4 --tracks results --work out", make_results),
    "render --switches": Case(
        "render a.mp4 --tracks results --gt truth --switches --work out", make_results
    ),
    "plot timelines": Case("plot timelines results --gt truth --work out", make_results),
    "plot hota": Case("plot hota results --gt truth --work out", make_results),
    "tune": Case(
        "tune caches/pipe/a.h5 caches/pipe/b.h5 --gt truth --tracker sort --trials 3 --jobs 1 "
        "--out out/tune",
        make_results,
        growing=("tune/trials.csv",),
    ),
    "distill-labels": Case(
        "distill-labels street --teacher histogram --out out/street.h5", make_street
    ),
    "train": Case(
        "train fairmot-yolov5s --data street --validate street --epochs 2 --batch 2 --input 64x64 "
        "--workers 0 --device cpu --out out/trained",
        make_street,
        growing=("trained/*",),
    ),
    "run with videos": Case("run recipe.toml --jobs 1 --work out", make_recipe_of_videos),
    "weights convert": Case(
        "weights convert fairmot-yolov5s.pth --pipeline fairmot-yolov5s --out out/w.safetensors",
        make_checkpoint,
    ),
}
