"""Messages of errors."""

from functools import partial

import cv2
import numpy as np
import pytest
import torch

from mottool.cli.jobs import Jobs
from mottool.engines.task import Task, run_task
from mottool.errors import InputError, as_mottool_error

PIXEL = np.zeros((1, 1), np.uint8)
TOO_LARGE = {
    "numpy": lambda: np.zeros(1 << 60, np.uint8),
    "cv2": lambda: cv2.resize(PIXEL, (2**30, 2**30)),
    "torch": lambda: torch.empty(1 << 60, dtype=torch.uint8),
}


def test_messages_are_one_printable_line():
    error = InputError("a\nb\udce9.mp4 is \x1b[31mred", "rename it")
    assert str(error) == r"a\nb\udce9.mp4 is \x1b[31mred. Fix: rename it."


@pytest.mark.parametrize("allocate", TOO_LARGE.values(), ids=TOO_LARGE)
def test_full_memory_is_an_error_with_a_fix(allocate, capsys):
    message = "there is not enough memory. Fix: "
    assert message in str(run_task(Task("job", allocate, ())).error)
    assert Jobs().run("seq", allocate) is None
    assert f"mottool: seq: {message}" in capsys.readouterr().err


def test_errors_of_the_program_are_raised():
    def fail():
        raise RuntimeError("shapes differ")

    for run in (partial(run_task, Task("job", fail, ())), partial(Jobs().run, "seq", fail)):
        with pytest.raises(RuntimeError, match="shapes differ"):
            run()


def test_errors_of_files_are_converted_with_their_cause():
    missing = FileNotFoundError(2, "No such file or directory", "seq.h5")
    failure = as_mottool_error(missing)
    assert str(failure) == "there is no file seq.h5. Fix: check the path."
    assert failure.__cause__ is missing
    assert as_mottool_error(failure) is failure


def test_a_reader_that_exits_is_no_failed_input():
    assert as_mottool_error(BrokenPipeError()) is None
