"""OSNet: equality with the authors' features, batching of crops, and checkpoints it refuses."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from goldens import HERE, fill, read_npz, shared, synth_image
from precision import Figure, check_distances, hold, in_float64

from mottool.errors import CheckpointError, SettingError
from mottool.models.device import Compute
from mottool.models.pixel_formats import IMAGENET_DEVIATION, IMAGENET_MEAN
from mottool.pipelines.embedders import osnet
from mottool.pipelines.embedders.crops import crop
from mottool.pipelines.embedders.osnet import VARIANTS, OSNet, build_network

CPU = Compute.named("cpu")
BOXES = np.array(
    [[0, 0, 100, 250], [200, 10, 260, 100], [300, 100, 428, 270], [50, 60, 81, 123]], np.float32
)


def random_tensors(variant, seed=0, overrides=None):
    """Make a checkpoint's tensors under the authors' names, with a classifier of one identity."""
    if overrides is None:
        overrides = read_npz(HERE / "osnet" / f"{variant}.npz")
    module, _ = VARIANTS[variant]
    empty = getattr(osnet.authors_module(module), variant)(num_classes=1, pretrained=False)
    return {
        name: torch.from_numpy(fill(name, tuple(value.shape), seed, overrides))
        for name, value in empty.state_dict().items()
    }


def save_checkpoint(tmp_path, variant, tensors=None, prefix=""):
    path = tmp_path / f"{variant}.pth"
    tensors = random_tensors(variant) if tensors is None else tensors
    torch.save({"state_dict": {prefix + name: value for name, value in tensors.items()}}, path)
    return path


@pytest.fixture(scope="module")
def smallest(tmp_path_factory):
    path = save_checkpoint(tmp_path_factory.mktemp("osnet"), "osnet_x0_25")
    return OSNet("osnet_x0_25", path, CPU)


def four_crops() -> np.ndarray:
    """Cut crops of the synthetic frame at the network's input size, (4, 256, 128, 3) uint8 RGB."""
    return np.stack([osnet._resize(crop(synth_image(), box)) for box in BOXES])


def feature_figures(features: np.ndarray, variant: str) -> list[Figure]:
    """Pair features (4, 512) and their unit embeddings with the authors' values."""
    expected = read_npz(HERE / "osnet" / f"{variant}.npz", "figures/")["features"]
    ours, theirs = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (features, expected))
    return [
        Figure("features", features, expected, atol=1e-3),
        Figure("embeddings", ours, theirs, atol=1e-4, rtol=0),
    ]


def measured():
    """Yield the float64 comparison of every variant: folder, name of the input, figures."""
    images = torch.from_numpy(four_crops()).permute(0, 3, 1, 2) / 255
    mean, deviation = (torch.tensor(x).view(3, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_DEVIATION))
    images = (images - mean) / deviation  # in float32, the authors' input
    for variant in VARIANTS:
        network = in_float64(build_network(variant, random_tensors(variant)).eval())
        with torch.inference_mode():
            features = network(images.double()).numpy()
        yield f"osnet/{variant}", "crops", feature_figures(features, variant)


@pytest.mark.parametrize("variant", VARIANTS)
def test_features_equal_those_of_the_authors_code(variant, tmp_path):
    embedder = OSNet(variant, save_checkpoint(tmp_path, variant, prefix="module."), CPU)
    crops = four_crops()
    scaled = crops[:, ::16, ::16] / 255  # (4, 16, 8, 3)
    inputs = (scaled - IMAGENET_MEAN) / IMAGENET_DEVIATION
    expected = read_npz(HERE / "osnet" / f"{variant}.npz", "figures/")["input_sub16"]
    np.testing.assert_allclose(inputs.transpose(0, 3, 1, 2), expected, atol=1e-5)
    hold(feature_figures(embedder._features(crops), variant), f"osnet/{variant}", "crops")
    (embeddings,) = embedder.embed([synth_image()], [BOXES])
    _, unit = feature_figures(embedder._features(crops), variant)
    np.testing.assert_allclose(embeddings, unit.theirs, atol=1e-4)


@pytest.mark.heavy
def test_float64_distances_to_the_authors_features_equal_the_stored_table():
    for folder, name, figures in measured():
        check_distances(figures, folder, name)


