"""Training of mottool-s: AdamW on composed scenes, with a cosine learning rate.

Loshchilov & Hutter, "Decoupled weight decay regularization", ICLR 2019 (AdamW); "SGDR", ICLR 2017
(the cosine). `losses.mottool_s` describes the terms. The pre-trained backbone has a quarter of the
learning rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.optim import AdamW, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import UNKNOWN, Dataset
from mottool.data.targets.labels import Targets
from mottool.data.targets.mottool_s import MottoolSTargets, mottool_s_targets
from mottool.losses.mottool_s import MottoolSLoss
from mottool.models.mottool_s import MottoolS
from mottool.networks.learning import PairSampling
from mottool.networks.mottool_s import MottoolSLearning
from mottool.training.learner import Learner

__all__ = ["MottoolSLearner"]

BACKBONE_RATE = 0.25
# Sizes are several cells, while weights start near 0: the last layer of their head changes much.
SIZE_RATE = 16.0
DECAY = 1e-2
# Weights of the detection terms.
WEIGHTS = {"heatmap": 1.0, "offset": 0.5, "giou": 1.0, "size": 0.5}


@dataclass(frozen=True)
class MottoolSPair(Targets):
    """Targets of a batch, and of the second images of its pairs; None without pairs."""

    current: MottoolSTargets
    previous: MottoolSTargets | None = None


class MottoolSLearner(Learner):
    """mottool-s; settings and dataset determine what its embeddings are learned from."""

    ignores = True
    partly_taught = True

    network: MottoolS

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: MottoolSLearning
    ) -> None:
        """Create the learner; `dataset` can lack identities."""
        super().__init__()
        self.settings, self.composition = settings, settings
        self.network = MottoolS(settings.embedding_size).to(memory_format=torch.channels_last)
        self._parts: tuple[str, ...] = ()
        self._deployed: tuple[MottoolS, ...] = ()
        self.identities = dataset.identity_count
        self.unknown = bool((dataset.identities == UNKNOWN).any())
        self.teach(0)
        stride = self.network.stride
        self.examples = partial(_examples, size=size, stride=stride, tau=settings.tau)

    def teach(self, size: int) -> None:
        """Also learn a teacher's embeddings of `size` dimensions; 0 for no teacher.

        Pairs of scenes are used if people have neither identities nor a teacher's embeddings.
        """
        self.loss = MottoolSLoss(self.settings.embedding_size, self.identities, size)
        alone = self.unknown and not size and self.settings.unsupervised > 0
        self.pairs = PairSampling(reach=20, negative=0.0) if alone else None

    def forward(self, images: Tensor, targets: MottoolSPair) -> dict[str, Tensor]:
        """Compute the terms, unweighted scalars, and their weighted `total`."""
        heads, previous = self._heads(images), None
        if targets.previous is not None:
            both = {name: head.chunk(2) for name, head in heads.items()}
            heads, previous = ({name: part[i] for name, part in both.items()} for i in (0, 1))
        terms: dict[str, Tensor] = self.loss(heads, targets.current, previous, targets.previous)
        weights = WEIGHTS | self.settings.weights()
        total = torch.stack([weights[name] * value for name, value in terms.items()]).sum()
        return terms | {"total": total}

    def _heads(self, images: Tensor) -> dict[str, Tensor]:
        """Return the trained heads.

        If no part below them is trained, they are computed from the deployed network's features,
        which cost a third.
        """
        if not self._deployed:
            heads: dict[str, Tensor] = self.network(images)
            return heads
        (trunk,) = self._deployed
        with torch.no_grad():
            features = trunk.to(images.device).features(images)
        return {name: self.network.get_submodule(name)(features) for name in self._parts}

    def learn_only(self, parts: Sequence[str]) -> None:
        """Train only these parts; a frozen trunk is computed in its deployed form."""
        super().learn_only(parts)
        if "identity" not in parts:
            self.pairs = None
        if not {"backbone", "pyramid"} & set(parts):
            # In a tuple, as what only helps to compute is no part of the learner's state.
            self._parts, self._deployed = tuple(parts), (self.network.deployed(),)

    def optimiser(self, lr: float) -> Optimizer:
        """Create AdamW; biases and normalisation do not decay."""
        groups = dict[tuple[float, bool], list[Tensor]]()
        for name, each in self.named_parameters():
            if not each.requires_grad:
                continue
            rate = BACKBONE_RATE if name.startswith("network.backbone.") else 1.0
            rate = SIZE_RATE if name.startswith("network.size.4.") else rate
            groups.setdefault((rate, each.dim() > 1), []).append(each)
        return AdamW(
            [
                {"params": each, "rate": rate, "weight_decay": DECAY if decays else 0.0}
                for (rate, decays), each in groups.items()
            ],
            lr,
            betas=(0.9, 0.99),
        )


def _examples(batch: Batch, size: tuple[int, int], stride: int, tau: float) -> LossInputs:
    """Create targets: people and occlusions of the images, and of their second images if any."""
    current = mottool_s_targets(batch.labels, size, stride, tau)
    if batch.partner is None:
        return LossInputs(batch.images, MottoolSPair(current))
    previous = mottool_s_targets(batch.partner.labels, size, stride, tau)
    images = torch.cat((batch.images, batch.partner.images))  # (2B, 3, H, W)
    return LossInputs(images, MottoolSPair(current, previous))
