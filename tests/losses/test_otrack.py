"""OTrack's loss: values and gradients by hand, and next to nothing for the truth."""

import pytest
import torch
from loss_goldens import leaves, otrack_heads, people

from mottool.data.targets.labels import Labels
from mottool.data.targets.otrack import otrack_targets
from mottool.losses.centre import focal
from mottool.losses.otrack import otrack_loss

NOW = Labels(torch.tensor([[-8.0, 8, 24, 56], [50, 10, 71, 45]]), torch.tensor([3, 5]))
BEFORE = Labels(torch.tensor([[10.0, 10, 30, 40], [4, 10, 38, 58]]), torch.tensor([4, 3]))
CHANNELS = {
    "heatmap": 1, "offset": 2, "size": 2, "displacement": 2, "amodal": 4, "occlusion": 1,
    "occlusion_offset": 2,
}  # fmt: skip


def crowd():
    """Four people, each in a cell of their own, of whom two hide each other."""
    boxes = people(0, 1).boxes.repeat(2, 1) + 4 * torch.arange(4)[:, None]
    return Labels(boxes, torch.arange(4))


def test_values_and_gradients_by_hand():
    # As in test_targets_otrack: cells (3, 8) and (15, 6) of 24x16, the first of whom is known.
    targets = otrack_targets([NOW], [BEFORE], (96, 64))
    heads = leaves({name: torch.zeros(1, count, 16, 24) for name, count in CHANNELS.items()})
    terms = otrack_loss(heads, targets)
    value = {name: term.item() for name, term in terms.items()}
    assert value["offset"] == pytest.approx((0.125 + 0.875) / 4, rel=1e-4)
    assert value["size"] == pytest.approx((6 + 12 + 5.25 + 8.75) / 4, rel=1e-4)
    assert value["displacement"] == pytest.approx((2.25 + 0.5) / 2, rel=1e-4)
    assert value["amodal"] == pytest.approx((5 + 6 + 3 + 6 + 2.5 + 3.5 + 2.75 + 5.25) / 8, rel=1e-4)
    assert value["occlusion_offset"] == 0  # nobody is hidden
    expected = value["heatmap"] + value["offset"] + 0.1 * value["size"] + value["displacement"]
    expected += 0.1 * value["amodal"] + 0.5 * value["occlusion"]
    assert value["total"] == pytest.approx(expected, rel=1e-6)
    terms["total"].backward()
    close = {"rtol": 1e-3, "atol": 0}
    moved = heads["displacement"].grad
    torch.testing.assert_close(moved[0, :, 8, 3], torch.tensor([-0.5, -0.5]), **close)
    assert moved.count_nonzero() == 2  # whoever is new teaches no displacement
    whole = heads["amodal"].grad
    sides = torch.tensor([1.0, 1, -1, -1]) * 0.1 / 8
    torch.testing.assert_close(whole[0, :, 8, 3], sides, **close)
    torch.testing.assert_close(whole[0, :, 6, 15], sides, **close)
    assert whole.count_nonzero() == 8
    # At a centre the focal loss of p = 1/2 falls by ((1 - p)^3 - 2p(1 - p)^2 log p) / n, n = 2.
    slope = (0.5**3 - 2 * 0.5 * 0.5**2 * torch.tensor(0.5).log()) / 2
    torch.testing.assert_close(heads["heatmap"].grad[0, 0, 8, 3], -slope, **close)


def test_the_truth_costs_next_to_nothing():
    near = crowd()
    targets = otrack_targets([near, people()], [near, people(0)], (240, 160))
    assert targets.occlusions.valid.any()
    terms = otrack_loss(otrack_heads(targets, 20.0), targets)
    assert terms["heatmap"] < 1e-3
    assert terms["occlusion"] < 1e-3
    for name in ("offset", "size", "displacement", "amodal", "occlusion_offset"):
        assert terms[name] == 0, name


def test_hidden_people_count_half():
    near = crowd()
    size = (240, 160)
    both, plain = (otrack_targets([near], [near], size, threshold=t) for t in (0.7, None))
    heads = {name: torch.randn(1, count, 40, 60) for name, count in CHANNELS.items()}
    whole, without = otrack_loss(heads, both), otrack_loss(heads, plain)
    assert without.keys() == whole.keys() - {"occlusion", "occlusion_offset"}
    more = 0.5 * focal(heads["occlusion"], both.occlusions.heatmap)
    more = more + 0.5 * whole["occlusion_offset"]
    torch.testing.assert_close(whole["total"] - without["total"], more)
