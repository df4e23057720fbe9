"""Sequences with ground truth and results, and `mottool evaluate` on them."""

import csv
import json
from pathlib import Path

from click.testing import CliRunner
from goldens import HERE
from scenes import make

from mottool.motchallenge.rows import Rows
from mottool.stages.evaluate import command

__all__ = ["EXPECTED", "call", "scored_dataset", "table"]

EXPECTED = json.loads((HERE / "metrics.json").read_text())  # of each scene, by the authors' code


def scored_dataset(folder: Path) -> Path:
    """Write three sequences of three benchmarks and the results of one tracker; return `folder`."""
    results = folder / "tracks" / "mine"
    results.mkdir(parents=True)
    for name, stem in (("MOT17-a", "plain-17"), ("MOT20-b", "plain-20"), ("street", "plain-15")):
        scene = make(stem)
        sequence = folder / "data" / name
        (sequence / "gt").mkdir(parents=True)
        (sequence / "gt" / "gt.txt").write_text(_text(scene.truth))
        (sequence / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={scene.length}\n")
        (results / f"{name}.txt").write_text(_text(scene.results))
    return folder


def _text(rows: Rows) -> str:
    columns = zip(rows.frames, rows.ids, rows.tlwh.tolist(), rows.rest.tolist(), strict=True)
    return "".join(f"{f},{i},{','.join(map(repr, box + rest))}\n" for f, i, box, rest in columns)


def call(*args: object, code: int = 0) -> str:
    """Run `mottool evaluate`, which exits with `code`; return all that it prints."""
    result = CliRunner().invoke(command, [str(arg) for arg in args])
    assert result.exit_code == code, result.output + str(result.exception)
    return result.output


def table(path: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a CSV file by sequence."""
    return {row["seq"]: row for row in csv.DictReader(path.read_text().splitlines())}
