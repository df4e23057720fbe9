"""Jobs for worker processes, which import this module by its name."""

import os
import signal
import time
import weakref

from mottool.engines.task import PROCESSES
from mottool.engines.threads import THREADS
from mottool.errors import InputError

__all__ = [
    "alone",
    "doubled",
    "dying",
    "dying_once",
    "forgetful",
    "hanging",
    "moody",
    "patient",
    "processes",
    "stubborn",
    "stubborn_or_patient",
    "threads",
]


def doubled(number):
    return 2 * number


def moody(number):
    if number == 2:
        raise InputError("two is broken", "give three")
    return os.getpid()


def dying(folder):
    """Kill this process, and record that in a folder."""
    (folder / str(os.getpid())).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def dying_once(path):
    """Kill this process unless the file exists, which is then made."""
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return path


def hanging(path):
    """Hang in every try, or in the first one if the file is named `once`."""
    if path.name != "once" or not path.exists():
        path.touch()
        time.sleep(60)
    return path


def alone(folder, other, seconds=60):
    """Be the only one in `folder`, and stay there until the file `other` exists."""
    folder.mkdir()
    end = time.monotonic() + seconds
    while not other.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.2)
    folder.rmdir()


def threads(number):
    return [os.environ.get(name) for name in THREADS]


def processes(number):
    return PROCESSES.get()


def patient(path):
    """Wait to be interrupted, and record the start and the clean-up as files."""
    try:
        path.with_suffix(".started").touch()
        time.sleep(60)
    finally:
        time.sleep(0.1)
        path.with_suffix(".cleaned").touch()


def stubborn(path):
    """Ignore SIGTERM, as a job does that is within a library."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    path.with_suffix(".started").touch()
    time.sleep(600)


def stubborn_or_patient(path):
    """Be patient if a file beside `path` says so, else stubborn."""
    patient(path) if path.with_suffix(".patient").exists() else stubborn(path)


class Forgotten:
    """An object whose weak references have a callback that takes long."""


def forgetful(path):
    """Be interrupted within the callback of a weak reference, where Python ignores exceptions."""

    def callback(reference):
        path.with_suffix(".begun").touch()
        end = time.monotonic() + 0.5
        while time.monotonic() < end:
            pass

    thing = Forgotten()
    reference = weakref.ref(thing, callback)
    try:
        del thing
        time.sleep(60)
    finally:
        path.with_suffix(".cleaned").touch()
        del reference
