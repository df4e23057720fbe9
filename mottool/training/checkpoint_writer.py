"""Write the last and the best weights of a training, each with its card.

The training state contains everything that is needed to write them again, except the best weights
of earlier epochs; a resumed training therefore writes the weights of its last epoch again.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from mottool.checkpoints.cards import card_path, read_card, save_weights
from mottool.data.dataset import Dataset
from mottool.errors import CheckpointError, SettingError, did_you_mean, writing
from mottool.training.log import write_curves, write_log
from mottool.training.trainer import Trainer
from mottool.training.validation import FIGURES

__all__ = ["CheckpointWriter", "best_epoch", "licences_of"]

LOG, CURVES = "log.csv", "curves.png"
NOT_STATED = "not stated"

Row = Mapping[str, float]


def best_epoch(history: Sequence[Row], metric: str) -> int | None:
    """Return the epoch with the highest `metric`, the last of several; None if none has it."""
    rated = [row for row in history if math.isfinite(row.get(metric, math.nan))]
    best = max(rated, key=lambda row: (row[metric], row["epoch"]), default=None)
    return None if best is None else int(best["epoch"])


@dataclass(frozen=True)
class CheckpointWriter:
    """Writes the files of a training into `folder`.

    `best` is the metric, one of `FIGURES`, that selects the best epoch. For the cards: `origin`
    states where the weights come from, `validated` how metrics were measured, `fitted` the settings
    by tracker that differ from the tracker's defaults, and `licences` the licence of each dataset.
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
        """Return the path of the weights of the last completed epoch."""
        return self.folder / f"{self.pipeline}.safetensors"

    @property
    def best_weights(self) -> Path:
        """Return the path of the weights of the best validated epoch."""
        return self.folder / f"{self.pipeline}.best.safetensors"

    def prepare(self) -> None:
        """Create the folder before training starts. Raises `OutputError` if it is not writable."""
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            TemporaryFile(dir=self.folder).close()

    def write(self, training: Trainer) -> bool:
        """Write weights, log and curves after an epoch; return whether it is the best so far."""
        history = training.state.history
        epoch, best = training.state.epoch, best_epoch(history, self.best)
        self._write(self.last_weights, training, f"{training.epoch_text} epochs")
        if best == epoch:
            self._write(self.best_weights, training, self._best_origin(epoch))
        elif best is None:  # remove the files of another training
            self.best_weights.unlink(missing_ok=True)
            card_path(self.best_weights).unlink(missing_ok=True)
        write_log(history, self.folder / LOG)
        write_curves(history, self.folder / CURVES, self.pipeline)
        return best == epoch

    def missing_best(self, history: Sequence[Row]) -> str:
        """Return a message if the best weights are missing or of another epoch, else ""."""
        best = best_epoch(history, self.best)
        if best is None:
            return ""
        try:
            card = read_card(self.best_weights)
        except CheckpointError:
            card = None
        if card and self.best_weights.is_file() and f", {self._best_origin(best)}" in card.origin:
            return ""
        return (
            f"the best epoch by {self.best} was {best}, whose weights are not in "
            f"{self.best_weights}: only a better epoch will be written there"
        )

    def _best_origin(self, epoch: int) -> str:
        return f"epoch {epoch}, the best by {self.best}"

    def _write(self, path: Path, training: Trainer, detail: str) -> None:
        row = training.state.history[-1]
        metrics = {name: row[name] for name in FIGURES if name in row}
        validated = f", {self.validated}" if metrics and self.validated else ""
        save_weights(
            path,
            training.network.state_dict(),
            self.pipeline,
            f"{self.origin}, {detail}{validated}",
            self.licences,
            metrics,
            (training.samples.view.width, training.samples.view.height),
            self.fitted if metrics else None,
        )


def licences_of(
    texts: Sequence[str], sources: Sequence[str | Path], datasets: Sequence[Dataset]
) -> dict[str, str]:
    """Return the licence of every dataset by name, from `TEXT` for all and `NAME=TEXT` for one.

    NAME is the name of a dataset or its source. Datasets with equal names are named by their
    sources. Raises `SettingError` for unknown names and for two texts for one dataset.
    """
    names = [dataset.name for dataset in datasets]
    unique = [
        str(source) if names.count(name) > 1 else name
        for source, name in zip(sources, names, strict=True)
    ]
    aliases = {str(source): name for source, name in zip(sources, unique, strict=True)}
    aliases |= {name: name for name in unique}
    licences = dict[str, str]()
    for text in texts:
        known = [alias for alias in aliases if text.startswith(f"{alias}=")]
        if not known and "=" in text:
            fix = did_you_mean(text.partition("=")[0], aliases)
            raise SettingError(f"--data-licence {text!r} names no dataset of --data", fix)
        name = max(known, key=len, default="")
        licence = text.removeprefix(f"{name}=") if known else text
        if licences.setdefault(aliases.get(name, ""), licence) != licence:
            fix = "give one of them; write that of one dataset as NAME=TEXT"
            raise SettingError(f"--data-licence is given twice for {name or 'all datasets'}", fix)
    return {name: licences.get(name, licences.get("", NOT_STATED)) for name in unique}
