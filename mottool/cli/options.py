"""Click options made from settings classes, and options that several commands share."""

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any, TypeVar

import click

from mottool.cli.name_choice import NameChoice
from mottool.cli.paths import ExistingPath, FilePath
from mottool.errors import SettingError
from mottool.pixel_range import parse_pixel_range
from mottool.settings import Settings, build_settings, is_optional, plain_type

__all__ = [
    "as_json",
    "caches_argument",
    "frame_pair_option",
    "ground_truth_option",
    "jobs_option",
    "list_option",
    "merged_options",
    "pixel_range_option",
    "plot_options",
    "profile_option",
    "published_option",
    "results_argument",
    "set_option",
    "settings_file",
    "settings_options",
    "shard_option",
    "select_shard",
    "tracks_option",
    "ground_truth_files_option",
    "work_option",
]

T = TypeVar("T")
Shard = tuple[int, int]
Command = Callable[..., Any]


def work_option(command: Command) -> Command:
    """Add the `--work` option, which every stage has."""
    return click.option(
        "--work",
        type=FilePath(file_okay=False),
        default=Path("mottool-work"),
        envvar="MOTTOOL_WORK",
        show_default=True,
        show_envvar=True,
        help="Folder of all results.",
    )(command)


def as_json(command: Command) -> Command:
    """Add the `--json` option, which every stage has."""
    return click.option(
        "--json", "as_json", is_flag=True, help="Print the result as JSON on standard output."
    )(command)


def ground_truth_files_option(command: Command) -> Command:
    """Add the `--gt` option of stages that score: `truth`, the paths of ground truth."""
    return click.option(
        "--gt",
        "truth",
        multiple=True,
        required=True,
        type=FilePath(),
        help="Ground truth: a dataset root, a sequence folder (gt/gt.txt or gt.txt), a folder of "
        "SEQUENCE.txt, or one such file; labels of KITTI tracking, VisDrone-MOT, BDD100K MOT, "
        "Ultralytics or CVAT for video; PATH@SPLIT for a part. May be repeated.",
    )(command)


def list_option(command: Command) -> Command:
    """Add the `--list` option of stages that take sources: `listed`, a file of sources."""
    return click.option(
        "--list",
        "listed",
        type=FilePath(),
        help="A text file with one source a line, relative to the folder of the file.",
    )(command)


def pixel_range_option(command: Command) -> Command:
    """Add the `--pixel-range` option of stages that read images: `pixel_range` or None."""
    return click.option(
        "--pixel-range",
        metavar="LOW-HIGH",
        callback=lambda context, option, text: None if text is None else parse_pixel_range(text),
        help="Pixel values that become black and white in images of more than 8 bits, such as "
        "0-4095.  [default: the range of the values in each sequence or dataset]",
    )(command)


def settings_file(command: Command) -> Command:
    """Add the `--settings` option of stages that associate: `file`, a tracker's settings."""
    return click.option(
        "--settings",
        "file",
        type=FilePath(dir_okay=False),
        help="A TOML file of settings for all sequences and for single ones.",
    )(command)


def published_option(command: Command) -> Command:
    """Add the `--published` option of stages that associate."""
    return click.option(
        "--published",
        is_flag=True,
        help="Start from the settings that the tracker's authors published, not from those that "
        "suit the network.",
    )(command)


def profile_option(
    profiles: Mapping[str, Mapping[str, Mapping[str, str]]],
) -> Callable[[Command], Command]:
    """Return the `--profile` option of stages that associate: other published settings.

    `profiles` are the settings of each profile, by tracker and name.
    """
    texts = [
        f"{tracker} {name} ({', '.join(f'{key} {value}' for key, value in settings.items())})"
        for tracker, named in profiles.items()
        for name, settings in named.items()
    ]
    return click.option(
        "--profile",
        type=click.Choice(sorted({name for named in profiles.values() for name in named})),
        help=f"Start from other settings that the tracker's authors published: {'; '.join(texts)}.",
    )


def set_option(command: Command) -> Command:
    """Add the `--set` option of stages that associate: `texts`, settings as KEY=VALUE."""
    return click.option(
        "--set",
        "texts",
        multiple=True,
        metavar="KEY=VALUE",
        help="A setting by its published name, such as 'second=IoU 0.5'. May be repeated.",
    )(command)


def jobs_option(command: Command) -> Command:
    """Add the `--jobs` option: a number of processes, None for one per core."""
    return click.option(
        "--jobs",
        type=click.IntRange(min=1),
        help="Number of processes that run at the same time.  [default: one per core]",
    )(command)


def shard_option(command: Command) -> Command:
    """Add the `--shard` option, (I, N) or None; `select_shard` returns that share."""
    return click.option(
        "--shard",
        metavar="I/N",
        callback=lambda context, option, text: None if text is None else _shard(text),
        help="Process every N-th sequence, starting with the I-th, counted from 1. The same "
        "command run for I = 1 to N, here or on N machines, processes them all.",
    )(command)


def _shard(text: str) -> Shard:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    number, count = (int(part) for part in match.groups()) if match else (0, 0)
    if not 1 <= number <= count:
        fix = "write I/N with I from 1 to N, such as 1/4"
        raise SettingError(f"--shard {text!r} is not a valid share", fix)
    return number, count


