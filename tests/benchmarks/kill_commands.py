"""Kill every command again and again, and compare what the next run writes. Run it by hand:

    python tests/benchmarks/kill_commands.py [KILLS [SEED [COMMAND ...]]]

Each command runs once without interruption, in a forked process. Then it is killed (SIGKILL) before
each of its changes of the file system, then at random. After each kill, every file under its final
name must be complete; the next run must leave the bytes of the first. Clocks stand still for that.
"""

import os
import random
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "helpers")]

from benchmarks.kill_cache import content  # noqa: E402
from caches import HEADER, write  # noqa: E402
from figures import street  # noqa: E402
from footage import video  # noqa: E402
from forked import renew_threads  # noqa: E402
from recipe_project import RECIPE  # noqa: E402
from rowed import rowed_pair  # noqa: E402

from mottool.cli.main import main  # noqa: E402
from mottool.detections import Detections  # noqa: E402

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
OUT = Path("out")  # of every command, in the folder of its case


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


@dataclass
class Report:
    """What the kills of one command caused."""

    changes: int = 0  # of the file system, in a run without interruption
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


def run(name: str, folder: Path, kills: int, seed: int = 0) -> Report:
    """Kill a command before each change of the file system, then `kills` times in all."""
    case, report, draw = CASES[name], Report(), random.Random(seed)
    folder.mkdir()
    in_fork(folder, case.make)
    counted = folder / "changes"
    start = time.monotonic()
    assert run_command(case, folder, counted=counted) == 0, (folder / "log").read_text()
    seconds = time.monotonic() - start
    report.changes = int(counted.read_text())
    expected = files_of(folder)
    assert expected, f"{name} wrote nothing"

    def check(when: str) -> None:
        report.kills += 1
        report.wrong += [f"{name} {when}: {fault}" for fault in _incomplete(case, folder, expected)]

    def finish(when: str) -> None:
        if code := run_command(case, folder):
            log = (folder / "log").read_text().strip().splitlines()[-1:]
            report.wrong.append(f"{name} {when}: the next run ended with {code}: {log}")
        else:
            faults = _different(folder, expected)
            report.wrong += [f"{name} {when}: {fault}" for fault in faults]
        shutil.rmtree(folder / OUT, ignore_errors=True)

    shutil.rmtree(folder / OUT)
    for change in range(1, report.changes + 1):
        if run_command(case, folder, kill_at=change) == -signal.SIGKILL:
            check(f"before change {change}")
        finish(f"after a kill before change {change}")
    while report.kills < kills:
        for _ in range(draw.choice((1, 1, 1, 2))):
            moment = draw.uniform(0, seconds)
            if run_command(case, folder, kill_after=moment) == -signal.SIGKILL:
                check(f"after {moment:.3f} s")
        finish(f"after a kill after {moment:.3f} s")
    return report


def run_command(
    case: Case,
    folder: Path,
    kill_at: int = 0,
    kill_after: float | None = None,
    counted: Path | None = None,
    setup: Callable[[], object] = lambda: None,
) -> int:
    """Run the command of a case in a forked process; return its exit code, or minus a signal.

    It kills itself before change `kill_at` of the file system, or is killed after `kill_after`
    seconds. The number of changes is written to `counted`. `setup` runs first.
    """

    def target() -> None:
        setup()
        _stop_clocks()
        sys.argv = ["mottool", *case.arguments.split()]
        changes = _count_changes(folder, kill_at)
        try:
            main()
        finally:
            if counted:
                number = changes[0]
                counted.write_text(str(number))

    return in_fork(folder, target, kill_after)


