"""Stage `evaluate`: results, caches and ground truth in, tables of scores out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options, truth_flag, work_option
from mottool.errors import InputError, SettingError
from mottool.settings import Settings, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.metrics.evaluate import CacheEvaluation, TrackEvaluation
    from mottool.metrics.inputs import GroundTruthFile
    from mottool.metrics.tables import TableRow

__all__ = ["Config", "command", "run"]

CLASS_COLUMNS = (2, 3)  # after the box: flag, class, and perhaps visibility
Attempt = Callable[[str, Callable[[], None]], object]  # does a job, that of a sequence
Note = Callable[[str], None]


@dataclass(frozen=True)
class Config(Settings):
    """By which rules results and caches are scored, and what is told of them."""

    rules: str = setting(
        "auto",
        "Which ground truth counts, and which results count neither way. auto goes by the ground "
        "truth's columns and the sequence's name.",
        choices=("auto", "mot15", "mot16", "mot17", "mot20"),
    )
    by_size: bool = setting(
        False, "Count identity switches of small, medium and large people too (IDSW_S, _M, _L)."
    )
    per_class: bool = setting(
        False,
        "Score each class of the ground truth by itself. Results say their class in column 8, as "
        "ground truth does; of classes other than pedestrians, all rows count whose flag is not 0.",
    )
    small: float = setting(
        7000.0, "A person whose box is below so many square pixels is small.", low=0
    )
    large: float = setting(
        15000.0, "A person whose box is above so many square pixels is large.", low=0
    )
    min_score: float = setting(
        0.5,
        "From this score on a cache's detection counts in Rcll and Prcn; AP ranks all.",
        low=0,
        high=1,
    )
    bootstrap: int = setting(
        0,
        "Draw the sequences so many times with replacement, such as 1000, and tell between which "
        "values 95 % of the draws' COMBINED figures lie.",
        low=0,
    )
    seed: int = setting(0, "The seed of --bootstrap.", low=0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.small > self.large:
            problem = f"small people below {self.small:g} and large ones above {self.large:g}"
            raise SettingError(f"{problem} overlap", "let --small be no more than --large")

    @property
    def limits(self) -> tuple[float, float]:
        """The limits between small, medium and large, in square pixels."""
        return self.small, self.large


def run(
    tracks: Iterable[Path], truth: Iterable[Path], out: Path, config: Config | None = None
) -> Path:
    """Score result files, caches, or folders of them and write every figure to the CSV file `out`.

    One row per tracker or pipeline and sequence, and one COMBINED of each. `truth` are dataset
    roots, sequence folders, or folders of `<sequence>.txt`. Raises `InputError` for files that are
    missing, malformed, or do not belong together, `CacheError` for caches that cannot be read.
    """
    from mottool.metrics.inputs import find_caches, find_results, find_truth
    from mottool.metrics.tables import write_csv

    config, places, truths = config or Config(), list(tracks), find_truth(truth)
    caches, others = find_caches(places)
    results = find_results(others) if others or not caches else {}

    def straight(name: str, job: Callable[[], None]) -> None:
        job()

    def silent(told: str) -> None: ...

    entries = _of_results(results, truths, config, straight, silent)
    return write_csv(entries + _of_caches(caches, truths, config, straight, silent), out)


def _of_results(
    results: Mapping[str, Mapping[str, Path]],
    truths: dict[str, GroundTruthFile],
    config: Config,
    attempt: Attempt,
    note: Note,
    second_opinion: bool = False,
) -> list[TableRow]:
    """The rows of every tracker's results."""
    from mottool.metrics.evaluate import TrackEvaluation
    from mottool.metrics.inputs import truth_of

    def score(board: TrackEvaluation, sequence: str, path: Path, kind: int | None) -> None:
        board.add(sequence, path, truth_of(sequence, truths), config.rules, note, kind)

    kinds = _classes(truths.values()) if config.per_class else {None: ""}
    limits = config.limits if config.by_size else None
    entries = []
    for tracker, files in results.items():
        for kind, name in kinds.items():
            board = TrackEvaluation(f"{tracker}{name}", second_opinion, limits)
            for sequence, path in files.items():
                attempt(f"{tracker}/{sequence}", partial(score, board, sequence, path, kind))
            entries += _told(board, files, truths, config, note)
    return entries


def _classes(truths: Iterable[GroundTruthFile]) -> dict[int | None, str]:
    """The classes of the ground truth that count, by number, as the names of trackers end."""
    from mottool.formats.sequence_rows import CLASSES
    from mottool.motchallenge.rows import read_rows

    found: set[int] = set()
    for truth in truths:
        rest = read_rows(truth.path, "ground truth").rest
        if rest.shape[1] in CLASS_COLUMNS:
            found.update(rest[rest[:, 0] != 0, 1].astype(int).tolist())
    if not found:
        fix = "leave --per-class out, or put classes 1 to 13 in column 8"
        raise InputError("the ground truth has no classes", fix)
    known = range(1, len(CLASSES) + 1)
    return {kind: f" ({CLASSES[kind - 1]})" for kind in sorted(found.intersection(known))}


