"""Click options: those made from settings classes, and those that several commands share."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, TypeVar

import click

from mottool.errors import SettingError
from mottool.settings import Settings, build_settings, is_optional, plain_type

__all__ = [
    "as_json",
    "caches_argument",
    "frame_pair_option",
    "ground_truth_option",
    "jobs_flag",
    "list_flag",
    "merged_options",
    "plot_options",
    "published_flag",
    "results_argument",
    "set_flag",
    "settings_file",
    "settings_options",
    "shard_flag",
    "shard_of",
    "tracks_option",
    "truth_flag",
    "work_option",
]

T = TypeVar("T")
Shard = tuple[int, int]

Command = Callable[..., Any]


def work_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--work` option that every stage shares."""
    return click.option(
        "--work",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("mottool-work"),
        envvar="MOTTOOL_WORK",
        show_default=True,
        show_envvar=True,
        help="The folder everything lands in.",
    )(command)


def as_json(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--json` option that every stage shares."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."
    )(command)


def truth_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--gt` option of the stages that score: `truth`, where ground truth lies."""
    return click.option(
        "--gt",
        "truth",
        multiple=True,
        required=True,
        type=click.Path(path_type=Path),
        help="Ground truth: a dataset root, a sequence folder (gt/gt.txt or gt.txt), a folder of "
        "SEQUENCE.txt, or one such file. May be given several times.",
    )(command)


def list_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--list` option of the stages that take sources: `listed`, a file that names some."""
    return click.option(
        "--list",
        "listed",
        type=click.Path(path_type=Path),
        help="A text file with one source a line, relative to its folder.",
    )(command)


def settings_file(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--settings` option of the stages that associate: `file`, of a tracker's settings."""
    return click.option(
        "--settings",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A TOML file of settings for all sequences and for single ones.",
    )(command)


def published_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--published` option of the stages that associate."""
    return click.option(
        "--published",
        is_flag=True,
        help="Start from the settings that the tracker's authors published, not from those that "
        "fit the network.",
    )(command)


def set_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--set` option of the stages that associate: `texts`, settings as KEY=VALUE."""
    return click.option(
        "--set",
        "texts",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting by its published name, as 'second=IoU 0.5'; may be repeated.",
    )(command)


def jobs_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--jobs` option: a number of processes, None for one on each core."""
    return click.option(
        "--jobs",
        type=click.IntRange(min=1),
        help="How many processes work at once.  [default: one on each core]",
    )(command)


def shard_flag(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--shard` option, (I, N) or None; `shard_of` takes that share of the sequences."""
    return click.option(
        "--shard",
        metavar="I/N",
        callback=lambda context, option, text: None if text is None else _shard(text),
        help="Take every N-th sequence from the I-th on, counted from 1: the same command run for "
        "I = 1 to N, here or on N machines, does them all.",
    )(command)


def _shard(text: str) -> Shard:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(part) for part in found.groups()) if found else (0, 0)
    if not 1 <= number <= count:
        raise SettingError(f"--shard {text!r} is no share", "write I/N with I from 1 to N, as 1/4")
    return number, count


def shard_of(items: Sequence[T], shard: Shard | None) -> list[T]:
    """The items of a share (I, N), every N-th from the I-th on; all of them without one."""
    number, count = shard or (1, 1)
    return list(items[number - 1 :: count])


def _option(kind: type[Settings], field: Field[Any], shown: str) -> Callable[[Command], Command]:
    """The click option of one field; its value is None when the flag is not given.

    `shown` is the default as the help tells it, empty where there is nothing to tell.
    """
    name = "--" + field.name.replace("_", "-")
    base = plain_type(kind, field)
    help = field.metadata["help"] + (f"  [default: {shown}]" if shown else "")
    if base is bool:
        return click.option(f"{name}/--no-{name[2:]}", field.name, default=None, help=help)
    known: dict[Any, click.ParamType[Any]] = {
        int: click.INT,
        float: click.FLOAT,
        Path: click.Path(path_type=Path),
    }
    choices, parse = field.metadata["choices"], field.metadata["parse"]
    reader = click.Choice(choices) if choices else known.get(base, click.STRING)
    # What may be 'none' too is read from its text later.
    number = base in {int, float} and is_optional(kind, field)
    form = field.metadata["form"]
    if number and not form and not parse:
        form = known[base].name.upper() + ("" if field.default is None else "|none")
    kept = click.STRING if parse or number else reader
    return click.option(name, field.name, type=kept, metavar=form, help=help)


def _shown(field: Field[Any]) -> str:
    if field.default is MISSING or field.default is None:
        return ""
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return str(field.default)


def settings_options(kind: type[Settings], name: str = "config") -> Callable[[Command], Command]:
    """Give a click command one flag per field of `kind`, and one argument `name` made of them."""

    def decorate(command: Command) -> Command:
        def wrapper(**kwargs: Any) -> Any:
            given = {field.name: kwargs.pop(field.name) for field in dataclasses.fields(kind)}
            given = {key: value for key, value in given.items() if value is not None}
            return command(**kwargs, **{name: build_settings(kind, given, "this command")})

        options = [_option(kind, field, _shown(field)) for field in dataclasses.fields(kind)]
        return _decorated(command, wrapper, options)

    return decorate


def merged_options(
    kinds: Mapping[str, type[Settings]], name: str = "given"
) -> Callable[[Command], Command]:
    """Give a click command the flags of several settings classes, each name once.

    The command gets the dict `name` of the flags that were set. `build_settings` makes an instance
    of one of the classes from it, and refuses settings of the others.
    """
    first: dict[str, tuple[type[Settings], Field[Any]]] = {}
    defaults: dict[str, dict[str, list[str]]] = {}
    for owner, kind in kinds.items():
        for field in dataclasses.fields(kind):
            first.setdefault(field.name, (kind, field))
            owners = defaults.setdefault(field.name, {})
            owners.setdefault(_shown(field), []).append(owner)

    def shown(field: str) -> str:
        if len(kinds) == 1:
            return next(iter(defaults[field]))
        told = {value or "none": who for value, who in defaults[field].items()}
        return "; ".join(f"{value} ({', '.join(who)})" for value, who in told.items())

    def decorate(command: Command) -> Command:
        def wrapper(**kwargs: Any) -> Any:
            given = {key: kwargs.pop(key) for key in first}
            given = {key: value for key, value in given.items() if value is not None}
            return command(**kwargs, **{name: given})

        options = [_option(kind, field, shown(field.name)) for kind, field in first.values()]
        return _decorated(command, wrapper, options)

    return decorate


def _decorated(
    command: Command, wrapper: Command, options: list[Callable[[Command], Command]]
) -> Command:
    wrapper.__doc__ = command.__doc__
    wrapper.__name__ = command.__name__
    wrapper.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]
    for option in reversed(options):
        wrapper = option(wrapper)
    return wrapper


PLOT_FORMATS = ("png", "svg", "pdf")


def plot_options(command: Command) -> Command:
    """Add the options of every kind of plot: `--format` as `form`, `--work` and `--json`."""
    format_option = click.option(
        "--format",
        "form",
        type=click.Choice(PLOT_FORMATS),
        default=PLOT_FORMATS[0],
        show_default=True,
        help="Format of the files.",
    )
    return format_option(work_option(as_json(command)))


def ground_truth_option(
    help: str = "Ground truth, as for mottool evaluate.", required: bool = False
) -> Callable[[Command], Command]:
    """Return the `--gt` option of stages that draw: `ground_truth`, a tuple of paths."""
    return click.option(
        "--gt",
        "ground_truth",
        multiple=True,
        required=required,
        type=click.Path(path_type=Path),
        help=f"{help} May be given several times.",
    )


def tracks_option(command: Command) -> Command:
    """Add the `--tracks` option of plots: result files that give the identities."""
    return click.option(
        "--tracks",
        type=click.Path(path_type=Path),
        help="The folder of result files that give the identities, or one result file.",
    )(command)


def frame_pair_option(metavar: str, help: str) -> Callable[[Command], Command]:
    """Return the `--at` option of plots that compare two frames: `pair`, counted from 1."""
    frame = click.IntRange(min=1)
    return click.option(
        "--at", "pair", required=True, type=(frame, frame), metavar=metavar, help=help
    )


def caches_argument(command: Command) -> Command:
    """Add the argument `caches`, any number of cache files."""
    kind = click.Path(path_type=Path)
    return click.argument("caches", nargs=-1, metavar="[CACHE]...", type=kind)(command)


def results_argument(command: Command) -> Command:
    """Add the argument `tracks`, any number of result files or folders of them."""
    return click.argument("tracks", nargs=-1, type=click.Path(path_type=Path))(command)
