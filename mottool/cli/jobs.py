"""One command over many sequences: each is its own job, and one that fails stops no other."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click

from mottool.errors import MottoolError, SettingError, from_system

__all__ = ["Jobs", "fact_lines"]

T = TypeVar("T")


@dataclass
class Jobs:
    """Collects what was done and what failed; `close` reports it and sets the exit code.

    With `as_json` nothing but one JSON object, `{"done": […], "failed": […]}`, goes to standard
    output.
    """

    as_json: bool = False
    done: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)

    def run(self, sequence: str, job: Callable[[], T]) -> T | None:
        """The job's result, or None after telling why it failed.

        A `SettingError` is the user's command, not this sequence: it ends the whole batch.
        """
        try:
            return job()
        except (SettingError, BrokenPipeError):
            raise
        except MottoolError as error:
            self.fail(sequence, error)
        except OSError as error:
            self.fail(sequence, from_system(error))
        return None

    def fail(self, sequence: str, error: MottoolError) -> None:
        """Count a sequence, or a source that gave none, as failed and tell why."""
        self.failed.append({"sequence": sequence, "error": str(error)})
        told = str(error)
        # Most messages begin with the file that they are about, which is named once.
        named = re.match(rf"(\S*/)?{re.escape(sequence)}[\s:,]", told)
        click.echo(f"mottool: {told if named else f'{sequence}: {told}'}", err=True)

    def note(self, told: str) -> None:
        """Tell something a person should know though nothing failed."""
        click.echo(f"mottool: {told}", err=True)

    def report(self, sequence: str, path: Path, told: str, **more: Any) -> None:
        """Say that `path` was made; `told` is the line for a person, `more` goes to the JSON."""
        self.done.append({"sequence": sequence, "path": str(path), **more})
        if not self.as_json:
            click.echo(f"{path}  {told}")

    def close(self) -> None:
        """Print the JSON or the list of failures, and exit with 1 if there are any."""
        if self.as_json:
            click.echo(json.dumps({"done": self.done, "failed": self.failed}, indent=2))
        elif self.failed and self.done:
            names = ", ".join(entry["sequence"] for entry in self.failed)
            click.echo(
                f"mottool: {len(self.done)} done, {len(self.failed)} failed: {names}", err=True
            )
        if self.failed:
            raise SystemExit(1)


def fact_lines(facts: Mapping[str, Any]) -> list[str]:
    """Facts for a person, one a line, nested ones joined."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            value = ", ".join(f"{key} {item}" for key, item in value.items())
        shown = "none" if value is None or value == "" else value
        lines.append(f"    {name.replace('_', ' '):<24}{shown}")
    return lines
