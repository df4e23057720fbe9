"""The outcome of a search: the best settings, compared with those at which the search started."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from mottool.files import atomic_write
from mottool.metrics.tables import COMBINED, Table, format_metric
from mottool.tuning.objective import OBJECTIVES
from mottool.tuning.search_space import Point
from mottool.tuning.trials import Trial, Trials

__all__ = ["Outcome", "write_best"]

DEFAULT, BEST = "default", "best"  # names of the settings in tables


@dataclass(frozen=True)
class Outcome:
    """The first and the best trial of a search, of which `count` ended and `stopped` early."""

    objective: str
    start: Trial
    best: Trial
    count: int
    stopped: int

    @classmethod
    def of(cls, trials: Trials) -> Outcome:
        """Return the outcome of a search whose first trial has ended."""
        stopped = sum(bool(trial.stopped) for trial in trials.done.values())
        return cls(trials.objective, trials.done[0], trials.best(), len(trials.done), stopped)

    @property
    def summary(self) -> str:
        """The score of the default and of the best settings, and the settings that differ."""
        early = f", {self.stopped} of them stopped early" if self.stopped else ""
        if self.best is self.start:
            score = format_metric(self.objective, self.start.figures[self.objective])
            others = f"{self.count - 1} other trials{early}"
            return f"{self.objective} {score} by default, not exceeded in {others}"
        changes = ", ".join(
            f"{name} {value}"
            if value == self.start.point[name]
            else f"{name} {self.start.point[name]} → {value}"
            for name, value in self.best.point.items()
        )
        change = self._change(self.objective, self.start.figures, self.best.figures)
        return f"{change}, the best of {self.count} trials{early}: {changes}"

    @property
    def worse(self) -> list[str]:
        """The metrics that the best settings make worse: the objective of a sequence, or any."""
        worse = [
            f"{name}: {self._change(self.objective, before, after)}"
            for name, before, after in self._pairs()
            if after[self.objective] < before[self.objective]
        ]
        for metric in OBJECTIVES:
            if self.best.figures[metric] < self.start.figures[metric]:
                worse.append(f"{COMBINED}: {self._change(metric, *self._combined())}")
        return worse

    def table(self) -> Table:
        """Arrange the objectives of each sequence with the default and the best settings."""
        rows = []
        for name, before, after in [*self._pairs(), (COMBINED, *self._combined())]:
            rows.append(((name, DEFAULT), before))
            if self.best is not self.start:
                rows.append(((name, BEST), after))
        return Table(("Sequence", "Settings"), OBJECTIVES, rows)

    def comment(self, method: str) -> str:
        """Return the comment of `best.toml`: the scores, and what was searched."""
        lines = [f"{self.summary.partition(':')[0]}; by mottool tune --method {method}."]
        for name, before, after in self._pairs():
            lines.append(f"{name}: {self._change(self.objective, before, after)}")
        if self.worse:
            lines.append(f"Worse than with the default settings: {'; '.join(self.worse)}")
        return "\n".join(lines)

    def _pairs(self) -> list[tuple[str, dict[str, float], dict[str, float]]]:
        """Return each sequence with its metrics before and after."""
        return [
            (name, before, self.best.by_sequence[name])
            for name, before in self.start.by_sequence.items()
        ]

    def _combined(self) -> tuple[dict[str, float], dict[str, float]]:
        return self.start.figures, self.best.figures

    def _change(self, metric: str, before: Mapping[str, float], after: Mapping[str, float]) -> str:
        """Write a metric before and after, with as many decimals as their difference needs."""
        texts = [format_metric(metric, figures[metric]) for figures in (before, after)]
        if texts[0] == texts[1] and before[metric] != after[metric]:
            texts = [f"{100 * figures[metric]:.4f}" for figures in (before, after)]
        return f"{metric} {texts[0]} → {texts[1]}"


def write_best(path: Path, tracker: str, settings: Point, comment: str) -> Path:
    """Write settings, below a comment, as the TOML file that `associate --settings` reads."""
    # TOML has no null: the settings are parsed from texts, None too.
    table: dict[str, Any] = {
        name: "None" if value is None else value for name, value in settings.items()
    }
    lines = "".join(f"# {line}\n" for line in comment.splitlines())
    with atomic_write(path) as part:
        text = lines + tomli_w.dumps({"tracker": tracker, "default": table})
        part.write_text(text, encoding="utf-8")
    return path
