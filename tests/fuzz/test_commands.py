"""Whole commands with damaged inputs or arguments: each succeeds, or ends with one line and a fix.

`pytest tests/fuzz --fuzz 4000` makes 120 runs of each command instead of six, fewer of slow ones,
from seed 0 or `--fuzz-seed` on. A failure names the seeds; the same seed makes the same run again.
"""

import contextlib
import re
import shutil
import sys
from random import Random

import click
import pytest
from benchmarks.kill_commands import preload
from fuzz.commands import COMMANDS
from fuzz.limits import faults
from mutations import mutate

from mottool.cli.main import cli, main

RUNS = 6 / 200  # of a command in the normal run, as a share of `--fuzz`
SLOW = pytest.mark.heavy
VALUES = (
    *("", " ", "0", "-1", "1", "0.5", "1e400", "1e-400", "nan", "inf", "9" * 30, "9" * 5000),
    *("\u0663", "\u00b2", "1-", "-5", "5-1", "1-3", "0-0", "a,b", "=", "x=1", "x=1:2", "0:1"),
    *("missing", "missing/a.txt", ".", "..", "@first", "a@first", "street@second", "a\nb", "/"),
    *("\x1b[31m", "\u00e9", "\udcff", "-", "--", "%s", "{0}", "[1,2]", "*", "[", "true", "1x1"),
    *("0x0", "64x64", "99999x99999", "1/2", "2/1", "0/0", "/dev/null", "/dev/full", "s.toml"),
    *("a.mp4", "street", "truth", "results", "caches", "all", "sort", "jde", "a" * 300),
)
LEFT_ALONE = {"--jobs", "--workers", "--help", "--seconds", "--epochs", "--steps", "--trials"}
WRITTEN = {"--out", "--work", "--csv", "--html", "--markdown", "--latex", "--plots"}
EXPECTED = re.compile(r"mottool: |.*\d+ of \d+ ")  # messages and progress
LINE = re.compile(r"mottool: [^\n]*\. Fix: [^\n]+\.\n")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=SLOW if command.share < 1 else ())
        for name, command in COMMANDS.items()
    ],
)
@pytest.mark.usefixtures("narrow_backbone")
def test_damaged_inputs_of_commands_are_used_or_refused(name, tmp_path, request, monkeypatch):
    for proxy in ("http_proxy", "https_proxy"):  # nothing is downloaded
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    monkeypatch.delenv("MOTTOOL_WORK", raising=False)
    preload()
    first = request.config.getoption("fuzz_seed")
    count = max(1, round(request.config.getoption("fuzz") * RUNS * COMMANDS[name].share))
    lines = faults(DamagedRun(COMMANDS[name], tmp_path), range(first, first + count))
    assert not lines, f"{len(lines)} faults of {count}:\n" + "\n".join(lines[:20])


class DamagedRun:
    """A command to be run with a damaged input, or with other arguments, by a seed."""

    def __init__(self, command, folder):
        """Write the inputs into a folder below `folder`."""
        self._command, self._folder = command, folder
        self._inputs = folder / "inputs"
        self._inputs.mkdir()
        with contextlib.chdir(self._inputs):
            command.make()
        self._whole = None  # the files that the undamaged input gives

    def __call__(self, seed):
        """Run the command; return a fault or None."""
        arguments = self._command.arguments.split()
        if self._whole is None:
            code, log, self._whole = _run(self._inputs, self._folder / "whole", arguments)
            assert code == 0, log
        draw, scratch = Random(seed), self._folder / "scratch" / "deep"
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(self._inputs, scratch / "case")
        if draw.random() < 0.4:
            arguments = changed = _other_arguments(arguments, draw)
        else:
            changed = self._damage(scratch / "case", draw, seed)
        code, log, files = _run(scratch / "case", scratch / "case", arguments)
        if fault := _fault(code, log):
            return f"{fault} of {changed}"
        if any(re.match(r"\..*\.part", path.name) for path in scratch.rglob("*")):
            return f"an unfinished file stays, of {changed}"
        exact = self._command.exact and changed is not arguments
        return (
            f"other results, of {changed}" if exact and not code and files != self._whole else None
        )

    def _damage(self, case, draw, seed):
        """Damage a file in the folder `case`; return its name."""
        patterns = self._command.damaged
        files = sorted(path for pattern in patterns for path in self._inputs.glob(pattern))
        file = draw.choice([path for path in files if path.is_file()])
        name = file.relative_to(self._inputs)
        (case / name).write_bytes(mutate(file.read_bytes(), seed))
        return name


def _run(inputs, folder, arguments):
    """Run a command; return its exit code, its standard error, and the files in `out`."""
    if folder != inputs:
        shutil.copytree(inputs, folder)
    log = folder.parent / "log"
    with contextlib.chdir(folder), log.open("w+", errors="backslashreplace") as errors:
        before = sys.argv, sys.stdout, sys.stderr
        with (folder.parent / "output").open("w", errors="backslashreplace") as output:
            sys.argv, sys.stdout, sys.stderr = ["mottool", *arguments], output, errors
            try:
                main()
                code = 0
            except SystemExit as end:
                code = end.code
            finally:
                sys.argv, sys.stdout, sys.stderr = before
        errors.seek(0)
        text = errors.read()
    paths = sorted((folder / "out").rglob("*"))
    return code, text, {path.name: path.read_bytes() for path in paths if path.suffix == ".txt"}


def _fault(code, log):
    """Return what is wrong with an exit code and standard error, or None."""
    if "Traceback" in log or "Exception ignored" in log or "Warning:" in log:
        return f"a traceback or a warning: {log[-300:]!r}"
    if code in (1, 2):
        if not LINE.search(log) and "Usage:" not in log:
            return f"exit code {code} without a fix: {log[-300:]!r}"
        lines = [line for line in log.splitlines() if line and not EXPECTED.match(line)]
        return f"other lines: {lines[:3]}" if lines and "Usage:" not in log else None
    return None if code in (0, None) else f"exit code {code}: {log[-300:]!r}"


def _other_arguments(arguments, draw):
    """Replace, repeat or remove an argument, or add an option with some value."""
    arguments = list(arguments)
    name = arguments[0]
    replaced = [
        index
        for index in range(1 + (name in ("plot", "weights")), len(arguments))
        if arguments[index] not in LEFT_ALONE | WRITTEN and arguments[index - 1] not in LEFT_ALONE
    ]
    change = draw.choice(("replace", "replace", "remove", "repeat", "add", "add", "add", "add"))
    if change == "replace":
        arguments[draw.choice(replaced)] = draw.choice(VALUES)
    elif change == "remove":
        del arguments[draw.choice(replaced)]
    elif change == "repeat":
        arguments.append(arguments[draw.choice(replaced)])
    else:
        arguments += _option(name, arguments, draw)
    return arguments


def _option(name, arguments, draw):
    """Return a random option of a command with some value."""
    command = cli.get_command(click.Context(cli), name)
    if isinstance(command, click.Group):
        command = command.get_command(click.Context(command), arguments[1])
    options = [
        option
        for option in command.params
        if isinstance(option, click.Option) and not LEFT_ALONE & set(option.opts)
    ]
    option = draw.choice(options)
    if option.is_flag:
        return [option.opts[-1]]
    choices = getattr(option.type, "choices", None)
    if choices and draw.random() < 0.5:
        return [option.opts[-1], draw.choice(list(choices))]
    return [option.opts[-1], draw.choice(VALUES)]
