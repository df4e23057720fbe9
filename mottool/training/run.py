"""Run the epochs of a training; save, validate and write weights after each.

The state is saved before the validation, which can take long, and again with its metrics; then the
weights are written. On resume, finish the last epoch's validation and weights first, so that
results equal an uninterrupted run's.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mottool.errors import SettingError
from mottool.locks import locked_folder
from mottool.training.checkpoint_writer import CheckpointWriter
from mottool.training.trainer import Trainer
from mottool.training.validation import FIGURES, HIGHEST, Validation

__all__ = ["TrainingRun"]


@dataclass(frozen=True)
class TrainingRun:
    """A training from its start, or from its saved state, to its end.

    `state` is the file of the training state, and `settings` are those that must be equal to
    resume. `validation` scores the network every `every` epochs and after the last. `warn` receives
    a line per epoch.
    """

    trainer: Trainer
    writer: CheckpointWriter
    state: Path
    settings: Mapping[str, Any]
    validation: Validation | None
    every: int
    warn: Callable[[str], None]

    def locked(self) -> AbstractContextManager[None]:
        """Lock the folder for the processes of this training, of which the main one writes.

        Raises `BusyError` if another training is writing to it.
        """
        main = self.trainer.accelerator.is_main_process
        return locked_folder(self.writer.folder) if main else nullcontext()

    def run(self) -> None:
        """Train the remaining epochs.

        Raises `SettingError` if a single image is too small for batch norm, `CheckpointError` if
        the processes have different states, and `OutputError` if a file cannot be written.
        """
        if self.trainer.accelerator.is_main_process:
            self.writer.prepare()
        self.trainer.agree()
        epochs = self.trainer.epochs()
        while self._next(epochs):
            if self.trainer.accelerator.is_main_process:
                self._finish_epoch()
            self.trainer.wait()

    def _next(self, epochs: Iterator[Any]) -> bool:
        """Train one epoch; return False if none remained."""
        try:
            return next(epochs, None) is not None
        except ValueError as error:
            if "more than 1 value per channel" not in str(error):
                raise
            width, height = self.trainer.samples.view.width, self.trainer.samples.view.height
            problem = f"a single image of {width}x{height} is too small for batch norm"
            fix = "give a larger --input, or a --batch with several images per process"
            raise SettingError(problem, fix) from error

    def resume(self) -> None:
        """Load the saved state, and finish the validation and weights of its last epoch."""
        state = self.trainer.state
        state.load(self.state, self.settings, self.warn)
        self.warn(f"{self.state}: {self._progress()}")
        if self.trainer.accelerator.is_main_process and state.history:
            if self._due():
                self._finish_epoch()
            else:
                self.writer.write(self.trainer)
            if message := self.writer.missing_best(state.history):
                self.warn(message)

    def _progress(self) -> str:
        """Report how many epochs are completed, and what follows."""
        state = self.trainer.state
        due = state.history and self._due()
        if not self.trainer.finished:
            return f"resuming after epoch {state.epoch}{', which is validated first' * bool(due)}"
        rest = "the last is validated now" if due else "--overwrite starts over"
        return f"all {state.epoch} epochs are completed; {rest}"

    def _finish_epoch(self) -> None:
        """Save the state, validate if due, write the weights, and report."""
        row = self.trainer.state.history[-1]
        self.trainer.save(self.state, self.settings)
        if self.validation and self._due():
            self.trainer.network.eval()
            row |= self.validation(self.trainer.network)
            self.trainer.save(self.state, self.settings)
        best = self.writer.write(self.trainer)
        self.warn(self._summary(row, best))

    def _due(self) -> bool:
        """Return whether the last epoch must still be validated."""
        row = self.trainer.state.history[-1]
        selected = row["epoch"] % self.every == 0 or self.trainer.finished
        return self.validation is not None and selected and HIGHEST not in row

    def _summary(self, row: Mapping[str, float], best: bool) -> str:
        """Format the metrics of an epoch as one line."""
        metrics = [f"{name} {row[name]:.3f}" for name in FIGURES if name in row]
        epoch = f"epoch {self.trainer.epoch_text}"
        line = ", ".join([f"{epoch}: loss {row['total']:.4g}", *metrics, f"{row['seconds']:.0f} s"])
        if best and row[self.writer.best] > 0:
            line += f", the best {self.writer.best} so far"
        remark = self.validation.remark(row) if self.validation else ""
        return f"{line}; {remark}" if remark else line
