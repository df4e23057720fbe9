"""The trials of a search on disk, from which an interrupted search resumes.

The folder of a search has `search.json`, the search itself; `trials.csv`, a line per trial, written
as soon as the trial ends; and, made from them, `best.toml` for `mottool associate --settings` and
`trials.png`.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mottool.errors import InputError, SettingError, writing
from mottool.files import atomic_write
from mottool.tuning.objective import FIGURES, OBJECTIVES
from mottool.tuning.search_space import Point, SearchSpace, parse_value

__all__ = ["Trial", "Trials", "search_plan"]

FORM = 2  # of the files; raise it when an older search cannot be resumed any more


@dataclass(frozen=True)
class Trial:
    """A point and its metrics; trials are numbered from 0, the start of the search.

    `figures` are the `FIGURES` of all sequences combined, and `by_sequence` the `OBJECTIVES` of
    each. A trial that was stopped early has no `figures`, lacks the last sequences, and `stopped`
    is the objective that it cannot win; otherwise "".
    """

    number: int
    point: Point
    figures: dict[str, float]
    by_sequence: dict[str, dict[str, float]]
    stopped: str = ""


class Trials:
    """The trials of one search, on disk; an interrupted search resumes from them."""

    def __init__(
        self,
        folder: Path,
        plan: Mapping[str, Any],
        space: SearchSpace,
        sequences: Sequence[str],
        objective: str,
        overwrite: bool = False,
    ) -> None:
        """Open or start the search over `space` in `folder`; `plan` (of `search_plan`) defines it.

        Trials that were stopped because they cannot win another `objective` are not in `done`.
        Raises `SettingError` if the folder holds another search, unless `overwrite` removes it, and
        `InputError` if its trials cannot be read.
        """
        self.path = folder / "trials.csv"
        self.objective = objective
        self._names = [axis.name for axis in space.axes]
        self._cells_of = {name: [f"{metric} {name}" for metric in OBJECTIVES] for name in sequences}
        by_sequence = [column for columns in self._cells_of.values() for column in columns]
        self._columns = ["trial", *self._names, *FIGURES, *by_sequence, "stopped"]
        self._settings_classes = space.settings_classes
        self.done: dict[int, Trial] = {}
        plan_path = folder / "search.json"
        if plan_path.exists() and not overwrite and not self._is_empty():
            _check_same_search(plan_path, plan)
            self._read()
            return
        with writing(self.path):
            self.path.unlink(missing_ok=True)
        with atomic_write(plan_path) as part:
            part.write_text(json.dumps(plan, indent=2, default=dict) + "\n", encoding="utf-8")
        with atomic_write(self.path) as part:
            part.write_text(_line(self._columns), encoding="utf-8")

    def add(self, trial: Trial) -> None:
        """Append a trial; if the process is killed meanwhile, earlier trials remain intact."""
        self.done[trial.number] = trial
        with writing(self.path):
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            with os.fdopen(descriptor, "ab") as file:  # os.write may write a part of the line only
                file.write(_line(self._cells(trial)).encode())
                file.flush()
                os.fsync(file)

    def sort(self) -> None:
        """Rewrite the trials in the order of their numbers; parallel trials end in any order."""
        with atomic_write(self.path) as part:
            lines = [self._cells(self.done[number]) for number in sorted(self.done)]
            part.write_text("".join(map(_line, [self._columns, *lines])), encoding="utf-8")

    def best(self) -> Trial:
        """Return the complete trial with the highest objective, the first of equals."""
        complete = (trial for trial in self.done.values() if not trial.stopped)
        return max(complete, key=lambda trial: (trial.figures[self.objective], -trial.number))

    def _is_empty(self) -> bool:
        """Return whether the folder's search was stopped before its first trial ended."""
        if not self.path.exists():  # stopped after `search.json` was written
            return True
        text = self.path.read_bytes()
        return text.startswith(b"trial,") and text.endswith(b"\n") and len(text.splitlines()) == 1

    def _cells(self, trial: Trial) -> list[Any]:
        points = [_text(trial.point[name]) for name in self._names]
        metrics = [trial.figures.get(name, "") for name in FIGURES]
        for sequence in self._cells_of:
            values = trial.by_sequence.get(sequence, {})
            metrics += [values.get(name, "") for name in OBJECTIVES]
        return [trial.number, *points, *metrics, trial.stopped]

    def _read(self) -> None:
        """Read the trials; cut off an incomplete last line, which a killed process has left."""
        fix = "run the search again with --overwrite, or give another folder with --out"
        try:
            complete = self.path.read_bytes().rpartition(b"\n")[0]
            header, *lines = csv.reader(io.StringIO(complete.decode()))
            if header != self._columns:
                raise ValueError(header)
            for line in lines:
                trial = self._trial(dict(zip(self._columns, line, strict=True)))
                if trial.stopped in {"", self.objective}:
                    self.done[trial.number] = trial
        except (OSError, ValueError, csv.Error, SettingError) as error:
            problem = f"{self.path} is damaged: it is not a list of this search's trials"
            raise InputError(problem, fix) from error
        with writing(self.path):
            os.truncate(self.path, len(complete) + 1)

    def _trial(self, cells: Mapping[str, str]) -> Trial:
        """Parse a line; raise `ValueError` or `SettingError` if it is damaged."""
        stopped = cells["stopped"]
        if stopped not in {"", *OBJECTIVES}:
            raise ValueError(stopped)
        point = {
            name: parse_value(self._settings_classes, name, cells[name]) for name in self._names
        }
        by_sequence = {
            sequence: dict(zip(OBJECTIVES, (float(cells[name]) for name in columns), strict=True))
            for sequence, columns in self._cells_of.items()
            if not stopped or cells[columns[0]]
        }
        metrics = {} if stopped else {name: json.loads(cells[name]) for name in FIGURES}
        return Trial(int(cells["trial"]), point, metrics, by_sequence, stopped)


