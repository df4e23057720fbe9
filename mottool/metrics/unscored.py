"""Results without ground truth and ground truth without results: what is not scored."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path

from mottool.metrics.ground_truth_files import covered_by_others, has_ground_truth
from mottool.metrics.tables import TableRow

__all__ = ["MissingResults", "drop_without_ground_truth", "scored_once"]

Warn = Callable[[str], None]


class MissingResults:
    """Ground truth that trackers or pipelines have no results for."""

    def __init__(self) -> None:
        """Start without trackers."""
        self._trackers: dict[str, list[str]] = {}  # by the sequences that they lack

    def add(self, rows: Sequence[TableRow], scored: Collection[str], files: Iterable[str]) -> None:
        """Add a tracker by its rows of a table, of which there may be none.

        `scored` are its sequences, and `files` those with ground truth.
        """
        missing = ", ".join(name for name in files if not has_ground_truth(name, scored))
        if rows and missing:
            self._trackers.setdefault(missing, []).append(rows[-1].tracker)

    def report(self, warn: Warn) -> None:
        """Warn of missing results, once for all trackers that lack the same."""
        for missing, trackers in self._trackers.items():
            subject = f"{', '.join(trackers)} {'has' if len(trackers) == 1 else 'have'}"
            warn(f"{subject} no results for {missing}: not scored, not in COMBINED")


def scored_once(
    tracker: str, sequences: Iterable[str], files: Iterable[str], warn: Warn
) -> list[str]:
    """Return the sequences and halves to score; warn of those left out (`covered_by_others`)."""
    sequences = list(sequences)
    left_out = covered_by_others(sequences, files)
    if left_out:
        names = ", ".join(left_out)
        warn(f"{tracker}: {names} not scored, as the ground truth is of another part of the video")
    return [sequence for sequence in sequences if sequence not in left_out]


def drop_without_ground_truth(
    results: Mapping[str, Mapping[str, Path]], files: Collection[str], warn: Warn
) -> Mapping[str, Mapping[str, Path]]:
    """Return the results that have ground truth; name the other sequences to `warn`, once.

    Trackers without any are dropped. If no tracker has any, all results are returned.
    """
    known, unknown = {}, dict[str, None]()
    for tracker, paths in results.items():
        scored = {name: path for name, path in paths.items() if has_ground_truth(name, files)}
        unknown |= dict.fromkeys(name for name in paths if name not in scored)
        if scored:
            known[tracker] = scored
    if known and unknown:
        warn(f"{', '.join(unknown)} left out: no ground truth is given")
    return known or results
