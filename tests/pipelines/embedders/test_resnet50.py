"""ResNet-50 as a teacher: torchvision's network without its classifier."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torchvision.models import resnet50

from mottool.errors import CheckpointError, SettingError
from mottool.models.device import Compute
from mottool.models.pixel_formats import IMAGENET_DEVIATION, IMAGENET_MEAN
from mottool.pipelines.build import build_teacher
from mottool.pipelines.embedders.crops import crop
from mottool.pipelines.embedders.osnet import _resize
from mottool.pipelines.embedders.resnet50 import ResNet50
from mottool.pipelines.options import Options


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A checkpoint with torchreid's names, which are torchvision's but for the classifier."""
    torch.manual_seed(0)
    network = resnet50(weights=None).eval()
    tensors = {k: v for k, v in network.state_dict().items() if not k.startswith("fc.")}
    tensors |= {"classifier.weight": torch.zeros(4101, 2048), "classifier.bias": torch.zeros(4101)}
    path = tmp_path_factory.mktemp("teacher") / "resnet50.pth"
    torch.save({"state_dict": {f"module.{name}": value for name, value in tensors.items()}}, path)
    return path, network


def test_features_are_those_of_the_last_stage_averaged(weights):
    path, network = weights
    image = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    box = np.array([[20, 30, 120, 250]], np.float32)
    teacher = ResNet50("resnet50", path, Compute.named("cpu"))
    (embedding,) = teacher.embed([image], [box])
    assert embedding.shape == (1, 2048) == (1, teacher.size)
    network.fc = torch.nn.Identity()
    pixels = torch.from_numpy(_resize(crop(image, box[0])) / np.float32(255))
    normal = (pixels - torch.from_numpy(IMAGENET_MEAN)) / torch.from_numpy(IMAGENET_DEVIATION)
    with torch.inference_mode():
        features = network(normal.permute(2, 0, 1)[None])
    torch.testing.assert_close(
        torch.from_numpy(embedding), F.normalize(features), atol=1e-5, rtol=1e-4
    )


def test_it_is_a_teacher_with_weights_of_its_own(weights, tmp_path):
    path, network = weights
    assert build_teacher("resnet50", Options(embedder_weights=path)).size == 2048
    with pytest.raises(SettingError, match="resnet50 needs its weights"):
        build_teacher("resnet50", Options())
    torch.save({"conv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"do not fit resnet50: .* is missing"):
        build_teacher("resnet50", Options(embedder_weights=tmp_path / "other.pth"))
