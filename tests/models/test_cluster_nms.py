"""Cluster-DIoU NMS against the authors' figures and against the plain greedy loop."""

import numpy as np
import pytest
import torch
from goldens import HERE, read_npz
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_convert, box_iou, distance_box_iou, nms

from mottool.models import cluster_nms as module
from mottool.models.cluster_nms import Overlap, cluster_nms, diou, iou

COORDINATE = st.integers(0, 40)
BOX = st.tuples(COORDINATE, COORDINATE, st.integers(0, 30), st.integers(0, 30))


@pytest.mark.parametrize("case", range(4))
def test_the_authors_figures(case: int) -> None:
    golden = read_npz(HERE / "cstrack" / "nms.npz")
    message = torch.from_numpy(golden[f"cluster_diou/{case}/pred_xywh_obj_cls"])
    scores = message[:, 4] * message[:, 5]
    boxes = box_convert(message[scores > 0.5, :4], "cxcywh", "xyxy")
    scores = scores[scores > 0.5]
    kept = cluster_nms(boxes, scores, 0.6, 300, diou)
    expected = golden[f"cluster_diou/{case}/dets"]
    np.testing.assert_array_equal(boxes[kept], expected[:, :4])
    np.testing.assert_array_equal(scores[kept], expected[:, 4])


def greedy(
    boxes: torch.Tensor, scores: torch.Tensor, threshold: float, overlap: Overlap
) -> list[int]:
    """Non-maximum suppression as everybody writes it first."""
    overlaps, kept = overlap(boxes, boxes), []
    for row in scores.argsort(descending=True, stable=True).tolist():
        if all(overlaps[better, row] <= threshold for better in kept):
            kept.append(row)
    return kept


@settings(derandomize=True, deadline=None)
@given(
    st.lists(BOX, max_size=25),
    st.sampled_from([0.0, 0.3, 0.6]),
    st.integers(0, 2**16),
    st.sampled_from([diou, iou]),
)
def test_equals_the_greedy_loop(
    corners: list[tuple[int, ...]], threshold: float, seed: int, overlap: Overlap
) -> None:
    boxes = torch.tensor(corners, dtype=torch.float32).view(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(seed))
    kept = cluster_nms(boxes, scores, threshold, 300, overlap).tolist()
    assert kept == greedy(boxes, scores, threshold, overlap)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    random = torch.Generator().manual_seed(3)
    boxes = torch.rand(300, 4, generator=random) * 50
    boxes[:, 2:] += boxes[:, :2]
    scores = torch.rand(300, generator=random)
    whole = cluster_nms(boxes, scores, 0.3, 300, diou).tolist()
    monkeypatch.setattr(module, "BLOCK", 7)
    assert cluster_nms(boxes, scores, 0.3, 300, diou).tolist() == whole
    assert cluster_nms(boxes, scores, 0.3, 20, diou).tolist() == whole[:20]


def test_by_iou_it_is_torchvisions() -> None:
    random = torch.Generator().manual_seed(5)
    boxes = torch.rand(2000, 4, generator=random) * 200
    boxes[:, 2:] += boxes[:, :2]
    scores = torch.rand(2000, generator=random)
    assert cluster_nms(boxes, scores, 0.5, 2000, iou).equal(nms(boxes, scores, 0.5))
    torch.testing.assert_close(iou(boxes[:50], boxes), box_iou(boxes[:50], boxes))


def test_diou_to_the_first_power_is_torchvisions() -> None:
    random = torch.Generator().manual_seed(4)
    a, b = torch.rand(2, 30, 4, generator=random) * 50
    a[:, 2:] += a[:, :2] + 1
    b[:, 2:] += b[:, :2] + 1
    torch.testing.assert_close(diou(a, b, power=1.0), distance_box_iou(a, b))
    assert (diou(a, b) <= box_iou(a, b)).all()


def test_boxes_without_area_fall_only_together() -> None:
    boxes = torch.tensor([[1.0, 1, 1, 1], [1.0, 1, 1, 1], [0.0, 0, 4, 4]])
    assert diou(boxes, boxes)[0].tolist() == [0, 0, pytest.approx(-((2 / 32) ** 0.7), rel=1e-5)]
    assert len(cluster_nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.6, 300, diou)) == 3
