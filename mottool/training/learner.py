"""What every pipeline brings to its training: network, targets, loss and its paper's recipe."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.optim import Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.errors import SettingError, did_you_mean
from mottool.networks.learning import Composition, PairSampling, PreviousFrameSampling

__all__ = ["Learner"]


class Learner(nn.Module):
    """A network together with all that only its training needs.

    It is made of the pipeline's name, the dataset, the network input's (width, height) and the
    family's settings. `forward` gives the loss's terms, scalars, and their weighted `total`, of
    what `examples` makes of a batch. That is called in the loader's workers: a function of the
    learner's module, with the settings that it needs, but not the network, bound to it.
    `pairs` says which second images are wanted; `taught` is how many dimensions
    of a teacher's embeddings are learned, and a learner that is `partly_taught` learns all of them
    wherever there are some (`teach`). One that `ignores` passes over regions to ignore. With a
    `composition` it learns from composed scenes.
    """

    network: nn.Module
    examples: Callable[[Batch], LossInputs]
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
