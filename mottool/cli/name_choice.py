"""A choice of names on the command line."""

from collections.abc import Iterable
from typing import Any

import click

from mottool.errors import SettingError, did_you_mean

__all__ = ["NameChoice"]


class NameChoice(click.Choice[str]):
    """One of some names, in upper or lower case; an unknown one is refused with its near miss."""

    def __init__(self, names: Iterable[str], kind: str = "") -> None:
        """`kind` is what the names are of, such as `tracker`, for messages."""
        super().__init__(tuple(names), case_sensitive=False)
        self.kind = kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the name as it is known; raise `SettingError` for an unknown one."""
        known = {name.lower(): name for name in self.choices}
        if str(value).lower() in known:
            return known[str(value).lower()]
        problem = f"there is no {self.kind} {str(value)!r}"
        if not self.kind and param:
            problem = f"{param.opts[0]} cannot be {str(value)!r}"
        raise SettingError(problem, did_you_mean(str(value), self.choices))
