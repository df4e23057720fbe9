"""Training of TDT: a detector that also learns the embeddings of a re-identification network.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.3 for the losses. No code was published, so the schedule is RetinaNet's (Lin,
Goyal, Girshick, He & Dollár, ICCV 2017, §4.1): SGD, 16 images per step, divided by ten after two
thirds and after eight ninths, from ImageNet's weights. Its learning rate of 0.01 is divided by five
here: the weights of §3.3 make this loss steeper than RetinaNet's. From random weights, the
classification term diverges at 0.01 after some thirty steps, however small the initial embedder is
(`Embedder`). From a trained backbone, 0.01 can work.
"""

from collections.abc import Mapping
from functools import partial

from torch import Tensor
from torch.optim import SGD, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.tdt import TDTTargets, tdt_targets
from mottool.losses.tdt import TDTLoss
from mottool.models.retinanet import LEVELS
from mottool.models.tdt import ANCHORS, TDT
from mottool.networks.registry import NETWORKS
from mottool.networks.tdt import TDTLearning
from mottool.training.learner import Learner

__all__ = ["TDTLearner"]


class TDTLearner(Learner):
    """TDT's student; samples contain its teacher's embeddings."""

    network: TDT

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: TDTLearning
    ) -> None:
        """Create the learner; `dataset` needs no identities."""
        super().__init__()
        variant = NETWORKS[pipeline].arguments["variant"]
        self.taught = settings.embedding_size
        self.network = TDT(variant, self.taught)
        self.loss = TDTLoss(self.network.embed)
        strides = [2**level for level in LEVELS]
        cells = [(-(-size[1] // stride), -(-size[0] // stride)) for stride in strides]
        self.examples = partial(_examples, anchors=ANCHORS.boxes(cells, strides))

    def forward(self, images: Tensor, targets: TDTTargets) -> dict[str, Tensor]:
        """Compute the three terms and their total.

        The loss calls the network for the embeddings that it needs. This happens within `forward`,
        which distributed training wraps, so that their gradients are shared between processes.
        """
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Create SGD with momentum."""
        return SGD(self.parameters(), lr, momentum=0.9, weight_decay=1e-4)

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of torchvision's classifier to those of the backbone."""
        parts = {name for name, _ in self.network.named_children()}
        return {
            name if name.partition(".")[0] in parts else f"backbone.{name}": value
            for name, value in tensors.items()
        }


def _examples(batch: Batch, anchors: Tensor) -> LossInputs:
    """Create class, box and teacher's embedding for each anchor (N, 4)."""
    return LossInputs(batch.images, tdt_targets(batch.labels, anchors))
