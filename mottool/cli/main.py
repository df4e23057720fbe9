"""The `mottool` command: one table of stages, each imported only when it is asked for."""

import os
import sys
from importlib import import_module

import click

from mottool._version import __version__
from mottool.errors import MottoolError, SettingError, did_you_mean, from_system

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "detect-embed": "Videos, folders or public detections in; one cache per sequence out.",
    "track": "Videos in; detections, tracks and, with --render, annotated videos out, in one.",
    "associate": "Caches in; MOTChallenge result files out.",
    "evaluate": "Result files or caches and ground truth in; tables of scores out.",
    "compare": "Pipelines and trackers side by side in; one table, its plots and a page out.",
    "tune": "Caches and ground truth in; a tracker's best settings out.",
    "render": "Frames and result files in; annotated H.264 video out.",
    "plot": "Caches, result files and ground truth in; figures for papers out.",
    "convert": "Results or ground truth in; CVAT's, COCO's, TrackEval's or the server's form out.",
    "distill-labels": "Annotated images in; a teacher's embedding of every box out.",
    "train": "Annotated images in; weights with a card and a log out.",
    "weights": "Find, download, check and convert the checkpoints of networks.",
    "inspect": "Tell what a cache holds and whether it is whole.",
}


class Stages(click.Group):
    """The group of `COMMANDS`: its own help needs none of them, a command loads its one stage."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the stage module that carries the command's name."""
        if cmd_name not in COMMANDS:
            problem = f"there is no command {cmd_name!r}"
            raise SettingError(problem, did_you_mean(cmd_name, COMMANDS))
        module = import_module(f"mottool.stages.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table as it stands above."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Stages, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mottool")
def cli() -> None:
    """Multi-object tracking in stages: run the network once, rerun association at will.

    \b
        mottool detect-embed video.mp4
        mottool associate --tracker jde
        mottool render video.mp4
        mottool evaluate --gt DATASET

    Everything lands in --work DIR (by default mottool-work, or $MOTTOOL_WORK), where the next
    command finds it. `mottool COMMAND --help` is that command's manual.
    """


def main() -> None:
    """Run the command line: 0 done, 1 some input failed, 2 wrong usage, 130 interrupted."""
    # While PyTorch's threads wait for each other they spin, and where another process needs one
    # of their cores a network then takes many times longer. OpenMP reads this variable when torch
    # is imported, which no module has done yet; worker processes inherit it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        status = error.exit_code
    except MottoolError as error:
        click.echo(f"mottool: {error}", err=True)
        status = 2 if isinstance(error, SettingError) else 1
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "mottool: interrupted. Finished files and committed frames are kept; "
            "the same command goes on from there.",
            err=True,
        )
        status = 130
    except BrokenPipeError:  # the reader of our output (head, less) has gone
        _drop_output()
        status = 0
    except OSError as error:
        click.echo(f"mottool: {from_system(error)}", err=True)
        _drop_output()
        status = 1
    sys.exit(status if isinstance(status, int) else 0)


def _show(error: click.ClickException) -> None:
    """Tell wrong usage in one line as every error, and a bare command's help as it is."""
    told = error.format_message()
    context = getattr(error, "ctx", None)
    if context is None or told.startswith("Usage:"):
        error.show()
        return
    wrong = SettingError(" ".join(told.split()).rstrip("."), f"see {context.command_path} --help")
    click.echo(f"mottool: {wrong}", err=True)


def _drop_output() -> None:
    """Let what standard output still holds go nowhere, so that closing it cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
