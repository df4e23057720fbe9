"""Every trial of a search, on the disk as soon as it is known, and the best as a settings file.

A folder holds `search.json`, what is searched on what; `trials.csv`, a line for each trial; and,
from them, `best.toml` for `mottool associate --settings` and `trials.png`.
"""

import csv
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mottool.errors import InputError, SettingError, writing
from mottool.files import atomic_write
from mottool.tuning.objective import FIGURES
from mottool.tuning.search_space import Axis, Kinds, Point, read_value

__all__ = ["Trial", "Trials", "write_best"]


@dataclass(frozen=True)
class Trial:
    """One point and what it scored; trials count from 0."""

    number: int
    point: Point
    figures: dict[str, float]


class Trials:
    """The trials of one search; a search that was stopped goes on with those it finds here."""

    def __init__(
        self,
        folder: Path,
        search: Mapping[str, Any],
        space: tuple[Axis, ...],
        kinds: Kinds,
        overwrite: bool = False,
    ) -> None:
        """Open or begin the search `search` (what JSON can hold) over `space` in `folder`.

        A `SettingError` if the folder holds another search, unless `overwrite` drops it; an
        `InputError` if its trials cannot be read.
        """
        self.path = folder / "trials.csv"
        self._names = [axis.name for axis in space]
        self._columns = ["trial", *self._names, *FIGURES]
        self._kinds = kinds
        self.done: dict[int, Trial] = {}
        plan = folder / "search.json"
        if plan.exists() and not overwrite and not self._fruitless():
            _same(plan, search)
            self._read()
            return
        with writing(self.path):
            self.path.unlink(missing_ok=True)
        with atomic_write(plan) as part:
            part.write_text(json.dumps(search, indent=2, default=dict) + "\n")
        with atomic_write(self.path) as part:
            part.write_text(_line(self._columns))

    def add(self, trial: Trial) -> None:
        """Append a trial. A kill at any moment leaves it out or in, and the others as they are."""
        self.done[trial.number] = trial
        with writing(self.path):
            file = os.open(self.path, os.O_WRONLY | os.O_APPEND)
            try:
                os.write(file, _line(self._cells(trial)).encode())
                os.fsync(file)
            finally:
                os.close(file)

    def sort(self) -> None:
        """Write the trials in the order of their numbers, which several workers do not keep."""
        with atomic_write(self.path) as part:
            lines = [self._cells(self.done[number]) for number in sorted(self.done)]
            part.write_text("".join(map(_line, [self._columns, *lines])))

    def best(self, objective: str) -> Trial:
        """The trial with the highest `objective`, the first of equals."""
        return max(self.done.values(), key=lambda trial: (trial.figures[objective], -trial.number))

    def _fruitless(self) -> bool:
        """Whether the folder's search ended before its first trial did."""
        text = self.path.read_bytes() if self.path.exists() else b""
        return text.startswith(b"trial,") and text.count(b"\n") == 1

    def _cells(self, trial: Trial) -> list[Any]:
        figures = [trial.figures[name] for name in FIGURES]
        return [trial.number, *(_told(trial.point[name]) for name in self._names), *figures]

    def _read(self) -> None:
        """Take up what is there; a line without its end, which a kill tore, is cut off."""
        fix = "run the search anew with --overwrite, or give another folder with --out"
        try:
            whole = self.path.read_bytes().rpartition(b"\n")[0]
            header, *lines = csv.reader(io.StringIO(whole.decode()))
            if header != self._columns:
                raise ValueError(header)
            for line in lines:
                cells = dict(zip(self._columns, line, strict=True))
                point = {name: read_value(self._kinds, name, cells[name]) for name in self._names}
                figures = {name: json.loads(cells[name]) for name in FIGURES}
                number = int(cells["trial"])
                self.done[number] = Trial(number, point, figures)
        except (OSError, ValueError, SettingError) as error:
            raise InputError(f"{self.path} is no list of this search's trials", fix) from error
        with writing(self.path):
            os.truncate(self.path, len(whole) + 1)


def _same(plan: Path, search: Mapping[str, Any]) -> None:
    """Refuse to go on with another search, naming the first thing that differs."""
    fix = "give another folder with --out, or drop the old search with --overwrite"
    try:
        old = json.loads(plan.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{plan} cannot be read", fix) from error
    new = json.loads(json.dumps(search, default=dict))
    for key in new:
        if old.get(key) != new[key]:
            raise SettingError(f"{plan.parent} holds a search with another {key}", fix)


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _told(value: Any) -> str:
    """A value as it would be written on the command line."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def write_best(path: Path, tracker: str, settings: Point, remark: str) -> Path:
    """Write settings as the TOML file that `associate --settings` reads, under a remark."""
    lines = [f"# {line}" for line in remark.splitlines()]
    lines += [f"tracker = {_toml(tracker)}", "", "[default]"]
    lines += [f"{name} = {_toml(value)}" for name, value in settings.items()]
    with atomic_write(path) as part:
        part.write_text("\n".join(lines) + "\n")
    return path


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, tuple):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(str(value), ensure_ascii=False)  # None too: texts are read by their setting
