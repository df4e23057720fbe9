"""FairMOT's losses: the authors' values and gradients, and near 0 for perfect heads."""

import pytest
import torch
from loss_goldens import figures, labels, leaves, people

from mottool.data.targets.centre import centre_targets
from mottool.data.targets.labels import Labels
from mottool.losses.centre import FairMOTLoss, focal, l1

NAMES = {"heatmap": "hm", "size": "wh", "offset": "reg", "identity": "id"}
SIZE = (160, 96)


def loss_with_authors_classifier(golden, uncertainty=True):
    loss = FairMOTLoss(16, 50, uncertainty)
    with torch.no_grad():
        loss.classifier.weight.copy_(golden["classifier_weight"])
        loss.classifier.bias.copy_(golden["classifier_bias"])
    return loss


@pytest.mark.parametrize("form", ["ltrb", "wh2"])
def test_values_and_gradients_equal_the_authors(form):
    stored = figures("fairmot")
    golden = {key[len(form) + 1 :]: value for key, value in stored.items() if key.startswith(form)}
    batch = [labels(stored[name], SIZE) for name in ("labels0", "labels1")]
    targets = centre_targets(batch, SIZE, ltrb=form == "ltrb")
    heads = leaves({ours: golden[f"output/{theirs}"] for ours, theirs in NAMES.items()})
    loss = loss_with_authors_classifier(golden)
    terms = loss(heads, targets)
    terms["total"].backward()
    expected = {"heatmap": "hm", "size": "wh", "offset": "off", "identity": "id"}
    for ours, theirs in expected.items():
        value = golden[f"loss/{theirs}_loss"].item()
        assert terms[ours].item() == pytest.approx(value, rel=1e-5), ours
    assert terms["total"].item() == pytest.approx(golden["loss/loss"].item(), rel=1e-6)
    for ours, theirs in NAMES.items():
        gradient = golden[f"grad/{theirs}"]
        torch.testing.assert_close(heads[ours].grad, gradient, atol=1e-6, rtol=1e-5)
    weights = torch.cat((golden["grad/s_det"], golden["grad/s_id"]))
    torch.testing.assert_close(loss.weighting.s.grad, weights, atol=1e-4, rtol=1e-5)
    fixed = loss_with_authors_classifier(golden, uncertainty=False)
    total = fixed(heads, targets)["total"].item()
    assert total == pytest.approx(golden["loss/loss_multi_fix"].item(), rel=1e-6)


def perfect_heads(targets, embedding_size=4):
    """Return heads whose outputs equal the targets."""
    b, _, h, w = targets.heatmap.shape
    heads = {
        "heatmap": torch.where(targets.heatmap == 1, 20.0, -20.0),
        "identity": torch.ones(b, embedding_size, h, w),
    }
    for name in ("offset", "size"):
        values = getattr(targets, name)
        head = torch.zeros(b, values.shape[2], h * w)
        for image, valid in enumerate(targets.valid):
            head[image][:, targets.cells[image][valid]] = values[image][valid].T
        heads[name] = head.view(b, -1, h, w)
    return heads


def test_perfect_heads_have_almost_no_loss():
    targets = centre_targets([people(0, 1), people(-1)], (240, 160))
    terms = FairMOTLoss(4, 5)(perfect_heads(targets), targets)
    assert terms["heatmap"] < 1e-3
    assert terms["size"] == terms["offset"] == 0


def test_the_order_of_people_does_not_matter():
    image = people(0, 1, 2)
    reordered = Labels(image.boxes.flip(0), image.identities.flip(0))
    heads = {
        "heatmap": torch.randn(1, 1, 40, 60),
        "offset": torch.randn(1, 2, 40, 60),
        "size": torch.randn(1, 4, 40, 60),
        "identity": torch.randn(1, 8, 40, 60),
    }
    loss = FairMOTLoss(8, 3)
    first, second = (
        loss(heads, centre_targets([labels], (240, 160))) for labels in (image, reordered)
    )
    torch.testing.assert_close(first, second)


def test_without_known_identities_only_detection_has_a_loss():
    targets = centre_targets([people(-1, -1)], (240, 160))
    heads = leaves(perfect_heads(targets))
    terms = FairMOTLoss(4, 5)(heads, targets)
    terms["total"].backward()
    assert terms["identity"] == 0
    assert (heads["identity"].grad == 0).all()


def test_an_empty_image_trains_the_background():
    targets = centre_targets([people()], (240, 160))
    heads = leaves(perfect_heads(targets))
    heads["heatmap"].data.zero_()
    terms = FairMOTLoss(4, 5)(heads, targets)
    terms["total"].backward()
    # Each of 40 x 60 cells: -0.5² ln 0.5.
    assert terms["heatmap"].item() == pytest.approx(2400 * 0.25 * 0.693147, rel=1e-5)
    assert (heads["heatmap"].grad > 0).all()
    assert all(head.grad.isfinite().all() for head in heads.values())


def test_focal_reduces_the_weight_near_centres():
    logits = torch.zeros(1, 1, 1, 2)
    target = torch.tensor([[[[1.0, 0.5]]]])
    expected = 0.25 * 0.693147 * (1 + 0.5**4)
    assert focal(logits, target).item() == pytest.approx(expected, rel=1e-5)


def test_l1_is_a_mean_over_objects_and_channels():
    head = torch.zeros(1, 2, 1, 3)
    cells, valid = torch.tensor([[0, 2, 1]]), torch.tensor([[True, True, False]])
    target = torch.tensor([[[1.0, 3], [2, 2], [9, 9]]])
    assert l1(head, cells, valid, target).item() == pytest.approx(8 / 4, rel=1e-4)
