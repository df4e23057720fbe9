"""Stage `evaluate`: result files and ground truth in, CLEAR, Identity and HOTA tables out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mottool.batch import Batch
from mottool.cli import as_json, work_folder
from mottool.config import Settings, flags, knob
from mottool.work import Work

if TYPE_CHECKING:
    from mottool.metrics.files import Truth

__all__ = ["Config", "command", "run"]


@dataclass(frozen=True)
class Config(Settings):
    """By which rules results are scored."""

    rules: str = knob(
        "auto",
        "Which ground truth counts, and which results count neither way. auto goes by the ground "
        "truth's columns and the sequence's name.",
        choices=("auto", "mot15", "mot16", "mot17", "mot20"),
    )


def run(
    tracks: Iterable[Path], truth: Iterable[Path], out: Path, config: Config | None = None
) -> Path:
    """Score result files or folders of them and write every figure to the CSV file `out`.

    One row per tracker and sequence, and one COMBINED per tracker. `truth` are dataset roots,
    sequence folders, or folders of `<sequence>.txt`. Raises `InputError` for files that are
    missing, malformed, or do not belong together.
    """
    from mottool.metrics.files import find_results, find_truth, truth_of
    from mottool.metrics.scoreboard import Scoreboard
    from mottool.metrics.table import write_csv

    rules, truths = (config or Config()).rules, find_truth(truth)
    entries = []
    for tracker, files in find_results(tracks).items():
        board = Scoreboard(tracker)
        for sequence, path in files.items():
            board.add(sequence, path, truth_of(sequence, truths), rules)
        entries += board.entries()
    return write_csv(entries, out)


def _of_known_sequences(
    results: dict[str, dict[str, Path]], truths: dict[str, Truth], batch: Batch
) -> dict[str, dict[str, Path]]:
    """What of a work folder's results can be scored; nobody named the others one by one."""
    known = {}
    for tracker, files in results.items():
        others = [sequence for sequence in files if sequence not in truths]
        if len(others) < len(files):
            known[tracker] = {name: path for name, path in files.items() if name in truths}
            if others:
                batch.note(f"{tracker}: {', '.join(others)} not scored, no ground truth is given")
    return known or results


@click.command("evaluate")
@click.argument("tracks", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--gt",
    "truth",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    help="Ground truth: a dataset root, a sequence folder (gt/gt.txt or gt.txt), a folder of "
    "SEQUENCE.txt, or one such file. May be given several times.",
)
@flags(Config)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Also print what motmetrics says. It counts IDSW, Frag and MT a little differently and "
    "has no HOTA; the official figures are the first ones.",
)
@click.option("--csv", type=click.Path(path_type=Path), help="Write every figure to this file.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table to this file.")
@as_json
@work_folder
def command(
    tracks: tuple[Path, ...],
    truth: tuple[Path, ...],
    config: Config,
    second_opinion: bool,
    csv: Path | None,
    markdown: Path | None,
    as_json: bool,
    work: Path,
) -> None:
    """Score result files against ground truth, as TrackEval does.

    TRACKS are folders of SEQUENCE.txt (one folder is one tracker) or single files, plain or
    gzipped; without any, whatever has ground truth in the result folders under the work folder. A
    result file is scored against the ground truth of the sequence of the same name; a single
    result file and a single ground-truth file belong together whatever their names.

    \b
        mottool evaluate --gt MOT17/train
        mottool evaluate my-tracker/ --gt MOT17/train --csv scores.csv
        mottool evaluate tracks.txt --gt gt.txt --rules mot15

    The screen shows percentages in MOTChallenge's order of columns, each sequence with the rules
    it was scored by; --csv and --json hold fractions and every figure. COMBINED joins the
    sequences as TrackEval does. Sequences with ground truth but no result file are listed and
    left out of COMBINED: the official benchmarks demand all of them.
    """
    from mottool.metrics.files import find_results, find_truth, truth_of
    from mottool.metrics.scoreboard import Scoreboard
    from mottool.metrics.table import COMBINED, as_text, write_csv, write_markdown

    places = tracks or tuple(Work(work).results())
    truths, results = find_truth(truth), find_results(places)
    alone = [*places, *truth] if len(places) == len(truth) == 1 else []
    if alone and all(place.is_file() for place in alone):
        (only,) = truths.values()
        truths = {sequence: only for files in results.values() for sequence in files}
    batch = Batch(as_json)
    if not tracks:
        results = _of_known_sequences(results, truths, batch)
    entries = []
    for tracker, files in results.items():
        board = Scoreboard(tracker, second_opinion)
        for sequence, path in files.items():

            def score(
                board: Scoreboard = board, sequence: str = sequence, path: Path = path
            ) -> None:
                truth = truth_of(sequence, truths)
                board.add(sequence, path, truth, config.rules, batch.note)

            batch.run(f"{tracker}/{sequence}", score)
        scored = board.entries()
        missing = [sequence for sequence in truths if sequence not in files]
        if scored and missing:
            batch.note(
                f"{tracker} has no results for {', '.join(missing)}: not scored, not in COMBINED"
            )
        entries += scored
    if entries and not as_json:
        click.echo(as_text(entries))
    if entries and csv:
        write_csv(entries, csv)
    if entries and markdown:
        write_markdown(entries, markdown)
    batch.done += [asdict(entry) for entry in entries if as_json or entry.sequence != COMBINED]
    batch.close()
