"""Read the tables of a recipe: every error names the key and its place."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from mottool.errors import SettingError, did_you_mean
from mottool.settings import Settings, build_settings, plain_type

__all__ = ["Table", "as_text"]

S = TypeVar("S", bound=Settings)


class Table:
    """A table of a recipe, whose keys are taken one by one; `close` refuses those that are left.

    `place` names it in errors, such as `recipe.toml [[pipeline]] 2`. Paths are relative to
    `folder`, that of the recipe.
    """

    def __init__(self, place: str, content: Any, folder: Path) -> None:
        """Check that the content is a table."""
        if not isinstance(content, dict):
            fix = "write it as a table, with lines of key = value"
            raise SettingError(f"{place} is not a table", fix)
        self.place, self.folder = place, folder
        self._content: dict[str, Any] = {key.replace("-", "_"): content[key] for key in content}
        self._taken: list[str] = []

    def text(self, key: str, default: str | None = None) -> str | None:
        """Take a text; the default without one."""
        value = self._take(key, default)
        if value is not None and not isinstance(value, str):
            raise SettingError(f"{self.place}: {key} is not a text", f'write {key} = "…"')
        return value

    def value(self, key: str) -> str:
        """Take any value but a table, as a text."""
        with self.named():
            return as_text(self._take(key, ""))

    def flag(self, key: str, default: bool) -> bool:
        """Take `true` or `false`; the default without one."""
        value = self._take(key, default)
        if not isinstance(value, bool):
            problem = f"{self.place}: {key} cannot be {as_text(value)!r}"
            raise SettingError(problem, f"write {key} = true or {key} = false")
        return value

    def path(self, key: str) -> Path | None:
        """Take a path, relative to the recipe's folder; None without one."""
        text = self.text(key)
        return None if text is None else Path(self._relative(key, text))

    def paths(self, key: str) -> list[str]:
        """Take a path or a list of paths, which may be `PATH@SPLIT`; [] without any."""
        value = self._take(key, [])
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in values):
            fix = f'write {key} = "PATH" or {key} = ["PATH", "PATH"]'
            raise SettingError(f"{self.place}: {key} is not a path or a list of paths", fix)
        return [self._relative(key, item) for item in values]

    def table(self, key: str) -> dict[str, Any]:
        """Take a table, by its keys with `_`; {} without one."""
        value = self._take(key, {})
        return Table(f"{self.place} {key}", value, self.folder)._content

    def list_of(self, key: str) -> list[Any]:
        """Take the tables `[[key]]`; [] without any."""
        value = self._take(key, [])
        if not isinstance(value, list):
            raise SettingError(f"{self.place}: {key} is not a list of tables", f"write [[{key}]]")
        return value

    def make_path(self, key: str, unless: str) -> None:
        """Make a text a path that is relative to the recipe's folder, unless it is a word."""
        if self._content[key] != unless:
            self._content[key] = self._relative(key, self._content[key])

    def has(self, key: str, kind: type) -> bool:
        """Return whether the table has a key with a value of a type."""
        return isinstance(self._content.get(key), kind)

    def settings(self, settings_class: type[S]) -> S:
        """Take the keys that are fields of a settings class, as flags of a command have them.

        Values of fields that are texts or paths are texts; the paths are relative to the recipe's
        folder.
        """
        fields = settings_class.__dataclass_fields__
        values: dict[str, Any] = {}
        for key in [key for key in self._content if key in fields]:
            kind = plain_type(settings_class, fields[key])
            if kind in (str, Path):
                text = self.text(key) or ""
                values[key] = self._relative(key, text) if kind is Path else text
            else:
                values[key] = self.value(key)
        with self.named():
            return build_settings(settings_class, values, self.place)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Put the place before the problem of an error of settings."""
        try:
            yield
        except SettingError as error:
            if error.problem.startswith(self.place):
                raise
            raise SettingError(f"{self.place}: {error.problem}", error.fix) from error

    def close(self, others: Iterable[str] = ()) -> None:
        """Raise `SettingError` for a key that was not taken; `others` are further known ones."""
        for key in self._content:
            if key not in self._taken:
                known = dict.fromkeys([*self._taken, *others])
                problem = f"{self.place} has no key {key!r}"
                raise SettingError(problem, did_you_mean(key, known))

    def _take(self, key: str, default: Any) -> Any:
        self._taken.append(key)
        return self._content.get(key, default)

    def _relative(self, key: str, text: str) -> str:
        """Return a path that is relative to the recipe's folder as one of the current folder.

        It is shortened, unless a `..` in it follows a link to a folder that is elsewhere.
        """
        if not text.strip() or "\0" in text:
            raise SettingError(f"{self.place}: {key} is not a path", f'write {key} = "PATH"')
        path = os.path.join(self.folder, os.path.expanduser(text))
        short = os.path.normpath(path)
        return short if os.path.realpath(short) == os.path.realpath(path) else path


def as_text(value: object) -> str:
    """Write a TOML value as on the command line, whose parser checks types."""
    if isinstance(value, Mapping):
        raise SettingError("a table stands where a value is expected", "write key = value")
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(as_text, value)) if isinstance(value, list) else str(value)
