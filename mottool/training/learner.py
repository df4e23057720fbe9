"""What every pipeline brings to its training: network, targets, loss and its paper's recipe."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor, nn
from torch.optim import Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.pairs import PairSampling, PreviousFrameSampling
from mottool.data.scene_settings import Composition
from mottool.errors import SettingError, did_you_mean

__all__ = ["Learner", "Recipe"]

COSINE_RISE, COSINE_END = 0.03, 0.01  # of the training, of the learning rate


@dataclass(frozen=True)
class Recipe:
    """How a paper trains; `batch` is images in one step of the optimiser, on all GPUs together.

    The learning rate becomes a tenth after each of `drops`, parts of all epochs. During the first
    `warmup` steps, at most one epoch, it rises from 0 with their fourth power. With `cosine` it
    rises in proportion instead, over the first 3 % of the training at least, and then falls to a
    hundredth as half a cosine. `ema` is the decay of the average of the weights that is kept, 0 to
    keep the last weights. `tracker` is what validation tracks with.
    """

    epochs: int
    batch: int
    lr: float
    drops: tuple[float, ...]
    tracker: str
    warmup: int = 0
    ema: float = 0.0
    cosine: bool = False

    def factor(self, step: int, steps: int, progress: float | None = None) -> float:
        """What the learning rate is multiplied by in step `step` (from 0), `steps` an epoch.

        `progress` in [0, 1] is how much of the training is done, by default as the steps say.
        """
        if progress is None:
            progress = step / (steps * self.epochs)
        if self.cosine:
            risen = min((progress + 1e-3) / COSINE_RISE, 1.0)
            if self.warmup:
                risen = min(risen, (step + 1) / self.warmup)
            return risen * (COSINE_END + (1 - COSINE_END) * (1 + math.cos(math.pi * progress)) / 2)
        epoch = step // steps
        passed = sum(epoch >= round(drop * self.epochs) for drop in self.drops)
        warmup = min(self.warmup, steps)
        risen = min((step + 1) / warmup, 1.0) ** 4 if warmup else 1.0
        return float(risen * 0.1**passed)


class Learner(nn.Module):
    """A network together with all that only its training needs.

    It is made of the pipeline's name, the dataset, the network input's (width, height) and the
    family's settings. `forward` gives the loss's terms, scalars, and their weighted `total`, of
    what `examples` makes of a batch. That is called in the loader's workers: a function of the
    learner's module, with the settings that it needs, but not the network, bound to it.
    `torchvision` is torchvision's name of the network whose ImageNet weights fit the backbone, ""
    where it has none; `pairs` says which second images are wanted; `taught` is how many dimensions
    of a teacher's embeddings are learned, and a learner that is `partly_taught` learns all of them
    wherever there are some (`teach`). One that `ignores` passes over regions to ignore. With a
    `composition` it learns from composed scenes.
    """

    RECIPE: ClassVar[Recipe]

    network: nn.Module
    examples: Callable[[Batch], LossInputs]
    torchvision: str = ""
    pairs: PairSampling | PreviousFrameSampling | None = None
    taught: int = 0
    partly_taught: bool = False
    ignores: bool = False
    composition: Composition | None = None
    _frozen: tuple[nn.Module, ...] = ()

    def teach(self, size: int) -> None:
        """Take note that a teacher's embeddings of `size` dimensions come with some samples."""

    def learn_only(self, parts: Sequence[str]) -> None:
        """Let only these parts of the network learn, named as its attributes are.

        The others keep their weights and the statistics of their normalisation. A `SettingError`
        for a name that no part has.
        """
        known = dict(self.network.named_children())
        for part in parts:
            if part not in known:
                raise SettingError(f"no part {part!r} of the network", did_you_mean(part, known))
        self._frozen = tuple(module for name, module in known.items() if name not in parts)
        for module in self._frozen:
            module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of what learns."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, inputs: Any, targets: Any) -> dict[str, Tensor]:
        """The terms and their `total`."""
        raise NotImplementedError

    def optimiser(self, lr: float) -> Optimizer:
        """The paper's, with learning rate `lr`, over all parameters."""
        raise NotImplementedError

    def our_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a checkpoint under the network's names, as far as they are known."""
        return dict(tensors)
