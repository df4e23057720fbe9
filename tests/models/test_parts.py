"""People are described at three points down the axis of their boxes."""

import pytest
import torch

from mottool.models.parts import HEIGHTS, join_parts, part_cells


def test_points_stand_above_each_other_at_parts_of_the_height():
    boxes = torch.tensor([[2.0, 1, 5, 11]])  # axis at 3.5, middle at 6, 10 tall
    assert part_cells(boxes, 20, 15).tolist() == [[4 * 20 + 3, 6 * 20 + 3, 8 * 20 + 3]]


def test_points_outside_the_grid_count_as_in_the_nearest_cell():
    boxes = torch.tensor([[-9.0, -9, -1, -1], [30, 30, 40, 40]])
    assert part_cells(boxes, 8, 4).tolist() == [[0, 0, 0], [31, 31, 31]]
    assert part_cells(torch.zeros(0, 4), 8, 4).shape == (0, len(HEIGHTS))


def test_joined_parts_count_alike_whatever_their_length():
    parts = torch.tensor([[[3.0, 4], [0, 9], [0.1, 0]]])
    (whole,) = join_parts(parts)
    assert whole.norm().item() == pytest.approx(1)
    assert (whole.view(3, 2).norm(dim=1) * 3**0.5).tolist() == pytest.approx([1, 1, 1])


def test_cosines_are_means_over_the_parts():
    torch.manual_seed(0)
    parts = torch.nn.functional.normalize(torch.randn(2, 3, 8), dim=2)
    a, b = join_parts(parts)
    assert (a @ b).item() == pytest.approx((parts[0] * parts[1]).sum(1).mean().item(), abs=1e-6)


def test_nobody_has_no_embeddings():
    assert join_parts(torch.zeros(0, 3, 8)).shape == (0, 24)