def select_shard(items: Sequence[T], shard: Shard | None) -> list[T]:
    """Return the items of a share (I, N), every N-th from the I-th on; None selects all."""
    number, count = shard or (1, 1)
    return list(items[number - 1 :: count])


def _option(
    settings_class: type[Settings], field: Field[Any], default: str
) -> Callable[[Command], Command]:
    """Create the click option of one field; its value is None if the flag is not given.

    `default` is the default in the help text, "" to show none.
    """
    name = "--" + field.name.replace("_", "-")
    base = plain_type(settings_class, field)
    help = field.metadata["help"] + (f"  [default: {default}]" if default else "")
    if base is bool:
        return click.option(f"{name}/--no-{name[2:]}", field.name, default=None, help=help)
    known: dict[Any, click.ParamType[Any]] = {
        int: click.INT,
        float: click.FLOAT,
        Path: ExistingPath(),
    }
    choices, parse = field.metadata["choices"], field.metadata["parse"]
    param_type = NameChoice(choices) if choices else known.get(base, click.STRING)
    # A number that may also be 'none' is parsed from its text by `build_settings`.
    number = base in {int, float} and is_optional(settings_class, field)
    metavar = field.metadata["form"]
    if number and not metavar and not parse:
        metavar = known[base].name.upper() + ("" if field.default is None else "|none")
    if parse or number:
        param_type = click.STRING
    return click.option(name, field.name, type=param_type, metavar=metavar, help=help)


def _default_text(field: Field[Any]) -> str:
    if field.default is MISSING or field.default is None:
        return ""
    if isinstance(field.default, bool):
        return "on" if field.default else "off"
    return str(field.default)


def settings_options(
    settings_class: type[Settings], name: str = "config", without: Collection[str] = ()
) -> Callable[[Command], Command]:
    """Give a click command one flag per field of a settings class, except those in `without`.

    The command receives an instance of the class as its argument `name`.
    """
    fields = [field for field in dataclasses.fields(settings_class) if field.name not in without]

    def decorate(command: Command) -> Command:
        def wrapper(**kwargs: Any) -> Any:
            values = _pop_given(kwargs, [field.name for field in fields])
            settings = build_settings(settings_class, values, "this command")
            return command(**kwargs, **{name: settings})

        options = [_option(settings_class, field, _default_text(field)) for field in fields]
        return _decorate(command, wrapper, options)

    return decorate


def merged_options(
    settings_classes: Mapping[str, type[Settings]], name: str = "given"
) -> Callable[[Command], Command]:
    """Give a click command the flags of several settings classes, each flag once.

    The command receives the dict `name` of the flags that were given. `build_settings` makes an
    instance of one of the classes from it, and refuses settings of the others.
    """
    first: dict[str, tuple[type[Settings], Field[Any]]] = {}
    defaults: dict[str, dict[str, list[str]]] = {}
    for owner, settings_class in settings_classes.items():
        for field in dataclasses.fields(settings_class):
            first.setdefault(field.name, (settings_class, field))
            owners = defaults.setdefault(field.name, {})
            owners.setdefault(_default_text(field), []).append(owner)

    def default_text(field: str) -> str:
        if len(settings_classes) == 1:
            return next(iter(defaults[field]))
        owners = {value or "none": names for value, names in defaults[field].items()}
        return "; ".join(f"{value} ({', '.join(names)})" for value, names in owners.items())

    def decorate(command: Command) -> Command:
        def wrapper(**kwargs: Any) -> Any:
            values = _pop_given(kwargs, first)
            return command(**kwargs, **{name: values})

        options = [
            _option(settings_class, field, default_text(field.name))
            for settings_class, field in first.values()
        ]
        return _decorate(command, wrapper, options)

    return decorate


def _pop_given(kwargs: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Remove the flags `names` from `kwargs`, and return the values of those that were given."""
    values = {name: kwargs.pop(name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _decorate(
    command: Command, wrapper: Command, options: list[Callable[[Command], Command]]
) -> Command:
    """Add options to `wrapper`, after giving it the help text and the options of `command`."""
    wrapper.__doc__ = command.__doc__
    wrapper.__name__ = command.__name__
    wrapper.__click_params__ = getattr(command, "__click_params__", [])  # type: ignore[attr-defined]  # click's
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
        type=FilePath(),
        help=f"{help} May be given several times.",
    )


def tracks_option(command: Command) -> Command:
    """Add the `--tracks` option of plots: result files that give the identities."""
    return click.option(
        "--tracks",
        type=FilePath(),
        help="The folder or zip file of results that give the identities, or one result file.",
    )(command)


def frame_pair_option(metavar: str, help: str) -> Callable[[Command], Command]:
    """Return the `--at` option of plots that compare two frames: `pair`, counted from 1."""
    frame = click.IntRange(min=1)
    return click.option(
        "--at", "pair", required=True, type=(frame, frame), metavar=metavar, help=help
    )


def caches_argument(command: Command) -> Command:
    """Add the argument `caches`, any number of cache files."""
    kind = FilePath()
    return click.argument("caches", nargs=-1, metavar="[CACHE]...", type=kind)(command)


def results_argument(command: Command) -> Command:
    """Add the argument `tracks`, any number of result files or folders of them."""
    return click.argument("tracks", nargs=-1, type=FilePath())(command)
