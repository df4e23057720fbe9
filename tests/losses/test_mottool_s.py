"""The targets and the loss terms of mottool-s."""

import pytest
import torch

from mottool.data.targets.centre import IGNORED, centre_targets
from mottool.data.targets.labels import Labels
from mottool.data.targets.mottool_s import mottool_s_targets
from mottool.losses.centre import focal
from mottool.losses.mottool_s import MottoolSLoss, imitation, relations, relative_l1
from mottool.models.mottool_s import MottoolS

SIZE = (128, 96)  # 32 x 24 cells
W = 32


def labels(*boxes, **changed):
    fields = {"identities": torch.arange(len(boxes))} | changed
    return Labels(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4), **fields)


# Targets


def test_a_person_has_targets_in_the_centre_cell_and_its_neighbours():
    targets = mottool_s_targets([labels((40, 20, 64, 60))], SIZE)  # centre at cell 13, 10
    assert targets.cells.tolist() == [
        10 * W + 13,
        10 * W + 14,
        10 * W + 12,
        11 * W + 13,
        9 * W + 13,
    ]
    assert targets.weights.tolist() == pytest.approx([0.5] + 4 * [0.125])
    assert targets.people.tolist() == [0] * 5
    assert targets.offset.tolist() == [[0, 0], [-1, 0], [1, 0], [0, -1], [0, 1]]
    assert targets.heatmap[0, 0, 10, 13] == 1


def test_narrow_people_and_borders_have_fewer_cells():
    narrow = mottool_s_targets([labels((40, 20, 50, 60))], SIZE)
    assert len(narrow.cells) == 1
    corner = mottool_s_targets([labels((-20, -20, 20, 20))], SIZE)  # its visible part: 0 0 20 20
    assert corner.centres.tolist() == [[2.5, 2.5]]
    assert len(corner.cells) == 5
    edge = mottool_s_targets([labels((0, 0, 6, 90), (0, 0, 14, 90))], SIZE)
    assert edge.people.tolist().count(1) == 5


def test_the_centre_is_that_of_the_visible_part_and_the_box_is_complete():
    visible = torch.tensor([[40.0, 20, 64, 40]])
    targets = mottool_s_targets([labels((40, 20, 64, 60), visible=visible)], SIZE)
    assert targets.centres.tolist() == [[13, 7.5]]
    assert targets.boxes.tolist() == [[10, 5, 16, 15]]


def test_small_people_have_no_embedding_target():
    targets = mottool_s_targets([labels((40, 20, 64, 35), (40, 20, 64, 36))], SIZE)
    assert targets.embedded.tolist() == [False, True]


def test_ignored_regions_have_no_loss_except_near_people():
    region = torch.tensor([[0.0, 0, 40, 96]])
    with_region = labels((16, 16, 56, 88), ignored=region)
    for targets in (mottool_s_targets([with_region], SIZE), centre_targets([with_region], SIZE)):
        heat = targets.heatmap[0, 0]
        assert (heat == 1).sum() == 1
        assert heat[1, 1] == heat[22, 9] == pytest.approx(IGNORED)
        assert heat[1, 10] < 0.01  # right of the region
        row, column = (int(index) for index in (heat == 1).nonzero()[0])
        assert 0.3 < heat[row, column + 1] < 0.999  # in the region, but part of the person's peak
    logits = torch.full((1, 1, 24, 32), -9.0)
    target = centre_targets([with_region], SIZE).heatmap
    baseline = focal(logits, target)
    logits[0, 0, 1, 1] = 9.0  # a false positive in the region
    assert focal(logits, target) == pytest.approx(baseline.item(), abs=1e-5)
    logits[0, 0, 1, 20] = 9.0  # and one outside
    assert focal(logits, target) > baseline + 1


def test_images_without_people_have_no_cells():
    targets = mottool_s_targets([labels(), labels((8, 8, 40, 80))], SIZE)
    assert targets.image_of.tolist() == [1]
    empty = mottool_s_targets([labels()], SIZE)
    assert len(empty.cells) == len(empty.weights) == 0


def test_embedding_cells_are_on_the_vertical_axis_of_the_complete_box():
    visible = torch.tensor([[40.0, 20, 64, 40]])
    targets = mottool_s_targets([labels((40, 20, 64, 60), visible=visible)], SIZE)
    assert targets.parts.tolist() == [[8 * W + 13, 10 * W + 13, 12 * W + 13]]  # rows 10 -+ 2


