"""RetinaNet's parts: anchors, box coding, pyramids and the choice of detections."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models import get_model

from mottool.models.retinanet import (
    BACKBONES,
    AnchorShapes,
    Subnet,
    boxes_from_deltas,
    deltas_from_boxes,
    level_pyramid,
    per_anchor,
    select_detections,
    stage_maps,
)

PEOPLE = AnchorShapes(ratios=(0.25, 0.5, 1.0))
CELLS = [(12, 20), (6, 10), (3, 5), (2, 3), (1, 2)]  # 160×96
STRIDES = [8, 16, 32, 64, 128]
numbers = st.floats(-500, 1500, width=32)
sides = st.floats(4, 800, width=32)
boxes = st.builds(lambda x, y, w, h: [x, y, x + w, y + h], numbers, numbers, sides, sides)

LEVELS = range(3, 8)


def test_anchors_are_counted_level_by_level():
    anchors = PEOPLE.boxes(CELLS, STRIDES)
    assert anchors.shape == (9 * (240 + 60 + 15 + 6 + 2), 4)
    assert anchors.dtype == torch.float32


def test_anchors_are_centred_on_their_cells_row_by_row():
    anchors = PEOPLE.boxes(CELLS, STRIDES)
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    cell = centres.reshape(-1, 9, 2)
    assert torch.allclose(cell, cell[:, :1], atol=1e-3)  # nine anchors share a centre
    assert cell[0, 0].tolist() == pytest.approx([4, 4])
    assert cell[1, 0].tolist() == pytest.approx([12, 4])
    assert cell[20, 0].tolist() == pytest.approx([4, 12])
    assert cell[240, 0].tolist() == pytest.approx([8, 8])
    assert cell[-1, 0].tolist() == pytest.approx([192, 64])


def test_anchor_shapes_are_tall_and_keep_their_area():
    first = PEOPLE.boxes(CELLS, STRIDES)[:9]
    width, height = (first[:, 2:] - first[:, :2]).T
    assert (width / height).tolist() == pytest.approx([0.25, 0.5, 1.0] * 3)
    octave = [2 ** (third / 3) for third in (0, 0, 0, 1, 1, 1, 2, 2, 2)]
    assert torch.sqrt(width * height).tolist() == pytest.approx([32 * step for step in octave])
    # Quarter ratio, scale 1: 16×64 around (4, 4).
    assert first[0].tolist() == pytest.approx([-4, -28, 12, 36])


def test_coarsest_anchors_span_octaves_up_to_the_whole_frame():
    last = PEOPLE.boxes(CELLS, STRIDES)[-9:]
    area = (last[:, 2:] - last[:, :2]).prod(dim=1)
    assert math.sqrt(area[2]) == pytest.approx(512)
    assert math.sqrt(area[-1]) == pytest.approx(512 * 2 ** (2 / 3), rel=1e-5)


def test_mirrored_anchors_are_anchors():
    anchors = PEOPLE.boxes([(3, 5)], [32]).reshape(3, 5, 9, 4)
    mirrored = anchors.flip(1)[..., [2, 1, 0, 3]].clone()
    mirrored[..., [0, 2]] = 160 - mirrored[..., [0, 2]]
    assert torch.allclose(mirrored, anchors, atol=1e-4)


@settings(derandomize=True, deadline=None)
@given(boxes, boxes)
def test_box_coding_goes_there_and_back(box, anchor):
    box, anchor = torch.tensor([box]), torch.tensor([anchor])
    deltas = deltas_from_boxes(box, anchor)
    back = boxes_from_deltas(deltas, anchor)
    # The logarithm's limit holds only where a box is over 62 times its anchor.
    within = torch.all(deltas[:, 2:] < math.log(1000 / 16))
    assert not within or torch.allclose(back, box, atol=0.02)


def test_deltas_by_hand():
    anchor = torch.tensor([[10.0, 20.0, 30.0, 100.0]])  # 20×80 around (20, 60)
    box = torch.tensor([[15.0, 20.0, 55.0, 60.0]])  # 40×40 around (35, 40)
    by_hand = [0.75, -0.25, math.log(2), math.log(0.5)]
    assert deltas_from_boxes(box, anchor)[0].tolist() == pytest.approx(by_hand)


def test_a_wild_delta_stays_finite_and_half_precision_is_decoded_in_full():
    anchor = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    box = boxes_from_deltas(torch.tensor([[0.0, 0.0, 1e4, 1e4]], dtype=torch.bfloat16), anchor)
    assert box.dtype == torch.float32
    assert box[0].tolist() == pytest.approx([-492, -492, 508, 508])


def test_predictions_follow_the_order_of_the_anchors():
    # Every value tells where it stands: image, level, row, column, shape, channel of the shape.
    where, levels = [], []
    for number, (height, width) in enumerate(CELLS[2:]):
        axes = [torch.arange(size) for size in (2, height, width, 9, 2)]
        image, y, x, shape, value = torch.meshgrid(*axes, indexing="ij")
        code = image * 100_000 + number * 10_000 + y * 1000 + x * 100 + shape * 10 + value
        levels.append(code.permute(0, 3, 4, 1, 2).reshape(2, 18, height, width))
        where += [
            number * 10_000 + row * 1000 + column * 100 + kind * 10
            for row in range(height)
            for column in range(width)
            for kind in range(9)
        ]
    flat = per_anchor(levels, 9)
    assert flat.shape == (2, 9 * (15 + 6 + 2), 2)
    assert flat[0, :, 0].tolist() == where
    assert flat[1, :, 1].tolist() == [place + 100_001 for place in where]


def test_strongest_candidates_are_suppressed_and_cut():
    box = torch.tensor(
        [
            [0.0, 0.0, 10.0, 10.0],
            [0.0, 0.0, 10.0, 9.0],  # IoU 0.9 with the first
            [0.0, 0.0, 10.0, 4.9],  # IoU 0.49 with the first
            [50.0, 0.0, 60.0, 10.0],
            [80.0, 0.0, 90.0, 10.0],
        ]
    )
    score = torch.tensor([0.8, 0.9, 0.7, 0.05, 0.95])
    chosen = select_detections(box, score, [3, 2], 0.5, 100)
    # The second suppresses the first and, at IoU 0.54, the third.
    assert chosen.tolist() == [4, 1, 3]
    assert select_detections(box, score, [3, 2], 0.6, 100).tolist() == [4, 1, 2, 3]
    assert select_detections(box, score, [3, 2], 0.5, 1).tolist() == [4]
    assert select_detections(box, score, [3, 2], 0.95, 100, per_level=1).tolist() == [4, 1]
    assert select_detections(box[:0], score[:0], [0, 0], 0.5, 100).tolist() == []


@pytest.mark.parametrize("backbone", sorted({*BACKBONES} - {"mobilenet_v1"}))
def test_trunk_is_torchvisions_without_the_classifier(backbone):
    trunk = stage_maps(backbone, LEVELS).eval()
    whole = get_model(backbone, weights=None).state_dict()
    without = {name for name in whole if not name.startswith(("fc.", "classifier."))}
    assert set(trunk.state_dict()) == without
    with torch.inference_mode():
        maps = trunk(torch.zeros(1, 3, 64, 96))
    channels = BACKBONES[backbone][1]
    assert [tuple(level.shape) for level in maps.values()] == [
        (1, channels[1], 8, 12),
        (1, channels[2], 4, 6),
        (1, channels[3], 2, 3),
    ]


@pytest.mark.parametrize("top_down", [True, False])
def test_only_the_top_down_pathway_brings_coarse_maps_to_fine_levels(top_down):
    torch.manual_seed(0)
    pyramid = level_pyramid("mobilenet_v2", LEVELS, top_down).eval()
    stages = {"3": torch.rand(1, 32, 8, 12), "4": torch.rand(1, 96, 4, 6)}
    with torch.inference_mode():
        before = pyramid(stages | {"5": torch.zeros(1, 1280, 2, 3)})
        after = pyramid(stages | {"5": torch.ones(1, 1280, 2, 3)})
    sizes = [tuple(level.shape[1:]) for level in before]
    assert sizes == [(256, 8, 12), (256, 4, 6), (256, 2, 3), (256, 1, 2), (256, 1, 1)]
    changed = [not torch.equal(*levels) for levels in zip(before, after, strict=True)]
    assert changed == [top_down, top_down, True, True, True]


def test_untrained_class_subnet_starts_at_its_prior():
    torch.manual_seed(0)
    subnet = Subnet(len(LEVELS), 128, 9, bias=-math.log(0.99 / 0.01))
    with torch.inference_mode():
        maps = subnet([torch.randn(1, 256, 4, 4) for _ in LEVELS])
    score = torch.sigmoid(maps[0])
    assert score.shape == (1, 9, 4, 4)
    assert score.mean().item() == pytest.approx(0.01, rel=0.05)
