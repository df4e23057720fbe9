"""The embedder `resnet50`: ResNet-50 for re-identification, as torchreid builds and trains it.

He, Zhang, Ren & Sun, "Deep residual learning for image recognition", CVPR 2016; Zhou & Xiang,
"Torchreid: A library for deep learning person re-identification in PyTorch", arXiv 1910.10093. It
is a teacher of TDT's Table 3 (Yu, Wu, Gu & Fathy, CVPR Workshops 2022), whose student learns the
first of its 2048 dimensions.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from mottool.checkpoints.fitting import fit
from mottool.pipelines.embedders.osnet import OSNet, authors_module
from mottool.pipelines.options import Options

__all__ = ["ResNet50", "embedder"]

SIZE = 2048  # channels of the last stage, averaged over the crop


def embedder(name: str, options: Options) -> "ResNet50":
    """Build the embedder. Raises `SettingError` without its weights."""
    return ResNet50.from_options(name, options)


class ResNet50(OSNet):
    """ResNet-50 with the weights of a checkpoint; crops are prepared as for OSNet."""

    @staticmethod
    def build(name: str, tensors: Mapping[str, Tensor]) -> nn.Module:
        """Build the network without its classifier. Raises `CheckpointError` if it does not fit."""
        network: nn.Module = authors_module("resnet").resnet50(num_classes=1, pretrained=False)
        network.classifier = nn.Identity()
        fit(network, tensors, name, unused=r"classifier\.(weight|bias)$")
        return network

    @staticmethod
    def embedding_size(tensors: Mapping[str, Tensor]) -> int:
        """Return the number of features."""
        return SIZE