# Terms


def test_relative_l1_divides_by_the_scale():
    error, scale = torch.tensor([[2.0, -4.0]]), torch.tensor([[4.0, 8.0]])
    assert relative_l1(error, scale, torch.tensor([0.5])) == pytest.approx(0.5)


def test_imitation_is_0_for_the_teachers_direction_and_2_for_the_opposite():
    teacher = torch.tensor([[3.0, 4.0]])
    assert imitation(10 * teacher, teacher) == pytest.approx(0, abs=1e-6)
    assert imitation(-teacher, teacher) == pytest.approx(2)
    assert imitation(teacher[:0], teacher[:0]) == 0


def test_relations_compare_cosines_only():
    teacher = torch.eye(3)
    rotated = torch.eye(4)[[3, 1, 0]] * 7  # other axes and lengths, but the same angles
    assert relations(rotated, teacher) == pytest.approx(0, abs=1e-6)
    identical = torch.ones(3, 4)
    assert relations(identical, teacher) == pytest.approx(6 / 9)
    assert relations(torch.zeros(0, 4), torch.zeros(0, 3)) == 0


@pytest.fixture
def heads():
    torch.manual_seed(0)
    return MottoolS(8)(torch.rand(2, 3, 96, 128))


PEOPLE = ((8, 8, 40, 80), (60, 10, 90, 90))


def test_terms_depend_on_the_available_supervision(heads):
    known = [labels(*PEOPLE), labels(PEOPLE[0])]
    targets = mottool_s_targets(known, SIZE)
    detection = {"heatmap", "offset", "size", "giou", "occlusion", "occlusion_offset"}
    assert set(MottoolSLoss(8, 0, 0)(heads, targets)) == detection
    assert set(MottoolSLoss(8, 2, 0)(heads, targets)) == detection | {"identity"}
    distilled = [
        labels(*PEOPLE, embeddings=torch.rand(2, 5)),
        labels(PEOPLE[0], embeddings=torch.rand(1, 5)),
    ]
    terms = MottoolSLoss(8, 0, 5)(heads, mottool_s_targets(distilled, SIZE))
    assert set(terms) == detection | {"imitation", "relations"}
    pairs = MottoolSLoss(8, 0, 0)(heads, targets, heads, targets)
    assert set(pairs) == detection | {"intra", "inter", "cycle"}
    for value in (*terms.values(), *pairs.values()):
        assert value.shape == ()
        assert value.isfinite()


def test_people_without_a_teacher_embedding_are_left_out(heads):
    embeddings = torch.zeros(2, 5)
    embeddings[0] = torch.rand(5)
    with_missing = mottool_s_targets([labels(*PEOPLE, embeddings=embeddings), labels()], SIZE)
    without_missing = mottool_s_targets(
        [labels(PEOPLE[0], embeddings=embeddings[:1]), labels()], SIZE
    )
    loss = MottoolSLoss(8, 0, 5)
    for name in ("imitation", "relations"):
        expected = loss(heads, without_missing)[name]
        torch.testing.assert_close(loss(heads, with_missing)[name], expected)


def test_perfect_heads_have_almost_no_loss():
    targets = mottool_s_targets([labels(*PEOPLE)], SIZE)
    heads = {
        "heatmap": torch.where(targets.heatmap == 1, 20.0, -20.0),
        "offset": torch.zeros(1, 2, 24, 32),
        "size": torch.zeros(1, 4, 24, 32),
        "identity": torch.rand(1, 8, 24, 32),
    }
    for cell, person, offset in zip(targets.cells, targets.people, targets.offset, strict=True):
        row, column = divmod(int(cell), W)
        centre, box = targets.centres[person], targets.boxes[person]
        heads["offset"][0, :, row, column] = offset
        heads["size"][0, :, row, column] = torch.cat((centre - box[:2], box[2:] - centre))
    terms = MottoolSLoss(8, 0, 0)(heads, targets)
    assert terms["heatmap"] < 1e-3
    for name in ("offset", "size", "giou"):
        assert terms[name] == pytest.approx(0, abs=1e-5), name


def test_a_batch_without_people_has_gradients(heads):
    targets = mottool_s_targets([labels(), labels()], SIZE)
    terms = MottoolSLoss(8, 3, 0)(heads, targets)
    sum(terms.values()).backward()
    assert all(value.isfinite() for value in terms.values())
