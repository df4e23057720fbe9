"""OUTrack against the authors' figures: FairMOT's part, and the occlusion centres."""

import cv2
import numpy as np
import pytest
import torch
from goldens import HERE, check_head, made_up, shared, synth_image

from mottool.errors import CheckpointError
from mottool.models.backbones.dla import DLA34
from mottool.models.checkpoints import read
from mottool.models.fairmot import HEADS, FairMOT
from mottool.models.heatmap import peaks
from mottool.models.outrack import OUTrack
from mottool.models.preprocessing import Letterbox

CLOSE = {"atol": 2e-3, "rtol": 1e-3}


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return made_up("outrack")


@pytest.fixture(scope="module")
def network(tensors) -> OUTrack:
    return OUTrack.from_checkpoint(tensors).eval()


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """A small network input, (1, 3, 64, 96)."""
    return torch.from_numpy(Letterbox(96, 64).image(synth_image())[None])


def check(network: OUTrack, image: np.ndarray, size: tuple[int, int], golden: dict) -> None:
    """Hold heads, people and occlusion centres of a (3, H, W) input, of a frame of `size`."""
    np.testing.assert_allclose(image[None, :, ::32, ::32], golden["input/sub32"], atol=1e-6)
    with torch.inference_mode():
        heads = network(torch.from_numpy(image[None]))
        (found,) = network.decode(heads, min_score=0.0)
    names = HEADS | {"occlusion": "occlusion", "occlusion_offset": "occlusion_offset"}
    for theirs, ours in names.items():
        check_head(heads[ours].numpy(), theirs, golden)
    # Rows of nearly equal scores may change places, so they are matched by their cells.
    cells = peaks(heads["heatmap"], 500).cells[0].tolist()
    rows = [cells.index(cell) for cell in golden["inds"].tolist()]
    grid = golden["decode_grid"]
    np.testing.assert_allclose(found.boxes.numpy()[rows] / 4, grid[:, :4], **CLOSE)
    np.testing.assert_allclose(found.scores.numpy()[rows], grid[:, 4], **CLOSE)
    embeddings = found.embeddings.numpy()[rows[: len(golden["id"])]]
    np.testing.assert_allclose(embeddings, golden["id"], **CLOSE)
    assert abs(len(found.scores) - golden["n_pos"]) <= 1
    check_centres(found.occlusion_centres.numpy(), Letterbox(*image.shape[:0:-1]), size, golden)


def check_centres(
    centres: np.ndarray, view: Letterbox, size: tuple[int, int], golden: dict
) -> None:
    """Hold occlusion centres (k, 3) in network pixels, each against the authors' nearest one."""
    assert abs(len(centres) - golden["n_occ_ge_0.1"]) <= 1
    assert (centres[:, 2] >= 0.1).all()
    assert (np.diff(centres[:, 2]) <= 0).all()
    expected = golden["occ_grid"][:, :3]  # their best ones: x, y in cells, score
    between = np.abs(centres[None] / (4, 4, 1) - expected[:, None]).max(2)
    nearest = between.argmin(1)
    assert len(set(nearest)) == len(expected)
    np.testing.assert_allclose(centres[nearest] / (4, 4, 1), expected, **CLOSE)
    placed = view.to_frame(centres[nearest, :2], *size)
    cell = 4 * max(size[0] / view.width, size[1] / view.height)  # in pixels of the frame
    np.testing.assert_allclose(placed, golden["occ_image"][:, :2], atol=2e-3 * cell, rtol=1e-3)


def test_small_input_equals_the_authors_figures(network):
    golden = dict(np.load(HERE / "outrack" / "synth_320x192_seed0.npz"))
    check(network, Letterbox(320, 192).image(synth_image()), (480, 270), golden)


@pytest.mark.heavy
def test_the_photo_equals_the_authors_figures(network):
    figures = np.load(shared("golden/outrack_dla34/ref_seed0.npz"))
    prefix = "320x192/photo/"
    golden = {k.removeprefix(prefix): figures[k] for k in figures if k.startswith(prefix)}
    fitted = cv2.imread(str(shared("golden/inputs/letterbox_photo_320x192.png")))
    check(network, Letterbox(320, 192).image(fitted), (1920, 1080), golden)


