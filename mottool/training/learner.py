"""Base of the learners: a network with its targets, loss and optimiser."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from torch import Tensor, nn
from torch.optim import Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.errors import SettingError, did_you_mean
from mottool.networks.learning import Composition, PairSampling, PreviousFrameSampling

__all__ = ["Learner"]


class Learner(nn.Module):
    """A network with everything that only its training needs.

    A learner is created from the network's name, the dataset, the (width, height) of the network's
    input, and the family's settings. `examples` converts a batch to the inputs of the loss. It runs
    in the loader's workers and is therefore a function of the learner's module with bound settings,
    without the network. `forward` returns the loss terms, scalars, and their weighted sum `total`.

    `pairs` states which second images are needed. `images_per_sample` is the number of images that
    a sample counts as in the size of a batch and in the length of an epoch. `taught` is the number
    of dimensions of a teacher's embeddings that are learned, and `embeds` states whether a network
    of a family with embeddings has them, too; with `partly_taught`, all dimensions are learned
    where embeddings exist (`teach`). With `ignores`, samples contain regions to ignore.
    With a `composition`, training images are composed scenes.
    """

    network: nn.Module
    examples: Callable[[Batch], LossInputs]
    pairs: PairSampling | PreviousFrameSampling | None = None
    images_per_sample: int = 1
    taught: int = 0
    embeds: bool = True
    partly_taught: bool = False
    ignores: bool = False
    composition: Composition | None = None
    _frozen: tuple[nn.Module, ...] = ()

    def teach(self, size: int) -> None:
        """Prepare for a teacher's embeddings of `size` dimensions in some samples."""

    def learn_only(self, parts: Sequence[str]) -> None:
        """Train only these parts of the network, named by its attributes.

        The others keep their weights and normalisation statistics. Raises `SettingError` for an
        unknown part.
        """
        known = dict(self.network.named_children())
        for part in parts:
            if part not in known:
                raise SettingError(f"the network has no part {part!r}", did_you_mean(part, known))
        self._frozen = tuple(module for name, module in known.items() if name not in parts)
        for module in self._frozen:
            module.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> Self:
        """Set the mode of the trained parts."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def forward(self, inputs: Any, targets: Any) -> dict[str, Tensor]:
        """Return the loss terms and their `total`."""
        raise NotImplementedError

    def optimiser(self, lr: float) -> Optimizer:
        """Create the paper's optimiser of all parameters, with learning rate `lr`."""
        raise NotImplementedError

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map the tensor names of a checkpoint to those of the network, if they are known."""
        return dict(tensors)