def search_plan(
    tracker: str,
    space: SearchSpace,
    fixed: Point,
    config: Mapping[str, Any],
    method: str,
    contents: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Return what defines a search, for `search.json`; a resumed search must have the same.

    `config` are the settings of `tune`, and `method` the one that it chose. `contents` say what the
    caches, the ground truth and the camera motion are, by sequence.
    """
    plan = {
        "form": FORM,
        "tracker": tracker,
        "search": [str(axis) for axis in space.axes],
        "set": fixed,
        "start": space.first_point,
        "method": method,
        "seed": config["seed"],
        "rules": config["rules"],
        **contents,
    }
    # Other methods suggest the same points for every objective.
    return plan | ({"objective": config["objective"]} if method == "optuna" else {})


def _check_same_search(path: Path, plan: Mapping[str, Any]) -> None:
    """Raise `SettingError` for another search in `path`; name the first entry that differs."""
    fix = "give another folder with --out, or remove the old search with --overwrite"
    try:
        old = json.loads(path.read_text(encoding="utf-8"))
        form = old.get("form")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{path} cannot be read", fix) from error
    new = json.loads(json.dumps(plan, default=dict))
    if form != FORM:
        problem = f"{path.parent} holds a search of another version of mottool"
        raise SettingError(f"{problem}, which cannot be resumed", fix)
    for key, value in new.items():
        if old.get(key) != value:
            raise SettingError(f"{path.parent} holds {_difference(key, old.get(key), value)}", fix)


def _difference(key: str, old: Any, new: Any) -> str:
    """Describe an older search by the first entry in which it differs from a new one."""
    if key in {"caches", "ground_truth", "camera_motion"}:
        return f"a search on other {key.replace('_', ' ')}"
    if key in {"search", "set", "start"}:
        what = {"search": "ranges", "set": "fixed settings", "start": "default settings"}[key]
        return f"a search with other {what}: {_listed(old)}, not {_listed(new)}"
    return f"a search with the {key} {old}, not {new}"


def _listed(settings: Any) -> str:
    if isinstance(settings, Mapping):
        settings = [f"{name}={value}" for name, value in settings.items()]
    return " ".join(map(str, settings or [])) or "none"


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _text(value: Any) -> str:
    """Return a value as written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)
