"""Folders that may not be written, by mode or by owner, and a strict umask."""

import ctypes
import os
import sys

import pytest
from benchmarks.kill_cases import CASES
from benchmarks.kill_commands import OUT, files_of, in_fork, run_command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="uses Linux's capabilities")
VERSION, CAPABILITIES = 0x20080522, 0b1110  # may write, read and own everything, as root may
OTHER = 65534  # another user


def obey_permissions():
    """Make the permissions of files bind this process, also as root."""
    system = ctypes.CDLL(None)
    header, sets = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    assert system.capget(header, sets) == 0
    for index in range(3):
        sets[index] &= ~CAPABILITIES
    assert system.capset(header, sets) == 0


@pytest.fixture(params=["associate", "convert to server"])
def case(request, tmp_path):
    """A command and the folder of its inputs."""
    in_fork(tmp_path, CASES[request.param].make)
    return CASES[request.param], tmp_path


def refused(case, folder):
    """Run a command that may not write; return its message."""
    assert run_command(case, folder, setup=obey_permissions) == 1
    text = (folder / "log").read_text()
    assert all(line.startswith("mottool: ") for line in text.splitlines())
    return text


def set_all(folder, change):
    for path in (folder, *folder.rglob("*")):
        if path.is_dir():
            change(path)


def test_a_folder_that_is_read_only_is_named_and_keeps_its_results(case):
    case, folder = case
    assert run_command(case, folder) == 0
    before = files_of(folder)
    set_all(folder / OUT, lambda path: path.chmod(0o555))
    message = refused(case, folder)
    set_all(folder / OUT, lambda path: path.chmod(0o755))
    assert "cannot write" in message
    assert "Permission denied. Fix: " in message
    assert files_of(folder) == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="changes owners")
def test_an_unfinished_run_of_another_user_is_left_to_that_user(case):
    case, folder = case
    change = 0
    while not (folder / OUT).exists():
        assert run_command(case, folder, kill_at=(change := change + 1)) < 0
    set_all(folder / OUT, lambda path: os.chown(path, OTHER, OTHER))
    assert "cannot write" in refused(case, folder)
    assert run_command(case, folder) == 0  # as root, who may


def test_a_strict_umask_gives_private_files(case):
    case, folder = case
    private = lambda: (obey_permissions(), os.umask(0o077))  # noqa: E731
    for _ in range(2):
        assert run_command(case, folder, setup=private) == 0
    modes = {path.stat().st_mode & 0o777 for path in (folder / OUT).rglob("*") if path.is_file()}
    assert modes == {0o600}
