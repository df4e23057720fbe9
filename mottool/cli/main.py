"""The `mottool` command: the table of commands, and the exit codes."""

import os
import signal
import stat
import sys
from importlib import import_module
from io import TextIOWrapper
from types import FrameType

import click

from mottool._version import __version__
from mottool.cli.tracker_flags import unknown_option
from mottool.errors import SettingError, as_mottool_error, did_you_mean
from mottool.files import UNPACK_VARIABLE

__all__ = ["COMMANDS", "cli", "main"]

COMMANDS = {
    "detect-embed": "Detect and embed objects; write one cache per sequence.",
    "camera-motion": "Estimate how the camera moves, for trackers that use it.",
    "track": "Detect, associate and, with --render, draw in one command.",
    "associate": "Link the detections of caches into tracks.",
    "evaluate": "Score result files or caches against ground truth.",
    "validate": "Score a network's detections and embeddings on annotated images.",
    "compare": "Compare pipelines and trackers in a table, plots and a page.",
    "run": "Run a recipe of datasets, pipelines and trackers; make what is stale.",
    "benchmark": "Measure the speed and memory of pipelines on this machine.",
    "tune": "Search for the best settings of a tracker.",
    "render": "Draw tracks on their frames; write H.264 videos.",
    "plot": "Plot caches, results and ground truth as figures for papers.",
    "convert": "Convert results or ground truth between file formats.",
    "distill-labels": "Write a teacher's embedding of each annotated box.",
    "train": "Train a network on annotated images.",
    "weights": "List, download, verify and convert checkpoints of networks.",
    "status": "List the sequences, pipelines and trackers of the work folder.",
    "inspect": "Show what a file contains and whether it is complete.",
}


WRITABLE_DEVICES = {"/dev/null", "/dev/full", "/dev/stdout", "/dev/stderr", "/dev/tty"}


class Stages(click.Group):
    """The command group; its help imports no stage, and a command imports only its stage."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands in the order of `COMMANDS`."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the stage of a command; raise `SettingError` for an unknown name."""
        if cmd_name not in COMMANDS:
            problem = f"there is no command {cmd_name!r}"
            raise SettingError(problem, did_you_mean(cmd_name, COMMANDS))
        module = import_module(f"mottool.stages.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Stages, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="mottool")
@click.option(
    "--unpack-limit",
    type=click.FloatRange(min=1),
    envvar=UNPACK_VARIABLE,
    metavar="FACTOR",
    help="Accept images, archives and numbers of frames that take FACTOR times as much memory as "
    "is usual.",
)
def cli(unpack_limit: float | None) -> None:
    """Multi-object tracking in stages: run a network once, then associate as often as you like.

    \b
        mottool detect-embed video.mp4
        mottool associate --tracker jde
        mottool render video.mp4
        mottool evaluate --gt DATASET

    All results go to the folder --work (by default mottool-work, or $MOTTOOL_WORK), where the next
    command finds its inputs. `mottool COMMAND --help` is the manual of a command.
    """
    if unpack_limit:
        os.environ[UNPACK_VARIABLE] = str(unpack_limit)


def main() -> None:
    """Run the command line; exit with 0, 1 (input failed), 2 (wrong usage) or 130 (interrupted)."""
    # PyTorch's threads spin while they wait for each other. If another process needs one of their
    # cores, a network then takes many times longer. OpenMP reads this variable when torch is
    # imported, which no module has done yet; worker processes inherit it.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) == signal.SIG_DFL:  # nohup ignores it
            signal.signal(number, _interrupt)
    _accept_all_characters()
    try:
        _refuse_endless(sys.argv[1:])
        status = cli.main(standalone_mode=False)
    except click.ClickException as error:
        _show(error)
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo(
            "mottool: interrupted. Finished files and committed frames are kept; "
            "run the same command again to continue.",
            err=True,
        )
        status = 130
    except BrokenPipeError:  # the reader of the output (head, less) has exited
        _drop_output()
        status = 0
    except Exception as error:
        failure = as_mottool_error(error)
        if failure is None:
            raise
        click.echo(f"mottool: {failure}", err=True)
        if isinstance(error, OSError):
            _drop_output()
        status = 2 if isinstance(failure, SettingError) else 1
    sys.exit(status if isinstance(status, int) else 0)


def _accept_all_characters() -> None:
    """Escape what the encoding of the output lacks, such as an arrow in Latin-1.

    Without an output, as after `>&-`, nothing is printed.
    """
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # until the exit
    elif isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")


def _refuse_endless(arguments: list[str]) -> None:
    """Raise `SettingError` for an argument that names a pipe or a device.

    A pipe can be read only once, and a device without end. `--option=PATH` and `NAME=PATH` are
    examined too.
    """
    for path in {each for argument in arguments for each in (argument, argument.partition("=")[2])}:
        try:
            kind = os.stat(path).st_mode
        except (OSError, ValueError):
            continue
        if stat.S_ISCHR(kind) and path not in WRITABLE_DEVICES:
            raise SettingError(f"{path} is a device, which has no end", "name a file")
        if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
            fix = "write its content to a file and name the file"
            raise SettingError(
                f"{path} is a pipe, and mottool reads its inputs more than once", fix
            )


def _interrupt(number: int, frame: FrameType | None) -> None:
    """End as by Ctrl-C."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_IGN, None):  # a job in a shell's background
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)


def _show(error: click.ClickException) -> None:
    """Print wrong usage in one line like every error, and the help of a bare command unchanged."""
    if isinstance(error, click.NoSuchOption) and error.ctx:
        click.echo(f"mottool: {unknown_option(error)}", err=True)
        return
    message = error.format_message()
    context = getattr(error, "ctx", None)
    if message.startswith("Usage:"):
        error.show()
        return
    message, _, guess = " ".join(message.split()).partition(" Did you mean ")
    problem = message.rstrip(".")
    fix = (
        f"did you mean {guess.rstrip('?')}"
        if guess
        else f"see {context.command_path if context else 'mottool COMMAND'} --help"
    )
    option = getattr(error, "param", None)
    if isinstance(option, click.Option) and option.nargs > 1:
        fix = f"write {option.opts[0]} {option.metavar}, {fix}"
    click.echo(f"mottool: {SettingError(problem, fix)}", err=True)


def _drop_output() -> None:
    """Discard what standard output still holds, so that closing it cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
