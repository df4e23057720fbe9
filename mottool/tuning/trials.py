"""Run the trials of a search, keep them on disk, and write the best as a settings file.

The folder of a search has `search.json`, the search itself; `trials.csv`, a line per trial, written
as soon as the trial ends; and, made from them, `best.toml` for `mottool associate --settings` and
`trials.png`.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomli_w

from mottool.engines.local import result, submit
from mottool.errors import InputError, SettingError, writing
from mottool.files import atomic_write
from mottool.tuning.objective import FIGURES, Objective
from mottool.tuning.search_space import Axis, Point, SettingsClasses, parse_value

if TYPE_CHECKING:
    from mottool.tuning.samplers import Sampler

__all__ = ["Trial", "Trials", "describe_best", "run_trials", "search_plan", "write_best"]


@dataclass(frozen=True)
class Trial:
    """A point and its metrics; trials are numbered from 0."""

    number: int
    point: Point
    figures: dict[str, float]


class Trials:
    """The trials of one search, on disk; an interrupted search resumes from them."""

    def __init__(
        self,
        folder: Path,
        plan: Mapping[str, Any],
        space: tuple[Axis, ...],
        settings_classes: SettingsClasses,
        overwrite: bool = False,
    ) -> None:
        """Open or start the search over `space` in `folder`; `plan` (of `search_plan`) defines it.

        Raises `SettingError` if the folder holds another search, unless `overwrite` removes it, and
        `InputError` if its trials cannot be read.
        """
        self.path = folder / "trials.csv"
        self._names = [axis.name for axis in space]
        self._columns = ["trial", *self._names, *FIGURES]
        self._settings_classes = settings_classes
        self.done: dict[int, Trial] = {}
        plan_path = folder / "search.json"
        if plan_path.exists() and not overwrite and not self._is_empty():
            _check_same_search(plan_path, plan)
            self._read()
            return
        with writing(self.path):
            self.path.unlink(missing_ok=True)
        with atomic_write(plan_path) as part:
            part.write_text(json.dumps(plan, indent=2, default=dict) + "\n")
        with atomic_write(self.path) as part:
            part.write_text(_line(self._columns))

    def add(self, trial: Trial) -> None:
        """Append a trial; if the process is killed meanwhile, earlier trials remain intact."""
        self.done[trial.number] = trial
        with writing(self.path):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, _line(self._cells(trial)).encode())
                os.fsync(file)
            finally:
                os.close(file)

    def sort(self) -> None:
        """Rewrite the trials in the order of their numbers; parallel trials end in any order."""
        with atomic_write(self.path) as part:
            lines = [self._cells(self.done[number]) for number in sorted(self.done)]
            part.write_text("".join(map(_line, [self._columns, *lines])))

    def best(self, objective: str) -> Trial:
        """Return the trial with the highest `objective`, the first of equals."""
        return max(self.done.values(), key=lambda trial: (trial.figures[objective], -trial.number))

    def _is_empty(self) -> bool:
        """Return whether the folder's search was stopped before its first trial ended."""
        if not self.path.exists():  # stopped after `search.json` was written
            return True
        text = self.path.read_bytes()
        return text.startswith(b"trial,") and text.count(b"\n") == 1

    def _cells(self, trial: Trial) -> list[Any]:
        metrics = [trial.figures[name] for name in FIGURES]
        return [trial.number, *(_text(trial.point[name]) for name in self._names), *metrics]

    def _read(self) -> None:
        """Read the trials; cut off an incomplete last line, which a killed process has left."""
        fix = "run the search again with --overwrite, or give another folder with --out"
        try:
            complete = self.path.read_bytes().rpartition(b"\n")[0]
            header, *lines = csv.reader(io.StringIO(complete.decode()))
            if header != self._columns:
                raise ValueError(header)
            for line in lines:
                cells = dict(zip(self._columns, line, strict=True))
                point = {
                    name: parse_value(self._settings_classes, name, cells[name])
                    for name in self._names
                }
                metrics = {name: json.loads(cells[name]) for name in FIGURES}
                number = int(cells["trial"])
                self.done[number] = Trial(number, point, metrics)
        except (OSError, ValueError, SettingError) as error:
            problem = f"{self.path} is not a list of this search's trials"
            raise InputError(problem, fix) from error
        with writing(self.path):
            os.truncate(self.path, len(complete) + 1)


def search_plan(
    tracker: str,
    space: tuple[Axis, ...],
    fixed: Point,
    config: Mapping[str, Any],
    headers: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what defines a search, for `search.json`; a resumed search must have the same.

    `config` are the settings of `tune`, and `headers` those of the caches by sequence.
    """
    plan = {
        "tracker": tracker,
        "search": [str(axis) for axis in space],
        "set": fixed,
        "method": config["method"],
        "seed": config["seed"],
        "rules": config["rules"],
        "caches": headers,
    }
    # Other methods suggest the same points for every objective.
    return plan | ({"objective": config["objective"]} if config["method"] == "optuna" else {})


def _check_same_search(path: Path, plan: Mapping[str, Any]) -> None:
    """Raise `SettingError` for another search in `path`; name the first entry that differs."""
    fix = "give another folder with --out, or remove the old search with --overwrite"
    try:
        old = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read", fix) from error
    new = json.loads(json.dumps(plan, default=dict))
    for key in new:
        if old.get(key) != new[key]:
            raise SettingError(f"{path.parent} holds a search with another {key}", fix)


def run_trials(
    trials: Trials,
    sampler: Sampler,
    score: Objective,
    objective: str,
    count: int,
    engine: Executor,
    jobs: int,
) -> Iterator[Trial]:
    """Run the trials up to `count` that are not done yet; yield each as it ends.

    `jobs` trials run at the same time in `engine`. The sampler receives the metric `objective`,
    also of the trials that are done already.
    """
    for number, trial in sorted(trials.done.items()):
        sampler.report(number, trial.point, trial.figures[objective])
    numbers = iter([number for number in range(count) if number not in trials.done])
    running: dict[Any, tuple[int, Point]] = {}
    while True:
        for number in numbers:
            point = sampler.suggest(number)
            running[submit(engine, score, point)] = number, point
            if len(running) == jobs:
                break
        if not running:
            return
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            number, point = running.pop(future)
            trial = Trial(number, point, result(future))
            trials.add(trial)
            sampler.report(number, point, trial.figures[objective])
            yield trial


def describe_best(
    best: Trial, objective: str, method: str, count: int, sequences: Sequence[str]
) -> str:
    """Return the comment of `best.toml`: the score, and what was searched."""
    score = f"{objective} {best.figures[objective]:.4f}"
    return (
        f"{score}: the best of {count} trials ({method}) by mottool tune on\n"
        f"{', '.join(sequences)}."
    )


def write_best(path: Path, tracker: str, settings: Point, comment: str) -> Path:
    """Write settings, below a comment, as the TOML file that `associate --settings` reads."""
    # TOML has no null: the settings are parsed from texts, None too.
    table = {name: "None" if value is None else value for name, value in settings.items()}
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    with atomic_write(path) as part:
        part.write_text(lines + tomli_w.dumps({"tracker": tracker, "default": table}))
    return path


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _text(value: Any) -> str:
    """Return a value as written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
