"""The training state: everything that a resumed training needs, and the average of the weights.

`training.pt` is written after every epoch. It holds only tensors and plain containers, is read
with `weights_only`, and is replaced atomically.

Average of the weights: Polyak & Juditsky, "Acceleration of stochastic approximation by averaging",
1992, with the increasing decay of YOLOv5's training, which discounts the first random weights.
"""

import io
import json
import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from mottool.checkpoints.torch_files import read_torch_file
from mottool.errors import CheckpointError, ignore_warning
from mottool.files import atomic_write

__all__ = ["Average", "State"]

SCHEMA = "mottool/training/1"
LENGTHS = {"epochs", "steps"}  # settings of which a resumed training may have more
VALIDATION = "validation"  # the setting that says what metrics were measured on
FRESH_FIX = "give --overwrite to start over, or another --out"
GROWTH = 2000  # steps after which the decay reaches 63 % of its final value


class Average(nn.Module):
    """Moving average of a network's parameters and buffers; integer values are copied."""

    steps: torch.Tensor

    def __init__(self, network: nn.Module, decay: float) -> None:
        """Start from the weights of `network`; `decay` in [0, 1) is the factor per step."""
        super().__init__()
        self.network = deepcopy(network).requires_grad_(False).eval()
        self.decay = decay
        self.register_buffer("steps", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Update the average with the weights of `network`."""
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
    """State of a training between two epochs.

    `epoch` counts completed epochs and `step` optimiser steps; `history` has one row of metrics per
    epoch. The order of samples depends only on the epoch and the seed.
    """

    learner: nn.Module
    optimiser: Optimizer
    average: Average | None
    scaler: Any | None  # of losses in fp16
    epoch: int = 0
    step: int = 0
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Save the state to `path`, with the settings that must be equal to resume."""
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
        # Through memory, because torch's own writer hides why a file could not be written.
        buffer = io.BytesIO()
        torch.save(content, buffer)
        with atomic_write(path) as part:
            part.write_bytes(buffer.getbuffer())

    def load(
        self, path: Path, settings: Mapping[str, Any], warn: Callable[[str], None] = ignore_warning
    ) -> None:
        """Load the state from `path`. Raises `CheckpointError` if its settings differ.

        Only more epochs or steps than planned are allowed, and a validation where there was none;
        `warn` receives a message about the schedule of the learning rate, which epochs change.
        """
        content = _read(path)
        saved = json.loads(content["settings"])
        current = json.loads(json.dumps(settings))
        keys = [*current, *(key for key in saved if key not in current)]
        changed = [key for key in keys if saved.get(key) != current.get(key)]
        if VALIDATION in changed and not (saved.get(VALIDATION) and current.get(VALIDATION)):
            changed.remove(VALIDATION)
        if len(changed) == 1 and changed[0] in LENGTHS and _is_more(saved, current, changed[0]):
            key = changed.pop()
            warn(
                f"training goes on to {current[key]} {key} instead of {saved[key]}: the rest has "
                "the learning rates of the longer schedule"
            )
        if changed:
            key = changed[0]
            problem = f"{path.parent} holds a training "
            if key == "data":  # the values are fingerprints
                problem += "on other data, or on this data before it was changed"
            elif key == VALIDATION:  # metrics of both would be compared for the best epoch
                problem += "that was validated on other data, or by other settings"
            else:
                problem += f"with {key} {saved.get(key)} instead of {current.get(key)}"
            fix = "give the same settings to resume, --overwrite to start over, or another --out"
            raise CheckpointError(problem, fix)
        try:
            self._restore(content)
        except Exception as error:  # a damaged file can provoke any
            raise CheckpointError(f"{path} is damaged", FRESH_FIX) from error

    def _restore(self, content: Mapping[str, Any]) -> None:
        """Take over the content of a file."""
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


def _is_more(saved: Mapping[str, Any], current: Mapping[str, Any], key: str) -> bool:
    before, now = saved.get(key), current.get(key)
    return isinstance(before, int) and isinstance(now, int) and now > before


def _read(path: Path) -> dict[str, Any]:
    """Read a training state. Raises `CheckpointError` if it is damaged or of another schema."""
    try:
        content, _ = read_torch_file(path)
    except (CheckpointError, OSError) as error:
        raise CheckpointError(f"{path} is damaged", FRESH_FIX) from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise CheckpointError(f"{path} is not a training state of schema {SCHEMA}", FRESH_FIX)
    return content
