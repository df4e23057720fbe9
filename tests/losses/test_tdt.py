"""TDT's losses: values by hand, near 0 for perfect heads, and training of the network."""

import pytest
import torch
from loss_goldens import people

from mottool.data.targets.labels import Labels
from mottool.data.targets.tdt import tdt_targets
from mottool.errors import SettingError
from mottool.losses import tdt
from mottool.losses.tdt import TDTLoss, box, distillation, focal
from mottool.models.tdt import ANCHORS, TDT


def test_focal_by_hand():
    """Logits of 0: p = 1/2, so each term is α · (1/2)^1.5 · ln 2; 0.75 = 1 - α for background."""
    each = 0.5**1.5 * 0.693147
    foreground = torch.tensor([[1, 1, 0]])
    expected = each * (0.25 + 0.25 + 0.75) / 2
    assert focal(torch.zeros(1, 3), foreground).item() == pytest.approx(expected, rel=1e-5)
    background = torch.zeros(1, 4, dtype=torch.int64)
    assert focal(torch.zeros(1, 4), background).item() == pytest.approx(4 * 0.75 * each, rel=1e-5)


def test_box_is_linear_above_one_tenth():
    target = torch.zeros(1, 4)
    assert box(torch.full((1, 4), 0.05), target).item() == pytest.approx(0.05**2 / 2, rel=1e-5)
    assert box(torch.full((1, 4), 2.0), target).item() == pytest.approx(0.1 * (2 - 0.05), rel=1e-5)
    assert box(target[:0], target[:0]) == 0


def test_the_student_learns_the_teachers_first_dimensions():
    teacher = torch.tensor([[1.0, 2, 3, 4], [0, 0, 5, 5]])
    student, one_image = torch.tensor([[1.0, 2], [3, 4]]), torch.zeros(2, dtype=torch.int64)
    assert distillation(student, teacher, one_image, 1).item() == 25 / 2
    assert distillation(student[:0], teacher[:0], one_image[:0], 1) == 0
    with pytest.raises(SettingError, match="an embedding size of at most 4"):
        distillation(torch.zeros(2, 8), teacher, one_image, 1)


def test_the_distance_is_averaged_per_image_first():
    """§3.4: three anchors at 1 in the first image, one at 5 in the second, none in a third.

    Per image (1 + 5 + 0) / 3 = 2; over the anchors of the batch it would be (3 · 1 + 5) / 4 = 2.
    With two images: (1 + 5) / 2 = 3.
    """
    distances = torch.tensor([[1.0], [1.0], [5.0**0.5], [1.0]])
    images = torch.tensor([0, 0, 1, 0])
    zero = torch.zeros(4, 1)
    assert distillation(distances, zero, images, 2).item() == pytest.approx(3)
    assert distillation(distances, zero, images, 3).item() == pytest.approx(2)


@pytest.mark.parametrize(
    ("weights", "total"), [((1, 50, 10), 61), ((2, 3, 4), 9), ((1, 50, 2), 53)]
)
def test_weights_of_the_terms(weights, total, monkeypatch):
    """Eq. 2 with every term equal to 1."""
    for name in ("focal", "box", "distillation"):
        monkeypatch.setattr(tdt, name, lambda *arguments: torch.tensor(1.0))
    anchors = ANCHORS.boxes([(20, 30)], [8])
    targets = tdt_targets([distilled(0)], anchors)
    heads = {"scores": torch.zeros(1, len(anchors)), "boxes": torch.zeros(1, len(anchors), 4)}
    embed = lambda heads, images, anchors: targets.embeddings  # noqa: E731
    assert TDTLoss(embed, weights)(heads, targets)["total"] == total
    terms = TDTLoss(None, weights)(heads, targets)
    assert terms["total"] == weights[0] + weights[1]
    assert "embedding" not in terms


def distilled(*identities):
    image = people(*identities)
    embeddings = torch.randn(len(identities), 96, generator=torch.Generator().manual_seed(1))
    return Labels(image.boxes, image.identities, embeddings)


def test_perfect_heads_have_almost_no_loss():
    image = distilled(0, 1, 2)
    cells = [(20, 30), (10, 15), (5, 8), (3, 4), (2, 2)]
    anchors = ANCHORS.boxes(cells, (8, 16, 32, 64, 128))
    targets = tdt_targets([image], anchors)
    boxes = torch.zeros(1, len(anchors), 4)
    boxes[0, targets.anchors] = targets.boxes
    heads = {
        "scores": 20.0 * (2 * targets.foreground.float() - 1),
        "boxes": boxes,
    }
    terms = TDTLoss(lambda heads, images, anchors: targets.embeddings[:, :64])(heads, targets)
    assert terms["total"] < 1e-6


def test_steps_on_the_network_lower_the_total():
    torch.manual_seed(0)
    student = TDT("tdt-mobilenet", embedding_size=64).train()
    images = torch.rand(2, 3, 96, 160, generator=torch.Generator().manual_seed(2))
    loss = TDTLoss(student.embed)
    batch = [distilled(0, 1), distilled(2)]
    heads = student(images)
    targets = tdt_targets(batch, heads["anchors"])
    optimiser = torch.optim.SGD(student.parameters(), lr=1e-4)
    history = []
    for _ in range(3):
        terms = loss(student(images), targets)
        optimiser.zero_grad()
        terms["total"].backward()
        optimiser.step()
        history.append({name: term.item() for name, term in terms.items()})
    first, last = history[0], history[-1]
    assert first["total"] == pytest.approx(
        first["class"] + 50 * first["box"] + 10 * first["embedding"], rel=1e-5
    )
    assert last["total"] < first["total"]
    unused = [name for name, weight in student.named_parameters() if weight.grad is None]
    assert not unused


def test_an_empty_image_trains_the_background():
    torch.manual_seed(0)
    student = TDT("tdt-mobilenet", embedding_size=64).eval()
    heads = student(torch.rand(1, 3, 64, 64))
    targets = tdt_targets([distilled()], heads["anchors"])
    terms = TDTLoss(student.embed)(heads, targets)
    terms["total"].backward()
    assert terms["box"] == terms["embedding"] == 0
    assert terms["class"] > 0
