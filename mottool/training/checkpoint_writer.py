"""What is kept of a training for use: the last weights and the best, each with its card.

The state (`State`) holds all that is needed to write them again, except the best of an epoch that
is over: so whoever goes on from a state first keeps its epoch once more.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mottool.checkpoints.cards import card_of, read_card, save_weights
from mottool.data.dataset import Dataset
from mottool.errors import CheckpointError, SettingError, did_you_mean, writing
from mottool.training.log import write_curves, write_log
from mottool.training.trainer import Trainer
from mottool.training.validation import FIGURES

__all__ = ["CheckpointWriter", "best_epoch", "licences_of"]

LOG, CURVES = "log.csv", "curves.png"
NOT_STATED = "not stated"

Row = Mapping[str, float]


def best_epoch(history: Sequence[Row], figure: str) -> int | None:
    """The epoch whose `figure` is highest, of several the last; None where there is no such row."""
    rated = [row for row in history if math.isfinite(row.get(figure, math.nan))]
    best = max(rated, key=lambda row: (row[figure], row["epoch"]), default=None)
    return None if best is None else int(best["epoch"])


@dataclass(frozen=True)
class CheckpointWriter:
    """The files of a training in `folder`, and what their cards say.

    `best` is which of `FIGURES` tells the best epoch; `origin` the first words about where the
    weights come from, `validated` how their figures were taken, `fitted` the settings by tracker
    that they were taken with where those are not the tracker's own, `licences` those of the
    datasets by name.
    """

    folder: Path
    pipeline: str
    best: str
    origin: str
    validated: str
    licences: Mapping[str, str]
    fitted: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def last_weights(self) -> Path:
        """The weights of the last epoch that is done."""
        return self.folder / f"{self.pipeline}.safetensors"

    @property
    def best_weights(self) -> Path:
        """The weights of the best epoch, where there was a validation."""
        return self.folder / f"{self.pipeline}.best.safetensors"

    def prepare(self) -> None:
        """Make the folder, before hours of work; an `OutputError` if it cannot be written to."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=self.folder).close()

    def keep(self, training: Trainer) -> bool:
        """Write what there is after an epoch, and say whether it is the best so far."""
        history = training.state.history
        epoch, best = training.state.epoch, best_epoch(history, self.best)
        told = f"{epoch} epochs"
        if training.plan.seconds is None:
            told = f"{epoch} of {training.plan.recipe.epochs} epochs"
        self._write(self.last_weights, training, told)
        if best == epoch:
            self._write(self.best_weights, training, self._of_best(epoch))
        elif best is None:  # what another training may have left
            self.best_weights.unlink(missing_ok=True)
            card_of(self.best_weights).unlink(missing_ok=True)
        write_log(history, self.folder / LOG)
        write_curves(history, self.folder / CURVES, self.pipeline)
        return best == epoch

    def lost(self, history: Sequence[Row]) -> str:
        """What to say if the best weights are not those of the epoch they should be of."""
        best = best_epoch(history, self.best)
        if best is None:
            return ""
        try:
            card = read_card(self.best_weights)
        except CheckpointError:
            card = None
        if card and self.best_weights.is_file() and f", {self._of_best(best)}" in card.origin:
            return ""
        return (
            f"the best epoch by {self.best} was {best}, whose weights are not in "
            f"{self.best_weights}: only a better one will be kept there"
        )

    def _of_best(self, epoch: int) -> str:
        return f"epoch {epoch}, the best by {self.best}"

    def _write(self, path: Path, training: Trainer, which: str) -> None:
        row = training.state.history[-1]
        figures = {name: row[name] for name in FIGURES if name in row}
        validated = f", {self.validated}" if figures and self.validated else ""
        save_weights(
            path,
            training.network.state_dict(),
            self.pipeline,
            f"{self.origin}, {which}{validated}",
            self.licences,
            figures,
            (training.samples.view.width, training.samples.view.height),
            self.fitted if figures else None,
        )


def licences_of(
    texts: Sequence[str], sources: Sequence[str | Path], datasets: Sequence[Dataset]
) -> dict[str, str]:
    """The licence of every dataset by its name, of `TEXT` for all and `NAME=TEXT` for one.

    A NAME is a dataset's or the source it was opened from, which is its name here where another
    bears the same. Raises `SettingError` for other names and for two texts for one dataset.
    """
    names = [dataset.name for dataset in datasets]
    own = [
        str(source) if names.count(name) > 1 else name
        for source, name in zip(sources, names, strict=True)
    ]
    called = {str(source): name for source, name in zip(sources, own, strict=True)}
    called |= {name: name for name in own}
    told = dict[str, str]()
    for text in texts:
        known = [each for each in called if text.startswith(f"{each}=")]
        if not known and "=" in text:
            fix = did_you_mean(text.partition("=")[0], called)
            raise SettingError(f"--data-licence {text!r} names no dataset of --data", fix)
        name = max(known, key=len, default="")
        licence = text.removeprefix(f"{name}=") if known else text
        if told.setdefault(called.get(name, ""), licence) != licence:
            fix = "give one of them; a dataset's own is written NAME=TEXT"
            raise SettingError(f"--data-licence tells two for {name or 'all datasets'}", fix)
    return {name: told.get(name, told.get("", NOT_STATED)) for name in own}
