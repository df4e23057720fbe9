"""The flags of one tracker among those of all: in the help, and as near misses of unknown flags."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from mottool.cli.options import merged_options
from mottool.errors import SettingError, did_you_mean, near_miss
from mottool.settings import Settings

__all__ = ["tracker_command", "unknown_option"]

PART_FLAGS = ("--frames",)  # select a part of a sequence
SOURCE_FLAGS = ("--source", "--video", "--path", "--image", "--images")  # of other programs


def tracker_command(classes: Mapping[str, type[Settings]]) -> type[click.Command]:
    """Return a class of commands that take the flags of all trackers.

    With `--tracker NAME`, before or after `--help`, the help has only that tracker's flags, with
    its defaults. `classes` are the settings of each tracker.
    """
    every = {name for settings in classes.values() for name in settings.__dataclass_fields__}

    class TrackerCommand(click.Command):
        trackers = classes

        def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
            ctx.meta["tracker"] = _named_tracker(args, classes)
            return super().parse_args(ctx, args)

        def get_params(self, ctx: click.Context) -> list[click.Parameter]:
            params = super().get_params(ctx)
            tracker = ctx.meta.get("tracker")
            if not tracker or not ctx.meta.get("shortened"):
                return params
            own = _options(tracker, classes[tracker])
            params = [own.get(param.name or "", param) for param in params]
            return [param for param in params if param.name in own or param.name not in every]

        def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            ctx.meta["shortened"] = True
            super().format_options(ctx, formatter)

    return TrackerCommand


def _named_tracker(args: list[str], known: Iterable[str]) -> str | None:
    """Return the value of `--tracker` in arguments that are not parsed yet; None if unknown."""
    values = dict(zip(args, args[1:], strict=False))
    value = values.get("--tracker", "")
    joined = [text.partition("=")[2] for text in args if text.startswith("--tracker=")]
    value = joined[-1] if joined else value
    return {name.lower(): name for name in known}.get(value.lower())


def _options(tracker: str, settings: type[Settings]) -> dict[str, click.Parameter]:
    """Return the flags of one tracker by the name of their setting."""
    options: Callable[[Callable[..., Any]], Callable[..., Any]] = merged_options(
        {tracker: settings}
    )
    command = click.command(options(lambda **_: None))
    return {str(param.name): param for param in command.params}


def unknown_option(error: click.NoSuchOption) -> SettingError:
    """Convert an option that a command does not have into an error with its near miss.

    With `--tracker`, flags of other trackers are no near misses. Without it, the flags of all
    trackers are, each with the trackers that have it. A flag of other commands is no misspelled
    one: the fix names these commands, unless a flag here has the same meaning.
    """
    name, context = error.option_name, error.ctx
    assert context is not None
    problem = f"{context.command_path} has no option {name}"
    if not name.startswith("--"):  # one letter means anything
        return SettingError(problem, f"see {context.command_path} --help")
    if name in SOURCE_FLAGS and any(param.name == "sources" for param in context.command.params):
        return SettingError(problem, "write the source without a flag")
    context.meta["shortened"] = True
    flags = [flag for param in context.command.get_params(context) for flag in param.opts]
    flags = [flag for flag in flags if flag.startswith("--")]
    trackers = getattr(context.command, "trackers", {})
    fix = ""
    if not near_miss(name, flags, spelling=False):
        fix = _of_other_commands(name, context)
    if not fix and trackers and not context.meta.get("tracker"):
        fix = _of_every_tracker(name, flags, trackers)
    if not fix:
        fix = did_you_mean(name, flags)
        fix = fix if fix.startswith("did you mean") else f"see {context.command_path} --help"
    return SettingError(problem, fix)


def _of_other_commands(name: str, context: click.Context) -> str:
    """Return the fix for a flag that other commands have; "" if none has it."""
    root = context.find_root()
    if not isinstance(root.command, click.Group):
        return ""
    known = (
        root.command.get_command(root, command) for command in root.command.list_commands(root)
    )
    owners = [
        command.name or ""
        for command in known
        if command and any(name in param.opts for param in command.params)
    ]
    if not owners:
        return ""
    fix = f"omit it; it is an option of {', '.join(owners)}"
    if name in PART_FLAGS and any(param.name == "sources" for param in context.command.params):
        fix += "; SOURCE@first and SOURCE@second are the halves of a sequence"
    return fix


def _of_every_tracker(
    name: str, flags: Iterable[str], trackers: Mapping[str, type[Settings]]
) -> str:
    """Return the fix for a flag that means one of some tracker's; "" if it means none.

    The near misses are sought by meaning in the flags of each tracker, else by spelling in all.
    """
    owned = {
        tracker: [flag for flag in flags if _setting_of(flag) in settings.__dataclass_fields__]
        for tracker, settings in trackers.items()
    }
    shared = [flag for flag in flags if not any(flag in own for own in owned.values())]
    if near_miss(name, shared, spelling=False):
        return ""
    owners: dict[str, list[str]] = {}
    spelled = near_miss(name, flags)
    for tracker, own in owned.items():
        flag = near_miss(name, own, spelling=False)
        if flag:
            owners.setdefault(flag, []).append(tracker)
    if not owners and spelled:
        owners[spelled] = [tracker for tracker, own in owned.items() if spelled in own]
    if not any(owners.values()):
        return ""
    first = sorted(owners, key=lambda flag: not flag.startswith(name))
    texts = [f"{flag} of {', '.join(owners[flag])}" for flag in first]
    return f"name the tracker with --tracker, and use its flag: {'; '.join(texts)}"


def _setting_of(flag: str) -> str:
    return flag.removeprefix("--").replace("-", "_")
