"""The training state: everything that a resumed training needs, and the average of the weights.

`training.pt` is written after every epoch. It holds only tensors and plain containers, is read
with `weights_only`, and is replaced atomically.

Average of the weights: Polyak & Juditsky, "Acceleration of stochastic approximation by averaging",
1992, with the increasing decay of YOLOv5's training, which discounts the first random weights.
"""

import io
import json
import math
import pickle
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mottool.errors import CheckpointError
from mottool.files import atomic_write

__all__ = ["Average", "State"]

SCHEMA = "mottool/training/1"
GROWTH = 2000  # steps after which the decay is 63 % of what it grows to


class Average(nn.Module):
    """The average of a network's parameters and buffers; whole numbers in them are copied."""

    steps: torch.Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        """`decay` in [0, 1): what each step leaves of the average."""
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move towards `network` by one step."""
        self.steps += 1
        decay = self.decay * (1 - math.exp(-int(self.steps) / GROWTH))
        current = network.state_dict()
        for name, value in self.network.state_dict().items():
            if value.is_floating_point():
                value.lerp_(current[name].to(value), 1 - decay)
            else:
                value.copy_(current[name])


@dataclass
class State:
    """A training between two epochs.

    `epoch` counts those that are done, `step` the optimiser's steps; `history` has one row of
    figures per epoch. The order of the samples follows from the epoch and the seed alone.
    """

    learner: nn.Module
    optimiser: Optimizer
    average: Average | None
    scaler: Any | None  # of fp16's losses
    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write everything to `path`, with what decides the training's course (`settings`)."""
        content = {
            "schema": SCHEMA,
            "settings": json.dumps(settings, sort_keys=True),
            "epoch": self.epoch,
            "step": self.step,
            "history": self.history,
            "learner": self.learner.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "average": self.average.state_dict() if self.average else None,
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        }
        # By way of memory, since torch's own writer loses why a file could not be written.
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with atomic_write(path) as part:
            part.write_bytes(buffer.getbuffer())

    def load(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Take up what `path` holds; a `CheckpointError` if other settings made it."""
        content = _read(path)
        made_with = json.loads(content["settings"])
        wanted = json.loads(json.dumps(settings))
        keys = [*wanted, *(key for key in made_with if key not in wanted)]
        changed = [key for key in keys if made_with.get(key) != wanted.get(key)]
        if changed:
            key = changed[0]
            problem = f"{path.parent} holds a training "
            if key == "data":  # fingerprints, which tell a person nothing
                problem += "on other data, or on these before they were changed"
            else:
                problem += f"with {key} {made_with.get(key)} instead of {wanted.get(key)}"
            fix = "give the same settings to go on, --overwrite to begin again, or another --out"
            if key == "epochs":
                fix += ", from what was learned with --init"
            raise CheckpointError(problem, fix)
        self.epoch, self.step, self.history = (content[key] for key in ("epoch", "step", "history"))
        self.learner.load_state_dict(content["learner"])
        self.optimiser.load_state_dict(content["optimiser"])
        if self.average:
            self.average.load_state_dict(content["average"])
        if self.scaler:
            self.scaler.load_state_dict(content["scaler"])
        torch.set_rng_state(content["random"])
        if content["random_cuda"] is not None and torch.cuda.is_available():
            torch.cuda.set_rng_state(content["random_cuda"])


def _read(path: Path) -> dict[str, Any]:
    fix = "give --overwrite to begin again, or another --out"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CheckpointError(f"{path} is damaged", fix) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} is no training of the schema {SCHEMA}", fix)
    return content
