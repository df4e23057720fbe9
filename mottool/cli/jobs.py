"""Run one job per sequence, and report results and failures; a failure stops no other job."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from mottool.errors import MottoolError, SettingError, as_mottool_error, printable

__all__ = ["Jobs"]

T = TypeVar("T")


@dataclass
class Jobs:
    """The results and failures of a command's jobs.

    With `as_json`, standard output gets only one JSON object, `{"done": […], "failed": […]}`.
    """

    as_json: bool = False
    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    _noted: set[str] = field(default_factory=set)
    _failed_alike: dict[str, dict[str, None]] = field(default_factory=dict)  # sequences, by error

    def run(self, sequence: str, job: Callable[[], T]) -> T | None:
        """Return the result of a job, or None after reporting its failure.

        A `SettingError` is a mistake in the command, not in this sequence, and is raised.
        """
        try:
            return job()
        except Exception as error:
            failure = as_mottool_error(error)
            if failure is None or isinstance(failure, SettingError):
                raise
            self.fail(sequence, failure)
            return None

    def fail(self, sequence: str, error: MottoolError) -> None:
        """Record and report the failure of a sequence, or of a source without sequences.

        An error that differs from an earlier one in the name of the sequence only is not printed
        again; `close` lists the sequences that have it.
        """
        message = str(error)
        self.failed.append({"sequence": sequence, "error": message})
        alike = self._failed_alike.setdefault(_without_name(message, sequence), {})
        alike[sequence] = None
        if len(alike) > 1:
            return
        # Most messages begin with the file that they are about; do not name it twice.
        named = re.match(rf"(\S*/)?{re.escape(sequence)}[\s:,]", message)
        self.note(message if named else f"{sequence}: {message}")

    def note(self, message: str) -> None:
        """Print a warning on standard error, once."""
        if message not in self._noted:
            self._noted.add(message)
            click.echo(f"mottool: {printable(message)}", err=True)

    def report(self, sequence: str, path: Path, summary: str, **more: Any) -> None:
        """Record and print that `path` was written; `more` goes to the JSON only."""
        self.done.append({"sequence": sequence, "path": str(path), **more})
        if self.as_json:
            return
        try:
            click.echo(printable(f"{path}  {summary}"))
        except BrokenPipeError:
            self.note("stopped, as the reader of the output has: run it again for what is missing")
            raise

    def close(self) -> None:
        """Print the JSON or the list of failures, and exit with 1 if there are any."""
        for first, *others in self._failed_alike.values():
            if others:
                self.note(f"{len(others)} more failed as {first} did: {', '.join(others)}")
        if self.as_json:
            click.echo(json.dumps({"done": self.done, "failed": self.failed}, indent=2))
        elif self.failed and self.done:
            names = ", ".join(entry["sequence"] for entry in self.failed)
            self.note(f"{len(self.done)} done, {len(self.failed)} failed: {names}")
        if self.failed:
            raise SystemExit(1)


def _without_name(message: str, sequence: str) -> str:
    """Return an error without the name of its sequence, alone or in paths."""
    names = {sequence, sequence.rpartition("/")[2]}
    name = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.sub(rf"(?<![^/'\"])(?:{name})(?=[\s/'\":,.@]|$)", "*", message)
