"""Choose the runtime of a network: by name, by measurement, or that of a run which is resumed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from mottool.errors import MottoolError, SettingError, did_you_mean
from mottool.models.device import PRECISIONS
from mottool.networks.registry import load
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.measure import Measured, alone, measure, recall, remember
from mottool.runtimes.network import RuntimeNetwork
from mottool.runtimes.registry import AUTO, EAGER, RUNTIMES, VARIABLE

__all__ = ["Runtimes", "Started"]

FEW_IMAGES = 300  # for fewer, a measurement takes longer than it saves

Warn = Callable[[str], None]


class Started(NamedTuple):
    """The runtime of one sequence, and the network with its `forward` computed by it."""

    runtime: str
    network: Any


class Runtimes:
    """The runtimes of one network; each is opened once, by the first call of its `forward`."""

    def __init__(self, network: LoadedNetwork, requested: str = AUTO) -> None:
        """Take the runtime `requested`; `auto` stands for `$MOTTOOL_RUNTIME` if that is set.

        Raises `SettingError` for one that is unknown, not installed, or that does not support the
        network's device or precision.
        """
        self.network = network
        self.requested = requested
        if requested == AUTO:
            self.requested = os.environ.get(VARIABLE) or AUTO
        self._networks: dict[str, Any] = {}
        if network.compute.dtype is torch.float32:
            self._networks[EAGER] = network.module
        self._opened: dict[str, Forward] = {}
        self._measured: Measured | None = None
        self._messages: set[str] = set()
        self._images = 0  # of all sequences that have been started without a recorded runtime
        if self.requested != AUTO and (error := self._obstacle(self.requested)):
            raise error

    def start(self, warn: Warn, recorded: str = "", images: int | None = None) -> Started:
        """Start a sequence of so many `images`, None if that is unknown.

        `recorded` is the runtime of an earlier run that is resumed, if any. `warn` receives a line
        about what `auto` has chosen, and one if the runtime is not the requested one.
        """
        self._warn_once(warn, self.network.compute.warning())
        if recorded and (obstacle := self._obstacle(recorded)):
            self._warn_once(
                warn,
                f"{self.network.name}: the cache was begun with the runtime {recorded}, but "
                f"{obstacle.problem}; use --overwrite for one runtime in all frames",
            )
        elif recorded:
            if self.requested not in {AUTO, recorded}:
                self._warn_once(
                    warn,
                    f"{self.network.name}: continuing with the runtime {recorded} that the cache "
                    f"was begun with; use --overwrite to start again with {self.requested}",
                )
            return self._runtime(recorded)
        if self.requested != AUTO:
            return self._runtime(self.requested)
        self._images += images or 0
        self._measured = self._measured or self._measure(warn)
        return self._runtime(self._measured.runtime if self._measured else EAGER)

    def _warn_once(self, warn: Warn, message: str) -> None:
        """Pass a message to `warn` unless an earlier sequence had the same."""
        if message and message not in self._messages:
            warn(message)
            self._messages.add(message)

    def _measure(self, warn: Warn) -> Measured | None:
        """Return the remembered or a new measurement; None if a new one is not worth its time.

        While another process measures, wait for it: it may measure the same.
        """
        names = [
            name
            for name, entry in RUNTIMES.items()
            if entry.measured and name != EAGER and not self._obstacle(name)
        ]
        measured = recall(self.network, names)
        if measured is None:
            if not names or self._images < FEW_IMAGES:
                return None
            message = f"{self.network.name}: waiting for another process that measures runtimes"
            with alone(lambda: warn(message)):
                measured = recall(self.network, names) or self._measure_anew(names, warn)
        warn(measured.describe(self.network.name))
        return measured

    def _measure_anew(self, names: list[str], warn: Warn) -> Measured:
        """Measure the runtimes `names`, and remember the result.

        The runtimes that are not chosen are closed: each holds memory of the device.
        """
        measured = measure(self.network, names, self.open, warn)
        for name in self._opened.keys() - {measured.runtime}:
            del self._opened[name]
        try:
            remember(self.network, names, measured)
        except MottoolError as error:
            warn(f"the choice of a runtime is not kept: {error.problem}")
        return measured

    def _runtime(self, name: str) -> Started:
        """Return the network with the runtime `name`, which is opened when it is first used."""
        if name not in self._networks:
            self._networks[name] = RuntimeNetwork(self.network, partial(self.open, name))
        return Started(name, self._networks[name])

    def open(self, name: str) -> Forward:
        """Open a runtime. Raises `SettingError` if the network cannot be converted for it.

        So does its first call: some runtimes find out only then.
        """
        if name not in self._opened:
            with self._errors_of(name):
                forward: Forward = load(RUNTIMES[name].open)(self.network)

            def checked(*images: Tensor) -> dict[str, Tensor]:
                with self._errors_of(name):
                    return forward(*images)

            self._opened[name] = checked
        return self._opened[name]

    @contextmanager
    def _errors_of(self, name: str) -> Iterator[None]:
        """Convert the errors of a runtime, each of which has its own, to `SettingError`."""
        try:
            with self.network.compute.within_memory():
                yield
        except MottoolError:
            raise
        except Exception as error:
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            problem = f"{name} cannot run {self.network.name} ({reason})"
            fix = f"give --runtime {EAGER}, and --overwrite if the cache was begun with {name}"
            raise SettingError(problem, fix) from error

    def _obstacle(self, name: str) -> SettingError | None:
        """Return why the runtime cannot be used here, or None."""
        if name not in RUNTIMES:
            given = f" (${VARIABLE})" if name == os.environ.get(VARIABLE) else ""
            problem = f"there is no runtime {name!r}{given}"
            return SettingError(problem, did_you_mean(name, (AUTO, *RUNTIMES)))
        entry, compute = RUNTIMES[name], self.network.compute
        if missing := entry.missing():
            fix = f"install it: pip install {' '.join(missing)}"
            return SettingError(f"the runtime {name} needs the package {missing[0]}", fix)
        if compute.device.type not in entry.devices:
            fix = f"give --device {entry.devices[0]}, or --runtime {EAGER}"
            return SettingError(f"the runtime {name} does not run on {compute.device}", fix)
        if compute.dtype not in {PRECISIONS[precision] for precision in entry.precisions}:
            fix = f"give --precision {entry.precisions[0]}, or --runtime {EAGER}"
            kind = str(compute.dtype).removeprefix("torch.")
            return SettingError(f"the runtime {name} does not compute in {kind}", fix)
        return None
