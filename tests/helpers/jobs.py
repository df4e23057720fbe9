"""Jobs for worker processes, which import this module by its name."""

import os
import signal
import time
import weakref

from mottool.engines.local import THREADS
from mottool.errors import InputError

__all__ = ["doubled", "dying", "forgetful", "moody", "patient", "threads"]


def doubled(number):
    return 2 * number


def moody(number):
    if number == 2:
        raise InputError("two is broken", "give three")
    return os.getpid()


def dying(number):
    os.kill(os.getpid(), signal.SIGKILL)


def threads(number):
    return [os.environ.get(name) for name in THREADS]


def patient(path):
    """Wait to be interrupted, and record the start and the clean-up as files."""
    path.with_suffix(".started").touch()
    try:
        time.sleep(60)
    finally:
        time.sleep(0.1)
        path.with_suffix(".cleaned").touch()


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