@pytest.mark.parametrize(("width", "height"), [(157, 389), (40, 600), (300, 90), (33, 77)])
def test_crop_is_resized_horizontally_then_vertically_with_rounding_after_each(width, height):
    image = synth_image(width, height)
    planes = torch.from_numpy(image[..., ::-1].copy()).permute(2, 0, 1)[None].double()
    across = (F.interpolate(planes, (height, 128), mode="bilinear", antialias=True) + 0.5).floor()
    down = (F.interpolate(across, (256, 128), mode="bilinear", antialias=True) + 0.5).floor()
    off = np.abs(osnet._resize(image) - down[0].permute(1, 2, 0).numpy())  # (256, 128, 3)
    assert off.max() <= 1  # where the exact value lies halfway between two levels
    assert (off > 0).mean() < 0.001  # 0.015 in the other order


@pytest.mark.heavy
@pytest.mark.parametrize("variant", VARIANTS)
def test_tensor_names_and_shapes_equal_the_reference_checkpoint(variant):
    """The network has every tensor of the reference checkpoint, in the same shape."""
    rows = json.loads(shared(f"golden/{variant}/manifest.json").read_text())["tensors"]
    ours = {name: list(value.shape) for name, value in random_tensors(variant).items()}
    assert ours == {name: shape for name, shape, _ in rows}


def test_batched_crops_of_several_frames_equal_single_frames(smallest, monkeypatch):
    monkeypatch.setattr("mottool.pipelines.embedders.crops.BATCH", 3)
    images = [synth_image(), synth_image(300, 200), synth_image()]
    boxes = [BOXES, np.zeros((0, 4), np.float32), BOXES[1:2] + 3]
    together = smallest.embed(images, boxes)
    assert [each.shape for each in together] == [(4, 512), (0, 512), (1, 512)]
    for image, expected, result in zip(images, boxes, together, strict=True):
        (alone,) = smallest.embed([image], [expected])
        np.testing.assert_allclose(result, alone, atol=1e-4)
    lengths = np.linalg.norm(np.concatenate(together), axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-5)
    assert smallest.embed([], []) == []


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_embeddings_of_crops_that_a_device_resizes_are_the_same(tmp_path, precision):
    path = save_checkpoint(tmp_path, "osnet_x0_25")
    embedder = OSNet("osnet_x0_25", path, Compute.named("cpu", precision))
    images, boxes = [synth_image(), synth_image(300, 200)], [BOXES, BOXES[1:3]]
    for ours, theirs in zip(
        embedder._embed_on_device(images, boxes), embedder.embed(images, boxes), strict=True
    ):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_a_cuda_device_resizes_crops(smallest, monkeypatch):
    monkeypatch.setattr(smallest, "compute", Compute(torch.device("cuda")))
    monkeypatch.setattr(smallest, "_embed_on_device", lambda images, boxes: [images, boxes])
    assert smallest.embed([1], [2]) == [[1], [2]]


def test_boxes_outside_the_frame_have_finite_unit_embeddings(smallest):
    boxes = np.array([[-50, -50, -10, -10], [470, 260, 600, 400]], np.float32)
    (result,) = smallest.embed([synth_image()], [boxes])
    assert np.isfinite(result).all()
    np.testing.assert_allclose(np.linalg.norm(result, axis=1), 1, atol=1e-5)


def test_checkpoint_of_another_width_is_refused(tmp_path):
    path = save_checkpoint(tmp_path, "osnet_x0_25")
    with pytest.raises(CheckpointError, match="osnet_x0_25.pth: its first layer has 16 channels"):
        OSNet("osnet_x1_0", path, CPU)


def test_missing_and_unexpected_tensors_are_listed():
    tensors = random_tensors("osnet_x0_25")
    del tensors["conv5.bn.bias"]
    with pytest.raises(CheckpointError, match=r"conv5\.bn\.bias is missing"):
        build_network("osnet_x0_25", tensors | {"extra.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"IN\.weight is unexpected"):
        build_network("osnet_x1_0", random_tensors("osnet_ibn_x1_0"))


def test_missing_torchreid_error_names_the_pip_command(monkeypatch):
    osnet.authors_module.cache_clear()
    monkeypatch.setattr(osnet, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match="pip install torchreid"):
        build_network("osnet_x0_25", {})
    osnet.authors_module.cache_clear()


def test_building_osnet_imports_no_download_or_training_package():
    code = (
        "import sys; from mottool.pipelines.embedders import osnet; osnet.authors_module('osnet');"
        "sys.exit(bool({'gdown', 'tensorboard', 'torchreid'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
