"""Paths on the command line."""

from pathlib import Path
from typing import Any

import click

from mottool.errors import empty_path
from mottool.files import existing_path

__all__ = ["ExistingPath", "FilePath"]


class FilePath(click.Path):
    """A file or folder to read or to write.

    An empty path is refused. It would be the current folder, and is most often a variable of the
    shell that is not set.
    """

    def __init__(self, file_okay: bool = True, dir_okay: bool = True) -> None:
        """Take files, folders or both."""
        super().__init__(file_okay=file_okay, dir_okay=dir_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path. Raises `SettingError` if it is empty."""
        if value == "":
            name = param.opts[-1] if isinstance(param, click.Option) else "an argument"
            raise empty_path(name)
        path: Any = super().convert(value, param, ctx)
        return path if isinstance(path, Path) else Path(path)


class ExistingPath(FilePath):
    """A file or folder of an input, which is looked for before the command imports anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path. Raises `SettingError` if it is empty, `InputError` if it is missing."""
        return existing_path(super().convert(value, param, ctx))
