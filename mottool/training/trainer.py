"""The loop: epochs of batches, and after each what is kept of it.

Devices, mixed precision and several processes are Hugging Face accelerate's; the rest is here.
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

PATIENCE = timedelta(hours=12)  # while the first process validates, the others wait
SHOWN = 3  # images named of a batch


@dataclass(frozen=True)
class TrainerSettings:
    """How to train: a paper's recipe, perhaps changed, and how it is carried out.

    `accumulate` is in how many parts a step of `recipe.batch` images is computed, `precision` one
    of `no`, `fp16` and `bf16`, as accelerate calls them. With `seconds` the training lasts so long,
    validation not counted, and not for the recipe's number of epochs.
    """

    recipe: Recipe
    seed: int = 0
    accumulate: int = 1
    precision: str = "no"
    workers: int = 0
    cpu: bool = False
    seconds: float | None = None


class Trainer:
    """A learner, its samples, and the state between them; `epochs` carries it on."""

    def __init__(self, learner: Learner, samples: Samples | Scenes, plan: TrainerSettings) -> None:
        """Put everything where it is to run.

        Raises `SettingError` if a step's images cannot be shared out evenly or for fp16 on a CPU,
        and `InputError` if there are fewer images than processes.
        """
        AcceleratorState._reset_state()  # of an earlier training in this process
        self.accelerator = Accelerator(
            cpu=plan.cpu,
            mixed_precision=plan.precision,
            kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
        )
        if plan.precision == "fp16" and self.accelerator.device.type == "cpu":
            raise SettingError("--precision fp16 needs a GPU", "train with bf16 or fp32")
        self.plan, self.samples = plan, samples
        world = self.accelerator.num_processes
        self.order = ResumableSampler(
            len(samples), plan.seed, self.accelerator.process_index, world
        )
        if not len(self.order):
            problem = f"there are {len(samples)} images for {world} processes"
            raise InputError(problem, "train with fewer processes or more images")
        self.part = _part(plan, world)
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
        """The network as it is to be used: the average of its weights, if one is kept."""
        return self.state.average.network if self.state.average else self.bare.network

    @property
    def finished(self) -> bool:
        """Whether the training has come to its end, by its epochs or by its time."""
        if self.plan.seconds is None:
            return self.state.epoch >= self.plan.recipe.epochs
        return self._spent() >= self.plan.seconds

    def _spent(self) -> float:
        """Return the seconds that the epochs that are done have taken."""
        return sum(row["seconds"] for row in self.state.history)

    def _progress(self, begun: float, steps: int) -> float:
        """Return how much of the training is done, in [0, 1]; `steps` are those of an epoch.

        By the clock it is the same in all processes, so that they stop together.
        """
        if self.plan.seconds is None:
            return self.state.step / (steps * self.plan.recipe.epochs)
        passed = self._spent() + time.perf_counter() - begun
        clock = [min(passed / self.plan.seconds, 1.0)]
        return float(broadcast_object_list(clock)[0])

    def epochs(self) -> Iterator[dict[str, float]]:
        """Train epoch by epoch to the end; each gives its row of figures when it is done.

        The row, `epoch`, `lr`, the mean of every term of the loss, and `seconds`, is the last of
        `state.history`. Raises `TrainingError` if a term or a weight stops being a number.
        """
        state = self.state
        while not self.finished:
            begun = time.perf_counter()
            self.order.epoch = state.epoch
            means, lr = self._epoch(begun)
            state.epoch += 1
            seconds = time.perf_counter() - begun
            state.history.append({"epoch": state.epoch, "lr": lr, **means, "seconds": seconds})
            yield state.history[-1]

    def _epoch(self, begun: float) -> tuple[dict[str, float], float]:
        """All samples once: the mean of every term on all processes, the last learning rate.

        It began at `begun`, and ends early where the time of the training does.
        """
        plan, state = self.plan, self.state
        parts = math.ceil(len(self.order) / self.part)
        steps = math.ceil(parts / plan.accumulate)
        label = f"epoch {state.epoch + 1}"
        if plan.seconds is None:
            label += f" of {plan.recipe.epochs}"
        shown = batches(self.loader)
        if self.accelerator.is_main_process:
            shown = progress(shown, label, parts, unit="batches")
        self.learner.train()
        sums: dict[str, float] = {}
        lr, done = 0.0, 0
        numbered = enumerate(shown)
        while group := list(islice(numbered, plan.accumulate)):
            progress_made = self._progress(begun, steps)
            lr = plan.recipe.lr * plan.recipe.factor(state.step, steps, progress_made)
            for settings in self.optimiser.param_groups:
                settings["lr"] = lr * settings.get("rate", 1.0)
            done += len(group)
            for place, (number, batch) in enumerate(group, 1):
                last = place == len(group)
                with nullcontext() if last else self.accelerator.no_sync(self.learner):
                    terms = self._terms(batch, number)
                    self.accelerator.backward(terms["total"] / len(group))
                for name, value in terms.items():
                    sums[name] = sums.get(name, 0.0) + value.item()
            self.stepper.step()
            self.stepper.zero_grad()
            state.step += 1
            if state.average:
                state.average.update(self.bare.network)
            if plan.seconds is not None and progress_made >= 1:
                break
        self._need_finite()
        own = torch.tensor(
            [value / done for value in sums.values()], device=self.accelerator.device
        )
        means = self.accelerator.reduce(own, "mean").tolist()
        return dict(zip(sums, means, strict=True)), lr

    def _terms(self, batch: LossInputs, number: int) -> dict[str, torch.Tensor]:
        """The loss's terms of a batch, which are numbers."""
        batch = batch.to(self.accelerator.device)
        terms: dict[str, torch.Tensor] = self.learner(batch.inputs, batch.targets)
        values = torch.stack([value.detach().float() for value in terms.values()])
        if not values.isfinite().all():
            bad = [name for name, value in terms.items() if not value.isfinite()]
            own = list(self.order)[number * self.part : (number + 1) * self.part]
            names = [Path(self.samples.path(image)).name for _, image in own[:SHOWN]]
            problem = (
                f"the loss became {terms[bad[0]].item():g} in its term {bad[0]}, in epoch "
                f"{self.state.epoch + 1}, batch {number + 1} ({', '.join(names)} …)"
            )
            raise TrainingError(problem, self._remedy())
        return terms

    def _need_finite(self) -> None:
        """A `TrainingError` if a weight is no number, though the loss of every batch was one.

        A step may lead there whose loss nothing is computed from any more in this epoch.
        """
        tensors = self.bare.state_dict().items()
        bad = next((name for name, value in tensors if not value.isfinite().all()), None)
        if bad is not None:
            problem = f"by the end of epoch {self.state.epoch + 1} the weights {bad} are no numbers"
            raise TrainingError(problem, self._remedy())

    def _remedy(self) -> str:
        """What to do about a training that diverged."""
        fix = "lower --lr"
        if self.plan.precision != "no":
            fix += ", or train with --precision fp32"
        if self.state.epoch:
            fix += (
                f"; what was learned up to epoch {self.state.epoch} is kept: start from it with "
                "--init, in another --out"
            )
        return fix

    def save(self, path: Path, settings: Mapping[str, Any]) -> None:
        """Write the state from the first process."""
        if self.accelerator.is_main_process:
            self.state.save(path, settings)

    def agree(self) -> None:
        """Let every process come here; a `CheckpointError` if they are not after one epoch."""
        own = torch.tensor([self.state.epoch], device=self.accelerator.device)
        epochs = sorted({*self.accelerator.gather(own).tolist()})
        if len(epochs) > 1:
            problem = f"some processes would go on after epoch {epochs[-1]}, some after {epochs[0]}"
            fix = "give an --out that all machines share, or copy its training.pt to each"
            raise CheckpointError(problem, fix)

    def wait(self) -> None:
        """Let every process come here before any goes on."""
        self.accelerator.wait_for_everyone()


def _part(plan: TrainerSettings, world: int) -> int:
    """The images of one forward pass of one process."""
    shares = plan.accumulate * world
    if plan.recipe.batch % shares:
        told = f"{world} processes in {plan.accumulate} parts each"
        problem = f"a step of {plan.recipe.batch} images cannot be shared out to {told}"
        near = max(round(plan.recipe.batch / shares), 1) * shares
        raise SettingError(problem, f"give for example --batch {near}")
    return plan.recipe.batch // shares
