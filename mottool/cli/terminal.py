"""The width of the terminal that tables are printed to."""

import shutil
import sys
from collections.abc import Sequence

import click

__all__ = ["all_columns_option", "columns_note", "terminal_width"]

FLAG = "--all-columns"

all_columns_option = click.option(
    FLAG,
    is_flag=True,
    help="Print all columns of the table, also those for which the terminal is too narrow.",
)


def terminal_width() -> int | None:
    """Return the width of the terminal in characters; None if the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def columns_note(left_out: Sequence[str]) -> str:
    """Return the message that columns of a table do not fit the terminal."""
    return f"the terminal is too narrow for {', '.join(left_out)}; {FLAG} prints them"
