"""`mottool status`: what a work folder holds, sequence by sequence."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, work_option
from mottool.errors import InputError, MottoolError, printable
from mottool.records.record import read_record
from mottool.workdir import WorkDir

__all__ = ["command", "run"]

NAMED = 6  # settings that a line names
UNSET = (None, "")  # values of settings that a line leaves out


def run(work: Path) -> list[dict[str, Any]]:
    """Return the caches and results of a work folder, those of one pipeline or tracker together.

    Each has `kind`, `name`, `state`, `sequence`, `path`, `frames` or `rows`, and what it was
    `made_with`. Raises `InputError` for a folder that does not exist.
    """
    if not work.is_dir():
        fix = "run mottool detect-embed first, or give --work"
        raise InputError(f"there is no work folder {work}", fix)
    folder = WorkDir(work)
    complete = {path.with_suffix("") for path in folder.caches()}
    parts = [path for path in work.glob("caches/*/*.part") if path.with_suffix("") not in complete]
    entries = [_cache(path) for path in sorted([*folder.caches(), *parts])]
    results = [path for results in folder.results() for path in sorted(results.glob("*.txt"))]
    return entries + [_result(path) for path in results]


def _cache(path: Path) -> dict[str, Any]:
    """Describe a cache or an unfinished one; a damaged one has the state `damaged`."""
    from mottool.cache.layout import LAYOUT
    from mottool.cache.reader import Cache
    from mottool.cache.shards import read_progress

    entry = {"kind": "cache", "name": path.parent.name, "sequence": path.stem, "path": str(path)}
    try:
        if path.suffix == ".part":
            header, frames = read_progress(path, LAYOUT)
            state = "unfinished"
        else:
            with Cache(path) as cache:
                header, frames, state = cache.header, cache.frame_count, "complete"
    except MottoolError as error:
        state = "unfinished" if path.suffix == ".part" else "damaged"
        return {**entry, "state": state, "frames": 0, "made_with": {}, "problem": str(error)}
    settings = {key: value for key, value in header.settings.items() if _is_plain(value)}
    made_with = {
        "weights": header.weights,
        "weights_file": header.weights_file,
        "made_with": settings,
    }
    return {**entry, "state": state, "frames": frames, **made_with}


def _result(path: Path) -> dict[str, Any]:
    """Describe a result file by its record; without one, its settings are unknown."""
    record = read_record(path)
    return {
        "kind": "tracks",
        "name": path.parent.name,
        "sequence": path.stem,
        "path": str(path),
        "state": "complete",
        "rows": record.get("rows"),
        "made_with": record.get("settings", {}),
    }


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


@click.command("status")
@work_option
@as_json
def command(work: Path, as_json: bool) -> None:
    """List what the work folder holds: sequences by pipeline and tracker, and their settings.

    \b
        mottool status
        mottool status --work other-work --json

    Each pipeline is listed with the sequences of which it has caches, each tracker with those of
    which it has results, and with the settings that they were made with. Unfinished caches, which
    the same command of detect-embed resumes, damaged ones, and results of different settings in one
    folder are named. mottool inspect describes a single file.
    """
    jobs, entries = Jobs(as_json), run(work)
    jobs.done += entries
    if not as_json:
        groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for entry in entries:
            groups.setdefault((entry["kind"], entry["name"]), []).append(entry)
        for (kind, name), group in groups.items():
            click.echo(printable(f"{name}  {kind}, {_states(group)}"))
            for line in _made_with(group):
                click.echo(printable(f"    {line}"))
        if not entries:
            click.echo(f"{work} holds no caches and no results")
    jobs.close()


def _states(group: list[dict[str, Any]]) -> str:
    """List the sequences of a group by state."""
    texts = []
    for state in ("complete", "unfinished", "damaged"):
        names = [_named(entry) for entry in group if entry["state"] == state]
        if names:
            texts.append(f"{len(names)} {state}: {', '.join(names)}")
    return "; ".join(texts)


def _named(entry: dict[str, Any]) -> str:
    count, unit = (entry["rows"], "rows") if "rows" in entry else (entry["frames"], "frames")
    return entry["sequence"] if count is None else f"{entry['sequence']} ({count} {unit})"


def _made_with(group: list[dict[str, Any]]) -> list[str]:
    """Describe the settings of a group, one line for each different set."""
    counts = Counter(
        json.dumps({"weights": entry.get("weights_file")} | entry["made_with"]) for entry in group
    )
    lines = []
    for settings, count in counts.items():
        shown = [(key, value) for key, value in json.loads(settings).items() if value not in UNSET]
        values = ", ".join(f"{key} {_as_flag(value)}" for key, value in shown[:NAMED])
        line = values + ", …" * (len(shown) > NAMED) if shown else "settings unknown"
        lines.append(f"{line}  ({count} of {len(group)})" if len(counts) > 1 else line)
    return lines


def _as_flag(value: object) -> object:
    """Return a setting as the command line says it: a switch is on or off."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value
