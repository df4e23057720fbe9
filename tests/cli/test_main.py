import json
import os
import signal
import subprocess
import sys
from importlib import import_module

import click
import pytest
from click.testing import CliRunner

import mottool
from mottool.cli.main import COMMANDS, cli
from mottool.errors import near_miss
from mottool.stages import associate

HEAVY = {"torch", "cv2", "h5py", "numpy", "scipy", "av", "torchvision", "motmetrics"}
HEAVY |= {"matplotlib", "sklearn", "pandas"}


def mottool_command(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "mottool", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )


def loaded(*arguments):
    """Return the modules that a run of the command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mottool", *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("arguments", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy(arguments):
    names = loaded(*arguments)
    assert "mottool.cli.main" in names
    assert not names & HEAVY


def test_overview_lists_every_command_and_imports_no_stage():
    assert not {name for name in loaded("--help") if name.startswith("mottool.stages")}
    help = mottool_command("--help").stdout
    for name, summary in COMMANDS.items():
        assert name in help
        assert summary in " ".join(help.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_every_command_has_an_example(name):
    stage = import_module(f"mottool.stages.{name.replace('-', '_')}")
    command = stage.command
    assert isinstance(command, click.Command)
    assert command.name == name
    check_manual(command, f"mottool {name} ")
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        check_manual(part, f"mottool {name} {part.name}")
        assert part.short_help.endswith(".")


def check_manual(command, example):
    assert example in command.help
    assert len(command.help.split()) > 40
    assert "\\b" not in command.help  # of a raw docstring: its examples would be wrapped
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert parameter.help.rstrip("]").endswith((".", ")")) or "[default" in parameter.help


# A command that prints the policy here and in a worker, and whether torch was imported.
POLICY = """
import os, sys
from unittest.mock import patch

import mottool.cli.main

print(os.environ.get("OMP_WAIT_POLICY"))

def command(**_):
    from mottool.engines.local import local_engine
    from mottool.engines.task import Task

    print(os.environ["OMP_WAIT_POLICY"], "torch" in sys.modules)
    with local_engine(2) as engine:
        print(*(o.result() for o in engine.run([Task("policy", os.getenv, ("OMP_WAIT_POLICY",))])))

with patch.object(mottool.cli.main.cli, "main", command):
    mottool.cli.main.main()
