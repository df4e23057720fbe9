"""The network in the box: its heads are the prototype's, its weights and its card are sound."""

import hashlib
import json
import math
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from goldens import HERE

from mottool.association.registry import TRACKERS
from mottool.checkpoints.cards import read_card
from mottool.checkpoints.manifest import bundled_file
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError
from mottool.models.mottool_s import MottoolS
from mottool.models.preprocessing import SmoothLetterbox
from mottool.settings import build_settings

BUNDLED = bundled_file("mottool-s.safetensors")
SHARED = Path(__file__).parents[3] / "shared"
SIZE = (640, 384)


@pytest.fixture(scope="module")
def network():
    return MottoolS.from_checkpoint(read(BUNDLED).tensors).eval()


def untrained(**changed):
    torch.manual_seed(0)
    return MottoolS(**changed).eval()


def test_heads_have_the_documented_shapes():
    heads = untrained(embedding_size=32)(torch.zeros(2, 3, 96, 160))
    shapes = {name: tuple(head.shape) for name, head in heads.items()}
    assert shapes == {
        "heatmap": (2, 1, 24, 40),
        "offset": (2, 2, 24, 40),
        "size": (2, 4, 24, 40),
        "identity": (2, 32, 24, 40),
        "occlusion": (2, 1, 24, 40),
        "occlusion_offset": (2, 2, 24, 40),
    }


def test_it_is_as_small_as_the_readme_says(network):
    assert sum(each.numel() for each in network.parameters()) < 2.2e6
    assert BUNDLED.stat().st_size < 5e6


def heads_of(people):
    """Raw heads in which each of `people` (column, row, score, side) is one cell's peak."""
    heads = {
        "heatmap": torch.full((1, 1, 24, 40), -9.0),
        "offset": torch.full((1, 2, 24, 40), 0.5),
        "size": torch.ones(1, 4, 24, 40),
        "identity": torch.ones(1, 4, 24, 40),
    }
    for column, row, score, side in people:
        heads["heatmap"][0, 0, row, column] = math.log(score / (1 - score))
        heads["size"][0, :, row, column] = side
    return heads


def test_a_peak_becomes_a_box_around_its_centre():
    (decoded,) = untrained(occlusion=False).decode(heads_of([(10, 5, 0.9, 3)]), 0.1)
    assert decoded.boxes.tolist() == [[30, 10, 54, 34]]  # (10.5, 5.5) ∓ 3 cells of 4 pixels
    assert decoded.scores.tolist() == pytest.approx([0.9])
    assert decoded.embeddings.shape == (1, 3 * 4)
    assert decoded.embeddings.norm(dim=1).tolist() == pytest.approx([1])
    assert decoded.occlusion_centres is None


def test_of_two_boxes_that_overlap_more_than_most_the_better_one_stays():
    people = [(10, 5, 0.6, 8), (12, 5, 0.9, 8), (20, 5, 0.7, 8)]  # IoU 0.78, then 0.33
    (decoded,) = untrained(occlusion=False).decode(heads_of(people), 0.1)
    assert decoded.scores.tolist() == pytest.approx([0.9, 0.7])


def test_occlusion_centres_are_peaks_of_their_own_heatmap():
    heads = heads_of([(10, 5, 0.9, 3)])
    heads["occlusion"] = torch.full((1, 1, 24, 40), -9.0)
    heads["occlusion"][0, 0, 7, 9] = 0.0
    heads["occlusion_offset"] = torch.full((1, 2, 24, 40), 0.25)
    (decoded,) = untrained().decode(heads, 0.1)
    assert decoded.occlusion_centres.tolist() == [[37, 29, 0.5]]


def test_an_image_of_nobody_gives_no_boxes():
    (decoded,) = untrained().decode(
        heads_of([])
        | {
            "occlusion": torch.full((1, 1, 24, 40), -9.0),
            "occlusion_offset": torch.zeros(1, 2, 24, 40),
        },
        0.1,
    )
    assert decoded.boxes.shape == (0, 4)
    assert decoded.occlusion_centres.shape == (0, 3)


