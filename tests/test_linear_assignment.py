import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES

import numpy as np
from scipy import optimize

from mottool import linear_assignment

LOADED = """
import sys
from mottool.linear_assignment import linear_sum_assignment
assert linear_sum_assignment([[1, 0], [0, 2]], maximize=True)[1].tolist() == [0, 1]
print([name for name in sys.modules if name.startswith("scipy")])
"""


def test_solver_equals_scipys_without_importing_it():
    draw = np.random.default_rng(0)
    for shape in ((3, 7), (8, 8), (6, 2), (0, 3)):
        costs = draw.integers(0, 4, shape)  # with ties
        for ours, theirs in zip(
            linear_assignment.linear_sum_assignment(costs),
            optimize.linear_sum_assignment(costs),
            strict=True,
        ):
            assert ours.tolist() == theirs.tolist()
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_scipy_without_the_file_is_imported(monkeypatch):
    assert EXTENSION_SUFFIXES
    monkeypatch.setattr(linear_assignment, "EXTENSION_SUFFIXES", [".none"])
    assert linear_assignment._solver() is optimize.linear_sum_assignment
