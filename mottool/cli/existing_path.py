"""A path on the command line that must exist."""

from pathlib import Path
from typing import Any

import click

from mottool.files import existing_path

__all__ = ["ExistingPath"]


class ExistingPath(click.Path):
    """A file or folder of an input, which is looked for before the command imports anything."""

    def __init__(self) -> None:
        """Take existing files and folders."""
        super().__init__(path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; raise `InputError` if there is nothing."""
        path: Any = super().convert(value, param, ctx)
        return existing_path(path)
