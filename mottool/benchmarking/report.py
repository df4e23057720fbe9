"""The tables of a benchmark: text, Markdown and CSV."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mottool.benchmarking.case import STATISTICS, TWO_STAGE, Result
from mottool.comparison.environment import describe_machine, describe_versions
from mottool.files import atomic_write
from mottool.metrics.registry import columns
from mottool.metrics.tables import Table, as_markdown, write_csv

__all__ = ["cost_curves", "cost_table", "result_to_json", "speed_table", "write_report"]

HEAD = ("Pipeline", "Runtime")
CSV_HEAD = ("pipeline", "runtime", "statistic")
LIBRARIES = ("torch", "onnxruntime", "openvino", "av", "opencv-python-headless")
MILLISECONDS, MEGABYTES = 1e3, 1e-6


def speed_table(results: Sequence[Result]) -> Table:
    """Return the table of all results: milliseconds a frame by part, the least of all repeats."""
    rows = [(_names(result), _metrics(result, "minimum")) for result in results]
    names = [name for name in columns("benchmark") if any(row[name] is not None for _, row in rows)]
    return Table(HEAD, names, rows)


def cost_table(results: Sequence[Result]) -> Table | None:
    """Return the table of the milliseconds of a frame by number of people; None without any."""
    counts = list(dict.fromkeys(people for result in results for people in result.case.people))
    rows: list[tuple[tuple[str, ...], dict[str, float]]] = []
    for result in results:
        costs = {people: f"{MILLISECONDS * cost.seconds:8.1f}" for people, cost in result.costs()}
        cells = [costs.get(people, "") for people in counts]
        if costs:
            rows.append(((*_names(result), result.kind, *cells), {}))
    head = (*HEAD, "Kind", *(f"{people:>8}" for people in counts))
    return Table(head, (), rows) if rows else None


def cost_curves(
    results: Sequence[Result],
) -> tuple[dict[str, list[tuple[float, float]]], frozenset[str]]:
    """Return a curve (people, milliseconds) for each result by name; and the two-stage names."""
    measured = {" ".join(_names(result)): result for result in results if result.crowd}
    curves = {
        name: [(float(cost.people), MILLISECONDS * cost.seconds) for cost in result.crowd]
        for name, result in measured.items()
    }
    two_stage = frozenset(name for name, result in measured.items() if result.kind == TWO_STAGE)
    return curves, two_stage


def write_report(results: Sequence[Result], folder: Path) -> list[Path]:
    """Write benchmark.md and benchmark.csv to a folder, and cost.csv if there are costs.

    The CSV file has a row for the minimum and one for the median of all repeats. Returns the files.
    """
    rows = [
        ((*_names(result), statistic), _metrics(result, statistic))
        for result in results
        for statistic in STATISTICS
    ]
    files = [folder / "benchmark.md", folder / "benchmark.csv"]
    with atomic_write(files[0]) as part:
        part.write_text("\n".join(_markdown(results)), encoding="utf-8")
    write_csv(Table(CSV_HEAD, columns("benchmark"), rows), files[1])
    costs = [
        (_names(result), {"people": cost.people, "ms": MILLISECONDS * cost.seconds})
        for result in results
        for _, cost in result.costs()
    ]
    if costs:
        table = Table(CSV_HEAD[:2], ("people", "ms"), costs)
        files.append(write_csv(table, folder / "cost.csv"))
    return files


def _markdown(results: Sequence[Result]) -> Iterator[str]:
    """Yield the paragraphs of benchmark.md."""
    devices = ", ".join(sorted({result.usage.device for result in results}))
    yield "# Speed of pipelines\n"
    yield f"- Machine: {describe_machine()}; {devices}"
    yield f"- Versions: {describe_versions(LIBRARIES)}\n"
    yield "Milliseconds a frame, the least of all repeats:\n"
    yield as_markdown([speed_table(results)])
    if costs := cost_table(results):
        yield "Milliseconds of a frame by the number of people in it, without decoding the video:\n"
        yield as_markdown([costs])
    for result in results:
        yield from (f"- {' '.join(_names(result))}: {note}" for note in result.usage.notes)


def result_to_json(result: Result) -> dict[str, Any]:
    """Return a result as `benchmark --json` prints it."""
    pipeline, runtime = _names(result)
    return {
        "pipeline": pipeline,
        "runtime": runtime,
        "figures": {statistic: _metrics(result, statistic) for statistic in STATISTICS},
        "cost": [
            {"people": cost.people, "ms": MILLISECONDS * cost.seconds} for _, cost in result.costs()
        ],
        "notes": list(result.usage.notes),
    }


def _names(result: Result) -> tuple[str, str]:
    return result.case.pipeline, result.case.runtime


def _metrics(result: Result, statistic: str) -> dict[str, float | None]:
    """Return the columns of a result."""
    seconds = result.seconds(statistic)
    metrics: dict[str, float | None] = {
        name: MILLISECONDS * value for name, value in seconds.items()
    }
    return metrics | {
        "people": result.people,
        "frames/s": 1 / seconds["whole"],
        "MB": MEGABYTES * result.usage.memory,
        "GPU MB": MEGABYTES * result.usage.device_memory if result.usage.device_memory else None,
    }
