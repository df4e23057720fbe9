"""The training loop: epochs of batches and optimiser steps.

Devices, mixed precision and distributed processes are handled by Hugging Face accelerate.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list

from mottool.data.batches import LoaderSettings, LossInputs, ResumableSampler, batches, loader
from mottool.data.samples import Samples
from mottool.data.scenes import Scenes
from mottool.errors import CheckpointError, InputError, SettingError, TrainingError
from mottool.networks.learning import Recipe
from mottool.progress import progress
from mottool.training.learner import Learner
from mottool.training.state import Average, State

__all__ = ["TrainerSettings", "Trainer"]

TIMEOUT = timedelta(hours=12)  # the other processes wait while the first one validates
MAX_NAMES = 3  # images of a batch that an error names
DIVERGED = 1000  # times the first loss of an epoch: a mean that no training recovers from


@dataclass(frozen=True)
class TrainerSettings:
    """Recipe of a training and how it is executed.

    `accumulate` is the number of parts in which a step of `recipe.batch` images is computed, and
    `precision` one of `no`, `fp16` and `bf16`, accelerate's names. With `seconds` the training
    lasts this long, without validation, instead of the recipe's epochs. Several processes train on
    the devices that torchrun gives them; one on `device`, by default accelerate's choice.
    """

    recipe: Recipe
    seed: int = 0
    accumulate: int = 1
    precision: str = "no"
    workers: int = 0
    device: torch.device | None = None
    seconds: float | None = None


class Trainer:
    """Trains a learner on samples; `epochs` runs the training."""

    def __init__(self, learner: Learner, samples: Samples | Scenes, plan: TrainerSettings) -> None:
        """Move the learner to its device and set up the loader.

        Raises `SettingError` if the images of a step cannot be divided evenly among processes and
        parts, or for fp16 on a CPU, and `InputError` if there are fewer images than processes.
        """
        AcceleratorState._reset_state()  # of an earlier training in this process
        if plan.device and plan.device.type == "cuda":
            torch.cuda.set_device(plan.device)  # accelerate trains on the current device
        self.accelerator = Accelerator(
            cpu=plan.device is not None and plan.device.type == "cpu",
            mixed_precision=plan.precision,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=TIMEOUT)],
        )
        if plan.precision == "fp16" and self.accelerator.device.type == "cpu":
            raise SettingError("--precision fp16 needs a GPU", "train with bf16 or fp32")
        self.plan, self.samples = plan, samples
        world = self.accelerator.num_processes
        per_sample = learner.images_per_sample
        rank, count = self.accelerator.process_index, len(samples) // per_sample
        self.order = ResumableSampler(len(samples), plan.seed, rank, world, count)
        if not len(self.order):
            problem = f"there are {len(samples)} images for {world} processes"
            raise InputError(problem, "train with fewer processes or more images")
        self.part = _part(plan, world, per_sample)
        loading = LoaderSettings(self.part, plan.workers)
        pin = self.accelerator.device.type == "cuda"
        self.loader = loader(samples, self.order, loading, learner.examples, pin)
        self.optimiser = learner.optimiser(plan.recipe.lr)
        self.learner, self.stepper = self.accelerator.prepare(learner, self.optimiser)
        average = Average(learner.network, plan.recipe.ema) if plan.recipe.ema else None
        self.bare = learner
        if average:
            average.to(self.accelerator.device)
        self.state = State(learner, self.optimiser, average, self.accelerator.scaler)

    @property
    def network(self) -> Any:
        """Return the network to use: with averaged weights, if an average is computed."""
        return self.state.average.network if self.state.average else self.bare.network

    @property
    def finished(self) -> bool:
        """Return whether the training is complete, by steps or by time."""
        if self.plan.seconds is None:
            return self.state.step >= self.length
        return self._spent() >= self.plan.seconds

    @property
    def epoch_steps(self) -> int:
        """Return the number of optimiser steps per epoch."""
        return math.ceil(math.ceil(len(self.order) / self.part) / self.plan.accumulate)

    @property
    def length(self) -> int:
        """Return the number of optimiser steps of a training that does not end by the clock."""
        return self.plan.recipe.length(self.epoch_steps)

    @property
    def epoch_text(self) -> str:
        """Return "N of M" epochs, for messages; epochs of M can be partial."""
        epoch = str(self.state.epoch)
        if self.plan.seconds is None:
            total = math.ceil(self.length / self.epoch_steps)
            epoch += f" of {max(total, self.state.epoch)}"  # more if partial ones were extended
        return epoch

    def _spent(self) -> float:
        """Return the seconds of the completed epochs."""
        return sum(row["seconds"] for row in self.state.history)

    def _progress(self, start: float) -> float | None:
        """Return the completed part, in [0, 1], of a training that ends by the clock, else None.

        All processes receive the same value, so that they stop together.
        """
        if self.plan.seconds is None:
            return None
        passed = self._spent() + time.perf_counter() - start
        clock = [min(passed / self.plan.seconds, 1.0)]
        return float(broadcast_object_list(clock)[0])

    def epochs(self) -> Iterator[dict[str, float]]:
        """Train until the end; yield a row of metrics after each epoch.

        The row contains `epoch`, `lr`, the mean of every loss term, and `seconds`; it is the last
        of `state.history`. Raises `TrainingError` if a loss term or a weight becomes NaN or
        infinite, or if the loss rises a thousandfold.
        """
        state = self.state
        while not self.finished:
            start = time.perf_counter()
            self.order.epoch = state.epoch
            means, lr = self._epoch(start)
            state.epoch += 1
            seconds = time.perf_counter() - start
            state.history.append({"epoch": state.epoch, "lr": lr, **means, "seconds": seconds})
            yield state.history[-1]

    def _epoch(self, start: float) -> tuple[dict[str, float], float]:
        """Train one epoch; return the mean of every loss term and the last learning rate.

        The means are over all processes. `start` is the time at which the epoch began; it ends
        early when the steps or the time of the training are used up.
        """
        plan, state = self.plan, self.state
        parts = math.ceil(len(self.order) / self.part)
        if plan.seconds is None:
            remaining = (self.length - state.step) * plan.accumulate
            parts = min(parts, remaining)
        label = f"epoch {state.epoch + 1}"
        if plan.seconds is None:
            label += f" of {math.ceil(self.length / self.epoch_steps)}"
        loaded = batches(self.loader)
        if self.accelerator.is_main_process:
            loaded = progress(loaded, label, parts, unit="batches", status=lambda: loss)
        self.learner.train()
        sums: dict[str, float] = {}
        lr, count, loss, first = 0.0, 0, "", 0.0
        numbered = enumerate(loaded)
        while group := list(islice(numbered, plan.accumulate)):
            completed = self._progress(start)
            at = state.step, self.epoch_steps, completed
            lr = plan.recipe.lr * plan.recipe.factor(*at)
            biases_lr = plan.recipe.lr * plan.recipe.factor(*at, biases=True)
            for parameters in self.optimiser.param_groups:
                group_lr = biases_lr if parameters.get("biases") else lr
                parameters["lr"] = group_lr * parameters.get("rate", 1.0)
            count += len(group)
            for position, (number, batch) in enumerate(group, 1):
                last = position == len(group)
                with nullcontext() if last else self.accelerator.no_sync(self.learner):
                    terms = self._terms(batch, number)
                    self.accelerator.backward(terms["total"] / len(group))
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
            first = first or sums["total"] / count
            loss = f"loss {sums['total'] / count:.4g}"
            if plan.recipe.clip:
                self.accelerator.clip_grad_norm_(self.learner.parameters(), plan.recipe.clip)
            self.stepper.step()
            self.stepper.zero_grad()
            state.step += 1
            if state.average:
                state.average.update(self.bare.network)
            if completed >= 1 if completed is not None else state.step >= self.length:
                break
        self._need_finite()
        self._need_limited(first, sums["total"] / count)
        local = torch.tensor(
            [value / count for value in sums.values()], device=self.accelerator.device
        )
        means = self.accelerator.reduce(local, "mean").tolist()
        return dict(zip(sums, means, strict=True)), lr

    def _terms(self, batch: LossInputs, number: int) -> dict[str, torch.Tensor]:
        """Compute the loss terms of a batch; raise `TrainingError` if one is not finite."""
        batch = batch.to(self.accelerator.device)
        terms: dict[str, torch.Tensor] = self.learner(batch.inputs, batch.targets)
        values = torch.stack([value.detach().float() for value in terms.values()])
        if not values.isfinite().all():
            bad = [name for name, value in terms.items() if not value.isfinite()]
            items = list(self.order)[number * self.part : (number + 1) * self.part]
            names = [Path(self.samples.path(image)).name for _, image in items[:MAX_NAMES]]
            problem = (
                f"the loss became {terms[bad[0]].item():g} in its term {bad[0]}, in epoch "
                f"{self.state.epoch + 1}, batch {number + 1} ({', '.join(names)} …)"
            )
            raise TrainingError(problem, self._divergence_fix())
        return terms

    def _need_finite(self) -> None:
        """Raise `TrainingError` if a weight is not finite.

        The last step of an epoch can diverge although the loss of every batch was finite.
        """
        tensors = self.bare.state_dict().items()
        bad = next((name for name, value in tensors if not value.isfinite().all()), None)
        if bad is not None:
            problem = (
                f"by the end of epoch {self.state.epoch + 1} the weights {bad} are NaN or infinite"
            )
            raise TrainingError(problem, self._divergence_fix())

    def _need_limited(self, first: float, mean: float) -> None:
        """Raise `TrainingError` if the loss of an epoch rose from `first` to a mean far above."""
        if mean > DIVERGED * max(1.0, abs(first)):
            problem = (
                f"the loss rose from {first:.3g} to {mean:.3g} in epoch {self.state.epoch + 1}"
            )
            raise TrainingError(problem, self._divergence_fix())

    def _divergence_fix(self) -> str:
        """Return the fix for a diverged training."""
        fix = "lower --lr"
        if self.plan.precision != "no":
            fix += ", or train with --precision fp32"
        if self.state.epoch:
            fix += (
                f"; the weights of epoch {self.state.epoch} are saved: start from them with "
                "--init, in another --out"
            )
        return fix

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Save the state, in the first process only."""
        if self.accelerator.is_main_process:
            self.state.save(path, settings)

    def agree(self) -> None:
        """Wait for all processes. Raises `CheckpointError` if their epochs differ."""
        local = torch.tensor([self.state.epoch], device=self.accelerator.device)
        epochs = sorted({*self.accelerator.gather(local).tolist()})
        if len(epochs) > 1:
            problem = (
                f"some processes would resume after epoch {epochs[-1]}, some after {epochs[0]}"
            )
            fix = "give an --out that all machines share, or copy its training.pt to each"
            raise CheckpointError(problem, fix)

    def wait(self) -> None:
        """Wait until all processes arrive here."""
        self.accelerator.wait_for_everyone()


def _part(plan: TrainerSettings, world: int, per_sample: int) -> int:
    """Return the number of samples per forward pass and process, each of `per_sample` images."""
    shares = plan.accumulate * world * per_sample
    if plan.recipe.batch % shares:
        divisors = f"{world} processes with {plan.accumulate} parts each"
        if per_sample > 1:
            divisors += f", in samples of {per_sample} images"
        problem = f"a step of {plan.recipe.batch} images cannot be divided among {divisors}"
        near = max(round(plan.recipe.batch / shares), 1) * shares
        raise SettingError(problem, f"give for example --batch {near}")
    return plan.recipe.batch // shares
