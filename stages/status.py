"""`mottool status`: what a work folder holds, sequence by sequence."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from mottool.cli.facts import named_values, shortened, shown_value
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, work_option
from mottool.errors import InputError, MottoolError, printable
from mottool.records.record import read_checked_record
from mottool.records.tracker_settings import settings_of
from mottool.workdir import WorkDir

__all__ = ["command", "run"]

UNSET = ("none", "")  # values that are left out where all files of a group have them
DIGEST = "weights_sha256"  # left out, too, if all have it: the name of the file says more


def run(work: Path) -> list[dict[str, Any]]:
    """Return the caches and results of a work folder, those of one pipeline or tracker together.

    Each has `kind`, `name`, `state`, `sequence`, `path`, `frames` or `rows`, the `source_hash` of
    its frames, None if it is unknown, and the settings that it was `made_with`. Raises `InputError`
    for a folder that does not exist.
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
        nothing: dict[str, Any] = {"frames": 0, "source_hash": None, "made_with": {}}
        return {**entry, "state": state, **nothing, "problem": str(error)}
    made_with = {
        "source_hash": header.source_hash,
        "weights": header.weights,
        "weights_file": header.weights_file,
        "made_with": dict(header.settings),
    }
    return {**entry, "state": state, "frames": frames, **made_with}


def _result(path: Path) -> dict[str, Any]:
    """Describe a result file by its record; without its own one, its settings are unknown."""
    messages = list[str]()
    record = read_checked_record(path, messages.append)
    return {
        "kind": "tracks",
        "name": path.parent.name,
        "sequence": path.stem,
        "path": str(path),
        "state": "changed" if messages else "complete",
        "rows": record.get("rows"),
        "source_hash": record.get("source_hash"),
        "made_with": settings_of(record),
    }


@click.command("status")
@work_option
@as_json
def command(work: Path, as_json: bool) -> None:
    """List what the work folder holds: sequences by pipeline and tracker, and their settings.

    \b
        mottool status
        mottool status --work other-work --json

    Each pipeline is listed with the sequences of which it has caches, each tracker with those of
    which it has results, and with the settings that they were made with: first those that all
    have, then the others, with the sequences that have them. Unfinished caches, which the same
    command of detect-embed resumes, damaged ones, and results that were changed after they were
    made are named, and so are files of one sequence that were made from different videos or images.
    mottool inspect describes a single file.
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
    for message in _different_sources(entries):
        jobs.note(message)
    jobs.close()


def _states(group: list[dict[str, Any]]) -> str:
    """List the sequences of a group by state."""
    texts = []
    for state in ("complete", "changed", "unfinished", "damaged"):
        names = [_named(entry) for entry in group if entry["state"] == state]
        if names:
            texts.append(f"{len(names)} {state}: {', '.join(names)}")
    return "; ".join(texts)


def _named(entry: dict[str, Any]) -> str:
    count, unit = (entry["rows"], "rows") if "rows" in entry else (entry["frames"], "frames")
    return entry["sequence"] if count is None else f"{entry['sequence']} ({count} {unit})"


def _made_with(group: list[dict[str, Any]]) -> list[str]:
    """Describe the settings of a group: one line for those that all have, one for each other set.

    Settings of trackers that a network suggests are left out if they are the same.
    """
    settings = [_settings(entry) for entry in group]
    known = [each for each in settings if each]
    names = dict.fromkeys(name for each in known for name in each)
    values = {name: {each.get(name, "none") for each in known} for name in names}
    shared = {name: shown for name, (shown, *more) in values.items() if not more}
    sequences: dict[str, list[str]] = {}
    for entry, each in zip(group, settings, strict=True):
        line = named_values({name: each.get(name, "none") for name in names if name not in shared})
        sequences.setdefault(line if each else "settings unknown", []).append(entry["sequence"])
    plain = {
        name: value
        for name, value in shared.items()
        if value not in UNSET and "." not in name and name != DIGEST
    }
    lines = [named_values(plain)] if plain else []
    if len(sequences) == 1:
        return lines or list(filter(None, sequences))
    return lines + [
        f"{line}  ({len(named)} of {len(group)}: {shortened(named)})"
        for line, named in sequences.items()
        if line
    ]


def _settings(entry: Mapping[str, Any]) -> dict[str, str]:
    """Return weights and settings of a file as text by name, in tables by `table.name`.

    It is {} if they are unknown.
    """
    settings = _flat(entry["made_with"])
    if entry.get("weights"):
        named = entry["weights_file"] or entry["weights"]
        settings = {"weights": named, DIGEST: entry["weights"]} | settings
    return {name: shown_value(value) for name, value in settings.items()}


def _flat(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a table by name, and those of tables in it by `table.name`."""
    flat = dict[str, Any]()
    for name, value in table.items():
        inner = _flat(value) if isinstance(value, Mapping) else {"": value}
        flat |= {".".join(filter(None, (name, key))): item for key, item in inner.items()}
    return flat


def _different_sources(entries: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a message for each sequence whose files were made from different content."""
    sources: dict[str, dict[str, list[str]]] = {}
    for entry in entries:
        if entry["source_hash"]:
            of_sequence = sources.setdefault(entry["sequence"], {})
            of_sequence.setdefault(entry["source_hash"], []).append(entry["name"])
    return [
        f"{sequence} was made from videos or images of different content: "
        + "; ".join(f"{shown_value(key)} in {', '.join(names)}" for key, names in files.items())
        for sequence, files in sources.items()
        if len(files) > 1
    ]
