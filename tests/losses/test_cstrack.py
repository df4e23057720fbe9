"""CSTrack's losses: the authors' values and gradients; people that share an anchor."""

import pytest
import torch
from loss_goldens import figures, labels, leaves, people
from torchvision.ops import box_convert, complete_box_iou_loss

from mottool.data.targets.cstrack import cstrack_targets
from mottool.data.targets.labels import Labels
from mottool.losses.cstrack import CSTrackLoss, objectness

STRIDES = (8, 16, 32)
SIZE = (320, 192)
ANCHORS = {
    8: [(8, 24), (11, 34), (16, 48)],
    16: [(16, 48), (22, 67), (32, 96)],
    32: [(32, 96), (45, 135), (64, 192)],
}


def heads(images=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    detection = {
        f"detection_{s}": torch.randn(images, 18, SIZE[1] // s, SIZE[0] // s, generator=generator)
        for s in STRIDES
    }
    return detection | {"identity": torch.randn(images, 16, 24, 40, generator=generator)}


def test_values_and_gradients_equal_the_authors():
    golden = figures("cstrack")
    rows = golden["targets"]
    anchors = {
        s: (cells * s).tolist() for s, cells in zip(STRIDES, golden["anchors_grid"], strict=True)
    }
    batch = [labels(rows[rows[:, 0] == image], SIZE) for image in (0, 1)]
    # The authors' identity 0 means unknown.
    batch = [
        Labels(image.boxes, image.identities.masked_fill(image.identities == 0, -1))
        for image in batch
    ]
    loss = CSTrackLoss(16, 25, anchors)
    with torch.no_grad():
        loss.classifier.weight.copy_(golden["classifier_weight"])
    maps = leaves({f"p{level}": golden[f"p{level}"] for level in range(3)})
    identity = golden["id_map"].clone().requires_grad_()
    outputs = {
        f"detection_{stride}": maps[f"p{level}"].permute(0, 1, 4, 2, 3).flatten(1, 2)
        for level, stride in enumerate(STRIDES)
    } | {"identity": identity.permute(0, 3, 1, 2)}
    terms = loss(outputs, cstrack_targets(batch, SIZE, anchors))
    (len(batch) * terms["total"]).backward()
    box, identity_loss, objectness_loss, total = golden["lbox_idloss_lobj_loss"].tolist()
    assert 0.05 * terms["box"].item() == pytest.approx(box, rel=1e-5)
    assert terms["identity"].item() == pytest.approx(identity_loss, rel=1e-5)
    assert terms["objectness"].item() == pytest.approx(objectness_loss, rel=1e-5)
    assert terms["total"].item() == pytest.approx(total, rel=1e-5)
    for name, head in maps.items():
        torch.testing.assert_close(head.grad, golden[f"grad_{name}"], atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(identity.grad, golden["grad_id_map"], atol=1e-7, rtol=1e-4)


def test_ciou_equals_the_authors():
    golden = figures("cstrack")
    pair = (box_convert(golden[f"ciou/box{i}_xywh"], "cxcywh", "xyxy") for i in (1, 2))
    torch.testing.assert_close(1 - complete_box_iou_loss(*pair), golden["ciou/value"])


def test_perfect_heads_have_almost_no_loss():
    targets = cstrack_targets([people(0)], SIZE, ANCHORS)
    outputs = {}
    for stride, level in targets.levels.items():
        rows, columns = SIZE[1] // stride, SIZE[0] // stride
        head = torch.full((1, 3, 6, rows, columns), -20.0)
        shapes = torch.tensor(ANCHORS[stride])[level.anchors] / stride
        centre = (level.boxes[:, :2] + 0.5) / 2
        sides = (level.boxes[:, 2:] / shapes).sqrt() / 2
        at_boxes = level.images, level.anchors, slice(None, 4), level.rows, level.columns
        head[at_boxes] = torch.logit(torch.cat((centre, sides), 1), eps=1e-6)
        head[level.images, level.anchors, 4, level.rows, level.columns] = 20.0
        outputs[f"detection_{stride}"] = head.flatten(1, 2)
    terms = CSTrackLoss(16, 4, ANCHORS)(outputs | {"identity": torch.ones(1, 16, 24, 40)}, targets)
    assert len(targets.levels[8].boxes) > 3
    assert terms["box"] < 1e-3
    assert terms["objectness"] < 1e-3


def test_the_last_of_two_people_in_an_anchor_is_used():
    # On a cell's border one person would be assigned to a cell twice.
    box = people(0).boxes + 3
    twice = Labels(box.repeat(2, 1), torch.tensor([0, 1]))
    level = cstrack_targets([twice], SIZE, ANCHORS).levels[16]
    indices = level.images, level.anchors, level.rows, level.columns
    cells = list(zip(*(index.tolist() for index in indices), strict=True))
    last = [cell not in cells[row + 1 :] for row, cell in enumerate(cells)]
    assert sum(last) == len(cells) / 2 > 3
    logits = torch.zeros(1, 3, 12, 20, requires_grad=True)
    objectness(logits, level, torch.tensor(last).float()).backward()
    assert (logits.grad[indices] < 0).all()
    assert (logits.grad < 0).sum() == sum(last)


def test_empty_images_train_objectness_and_unknown_people_no_identity():
    empty, unknown = people(), people(-1, -1)
    for image in (empty, unknown):
        outputs = leaves(heads())
        terms = CSTrackLoss(16, 4, ANCHORS)(outputs, cstrack_targets([image], SIZE, ANCHORS))
        terms["total"].backward()
        assert terms["identity"] == 0
        assert (outputs["identity"].grad == 0).all()
        assert all(head.grad.isfinite().all() for head in outputs.values())
        assert terms["objectness"] > 0
    assert terms["box"] > 0


def test_the_order_of_images_does_not_matter():
    outputs = heads(2)
    pair = [people(0, 1), people(2)]
    loss = CSTrackLoss(16, 4, ANCHORS)
    terms = loss(outputs, cstrack_targets(pair, SIZE, ANCHORS))
    reordered = {name: head.flip(0) for name, head in outputs.items()}
    torch.testing.assert_close(loss(reordered, cstrack_targets(pair[::-1], SIZE, ANCHORS)), terms)
