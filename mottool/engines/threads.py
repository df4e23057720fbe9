"""The number of processor cores, and the threads of linear algebra."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["THREADS", "cores", "single_threads"]

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
NUMPY_THREADS = ("OPENBLAS_NUM_THREADS",)  # leaves the threads of networks alone


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of processor cores that this process may use, at least 1.

    `quota` is the file with the limit of a container: microseconds of all cores together and the
    period, or `max`.
    """
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        limit, period = map(int, quota.read_text().split())
    except (OSError, ValueError):  # no container, or no limit
        return count or 1
    return max(1, min(count or 1, round(limit / period)))


@contextmanager
def single_threads(networks: bool = False) -> Iterator[None]:
    """Set the variables that linear algebra libraries read when they are loaded.

    They apply to this process, unless its libraries are loaded already, and to those that it
    starts: small products take hundreds of times longer when they wait for threads. With
    `networks`, PyTorch keeps its threads.
    """
    names = NUMPY_THREADS if networks else THREADS
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