"""


@pytest.mark.parametrize(("given", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_openmp_wait_policy_is_passive_unless_set(given, used):
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    environment |= {"OMP_WAIT_POLICY": given} if given else {}
    done = subprocess.run(
        [sys.executable, "-c", POLICY], capture_output=True, text=True, env=environment
    )
    # At the import of mottool.cli.main, in main, and in a worker process.
    assert done.stdout.splitlines() == [str(given), f"{used} False", used], done.stderr


def test_torchs_openmp_library_reads_the_wait_policy(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"no weights")
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    done = subprocess.run(
        [sys.executable, "-m", "mottool", "weights", "verify", str(tmp_path / "weights.pth")],
        capture_output=True,
        text=True,
        env=environment | {"OMP_DISPLAY_ENV": "TRUE"},  # as it sees them when it is loaded
    )
    lines = [line for line in done.stderr.splitlines() if "OMP_WAIT_POLICY" in line]
    assert lines
    assert all("PASSIVE" in line for line in lines)


def test_misspelled_command_gets_a_suggestion():
    done = mottool_command("asociate")
    assert done.returncode == 2
    assert "did you mean 'associate'" in done.stderr


def test_help_of_a_tracker_has_its_flags_and_defaults_only():
    result = CliRunner().invoke(associate.command, ["--help", "--tracker=SORT"])
    assert "--iou-threshold" in result.output
    assert "[default: 0.3]" in result.output
    assert "--fill-gaps" in result.output
    assert "--conf-thres" not in result.output.replace("mottool-work/caches/public/*.h5 --conf", "")


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("ByteTrack", ["sort", "bytetrack"], "bytetrack"),
        ("tracking", COMMANDS, "associate"),
        ("match_thres", ["conf_thres", "first_assoc"], "first_assoc"),
        ("match_thres", ["first_assoc", "match_thresh"], "match_thresh"),
        ("hota", ["MOTA", "HOTA"], "HOTA"),
        ("xyz", ["sort", "jde"], None),
    ],
)
def test_near_misses_ignore_case_and_look_for_meaning(word, known, meant):
    assert near_miss(word, known) == meant


def test_the_version_is_printed():
    assert mottool.__version__ in mottool_command("--version").stdout


def test_closed_pipe_is_not_an_error():
    done = subprocess.run(
        f"{sys.executable} -m mottool --help | head -1", shell=True, capture_output=True, text=True
    )
    assert "Usage" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["plot", "hoat"], "mottool: No such command 'hoat'. Fix: did you mean 'hota'.\n"),
        (["render", "--scal", "2"], "render has no option --scal. Fix: did you mean '--scale'."),
        (["evaluate"], "mottool evaluate --help."),
        (["inspect"], "mottool inspect --help."),
        (
            ["associate", "--tracker", "dort"],
            "tracker 'dort'. Fix: did you mean 'sort'",
        ),
        (["associate", "--tracker", "JDE", "--match-thres", "1"], "did you mean '--first-assoc'"),
        (["associate", "--match-thres", "1"], "--match-thresh of bytetrack, botsort, botsort-reid"),
        (["associate", "--match-thres", "1"], "; --first-assoc of fairmot, jde, cstrack, tdt"),
        (["associate", "--max-agee", "1"], "use its flag: --max-age of otrack, sort, deepsort"),
        (["associate", "--processes", "1"], "did you mean '--jobs'"),
        (["track", "--source", "a.mp4"], "Fix: write the source without a flag."),
        (["track", "a.mp4", "-c", "a.pth"], "track has no option -c. Fix: see"),
        (["plot", "frames", "--at", "1", "--gt"], "Fix: write --at A B, see"),
        (["track", "a", "--frames", "1-5"], "omit it; it is an option of evaluate, benchmark, "),
        (["track", "a", "--tracker", "sort", "--frames", "1-5"], "SOURCE@first and SOURCE@second"),
        (["associate", "--frames", "1-5"], "it is an option of evaluate, benchmark, render."),
        (["render", "a", "--pipeline", "b"], "omit it; it is an option of detect-embed, track"),
        (["track", "a.mp4", "--save"], "did you mean '--render'"),
        (["track", "a.mp4", "--reid-model", "a.pth"], "did you mean '--embedder-weights'"),
    ],
)
def test_wrong_usage_is_reported_in_one_line(words, message):
    done = mottool_command(*words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("mottool: ")
    assert message in done.stderr


def test_help_is_printed_without_a_command():
    done = mottool_command()
    assert done.returncode == 2
    assert "detect-embed" in done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_a_full_disk_is_reported_in_one_line():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "mottool", "--help"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr.startswith("mottool: no room left on the disk to write the output. Fix: ")
    assert done.stderr.count("\n") == 1


def test_failed_input_exits_with_1_and_is_listed_in_valid_json(tmp_path):
    missing, work = tmp_path / "none.mp4", tmp_path / "w"
    result = mottool_command("detect-embed", missing, "--json", MOTTOOL_WORK=str(work))
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "Fix:" in result.stderr
    assert json.loads(result.stdout)["failed"][0]["sequence"].endswith("none.mp4")


def test_wrong_usage_exits_with_2_and_makes_no_folder(tmp_path):
    result = mottool_command("detect-embed", MOTTOOL_WORK=str(tmp_path / "w"))
    assert result.returncode == 2
    assert not (tmp_path / "w").exists()


def test_the_group_is_a_click_group():
    assert isinstance(cli, click.Group)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("background", [False, True])
def test_a_request_to_terminate_is_handled_like_ctrl_c(number, background):
    handler = "SIG_IGN" if background else "default_int_handler"
    code = (
        f"import signal, time; signal.signal(signal.SIGINT, signal.{handler})\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"
        "from mottool.cli import main\n"
        "main.cli.main = lambda **_: (print('ready', flush=True), time.sleep(60))\n"
        "main.main()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert "mottool: interrupted. Finished files" in process.communicate(timeout=50)[1]
    assert process.returncode == 130


def test_a_pipe_is_refused_before_anything_waits_for_it(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for arguments in (["evaluate", pipe], ["associate", f"--settings={pipe}"]):
        result = mottool_command(*arguments)
        assert result.returncode == 2
        assert f"{pipe} is a pipe, and mottool reads its inputs more" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "/dev/zero"),
        ("associate", "--settings=/dev/urandom"),
        ("detect-embed", "a.mp4", "--pipeline", "mottool-s=/dev/zero"),
    ],
)
def test_a_device_without_end_is_refused(arguments):
    result = mottool_command(*arguments)
    assert result.returncode == 2
    assert "is a device, which has no end. Fix: name a file." in result.stderr


def test_output_of_any_encoding_or_none_is_no_traceback(tmp_path):
    path = tmp_path / "a\u2192b.txt"
    path.write_text("1,1,10,10,20,40,1,-1,-1,-1\n")
    done = mottool_command("inspect", path, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "a\\u2192b.txt" in done.stdout
    closed = subprocess.run(
        ["sh", "-c", 'exec "$0" -m mottool inspect "$1" >&-', sys.executable, str(path)],
        capture_output=True,
        text=True,
    )
    assert (closed.returncode, closed.stderr) == (0, "")
