"""Training targets: the authors' values, people at the border, and images without people."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_goldens import PEOPLE, figures, labels, people
from torchvision.ops import box_convert

from mottool.data.targets.centre import centre_targets, occlusion_targets
from mottool.data.targets.cstrack import cstrack_targets
from mottool.data.targets.jde import anchor_targets, jde_targets
from mottool.data.targets.labels import Labels
from mottool.data.targets.tdt import tdt_targets
from mottool.errors import InputError
from mottool.models.centre_heads import boxes_around
from mottool.models.jde import ANCHORS, JDE
from mottool.models.retinanet import boxes_from_deltas
from mottool.models.tdt import ANCHORS as TDT_ANCHORS

SIZE = (320, 160)
with torch.device("meta"):
    JDE_NETWORK = JDE((576, 320), embedding_size=3)  # decoding needs no weights
JDE_ANCHORS = dict(zip((32, 16, 8), ANCHORS[576, 320], strict=True))
CSTRACK_ANCHORS = {8: ((8, 24), (11, 34)), 16: ((32, 96),), 32: ((64, 192),)}
EMPTY = Labels(torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 8))

boxes = st.lists(
    st.tuples(
        st.integers(-40, 330), st.integers(-40, 170), st.integers(4, 90), st.integers(8, 150)
    ),
    max_size=6,
).map(lambda rows: torch.tensor(rows, dtype=torch.float32).reshape(-1, 4))


def of(tlwh, dimensions=8):
    corners = torch.cat((tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]), 1)
    count = len(corners)
    embeddings = torch.arange(count * dimensions, dtype=torch.float32).view(count, dimensions)
    return Labels(corners, torch.arange(count), embeddings)


def level_anchors():
    cells = [(20, 40), (10, 20), (5, 10), (3, 5), (2, 3)]
    return TDT_ANCHORS.boxes(cells, (8, 16, 32, 64, 128))


@pytest.mark.parametrize("form", ["ltrb", "wh2"])
def test_centre_targets_equal_those_of_fairmots_authors(form):
    golden = figures("fairmot")
    size = (160, 96)
    batch = [labels(golden[name], size) for name in ("labels0", "labels1")]
    targets = centre_targets(batch, size, ltrb=form == "ltrb")
    k = targets.cells.shape[1]
    assert k == 6  # the authors pad to 20
    expected = {name: golden[f"{form}/target/{name}"] for name in ("ind", "reg_mask", "reg", "wh")}
    assert torch.equal(targets.cells, expected["ind"][:, :k])
    assert torch.equal(targets.valid, expected["reg_mask"][:, :k].bool())
    assert torch.equal(
        targets.identities[targets.valid], golden[f"{form}/target/ids"][:, :k][targets.valid]
    )
    torch.testing.assert_close(targets.heatmap, golden[f"{form}/target/hm"])
    torch.testing.assert_close(targets.offset, expected["reg"][:, :k], atol=2e-5, rtol=0)
    torch.testing.assert_close(targets.size, expected["wh"][:, :k], atol=2e-5, rtol=0)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(boxes, boxes)
def test_decoded_centre_targets_are_the_boxes(first, second):
    batch = [of(first), of(second)]
    targets = centre_targets(batch, SIZE)
    width = SIZE[0] // 4
    corner = torch.stack((targets.cells % width, targets.cells // width), 2)
    decoded = boxes_around(corner + targets.offset, targets.size) * 4
    assert targets.valid.sum(1).tolist() == [len(first), len(second)]
    for image, there, box in zip(batch, targets.valid, decoded, strict=True):
        torch.testing.assert_close(box[there], image.boxes, atol=1e-3, rtol=0)
    assert ((targets.offset >= 0) & (targets.offset < 1)).all()
    peaks = (targets.heatmap == 1).flatten(1).sum(1)
    distinct = [len(set(c[v].tolist())) for c, v in zip(targets.cells, targets.valid, strict=True)]
    assert peaks.tolist() == distinct


@pytest.mark.parametrize("threshold", [0.7, 0.5, 0.3])
def test_occlusion_targets_equal_those_of_outracks_authors(threshold):
    golden = figures("outrack")
    find = {name: golden[f"occ_target_tau{threshold}/{name}"] for name in ("occ_ind", "occ_offset")}
    stored = golden["occ_boxes_in"] * 4
    batch = [Labels(stored, torch.arange(len(stored)))]
    targets = occlusion_targets(batch, (320, 192), threshold=threshold)
    expected = golden[f"occ_target_tau{threshold}/occlusion"]
    torch.testing.assert_close(targets.heatmap[0], expected)
    there = golden[f"occ_target_tau{threshold}/occ_mask"].bool()
    # The authors list each pair twice, as a over b and as b over a.
    theirs = {
        (cell, *offset)
        for cell, offset in zip(
            find["occ_ind"][there].tolist(), find["occ_offset"][there].tolist(), strict=True
        )
    }
    ours = {
        (cell, *offset)
        for cell, offset in zip(targets.cells[0].tolist(), targets.offset[0].tolist(), strict=True)
    }
    assert ours == theirs
    assert targets.valid.sum() * 2 == there.sum()


def test_boxes_without_overlap_have_no_occlusion_target():
    apart = occlusion_targets([people(0, 1, 2)], SIZE)
    assert apart.valid.numel() == 0
    assert apart.heatmap.max() == 0
    twice = Labels(PEOPLE[:1].repeat(2, 1), torch.arange(2))
    centre = occlusion_targets([twice], SIZE)
    assert centre.cells.tolist() == [[20 * 80 + 14]]  # (56, 80) at stride 4
    assert centre.heatmap.max() == 1


@pytest.mark.parametrize(("level", "stride", "grid"), [("s16", 16, (12, 20)), ("s8", 8, (24, 40))])
def test_anchor_targets_equal_those_of_jdes_authors(level, stride, grid):
    golden = {k[len(level) + 1 :]: v for k, v in figures("jde").items() if k.startswith(level)}
    batch = [labels(golden[name], (320, 192)) for name in ("labels0", "labels1")]
    anchors = golden["anchors_px"].tolist()
    targets = anchor_targets(batch, anchors, stride, grid)
    assert torch.equal(targets.foreground, golden["targets_thres/tconf"])
    assert torch.equal(targets.identities, golden["targets_thres/tid"][..., 0])
    torch.testing.assert_close(targets.boxes, golden["targets_thres/tbox"], atol=1e-5, rtol=0)


@settings(derandomize=True, deadline=None, max_examples=25)
@given(boxes)
def test_decoded_jde_targets_have_the_sizes_of_the_boxes(tlwh):
    image = of(tlwh)
    targets = jde_targets([image], (576, 320), JDE_ANCHORS)
    heads, identities, positive = {}, [], []
    for stride in (32, 16, 8):
        target = targets.levels[stride]
        logits = torch.where(target.foreground[..., None] == 1, torch.tensor([-9.0, 9]), 0.0)
        head = torch.cat((target.boxes, logits), -1).permute(0, 1, 4, 2, 3)
        heads[f"detection_{stride}"] = head.flatten(1, 2)
        identities.append(target.identities.flatten(1))
        positive.append(target.foreground.flatten(1) == 1)
        assert (target.identities >= 0).equal(target.foreground == 1)
    decoded, _ = JDE_NETWORK.proposals(heads)
    there = torch.cat(positive, 1)
    person = torch.cat(identities, 1)[there]
    inside = box_convert(image.boxes, "xyxy", "cxcywh")
    sides = box_convert(decoded[there], "xyxy", "cxcywh")[:, 2:]
    torch.testing.assert_close(sides, inside[person, 2:], atol=1e-2, rtol=1e-4)


def test_cstrack_targets_equal_those_of_the_authors():
    golden = figures("cstrack")
    rows = golden["targets"]
    batch = [labels(rows[rows[:, 0] == image], (320, 192)) for image in (0, 1)]
    strides = (8, 16, 32)
    anchors = {
        s: (cells * s).tolist() for s, cells in zip(strides, golden["anchors_grid"], strict=True)
    }
    targets = cstrack_targets(batch, (320, 192), anchors)
    for index, stride in enumerate(strides):
        level = targets.levels[stride]
        assigned = torch.stack((level.images, level.anchors, level.rows, level.columns))
        assert torch.equal(assigned, golden[f"bt{index}/b_a_gj_gi"])
        torch.testing.assert_close(level.boxes, golden[f"bt{index}/tbox"], atol=1e-5, rtol=0)
    where = torch.stack((targets.images, targets.rows, targets.columns))
    assert torch.equal(where, golden["bt0/id_b_gj_gi"])
    assert torch.equal(targets.identities, golden["bt0/tids"])


@settings(derandomize=True, deadline=None, max_examples=50)
@given(boxes)
def test_cstrack_targets_lie_inside_their_maps(tlwh):
    targets = cstrack_targets([EMPTY, of(tlwh)], SIZE, CSTRACK_ANCHORS)
    for stride, level in targets.levels.items():
        assert ((level.rows >= 0) & (level.rows < SIZE[1] // stride)).all()
        assert ((level.columns >= 0) & (level.columns < SIZE[0] // stride)).all()
        assert (level.anchors < len(CSTRACK_ANCHORS[stride])).all()
        assert (level.images == 1).all()
    assert targets.images.tolist() == [1] * len(tlwh)
    assert ((targets.rows < 20) & (targets.columns < 40)).all()


@pytest.mark.parametrize("corner", [(3, 3), (317, 157)])
def test_cstrack_assigns_no_neighbour_outside_the_map(corner):
    sides = torch.tensor([[*corner, 10.0, 30.0]])
    image = Labels(box_convert(sides, "cxcywh", "xyxy"), torch.zeros(1).long())
    level = cstrack_targets([image], SIZE, CSTRACK_ANCHORS).levels[8]
    column, row = (value // 8 for value in corner)
    assert level.anchors.tolist() == [0, 1]
    assert set(zip(level.columns.tolist(), level.rows.tolist(), strict=True)) == {(column, row)}


def test_the_paper_s_cstrack_has_one_cell_per_person():
    """Eq. 6: the cell (⌊x/r⌋, ⌊y/r⌋), here of the centre (99, 61) at strides 8 and 16."""
    sides = torch.tensor([[22.0, 21, 10, 30], [99, 61, 20, 60]])
    image = Labels(box_convert(sides, "cxcywh", "xyxy"), torch.zeros(2).long())
    several = cstrack_targets([image], SIZE, CSTRACK_ANCHORS)
    targets = cstrack_targets([image], SIZE, CSTRACK_ANCHORS, neighbours=False)
    for stride in (8, 16):
        level = targets.levels[stride]
        second = level.people == 1
        assert set(level.columns[second].tolist()) == {99 // stride}
        assert set(level.rows[second].tolist()) == {61 // stride}
        assert len(several.levels[stride].boxes) == 3 * len(level.boxes)
    assert targets.levels[8].people.tolist() == [0, 1, 0, 1]


@settings(derandomize=True, deadline=None, max_examples=25)
@given(boxes)
def test_tdt_gives_every_box_an_anchor_and_its_embedding(tlwh):
    image = of(tlwh)
    anchors = level_anchors()
    targets = tdt_targets([EMPTY, image], anchors)
    assert (targets.foreground[0] == 0).all()
    assert torch.equal(torch.nonzero(targets.foreground[1] == 1)[:, 0], targets.anchors)
    assert (targets.images == 1).all()
    people = (targets.embeddings[:, 0] / 8).long()
    decoded = boxes_from_deltas(targets.boxes, anchors[targets.anchors])
    torch.testing.assert_close(decoded, image.boxes[people], atol=1e-2, rtol=1e-4)
    for box in tlwh:
        assert len(tdt_targets([of(box[None])], anchors).anchors) >= 1


def test_tdt_assigns_by_iou():
    people = Labels(torch.tensor([[0.0, 0, 10, 10]]), torch.zeros(1).long(), torch.ones(1, 4))
    # IoU 1, 0.5, 0.45 and 0.3 with the one person.
    anchors = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [0, 0, 10, 4.5], [0, 0, 10, 3]])
    assert tdt_targets([people], anchors).foreground.tolist() == [[1, 1, 0, 0]]
    assert tdt_targets([people], anchors[2:]).foreground.tolist() == [[1, 0]]


def test_tdt_assigns_an_anchor_to_the_box_of_highest_iou():
    boxes = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 10]])
    pair = Labels(boxes, torch.arange(2), torch.tensor([[0.0], [1]]))
    for height, person in ((9.2, 0), (9.8, 1)):
        targets = tdt_targets([pair], torch.tensor([[0.0, 0, 10, height]]))
        assert targets.embeddings.tolist() == [[person]]


def test_tdt_refuses_people_without_embeddings():
    with pytest.raises(InputError, match="run distill-labels"):
        tdt_targets([people(0)], level_anchors())


def test_a_batch_without_people_has_targets():
    batch = [EMPTY, EMPTY]
    assert centre_targets(batch, SIZE).cells.shape == (2, 0)
    assert occlusion_targets(batch, SIZE).offset.shape == (2, 0, 2)
    for target in jde_targets(batch, (576, 320), JDE_ANCHORS).levels.values():
        assert (target.foreground == 0).all()
        assert (target.identities == -1).all()
    assert len(cstrack_targets(batch, SIZE, CSTRACK_ANCHORS).levels[8].boxes) == 0
    assert tdt_targets(batch, level_anchors()).boxes.shape == (0, 4)


def test_boxes_without_area_are_skipped():
    flat = Labels(torch.tensor([[10.0, 10, 10, 50], [10, 10, 40, 90]]), torch.tensor([4, 7]))
    assert centre_targets([flat], SIZE).identities.tolist() == [[7]]
    assert cstrack_targets([flat], SIZE, CSTRACK_ANCHORS).identities.tolist() == [7]


def test_moving_targets_moves_every_tensor():
    targets = cstrack_targets([people(0, 1)], SIZE, CSTRACK_ANCHORS)
    moved = targets.to("meta")
    assert moved.images.device.type == "meta"
    assert {level.boxes.device.type for level in moved.levels.values()} == {"meta"}
    assert people(1).to("meta").embeddings is None
