"""One thread per test worker, set before anything imports a BLAS, and no downloaded weights."""

import os

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["MOTTOOL_WEIGHTS"] = os.path.join(os.devnull, "weights")  # a folder that never is


@pytest.fixture
def quick(monkeypatch):
    """Downloads that are retried at once, and without a proxy."""
    monkeypatch.setattr("mottool.checkpoints.transfer.BACKOFF", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site():
    """A web server that has one file."""
    from websites import CONTENT, Website

    with Website(CONTENT) as server:
        yield server


@pytest.fixture
def out(tmp_path):
    """Where that file goes."""
    return tmp_path / "made.bin"
