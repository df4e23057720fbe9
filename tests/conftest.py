"""Set one thread per test worker before a BLAS is imported, and hide the user's own files."""

import multiprocessing
import os
import signal
import sys
from collections import Counter

import pytest

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["MOTTOOL_RUNTIME"] = "torch"  # no test converts a network unless it says so
os.environ["MOTTOOL_WEIGHTS"] = os.path.join(os.devnull, "weights")  # a path that cannot exist


def pytest_addoption(parser):
    """Add the number of damaged inputs for each reader, and the seed of the first."""
    parser.addoption("--fuzz", type=int, default=200, help="damaged inputs for each reader")
    parser.addoption("--fuzz-seed", type=int, default=0, help="seed of the first damaged input")


def pytest_collection_modifyitems(items):
    """Run the files with the most heavy tests first, so that no worker starts a long one last."""
    heavy = Counter(item.path for item in items if item.get_closest_marker("heavy"))
    items.sort(key=lambda item: -heavy[item.path])


# Worker processes are forked from a server that has imported the slow modules once.
multiprocessing.set_forkserver_preload(["mottool.training.learners.fairmot", "accelerate"])


@pytest.fixture(autouse=True)
def _no_handler_of_workers():
    """Remove the handler of SIGCHLD that a loader with worker processes leaves in this process.

    After AMX instructions, the kernel killed test processes when it was to run this handler on the
    stack that pytest's faulthandler has set aside.
    """
    yield
    handling = sys.modules.get("torch.utils.data._utils.signal_handling")
    if handling is not None and handling._SIGCHLD_handler_set:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        handling._SIGCHLD_handler_set = False


@pytest.fixture
def quick(monkeypatch):
    """Retry downloads without a delay, and use no proxy."""
    monkeypatch.setattr("mottool.checkpoints.transfer.BACKOFF", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site():
    """A web server with one file."""
    from websites import CONTENT, Website

    with Website(CONTENT) as server:
        yield server


@pytest.fixture
def out(tmp_path):
    """The path of the downloaded file."""
    return tmp_path / "made.bin"


@pytest.fixture(scope="module")
def narrow_backbone():
    """Replace YOLOv5s as FairMOT's backbone by a narrow one, for tests that need no accuracy."""
    from narrow_backbone import NarrowYOLOv5s

    from mottool.models.fairmot import BACKBONES

    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(BACKBONES, "yolov5s", NarrowYOLOv5s)
        yield


@pytest.fixture
def last_epoch_only(monkeypatch):
    """Write checkpoints, weights and curves after the last epoch of a training only."""
    from mottool.training.run import TrainingRun

    finish_epoch = TrainingRun._finish_epoch

    def finish_last_epoch(self):
        if self.trainer.finished:
            finish_epoch(self)

    monkeypatch.setattr(TrainingRun, "_finish_epoch", finish_last_epoch)