def test_embeddings_at_boxes_are_read_at_three_points():
    identity = torch.arange(2.0 * 12 * 10).view(1, 2, 12, 10)
    boxes = [torch.tensor([[12.0, 0, 16, 40], [0, 0, 999, 999]])]
    (embeddings,) = untrained().embed_at({"identity": identity}, boxes)
    unit = torch.nn.functional.normalize
    person = torch.cat([unit(identity[0, :, row, 3], dim=0) for row in (3, 5, 7)]) / 3**0.5
    outside = torch.cat([unit(identity[0, :, 11, 9], dim=0)] * 3) / 3**0.5  # the nearest cell
    torch.testing.assert_close(embeddings, torch.stack((person, outside)))


def test_the_deployed_network_gives_the_same_heads(network):
    images = torch.rand(2, 3, 96, 160)
    deployed = network.deployed()
    assert not any(isinstance(each, torch.nn.BatchNorm2d) for each in deployed.modules())
    assert any(isinstance(each, torch.nn.BatchNorm2d) for each in network.modules())
    with torch.inference_mode():
        wanted, decoded = network(images), deployed(images)
    for name, head in wanted.items():
        torch.testing.assert_close(decoded[name], head, atol=1e-4, rtol=1e-4)


def test_a_checkpoint_of_another_network_is_refused():
    with pytest.raises(CheckpointError, match="these weights do not fit mottool-s"):
        MottoolS.from_checkpoint({"hm.0.weight": torch.zeros(1)})


def test_a_checkpoint_without_occlusion_heads_is_taken():
    network = untrained(occlusion=False)
    again = MottoolS.from_checkpoint(network.state_dict())
    assert again.occlusion is None


# The card


def test_the_card_describes_the_bundled_file():
    card = read_card(BUNDLED)
    card.check(BUNDLED, hashlib.sha256(BUNDLED.read_bytes()).hexdigest())
    assert card.pipeline == "mottool-s"
    assert card.input == "640x384"
    assert "CC BY-NC-SA" in card.licence
    assert card.training_data
    assert card.metrics


def test_the_cards_settings_are_settings_of_their_trackers():
    card = read_card(BUNDLED)
    assert card.tracker in card.trackers
    for tracker, table in card.trackers.items():
        build_settings(
            TRACKERS[tracker].settings, {name: str(value) for name, value in table.items()}, tracker
        )


# Against the prototype


def test_heads_equal_stored_figures(network):
    """On a made-up image; `tests/golden/README.md` says how the figures were taken."""
    golden = json.loads((HERE / "mottool_s" / "heads.json").read_text())
    y, x = np.mgrid[: SIZE[1], : SIZE[0]]
    frame = np.stack([x * 3 % 256, y * 5 % 256, (x + y) * 2 % 256], axis=-1).astype(np.uint8)
    with torch.inference_mode():
        heads = network(torch.from_numpy(SmoothLetterbox(*SIZE).image(frame))[None])
    for name, figures in golden.items():
        sample = heads[name].flatten()[:: figures["step"]]
        np.testing.assert_allclose(sample.numpy(), figures["values"], rtol=1e-5, atol=1e-4)


@pytest.mark.skipif(
    not (SHARED / "weights" / "mottool-s.safetensors").is_file(),
    reason="the prototype's weights are not part of the project, and not here",
)
def test_heads_equal_the_prototypes_on_real_frames():
    import cv2
    from safetensors.torch import load_file

    folder = SHARED / "weights"
    sys.path.insert(0, str(folder / "prototype"))
    try:
        import model as prototype
    finally:
        sys.path.pop(0)
    tensors = {
        name: value.float() for name, value in load_file(folder / "mottool-s.safetensors").items()
    }
    ours, theirs = (
        MottoolS.from_checkpoint(tensors).eval(),
        prototype.load(folder / "mottool-s.safetensors"),
    )
    frame = cv2.imread(str(SHARED / "data/TUD-Campus/img1/000001.jpg"))
    image = torch.from_numpy(SmoothLetterbox(*SIZE).image(frame))[None]
    with torch.inference_mode():
        decoded, wanted = ours(image), theirs(image)
    for name, head in wanted.items():
        assert (decoded[name] - head).abs().max() < 1e-4, name
