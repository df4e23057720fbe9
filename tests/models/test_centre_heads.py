"""Decoding of centre-point heads on maps made by hand."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.models.centre_heads import PRIOR, boxes_around, gather, head, peaks


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    # Cells of a grid of blocks of 3 x 3, so that no two planted peaks touch.
    blocks=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, unique=True),
    classes=st.integers(1, 3),
)
def test_planted_peaks_are_found_in_order(blocks, classes):
    h, w = 12, 18
    heatmap = torch.full((1, classes, h, w), -8.0)
    planted = []
    for rank, (row, column) in enumerate(blocks):
        x, y, kind = 3 * column + 1, 3 * row + 1, rank % classes
        heatmap[0, kind, y - 1 : y + 2, x - 1 : x + 2] = 1 - 0.1 * rank - 0.01
        heatmap[0, kind, y, x] = 1 - 0.1 * rank
        planted.append((x, y, kind))
    decoded = peaks(heatmap, len(blocks))
    assert decoded.scores.shape == (1, len(blocks))
    centres, kinds = decoded.centres[0].tolist(), decoded.classes[0].tolist()
    assert [(x, y, k) for (x, y), k in zip(centres, kinds, strict=True)] == planted
    assert decoded.cells[0].tolist() == [y * w + x for x, y, _ in planted]
    expected = [1 / (1 + np.exp(-(1 - 0.1 * rank))) for rank in range(len(blocks))]
    np.testing.assert_allclose(decoded.scores[0], expected, rtol=1e-5)


def test_images_of_a_batch_are_read_apart():
    heatmap = torch.randn(3, 1, 10, 12, generator=torch.Generator().manual_seed(0))
    together = peaks(heatmap, 10)
    for i in range(3):
        alone = peaks(heatmap[i : i + 1], 10)
        torch.testing.assert_close(together.scores[i], alone.scores[0])
        assert torch.equal(together.cells[i], alone.cells[0])


def test_more_peaks_asked_than_cells():
    decoded = peaks(torch.zeros(1, 1, 2, 3), 500)
    assert decoded.scores.shape == (1, 6)
    assert (decoded.scores == 0.5).all()  # a plateau is a maximum everywhere, as by the authors


def test_broken_cells_never_come_first():
    heatmap = torch.zeros(1, 1, 9, 9)
    heatmap[0, 0, 4, 4] = float("nan")
    heatmap[0, 0, 8, 8] = 2
    decoded = peaks(heatmap, 1)
    assert decoded.centres.tolist() == [[[8.0, 8.0]]]


def test_gather_reads_the_cell_of_each_image():
    maps = torch.arange(2 * 3 * 4 * 5).view(2, 3, 4, 5).bfloat16()
    cells = torch.tensor([[0, 19], [7, 7]])
    decoded = gather(maps, cells)  # (2, 2, 3)
    assert decoded.dtype == torch.float32
    for image in range(2):
        for k in range(2):
            y, x = divmod(int(cells[image, k]), 5)
            assert torch.equal(decoded[image, k], maps[image, :, y, x].float())


def test_boxes_by_four_distances_and_by_width_and_height():
    centre = torch.tensor([[[10.0, 20.0]]])
    ltrb = boxes_around(centre, torch.tensor([[[1.0, 2.0, 3.0, 4.0]]]))
    assert ltrb.tolist() == [[[9.0, 18.0, 13.0, 24.0]]]
    wh = boxes_around(centre, torch.tensor([[[4.0, 6.0]]]))
    assert wh.tolist() == [[[8.0, 17.0, 12.0, 23.0]]]


def test_a_fresh_heatmap_head_expects_few_peaks():
    with torch.inference_mode():
        scores = head(4, 8, 1, bias=PRIOR)(torch.zeros(1, 4, 6, 6)).sigmoid()
    assert 0 < scores.max() < 0.3
