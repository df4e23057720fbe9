"""The flags that several commands share, each written once."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from mottool.errors import SettingError

__all__ = [
    "as_json",
    "jobs_flag",
    "list_flag",
    "published_flag",
    "set_flag",
    "settings_file",
    "shard_flag",
    "shard_of",
    "truth_flag",
    "work_folder",
]

T = TypeVar("T")
Shard = tuple[int, int]


def work_folder(command: Callable[..., Any]) -> Callable[..., Any]:
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
