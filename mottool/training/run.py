"""What is done after every epoch of a training, in an order that no kill at any moment can break.

The state is written before the validation, which may take long, and again with its figures; then
what is kept for use. Whoever goes on does what is missing of the last epoch first, so that
everything is as if nothing had happened.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mottool.errors import SettingError
from mottool.training.checkpoint_writer import CheckpointWriter
from mottool.training.trainer import Trainer
from mottool.training.validation import FIGURES, Validation

__all__ = ["TrainingRun"]


@dataclass(frozen=True)
class TrainingRun:
    """A training from its beginning, or from where it was stopped, to its end.

    `state` is the file to go on from and `settings` what decides the training's course; every
    `every` epochs, and after the last, `validation` scores the network. `warn` is told of every
    epoch.
    """

    training: Trainer
    keeping: CheckpointWriter
    state: Path
    settings: Mapping[str, Any]
    validation: Validation | None
    every: int
    warn: Callable[[str], None]

    def run(self) -> None:
        """Train every epoch that is left.

        A `SettingError` if images are too small to be alone, a `CheckpointError` if not all
        processes found the same state, and an `OutputError` where nothing can be written.
        """
        if self.training.accelerator.is_main_process:
            self.keeping.prepare()
        self.training.agree()
        epochs = self.training.epochs()
        while self._next(epochs):
            if self.training.accelerator.is_main_process:
                self._close()
            self.training.wait()

    def _next(self, epochs: Iterator[Any]) -> bool:
        """Train one epoch; whether there was one."""
        try:
            return next(epochs, None) is not None
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            width, height = self.training.samples.view.width, self.training.samples.view.height
            problem = f"one image of {width}x{height} by itself is too small for batch norm"
            fix = "give a larger --input, or a --batch that leaves no process a single image"
            raise SettingError(problem, fix) from error

    def take_up(self) -> None:
        """Go on from the state that was written, and do what is missing of its last epoch."""
        state = self.training.state
        state.load(self.state, self.settings)
        self.warn(f"{self.state}: {self._begun()}")
        if self.training.accelerator.is_main_process and state.history:
            if self._due():
                self._close()
            else:
                self.keeping.keep(self.training)
            if lost := self.keeping.lost(state.history):
                self.warn(lost)

    def _begun(self) -> str:
        """What is done already, and what comes next."""
        state = self.training.state
        due = state.history and self._due()
        if not self.training.finished:
            return f"going on after epoch {state.epoch}{', which is validated first' * bool(due)}"
        rest = "the last is validated now" if due else "--overwrite begins again"
        return f"all {state.epoch} epochs are done; {rest}"

    def _close(self) -> None:
        """Write the state, validate if that is due, write what is kept, and tell."""
        row = self.training.state.history[-1]
        self.training.save(self.state, self.settings)
        if self.validation and self._due():
            self.training.network.eval()
            row |= self.validation(self.training.network)
            self.training.save(self.state, self.settings)
        best = self.keeping.keep(self.training)
        self.warn(self._told(row, best))

    def _due(self) -> bool:
        """Whether the last epoch is one to validate, and has not been."""
        row = self.training.state.history[-1]
        wanted = row["epoch"] % self.every == 0 or self.training.finished
        return self.validation is not None and wanted and FIGURES[0] not in row

    def _told(self, row: Mapping[str, float], best: bool) -> str:
        """An epoch's row of the log in one line for a person."""
        figures = [f"{name} {row[name]:.3f}" for name in FIGURES if name in row]
        epoch = f"epoch {row['epoch']:.0f}"
        if self.training.plan.seconds is None:
            epoch += f" of {self.training.plan.recipe.epochs}"
        told = ", ".join([f"{epoch}: loss {row['total']:.4g}", *figures, f"{row['seconds']:.0f} s"])
        if best and row[self.keeping.best] > 0:
            told += f", the best {self.keeping.best} so far"
        remark = self.validation.remark(row) if self.validation else ""
        return f"{told}; {remark}" if remark else told