def _of_caches(
    caches: Iterable[Path],
    truths: dict[str, GroundTruthFile],
    config: Config,
    attempt: Attempt,
    note: Note,
    picky: bool = False,
) -> list[TableRow]:
    """The rows of every pipeline's caches; `picky` passes those without ground truth over."""
    from mottool.cache.reader import Cache
    from mottool.metrics.evaluate import CacheEvaluation
    from mottool.metrics.inputs import truth_of

    boards: dict[str, CacheEvaluation] = {}
    scored: dict[str, list[str]] = {}

    def score(path: Path) -> None:
        with Cache(path) as cache:
            pipeline, sequence = cache.header.pipeline, cache.header.sequence
            if picky and sequence not in truths:
                note(f"{pipeline}: {sequence} not scored, no ground truth is given")
                return
            truth = truth_of(sequence, truths)
            fresh = CacheEvaluation(pipeline, config.min_score, config.limits)
            boards.setdefault(pipeline, fresh).add(cache, truth, config.rules, note)
            scored.setdefault(pipeline, []).append(sequence)

    for path in caches:
        attempt(str(path), partial(score, path))
    entries = []
    for pipeline, board in boards.items():
        entries += _told(board, scored.get(pipeline, []), truths, config, note)
    return entries


def _told(
    board: TrackEvaluation | CacheEvaluation,
    given: Iterable[str],
    truths: Iterable[str],
    config: Config,
    note: Note,
) -> list[TableRow]:
    """The rows of a board, after saying which sequences they are without."""
    entries = board.entries(config.bootstrap, config.seed)
    missing = [sequence for sequence in truths if sequence not in given]
    if entries and missing:
        name = entries[0].tracker
        note(f"{name} has no results for {', '.join(missing)}: not scored, not in COMBINED")
    return entries


def _of_known_sequences(
    results: dict[str, dict[str, Path]], truths: dict[str, GroundTruthFile], note: Note
) -> dict[str, dict[str, Path]]:
    """What of a work folder's results can be scored; nobody named the others one by one."""
    known = {}
    for tracker, files in results.items():
        others = [sequence for sequence in files if sequence not in truths]
        if len(others) < len(files):
            known[tracker] = {name: path for name, path in files.items() if name in truths}
            if others:
                note(f"{tracker}: {', '.join(others)} not scored, no ground truth is given")
    return known or results


@click.command("evaluate")
@click.argument("tracks", nargs=-1, type=click.Path(path_type=Path))
@truth_flag
@click.option("--caches", is_flag=True, help="Score the caches under the work folder.")
@settings_options(Config)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Also print what motmetrics says. It counts IDSW, Frag and MT a little differently and "
    "has no HOTA; the official figures are the first ones.",
)
@click.option("--csv", type=click.Path(path_type=Path), help="Write every figure to this file.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table to this file.")
@as_json
@work_option
def command(
    tracks: tuple[Path, ...],
    truth: tuple[Path, ...],
    caches: bool,
    config: Config,
    second_opinion: bool,
    csv: Path | None,
    markdown: Path | None,
    as_json: bool,
    work: Path,
) -> None:
    """Score result files and caches against ground truth, as TrackEval and PASCAL do.

    TRACKS are folders of SEQUENCE.txt (one folder is one tracker), TrackEval's folders
    TRACKER/data, or single files, plain or gzipped; without any, whatever has ground truth in the
    result folders under the work folder. A result file is scored against the ground truth of the
    sequence of the same name; a single result file and a single ground-truth file belong together
    whatever their names.

    \b
        mottool evaluate --gt MOT17/train
        mottool evaluate my-tracker/ --gt MOT17/train --csv scores.csv --bootstrap 1000
        mottool evaluate tracks.txt --gt gt.txt --rules mot15 --by-size
        mottool evaluate --caches --gt MOT17/train

    The screen shows percentages in MOTChallenge's order of columns, each sequence with the rules
    it was scored by; --csv and --json hold fractions and every figure, --json also the curves
    whose means HOTA and its parts are, for the thresholds 0.05, 0.10 to 0.95. COMBINED joins the
    sequences as TrackEval does. Sequences with ground truth but no result file are listed and
    left out of COMBINED: the official benchmarks demand all of them.

    Caches, files *.h5 or folders of them, tell how good a network is before any tracker. AP is the
    average precision of its detections at an IoU of 0.5, AP_S, AP_M and AP_L that of small, medium
    and large people. The embeddings are judged of a cache that detect-embed --boxes gt made: TPR
    is the share of pairs of one person above the similarity that one in ten pairs of different
    people reaches; Rank1 and mAP are of a search with the first half of every track for people in
    the second halves of their own sequence.
    """
    from mottool.metrics.inputs import find_caches, find_results, find_truth
    from mottool.metrics.tables import COMBINED, as_text, write_csv, write_markdown

    batch = Jobs(as_json)
    files, places = find_caches(tracks)
    mine, listed = WorkDir(work), caches and not files
    files += mine.caches() if listed else []
    places = places or ([] if tracks or caches else mine.results())
    truths, results = find_truth(truth), find_results(places) if places or not files else {}
    alone = [*places, *truth] if len(places) == len(truth) == 1 else []
    if alone and all(place.is_file() for place in alone):
        (only,) = truths.values()
        truths = {sequence: only for found in results.values() for sequence in found}
    if not tracks:
        results = _of_known_sequences(results, truths, batch.note)
    entries = _of_results(results, truths, config, batch.run, batch.note, second_opinion)
    entries += _of_caches(files, truths, config, batch.run, batch.note, picky=listed)
    if entries and not as_json:
        click.echo(as_text(entries))
    if entries and csv:
        write_csv(entries, csv)
    if entries and markdown:
        write_markdown(entries, markdown)
    batch.done += [asdict(entry) for entry in entries if as_json or entry.sequence != COMBINED]
    batch.close()
