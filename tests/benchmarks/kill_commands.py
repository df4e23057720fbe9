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
from benchmarks.kill_cases import CASES, Case  # noqa: E402
from forked import renew_threads  # noqa: E402

from mottool.cli.main import main  # noqa: E402

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.truncate", "os.symlink"}
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
OUT = Path("out")  # of every command, in the folder of its case


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
