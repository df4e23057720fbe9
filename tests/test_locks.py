"""A lock is held by one process at a time, and by none that has ended."""

import os
import subprocess
import sys

import pytest

from mottool.locks import lock, locked

HOLDER = """
import sys, time
from pathlib import Path
from mottool.locks import locked
with locked(Path(sys.argv[1]), print):
    print("locked", flush=True)
    time.sleep(600)
"""


def test_a_killed_holder_does_not_block(tmp_path):
    path = tmp_path / "folder" / "lock"
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "locked\n"

        def waiting():
            holder.kill()
            waits.append(True)

        waits = []
        with locked(path, waiting):
            assert waits == [True]
    with locked(path, pytest.fail):
        assert path.exists()


def test_the_file_of_a_lock_is_removed_and_locked_anew(tmp_path):
    path, waits = tmp_path / "lock", []
    with locked(path, pytest.fail):
        descriptor = os.open(path, os.O_RDWR)  # as of a process that waits
    assert not path.exists()
    lock(descriptor)

    def waiting():
        waits.append(True)

    with locked(path, waiting):
        assert path.exists()
    os.close(descriptor)
    assert waits == []
