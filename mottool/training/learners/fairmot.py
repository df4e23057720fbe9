"""Training of FairMOT.

Zhang, Wang, Wang, Zeng & Liu, "A simple baseline for multi-object tracking", arXiv 2004.01888v1,
§3.4 and §4.2: Adam for 30 epochs with a learning rate of 1e-4, which falls to 1e-5 and 1e-6 at
epochs 20 and 27, with 12 images per step at 1088×608, from CenterNet's weights for COCO. The last
version of the paper, "FairMOT: On the fairness of detection and re-identification in multiple
object tracking", IJCV 2021, §4.4 and §5.2, has the first of the two drops only (`--drops 20`).
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from torch import Tensor
from torch.optim import Adam, Optimizer

from mottool.data.batches import Batch, LossInputs
from mottool.data.dataset import Dataset
from mottool.data.targets.centre import CentreTargets, centre_targets
from mottool.losses.centre import FairMOTLoss
from mottool.models.fairmot import BACKBONES, FairMOT, map_tensor_name
from mottool.networks.fairmot import FairMOTLearning
from mottool.networks.registry import NETWORKS
from mottool.training.learner import Learner

__all__ = ["FairMOTLearner"]

LIGHT = "yolov5s"  # the authors use narrower heads and other loss weights for it


class FairMOTLearner(Learner):
    """FairMOT on any of its backbones, with a classifier over the dataset's identities."""

    network: FairMOT

    def __init__(
        self, pipeline: str, dataset: Dataset, size: tuple[int, int], settings: FairMOTLearning
    ) -> None:
        """Create the learner. Raises `InputError` if the dataset lacks identities it needs."""
        super().__init__()
        arguments = NETWORKS[pipeline].arguments
        name, embedding_size = arguments["backbone"], arguments.get("embedding_size", 128)
        light = name == LIGHT
        self.backbone = BACKBONES[name]
        ltrb = settings.size_head == "ltrb"
        self.network = FairMOT(self.backbone(), embedding_size, ltrb, hidden=64 if light else 256)
        identities = len(dataset.boxes)
        if not settings.single_images:
            identities = dataset.identities_for("FairMOT's loss", "give --single-images")
        self.loss = FairMOTLoss(self.network.embedding_size, identities, uncertainty=not light)
        self.examples = partial(
            _examples,
            size=size,
            stride=self.network.stride,
            ltrb=ltrb,
            single_images=settings.single_images,
        )

    def forward(self, images: Tensor, targets: CentreTargets) -> dict[str, Tensor]:
        """Compute FairMOT's L_total and its terms."""
        terms: dict[str, Tensor] = self.loss(self.network(images), targets)
        return terms

    def optimiser(self, lr: float) -> Optimizer:
        """Create Adam."""
        return Adam(self.parameters(), lr)

    def map_tensor_names(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Map tensor names of CenterNet, FairMOT or the backbone alone to those of the network."""
        return {map_tensor_name(name, self.backbone): value for name, value in tensors.items()}


def _examples(
    batch: Batch, size: tuple[int, int], stride: int, ltrb: bool, single_images: bool
) -> LossInputs:
    """Create heatmaps, cells, offsets, identities, and sizes: four distances, or width, height."""
    if single_images:
        batch = replace(batch, identities=batch.rows)
    return LossInputs(batch.images, centre_targets(batch.labels, size, stride, ltrb))
