"""CSTrack's losses: the authors' values and gradients; people that share an anchor."""

import pytest
import torch
from loss_goldens import figures, labels, leaves, people
from torchvision.ops import box_convert, complete_box_iou_loss

from mottool.data.targets.cstrack import LevelTargets, cstrack_targets
from mottool.data.targets.labels import Labels
from mottool.losses.cstrack import CSTrackLoss, classification, objectness

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


def level_of(*cells):
    """Targets of a level: image, anchor, row and column of each, and boxes without a meaning."""
    images, anchors, rows, columns = (torch.tensor(part) for part in zip(*cells, strict=True))
    boxes = torch.full((len(cells), 4), 0.5)
    return LevelTargets(images, anchors, rows, columns, boxes, torch.arange(len(cells)))


def test_the_paper_s_classification_by_hand():
    """Eq. 5 and 6: p_t is 0.8 at the one positive, 1 - 0.8 and 1 - 0.5 elsewhere; α = 0.25.

    -0.25 (ln 0.8 + ln 0.2 + 2 ln 0.5) = 0.25 (0.22314 + 1.60944 + 1.38629) = 0.80472
    """
    logits = torch.logit(torch.tensor([0.8, 0.8, 0.5, 0.5])).view(1, 1, 2, 2)
    loss = classification(logits, level_of((0, 0, 0, 1)))
    assert loss.item() == pytest.approx(0.80472, abs=1e-5)


def test_the_paper_s_detection_loss_is_a_sum_over_the_positives():
    """Eq. 8: both sums over all levels are divided by the number of positives of all levels."""
    targets = cstrack_targets([people(0, 1)], SIZE, ANCHORS, neighbours=False)
    outputs = heads()
    loss = CSTrackLoss(16, 4, ANCHORS, eta=0.5, detection="paper")
    terms = loss(outputs, targets)
    positives = sum(len(level.boxes) for level in targets.levels.values())
    objects = boxes = 0
    for stride, level in targets.levels.items():
        head = outputs[f"detection_{stride}"].view(1, 3, 6, SIZE[1] // stride, SIZE[0] // stride)
        objects += classification(head[:, :, 4], level)
        boxes += loss._ciou_loss(head.permute(0, 1, 3, 4, 2), level, stride).sum()
    assert positives > 3
    assert terms["objectness"].item() == pytest.approx((objects / positives).item())
    assert terms["box"].item() == pytest.approx((boxes / positives).item())
    total = 0.05 * terms["box"] + terms["objectness"] + 0.5 * terms["identity"]
    assert terms["total"].item() == pytest.approx(total.item())


def test_a_basic_head_learns_identities_on_the_levels_of_their_anchors():
    targets = cstrack_targets([people(0), people(-1)], SIZE, ANCHORS)
    outputs = heads(2) | {
        f"identity_{s}": torch.randn(2, 16, SIZE[1] // s, SIZE[0] // s) for s in (16, 32)
    }
    outputs = leaves(outputs)
    CSTrackLoss(16, 4, ANCHORS)(outputs, targets)["identity"].backward()
    learned = 0
    for stride, name in zip(STRIDES, ("identity", "identity_16", "identity_32"), strict=True):
        cells = outputs[name].grad.abs().sum(1).nonzero().tolist()  # image, row, column
        level = targets.levels[stride]
        assigned = len(level.boxes[level.images == 0]) > 0
        row, column = (8 * int(targets.rows[0]), 8 * int(targets.columns[0]))
        assert cells == [[0, row // stride, column // stride]] * assigned
        learned += assigned
    assert learned > 1


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
