"""Compare trackers and search their settings from Python; both return plain objects.

rows = mottool.compare("mottool-work", "MOT17/train", ["fairmot", "bytetrack"])
best = mottool.tune("mottool-work/caches/mottool-s", "MOT17/train", "bytetrack", trials=30)
mottool.track(cache, best.tracker, **best.settings)
"""

from __future__ import annotations

import csv
import logging
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import read_settings_by_tracker
from mottool.cache.reader import Cache
from mottool.comparison.comparison import Comparison
from mottool.errors import InputError, SettingError, did_you_mean, naming_arguments
from mottool.metrics.inputs import find_caches
from mottool.motchallenge.rules import AUTO
from mottool.settings import build_settings
from mottool.stages import tune as tune_stage

if TYPE_CHECKING:
    from mottool.comparison.results import ComparisonRow

__all__ = ["TuningResult", "compare", "tune"]

LOGGER = logging.getLogger(__name__)

Paths = str | Path | Cache | Iterable[str | Path | Cache]


@dataclass(frozen=True)
class TuningResult:
    """The best settings that a search found.

    `settings` are keywords of `mottool.track`. `score` is the value of the metric `objective` on
    all sequences together, and `default` that of the default settings. `trials` has a dict for each
    trial, in their order: its number, its settings and its metrics.
    """

    tracker: str
    objective: str
    score: float
    default: float
    settings: dict[str, Any]
    trials: list[dict[str, Any]]


@naming_arguments()
def compare(
    caches: Paths,
    truth: Paths,
    trackers: Iterable[str] = ("fairmot", "sort"),
    *,
    settings: Paths = (),
    rules: str = AUTO,
    oracle: bool = False,
    published: bool = False,
    warn: Callable[[str], None] = LOGGER.warning,
) -> list[ComparisonRow]:
    """Track the caches of each pipeline with each tracker, and return a row for each pair.

    `caches` are work folders, folders of caches, or caches of any number of pipelines; `truth` are
    paths of ground truth, as for `mottool.score`. `settings` are TOML files that name a tracker, as
    `mottool tune` writes them. The others are as the flags of `mottool compare`. A row has
    `pipeline`, `tracker`, and the metrics in `figures` and `by_sequence`: fractions, counts and
    frames per second. `warn` receives a message for each pair and sequence that is left out.

    Raises `SettingError` for an unknown tracker, `InputError` and `CacheError` for files that are
    missing, malformed or do not belong together.
    """
    names = [trackers] if isinstance(trackers, str) else list(trackers)
    for name in names:
        if name not in TRACKERS:
            raise SettingError(f"there is no tracker {name!r}", did_you_mean(name, TRACKERS))
    chosen = read_settings_by_tracker(names, _paths(settings))
    options: dict[str, Any] = {"rules": rules, "oracle": oracle, "published": published}
    comparison = Comparison(_paths(caches), _paths(truth), chosen, **options)
    rows = [comparison.measure(*pair) for pair in comparison.pairs]
    for note in comparison.notes:
        warn(note)
    return rows


@naming_arguments()
def tune(
    caches: Paths,
    truth: Paths,
    tracker: str = "fairmot",
    search: Mapping[str, Any] | Iterable[str] = (),
    *,
    fixed: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    jobs: int = 1,
    overwrite: bool = False,
    **options: Any,
) -> TuningResult:
    """Search the settings of a tracker that score highest on caches with ground truth.

    `caches` are caches of one pipeline, folders of them, or a work folder; `truth` are paths of
    ground truth. `search` maps each setting to its values, such as `{"max_age": (1, 5, 30)}`, or to
    a range, `{"second": "0.3:0.8"}`, or to None for all its values; by default `mottool tune`
    chooses. `fixed` are settings that all trials have. `options` are `objective`, `method`,
    `trials`, `seed` and `rules`, as the flags of `mottool tune`. With the folder `out`, the files
    of the search are kept there, and an interrupted search resumes. `jobs` processes run trials at
    the same time.

    Raises `SettingError` for unknown names and values, `InputError` and `CacheError` for files that
    cannot be used.
    """
    if tracker not in TRACKERS:
        raise SettingError(f"there is no tracker {tracker!r}", did_you_mean(tracker, TRACKERS))
    config = build_settings(tune_stage.Config, options, "tune")
    searched = map(_axis, search.items()) if isinstance(search, Mapping) else search
    texts = {name: _text(value) for name, value in (fixed or {}).items()}
    with TemporaryDirectory(prefix="mottool-") as temporary:
        folder = Path(out) if out else Path(temporary)
        best = tune_stage.run(
            _cache_files(caches),
            _paths(truth),
            folder,
            tracker,
            list(searched),
            texts,
            config,
            jobs,
            overwrite,
        )
        settings = tomllib.loads(best.read_text(encoding="utf-8"))["default"]
        with (folder / "trials.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    trials = [{name: _value(cell) for name, cell in row.items()} for row in rows]
    scores = [float(trial[config.objective]) for trial in trials if trial[config.objective] != ""]
    return TuningResult(tracker, config.objective, max(scores), scores[0], settings, trials)


def _paths(values: Paths) -> list[Path]:
    """Return paths of one or several paths and open caches."""
    several = [values] if isinstance(values, str | Path | Cache) else values
    return [Path(value.path if isinstance(value, Cache) else value) for value in several]


def _cache_files(values: Paths) -> list[Path]:
    """Return the caches in files, folders and work folders. Raises `InputError` without any."""
    files, others = find_caches(_paths(values))
    if others:
        fix = "run mottool detect-embed first, or give caches"
        raise InputError(f"there are no caches in {others[0]}", fix)
    return files


def _axis(item: tuple[str, Any]) -> str:
    """Return a searched setting as `mottool tune --search` has it."""
    name, values = item
    return name if values is None else f"{name}={_text(values)}"


def _text(value: Any) -> str:
    """Return a setting as on the command line."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        return str(value)
    return ",".join(map(str, value))


def _value(cell: str) -> Any:
    """Return the number in a cell of a table; any other text as it is."""
    try:
        number = float(cell)
    except ValueError:
        return cell
    return int(number) if number.is_integer() and "." not in cell else number
