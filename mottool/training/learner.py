"""What every pipeline brings to its training: network, targets, loss and its paper's recipe."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.optim import Optimizer

from mottool.data.batches import Batch, Examples
from mottool.data.pairs import Pairs, Steps

__all__ = ["Learner", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """How a paper trains; `batch` is images in one step of the optimiser, on all GPUs together.

    The learning rate becomes a tenth after each of `drops`, parts of all epochs. During the first
    `warmup` steps, at most one epoch, it rises from 0 with their fourth power. `ema` is the decay
    of the average of the weights that is kept, 0 to keep the last weights. `tracker` is what
    validation tracks with.
    """

    epochs: int
    batch: int
    lr: float
    drops: tuple[float, ...]
    tracker: str
    warmup: int = 0
    ema: float = 0.0

    def factor(self, step: int, steps: int) -> float:
        """What the learning rate is multiplied by in step `step` (from 0), `steps` an epoch."""
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
    of a teacher's embeddings are learned.
    """

    RECIPE: ClassVar[Recipe]

    network: nn.Module
    examples: Callable[[Batch], Examples]
    torchvision: str = ""
    pairs: Pairs | Steps | None = None
    taught: int = 0

    def forward(self, inputs: Any, targets: Any) -> dict[str, Tensor]:
        """The terms and their `total`."""
        raise NotImplementedError

    def optimiser(self, lr: float) -> Optimizer:
        """The paper's, with learning rate `lr`, over all parameters."""
        raise NotImplementedError

    def our_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of a checkpoint under the network's names, as far as they are known."""
        return dict(tensors)
