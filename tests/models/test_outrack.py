"""OUTrack against the authors' figures: FairMOT's part, and the occlusion centres."""

from collections.abc import Iterator
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from centrepoints import Comparison, check, compare
from goldens import HERE, SHARED, made_up, read_npz, shared, synth_image
from precision import Figure, check_distances, in_float64, reach, undecided

from mottool.checkpoints.read import read
from mottool.errors import CheckpointError
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import HEADS, FairMOT
from mottool.models.outrack import OUTrack
from mottool.models.preprocessing import Letterbox

NAMES = HEADS | {"occlusion": "occlusion", "occlusion_offset": "occlusion_offset"}


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


def add_centres(
    found: Comparison, image: np.ndarray, size: tuple[int, int], golden: dict
) -> Comparison:
    """Compare occlusion centres too, each of the authors' with our nearest one."""
    centres = found.found.occlusion_centres.numpy()  # (k, 3) x, y in network pixels, score
    assert (centres[:, 2] >= 0.1).all()
    assert (np.diff(centres[:, 2]) <= 0).all()
    expected = golden["occ_grid"][:, :3]  # their best ones: x, y in cells, score
    between = np.abs(centres[None] / (4, 4, 1) - expected[:, None]).max(2)
    nearest = between.argmin(1)
    there = between.min(1) < 0.1
    assert len(set(nearest[there])) == there.sum()
    view = Letterbox(*image.shape[:0:-1])
    placed = view.to_frame(centres[nearest, :2], *size)
    cell = 4 * max(size[0] / view.width, size[1] / view.height)  # in pixels of the frame
    in_frame = placed[there], golden["occ_image"][there, :2]
    return replace(
        found,
        figures=[
            *found.figures,
            Figure("centres", (centres[nearest] / (4, 4, 1))[there], expected[there]),
            Figure("centres in the frame", *in_frame, atol=2e-3 * cell),
        ],
    )


def check_centres(found: Comparison, golden: dict, image: str) -> None:
    """Check how many occlusion centres there are; only what rounding decides may differ."""
    heatmap = found.heads["occlusion"][0, 0].numpy()  # (h, w)
    off = reach(heatmap, "outrack", image, "occlusion")
    ours = len(found.found.occlusion_centres)
    unsure = undecided(heatmap, off, np.log(0.1 / 0.9)).sum()
    assert abs(ours - golden["n_occ_ge_0.1"]) <= unsure
    (compared,) = (figure for figure in found.figures if figure.name == "centres")
    assert len(golden["occ_grid"]) - len(compared.theirs) <= unsure


def inputs() -> dict[str, tuple[np.ndarray, tuple[int, int], dict]]:
    """Input (3, H, W), size of the frame and figures by the names that the reference has.

    The second is part of the reference data beside the project.
    """
    view = Letterbox(320, 192)
    golden = read_npz(HERE / "outrack" / "synth_320x192_seed0.npz")
    given = {"320x192/synth": (view.image(synth_image()), (480, 270), golden)}
    path = SHARED / "golden/outrack_dla34/ref_seed0.npz"
    if path.exists():
        fitted = cv2.imread(str(SHARED / "golden/inputs/letterbox_photo_320x192.png"))
        golden = read_npz(path, "320x192/photo/")
        given["320x192/photo"] = view.image(fitted), (1920, 1080), golden
    return given


def compared(network: OUTrack, given: tuple[np.ndarray, tuple[int, int], dict]) -> Comparison:
    """Compare heads, people and occlusion centres of one of `inputs` with the figures."""
    return add_centres(compare(network, NAMES, *given), *given)


def measured() -> Iterator[tuple[str, str, list[Figure]]]:
    """Compare every input with the figures in float64: folder, input's name, figures."""
    network = in_float64(OUTrack.from_checkpoint(made_up("outrack")).eval())
    for name, given in inputs().items():
        yield "outrack", name, compared(network, given).figures


def test_small_input_equals_the_authors_figures(network):
    given = inputs()["320x192/synth"]
    decoded = compared(network, given)
    check(decoded, "outrack", "320x192/synth")
    check_centres(decoded, given[-1], "320x192/synth")


@pytest.mark.heavy
def test_the_photo_equals_the_authors_figures(network):
    shared("golden/outrack_dla34/ref_seed0.npz")
    given = inputs()["320x192/photo"]
    decoded = compared(network, given)
    check(decoded, "outrack", "320x192/photo")
    check_centres(decoded, given[-1], "320x192/photo")


@pytest.mark.heavy
def test_float64_is_as_far_from_the_authors_figures_as_the_table_says():
    for folder, name, figures in measured():
        check_distances(figures, folder, name)
    shared("golden/outrack_dla34/ref_seed0.npz")  # else only the small one


def test_a_batch_has_each_image_s_own_centres(network, picture):
    exact, pair = in_float64(network), torch.cat((picture, picture.flip(3)))
    with torch.inference_mode():
        heads = exact(pair.double())
        for i, both in enumerate(exact.decode(heads, 0.3)):
            for name, head in exact(pair[i : i + 1].double()).items():
                torch.testing.assert_close(heads[name][[i]], head, atol=1e-9, rtol=0)
            (alone,) = exact.decode({name: head[[i]] for name, head in heads.items()}, 0.3)
            assert len(both.occlusion_centres) > 0
            torch.testing.assert_close(both.occlusion_centres, alone.occlusion_centres)


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
    (decoded,) = network.decode(heads, 0.4)
    assert len(decoded.boxes) == 0
    expected = [[29.0, 23.0, torch.tensor(2.0).sigmoid()], [80, 48, torch.tensor(-2.1).sigmoid()]]
    torch.testing.assert_close(decoded.occlusion_centres, torch.tensor(expected))


def test_nothing_occluded_is_no_centre(network, picture):
    with torch.inference_mode():
        heads = network(picture)
    heads["occlusion"] = torch.full_like(heads["occlusion"], -9)
    (decoded,) = network.decode(heads, 0.3)
    assert decoded.occlusion_centres.shape == (0, 3)


def test_bfloat16_decodes_in_float32(tensors, picture):
    network = OUTrack.from_checkpoint(tensors).eval().bfloat16()
    with torch.inference_mode():
        (decoded,) = network.decode(network(picture.bfloat16()), 0.3)
    assert decoded.occlusion_centres.dtype == torch.float32
    assert decoded.occlusion_centres.isfinite().all()


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
    without = {k: v for k, v in tensors.items() if not k.startswith("occlusion_offset")}
    with pytest.raises(CheckpointError, match="occlusion_offset.0.weight is missing"):
        OUTrack.from_checkpoint(without)
    for given in (tensors, network.state_dict()):
        with pytest.raises(CheckpointError, match="they look like weights of outrack"):
            FairMOT.from_checkpoint(given)


def test_without_occlusion_heads_it_is_fairmot(tensors, picture):
    without = {k: v for k, v in tensors.items() if not k.startswith("occlusion")}
    network, fairmot = OUTrack.from_checkpoint(without), FairMOT.from_checkpoint(without)
    assert network.occlusion is None
    heads, expected = network.eval()(picture), fairmot.eval()(picture)
    assert heads.keys() == expected.keys()
    assert all(torch.equal(heads[name], expected[name]) for name in heads)
    assert network.decode(heads, 0.1)[0].occlusion_centres is None
    names = network.state_dict().keys()
    assert OUTrack(DLA34(), occlusion=False).state_dict().keys() == names


def test_training_reaches_every_parameter(picture):
    network = OUTrack(DLA34())
    sum(head.square().mean() for head in network(picture).values()).backward()
    assert all(p.grad is not None for p in network.parameters())
