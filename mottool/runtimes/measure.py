"""Measure the runtimes of a network on this machine, and remember which is the fastest."""

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from mottool.errors import MottoolError, OutputError
from mottool.files import atomic_write, digest
from mottool.locks import locked
from mottool.runtimes.agreement import agree, eager_heads
from mottool.runtimes.conversions import cache_folder, code_version
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.registry import EAGER, versions

__all__ = ["Measured", "alone", "measure", "recall", "remember"]

ROUNDS = 5  # calls of each runtime that are timed, in turn
LONGEST_SECONDS = 10.0  # after which no further round begins
GAIN = 0.95  # a runtime must take less than this part of the time of eager PyTorch

DAMAGED = (  # what a damaged file of a measurement raises
    *(OSError, ValueError, TypeError, KeyError, AttributeError),
    *(RecursionError, OverflowError),
)

Warn = Callable[[str], None]
Open = Callable[[str], Forward]


@dataclass(frozen=True)
class Measured:
    """The fastest runtime of a network, and the milliseconds per image of each."""

    runtime: str
    milliseconds: Mapping[str, float]

    def describe(self, network: str) -> str:
        """Return the choice and its figures in one line."""
        others = sorted(self.milliseconds.items(), key=lambda item: item[1])
        times = ", ".join(f"{name} {time:.3g}" for name, time in others if name != self.runtime)
        fastest = f"{self.milliseconds[self.runtime]:.3g} ms an image"
        return f"{network}: runtime {self.runtime}, {fastest} here ({times}); see --runtime"


@contextmanager
def alone(waiting: Callable[[], None]) -> Iterator[None]:
    """Let only one process of this user measure at a time; others would disturb it.

    `waiting` is called if another process measures. Without a cache that can be written, processes
    do not wait for each other.
    """
    with ExitStack() as stack:
        with suppress(OutputError):
            stack.enter_context(locked(cache_folder() / "measuring.lock", waiting))
        yield


@torch.inference_mode()
def measure(network: LoadedNetwork, names: list[str], open_runtime: Open, warn: Warn) -> Measured:
    """Time eager PyTorch and the runtimes `names` in turn, on smooth noise.

    A runtime that cannot be opened or called is left out, and so is one whose heads differ from
    those of eager PyTorch by more than `agreement.agree` tolerates; `warn` receives a line for
    each.
    """
    images = network.example()
    eager, exact = eager_heads(network, images)
    with network.compute.autocast():
        forwards: dict[str, Forward] = {EAGER: open_runtime(EAGER)}
        for name in names:
            try:
                forward = open_runtime(name)
                if agree(forward(*images), eager, exact):
                    forwards[name] = forward
                else:
                    warn(f"{network.name}: runtime {name} is not used: its results are inexact")
            except MottoolError as error:
                warn(f"{network.name}: runtime {name} is not used: {error.problem}")
        seconds = _time(network, forwards, images)
    milliseconds = {name: 1000 * time / network.batch for name, time in seconds.items()}
    fastest = min(milliseconds, key=lambda name: milliseconds[name])
    if milliseconds[fastest] > GAIN * milliseconds[EAGER]:
        fastest = EAGER
    return Measured(fastest, milliseconds)


def _time(
    network: LoadedNetwork, forwards: Mapping[str, Forward], images: tuple[torch.Tensor, ...]
) -> dict[str, float]:
    """Return the shortest time of a call of each runtime in seconds, after one that warms it up."""
    seconds = dict.fromkeys(forwards, float("inf"))
    begun = perf_counter()
    for turn in range(ROUNDS + 1):
        for name, forward in forwards.items():
            start = perf_counter()
            forward(*images)
            network.compute.wait()
            if turn:
                seconds[name] = min(seconds[name], perf_counter() - start)
        if turn and perf_counter() - begun > LONGEST_SECONDS:
            break
    return seconds


def recall(network: LoadedNetwork, names: list[str]) -> Measured | None:
    """Return what was measured here before with the same runtimes, or None."""
    with suppress(*DAMAGED):
        content = json.loads(_file(network, names).read_text())
        measured = Measured(**content)
        if measured.runtime in {EAGER, *names}:
            measured.describe(network.name)
            return measured
    return None


def remember(network: LoadedNetwork, names: list[str], measured: Measured) -> None:
    """Keep what was measured. Raises `OutputError` if the cache cannot be written."""
    with atomic_write(_file(network, names)) as temporary:
        temporary.write_text(json.dumps(asdict(measured), indent=1))


def _file(network: LoadedNetwork, names: list[str]) -> Path:
    """Return the file of a measurement; its name depends on all that decides the result."""
    packages: dict[str, Any] = {name: versions(name) for name in names}
    identity = network.identity() | packages | {"code": code_version(), "machine": _machine()}
    return cache_folder() / "measured" / f"{digest(identity)[:16]}.json"


def _machine() -> list[object]:
    """Return what identifies this kind of machine: its processor, threads and GPU."""
    model = platform.processor()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line for line in lines if line.startswith("model name")), model)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return [platform.machine(), model, os.cpu_count(), torch.get_num_threads(), gpu]