def in_fork(folder: Path, target: Callable[[], object], kill_after: float | None = None) -> int:
    """Run a function in a forked process in `folder`; its output goes to the file `log` there."""
    sys.stdout.flush()
    process = os.fork()
    if process == 0:
        code = 1
        try:
            os.chdir(folder)
            log = os.open("log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.stdout = sys.stderr = os.fdopen(log, "w", buffering=1)  # pytest has its own
            renew_threads()
            target()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        except BaseException:  # also of a stage
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(process, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _stop_clocks() -> None:
    """Make every measured time 0 in this process."""

    def zero() -> float:
        return 0.0

    time.perf_counter = zero
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("mottool") and hasattr(
            module, "perf_counter"
        ):
            module.perf_counter = zero


def _count_changes(folder: Path, kill_at: int) -> list[int]:
    """Count the changes of the file system below `folder` in this process; die before one."""
    count, inside = [0], str(folder.resolve() / OUT)

    def change(path: object) -> None:
        if isinstance(path, bytes | str | os.PathLike) and os.path.abspath(
            os.fsdecode(path)
        ).startswith(inside):
            count[0] += 1
            if count[0] == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            if set(str(mode or "")) & set("wax+") or int(flags or 0) & WRITES:
                change(path)
        elif event in CHANGES:
            change(arguments[0])

    def before(function: Callable[..., object]) -> Callable[..., object]:
        def flush(*arguments: object) -> object:
            change(inside)
            return function(*arguments)

        return flush

    import h5py

    sys.addaudithook(hook)
    os.fsync = before(os.fsync)
    h5py.File.flush, h5py.File.close = before(h5py.File.flush), before(h5py.File.close)
    return count


def _paths(folder: Path) -> Iterator[Path]:
    """Yield the files of a run under their final names: no hidden files, no unfinished ones."""
    for path in sorted((folder / OUT).rglob("*")):
        parts = path.relative_to(folder / OUT).parts
        hidden = any(part.startswith(".") or part.endswith(".part") for part in parts)
        if path.is_file() and not hidden:
            yield path.relative_to(folder / OUT)


def files_of(folder: Path) -> dict[Path, bytes | dict[str, bytes]]:
    """Return the content of the files of a run; of HDF5, that of its datasets."""
    return {path: _content(folder / OUT / path) for path in _paths(folder)}


def _content(path: Path) -> bytes | dict[str, bytes]:
    if path.suffix == ".pt":
        import torch

        # Pickle writes a string that two entries share once; those of a file share other ones.
        return dict(_values(torch.load(path, weights_only=True)))
    return content(path) if path.suffix == ".h5" else path.read_bytes()


def _values(state: object, name: str = "") -> Iterator[tuple[str, bytes]]:
    """Yield the type and the bytes of every value of a checkpoint, by name, in order."""
    if isinstance(state, dict | list | tuple):
        items = state.items() if isinstance(state, dict) else enumerate(state)
        for key, value in items:
            yield from _values(value, f"{name}/{key!r}")
    else:
        array = getattr(state, "numpy", lambda: np.array(repr(state)))()
        yield name, f"{type(state)} {array.dtype} {array.shape} ".encode() + array.tobytes()


def _incomplete(
    case: Case, folder: Path, expected: dict[Path, bytes | dict[str, bytes]]
) -> list[str]:
    """Return the files under their final names that a killed run has left incomplete."""
    faults = []
    for path in _paths(folder):
        if any(path.match(pattern) for pattern in case.growing):
            continue
        try:
            same = path in expected and _content(folder / OUT / path) == expected[path]
        except (OSError, KeyError):  # of HDF5
            same = False
        if not same:
            faults.append(f"{path} is there but not complete")
    return faults


def _different(folder: Path, expected: dict[Path, bytes | dict[str, bytes]]) -> list[str]:
    """Return the files that differ from those of the run without interruption."""
    actual = files_of(folder)
    return [
        f"{path} differs" if path in actual and path in expected else f"{path} is missing or new"
        for path in sorted(actual.keys() | expected.keys())
        if actual.get(path) != expected.get(path)
    ]


def preload() -> None:
    """Import what the commands import, so that a forked process starts at once."""
    import matplotlib.pyplot  # noqa: F401
    import torch

    import mottool.stages.associate
    import mottool.stages.compare
    import mottool.stages.detect_embed
    import mottool.stages.distill_labels
    import mottool.stages.render
    import mottool.stages.train
    import mottool.stages.tune  # noqa: F401
    from mottool.drawing import plots, render  # noqa: F401
    from mottool.training import setup  # noqa: F401

    torch.set_num_threads(1)


if __name__ == "__main__":
    from narrow_backbone import use_narrow_backbone

    preload()
    use_narrow_backbone()
    kills, seed = (int(text) for text in [*sys.argv[1:3], *("1000", "0")[len(sys.argv) - 1 :]][:2])
    names = sys.argv[3:] or list(CASES)
    totals: Counter[str] = Counter()
    with TemporaryDirectory() as scratch:
        for name in names:
            start = time.monotonic()
            report = run(name, Path(scratch, name.replace(" ", "-")), kills // len(names), seed)
            totals += Counter(kills=report.kills, wrong=len(report.wrong))
            seconds = time.monotonic() - start
            print(
                f"{name}: {report.kills} kills, {report.changes} of them before each change, ",
                end="",
            )
            print(f"{len(report.wrong)} wrong, {seconds:.0f} s", *report.wrong[:20], sep="\n  ")
            sys.stdout.flush()
    print(f"{totals['kills']} kills, {totals['wrong']} wrong")
