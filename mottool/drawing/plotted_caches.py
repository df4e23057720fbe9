"""The caches that plots are made from, and what gives the identities of their detections."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError, SettingError
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.cli.jobs import Jobs
    from mottool.metrics.ground_truth_files import GroundTruthFile

__all__ = [
    "check_identities",
    "check_identity_source",
    "check_output",
    "identified_caches",
    "plot_caches",
]


def plot_caches(
    kind: str,
    plot: Callable[[Path, Any, Path], Path],
    jobs: Jobs,
    caches: tuple[Path, ...],
    ground_truth: tuple[Path, ...],
    tracks: Path | None,
    form: str,
    work: Path,
    identities_required: bool = True,
) -> None:
    """Plot each cache, by default those of the work folder, and report the files to `jobs`.

    `plot` receives a cache, the rows that give the identities of its detections (None without
    `ground_truth` and `tracks`) and the output file, WORK/plots/PIPELINE/SEQUENCE.KIND.FORM.
    Raises `InputError` and `SettingError` as `identified_caches`, and `SettingError` without a
    source of identities if `identities_required`.
    """
    from mottool.cache.reader import Cache
    from mottool.metrics.identity_matching import find_identity_rows

    if identities_required:
        check_identities(ground_truth, tracks)
    paths, truth_files = identified_caches(caches, ground_truth, tracks, work, jobs.note)
    drawn: dict[Path, Path] = {}

    def job(cache: Path) -> None:
        with Cache(cache) as opened:
            name, pipeline = opened.header.sequence, opened.header.pipeline
        out = WorkDir(work).plot(pipeline, name, kind, form)
        check_output(drawn, out, cache)
        rows = find_identity_rows(name, truth_files, tracks)
        jobs.report(name, plot(cache, rows, out), "drawn")

    for cache in paths:
        jobs.run(cache.stem, partial(job, cache))
    jobs.close()


def identified_caches(
    caches: tuple[Path, ...],
    ground_truth: tuple[Path, ...],
    tracks: Path | None,
    work: Path,
    warn: Callable[[str], None],
) -> tuple[list[Path], dict[str, GroundTruthFile]]:
    """Choose the caches to plot, and find the ground truth that gives their identities.

    By default they are those of the work folder that have embeddings. With ground truth, caches of
    other sequences are left out. `warn` receives a message for what is left out. Raises
    `InputError` if there are no caches, and `SettingError` as `check_identity_source`.
    """
    from mottool.metrics.chosen_caches import choose_caches, with_embeddings, with_ground_truth
    from mottool.metrics.ground_truth_files import find_ground_truth

    check_identity_source(ground_truth, tracks)
    truth_files = find_ground_truth(ground_truth)
    paths = choose_caches(caches, work, warn)
    if truth_files:
        paths = with_ground_truth(paths, truth_files, warn)
    return paths if caches else with_embeddings(paths, warn), truth_files


def check_identities(ground_truth: tuple[Path, ...], tracks: Path | None) -> None:
    """Raise `SettingError` unless ground truth or tracks are given."""
    if not (ground_truth or tracks):
        raise SettingError("identities are needed", "give --gt or --tracks")


def check_identity_source(ground_truth: tuple[Path, ...], tracks: Path | None) -> None:
    """Raise `SettingError` if both ground truth and tracks are given."""
    if ground_truth and tracks:
        raise SettingError("--gt and --tracks both give identities", "give one of them")


def check_output(drawn: dict[Path, Path], out: Path, source: Path) -> None:
    """Add the plot `out` of a file to `drawn`; raise `InputError` if it is that of another file."""
    if drawn.setdefault(out, source) != source:
        problem = f"{drawn[out]} and {source} would both be drawn in {out}"
        raise InputError(problem, "plot them one after the other, each with its own --work")
