"""The plan of a recipe: its results, which of them are stale and why, and what they cost."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from mottool.engines.task import Task
from mottool.errors import SettingError

__all__ = ["Cost", "Plan", "PlannedResult"]

KINDS = ("caches", "camera-motion", "tracks", "scores", "videos")  # in the order of a plan
MADE_ONCE = ("tracks", "scores", "videos")  # caches and camera motion can be inputs of several
SHOWN = 3  # sequences and reasons that a line names


@dataclass(frozen=True)
class PlannedResult:
    """A result in the folder `group` of the work folder; it is fresh without `reasons`.

    `task` makes it, None if it is fresh; the tasks `segments` come before it. `inputs` are what
    determines it, None while an input is stale itself. `frames` is its number of frames, and
    `spent` the seconds that it took when it was made last; None if they are unknown.
    """

    group: str
    sequence: str
    path: Path
    reasons: tuple[str, ...] = ()
    task: Task | None = None
    inputs: Mapping[str, Any] | None = None
    frames: int | None = None
    spent: float | None = None
    segments: tuple[Task, ...] = ()

    @property
    def name(self) -> str:
        """The name of its task."""
        return f"{self.group}/{self.sequence}"

    @property
    def kind(self) -> str:
        """What it is: `caches`, `camera-motion`, `tracks`, `scores` or `videos`."""
        return self.group.partition("/")[0]


class Cost(NamedTuple):
    """About how many seconds of one process results take; `unknown` counts those without one."""

    seconds: float = 0.0
    unknown: int = 0


@dataclass
class Plan:
    """All results of a recipe, those that others are made from first.

    `scores` are those of each pipeline and tracker by sequence, `detections` those of each
    pipeline. `notes` are messages for the user.
    """

    results: list[PlannedResult] = field(default_factory=list)
    scores: dict[tuple[str, str], dict[str, PlannedResult]] = field(default_factory=dict)
    detections: dict[str, dict[str, PlannedResult]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    _made: dict[Path, PlannedResult] = field(default_factory=dict)

    def add(self, result: PlannedResult) -> PlannedResult:
        """Add a result and return it.

        Raises `SettingError` if another one has the same file or the same record: names that differ
        can have equal file names, which are shorter and have no special characters.
        """
        if result.kind in MADE_ONCE:
            path = result.path.with_suffix("")  # records have the same name for all suffixes
            other = self._made.setdefault(path, result)
            if other is not result:
                problem = f"two results have the file {result.path}"
                raise SettingError(problem, "give pipelines and trackers other, shorter names")
        self.results.append(result)
        return result

    def note(self, message: str) -> None:
        """Add a message, once."""
        if message not in self.notes:
            self.notes.append(message)

    @property
    def stale(self) -> list[PlannedResult]:
        """The results to make."""
        return [result for result in self.results if result.reasons]

    @property
    def fresh(self) -> list[PlannedResult]:
        """The results that are there, made from the current inputs."""
        return [result for result in self.results if not result.reasons]

    @property
    def tasks(self) -> list[Task]:
        """The tasks of the stale results, each after those whose results it reads."""
        makeable = [(result.segments, result.task) for result in self.stale if result.task]
        return [task for segments, last in makeable for task in (*segments, last)]

    def costs(self) -> dict[str, Cost]:
        """Return what the stale results cost by kind, from the times of earlier ones.

        A result takes as long per frame as the others of its folder, or else, except for caches, as
        those of its kind.
        """
        by_group, by_kind = _rates(self.results, "group"), _rates(self.results, "kind")
        kinds = {result.kind for result in self.stale}
        costs = {kind: Cost() for kind in KINDS if kind in kinds}
        for result in self.stale:
            rate = by_group.get(result.group)
            if rate is None and result.kind != "caches":
                rate = by_kind.get(result.kind)
            before = costs[result.kind]
            if rate is None or result.frames is None:
                costs[result.kind] = before._replace(unknown=before.unknown + 1)
            else:
                seconds = before.seconds + rate * result.frames
                costs[result.kind] = before._replace(seconds=seconds)
        return costs

    def lines(self) -> list[str]:
        """Describe each folder with stale results in one line: how many there are, and why."""
        groups: dict[str, list[PlannedResult]] = defaultdict(list)
        for result in sorted(self.results, key=lambda result: KINDS.index(result.kind)):
            groups[result.group].append(result)
        stale = {result.group for result in self.stale}
        width = max(map(len, stale), default=0)
        return [f"{name:<{width}}  {_state(groups[name])}" for name in groups if name in stale]


def _rates(results: Iterable[PlannedResult], by: str) -> dict[str, float]:
    """Return the seconds per frame of the results of each group or kind."""
    seconds: dict[str, float] = defaultdict(float)
    frames: dict[str, int] = defaultdict(int)
    for result in results:
        if result.spent is not None and result.frames:
            seconds[getattr(result, by)] += result.spent
            frames[getattr(result, by)] += result.frames
    return {name: seconds[name] / frames[name] for name in frames}


def _state(results: list[PlannedResult]) -> str:
    """Describe the results of a folder, such as `3 fresh, 1 to make: missing (street)`."""
    stale: dict[str, list[str]] = defaultdict(list)
    for result in results:
        if result.reasons:
            stale["; ".join(_shortened(result.reasons))].append(result.sequence)
    count = sum(map(len, stale.values()))
    parts = [f"{len(results) - count} fresh"] if count < len(results) else []
    if stale:
        reasons = [f"{reason} ({', '.join(_shortened(names))})" for reason, names in stale.items()]
        parts.append(f"{count} to make: {'; '.join(_shortened(reasons))}")
    return ", ".join(parts)


def _shortened(items: list[str] | tuple[str, ...]) -> list[str]:
    """Return the first items, and how many more there are."""
    more = len(items) - SHOWN
    return [*items[:SHOWN], f"{more} more"] if more > 0 else list(items)
