"""OTrack's loss: values and gradients by hand, and near 0 for perfect heads."""

import pytest
import torch
from loss_goldens import leaves, otrack_heads, people

from mottool.data.targets.labels import Labels
from mottool.data.targets.otrack import otrack_targets
from mottool.losses.centre import focal
from mottool.losses.otrack import otrack_loss

CURRENT = Labels(torch.tensor([[-8.0, 8, 24, 56], [50, 10, 71, 45]]), torch.tensor([3, 5]))
PREVIOUS = Labels(torch.tensor([[10.0, 10, 30, 40], [4, 10, 38, 58]]), torch.tensor([4, 3]))
CHANNELS = {
    "heatmap": 1, "offset": 2, "size": 2, "displacement": 2, "amodal": 4, "occlusion": 1,
    "occlusion_offset": 2,
}  # fmt: skip


def crowd():
    """Return four people in different cells, two of which occlude each other."""
    boxes = people(0, 1).boxes.repeat(2, 1) + 4 * torch.arange(4)[:, None]
    return Labels(boxes, torch.arange(4))


def test_values_and_gradients_by_hand():
    # As in data/targets/test_otrack.py: cells (3, 8) and (15, 6) of 24x16; only the first is known.
    targets = otrack_targets([CURRENT], [PREVIOUS], (96, 64))
    heads = leaves({name: torch.zeros(1, count, 16, 24) for name, count in CHANNELS.items()})
    terms = otrack_loss(heads, targets)
    value = {name: term.item() for name, term in terms.items()}
    assert value["offset"] == pytest.approx((0.125 + 0.875) / 4, rel=1e-4)
    assert value["size"] == pytest.approx((6 + 12 + 5.25 + 8.75) / 4, rel=1e-4)
    assert value["displacement"] == pytest.approx((2.25 + 0.5) / 2, rel=1e-4)
    assert value["amodal"] == pytest.approx((5 + 6 + 3 + 6 + 2.5 + 3.5 + 2.75 + 5.25) / 8, rel=1e-4)
    assert value["occlusion_offset"] == 0  # there are no occlusions
    expected = value["heatmap"] + value["offset"] + 0.1 * value["size"] + value["displacement"]
    expected += 0.1 * value["amodal"] + 0.5 * value["occlusion"]
    assert value["total"] == pytest.approx(expected, rel=1e-6)
    terms["total"].backward()
    close = {"rtol": 1e-3, "atol": 0}
    gradient = heads["displacement"].grad
    torch.testing.assert_close(gradient[0, :, 8, 3], torch.tensor([-0.5, -0.5]), **close)
    assert gradient.count_nonzero() == 2  # a new person has no displacement target
    gradient = heads["amodal"].grad
    sides = torch.tensor([1.0, 1, -1, -1]) * 0.1 / 8
    torch.testing.assert_close(gradient[0, :, 8, 3], sides, **close)
    torch.testing.assert_close(gradient[0, :, 6, 15], sides, **close)
    assert gradient.count_nonzero() == 8
    # At a centre the focal loss of p = 1/2 falls by ((1 - p)^3 - 2p(1 - p)^2 log p) / n, n = 2.
    slope = (0.5**3 - 2 * 0.5 * 0.5**2 * torch.tensor(0.5).log()) / 2
    torch.testing.assert_close(heads["heatmap"].grad[0, 0, 8, 3], -slope, **close)


def test_perfect_heads_have_almost_no_loss():
    image = crowd()
    targets = otrack_targets([image, people()], [image, people(0)], (240, 160))
    assert targets.occlusions.valid.any()
    terms = otrack_loss(otrack_heads(targets, 20.0), targets)
    assert terms["heatmap"] < 1e-3
    assert terms["occlusion"] < 1e-3
    for name in ("offset", "size", "displacement", "amodal", "occlusion_offset"):
        assert terms[name] == 0, name


def test_occlusion_terms_have_weight_one_half():
    image = crowd()
    size = (240, 160)
    with_occlusions, without_occlusions = (
        otrack_targets([image], [image], size, threshold=t) for t in (0.7, None)
    )
    heads = {name: torch.randn(1, count, 40, 60) for name, count in CHANNELS.items()}
    with_terms = otrack_loss(heads, with_occlusions)
    without_terms = otrack_loss(heads, without_occlusions)
    assert without_terms.keys() == with_terms.keys() - {"occlusion", "occlusion_offset"}
    expected = 0.5 * focal(heads["occlusion"], with_occlusions.occlusions.heatmap)
    expected = expected + 0.5 * with_terms["occlusion_offset"]
    torch.testing.assert_close(with_terms["total"] - without_terms["total"], expected)