def test_a_batch_has_each_image_s_own_centres(network, picture):
    pair = torch.cat((picture, picture.flip(3)))
    with torch.inference_mode():
        together = network.decode(network(pair), 0.3)
        for i, both in enumerate(together):
            (alone,) = network.decode(network(pair[i : i + 1]), 0.3)
            assert len(both.occlusion_centres) > 0
            torch.testing.assert_close(
                both.occlusion_centres, alone.occlusion_centres, atol=2e-3, rtol=1e-3
            )


def test_planted_occlusions_are_found_where_they_were_put(network):
    h, w = 16, 24
    heads = {
        "heatmap": torch.full((1, 1, h, w), -9.0),
        "offset": torch.zeros(1, 2, h, w),
        "size": torch.ones(1, 4, h, w),
        "identity": torch.ones(1, 128, h, w),
        "occlusion": torch.full((1, 1, h, w), -9.0),
        "occlusion_offset": torch.zeros(1, 2, h, w),
    }
    heads["occlusion"][0, 0, 5, 7] = 2.0
    heads["occlusion"][0, 0, 12, 20] = -2.1  # scores just above a tenth
    heads["occlusion"][0, 0, 2, 2] = -2.3  # and just below
    heads["occlusion_offset"][0, :, 5, 7] = torch.tensor([0.25, 0.75])
    (found,) = network.decode(heads, 0.4)
    assert len(found.boxes) == 0
    expected = [[29.0, 23.0, torch.tensor(2.0).sigmoid()], [80, 48, torch.tensor(-2.1).sigmoid()]]
    torch.testing.assert_close(found.occlusion_centres, torch.tensor(expected))


def test_nothing_occluded_is_no_centre(network, picture):
    with torch.inference_mode():
        heads = network(picture)
    heads["occlusion"] = torch.full_like(heads["occlusion"], -9)
    (found,) = network.decode(heads, 0.3)
    assert found.occlusion_centres.shape == (0, 3)


def test_bfloat16_decodes_in_float32(tensors, picture):
    network = OUTrack.from_checkpoint(tensors).eval().bfloat16()
    with torch.inference_mode():
        (found,) = network.decode(network(picture.bfloat16()), 0.3)
    assert found.occlusion_centres.dtype == torch.float32
    assert found.occlusion_centres.isfinite().all()


def test_its_own_size_of_embedding_and_any_other_load():
    network = OUTrack(DLA34())
    assert network.embedding_size == 256
    again = OUTrack.from_checkpoint(OUTrack(DLA34(), embedding_size=64).state_dict())
    assert again.embedding_size == 64


def test_a_training_checkpoint_with_its_loss_s_tensors_loads(tmp_path, tensors, network):
    content = {
        "epoch": 30,
        "state_dict": {f"module.{name}": value for name, value in tensors.items()},
        "loss_state_dict": {"s_det": torch.tensor([-1.85]), "classifier.weight": torch.ones(3, 4)},
    }
    content["state_dict"]["module.base.fc.weight"] = torch.zeros(1000, 512, 1, 1)
    content["state_dict"]["module.base.fc.bias"] = torch.zeros(1000)
    torch.save(content, tmp_path / "model_30.pth")
    again = OUTrack.from_checkpoint(read(tmp_path / "model_30.pth").tensors)
    theirs = network.state_dict()
    assert all(torch.equal(value, theirs[name]) for name, value in again.state_dict().items())


def test_fairmot_s_and_outrack_s_files_are_told_apart(tensors, network):
    with pytest.raises(CheckpointError, match="occlusion.0.weight is missing") as caught:
        OUTrack.from_checkpoint({k: v for k, v in tensors.items() if "occlusion" not in k})
    assert "fairmot-dla34" in caught.value.fix
    for given in (tensors, network.state_dict()):
        with pytest.raises(CheckpointError, match="they look like weights of outrack"):
            FairMOT.from_checkpoint(given)


def test_training_reaches_every_parameter(picture):
    network = OUTrack(DLA34())
    sum(head.square().mean() for head in network(picture).values()).backward()
    assert all(p.grad is not None for p in network.parameters())
