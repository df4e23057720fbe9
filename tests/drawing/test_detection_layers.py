import dataclasses

import numpy as np
import pytest
from caches import HEADER, write

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.drawing.detection_layers import (
    DetectionLayers,
    draw_centres,
    draw_detections,
    draw_heatmap,
)
from mottool.drawing.overlay import BoxStyle, Overlay, side_by_side
from mottool.drawing.track_layer import VisibleBoxes, mark_undetected

GREY = np.full((240, 320, 3), 128, np.uint8)


def changed(image, before=GREY):
    """Return the mask (H, W) of pixels that differ."""
    return np.abs(image.astype(int) - before).max(axis=2) > 20


@pytest.mark.parametrize(
    ("shape", "cell"),
    [
        ((60, 80), (30, 20)),  # the frame's size
        ((38, 68), (19, 17)),  # 272x152: letterboxed at 0.6333, bars left and right
        ((100, 80), (50, 20)),  # 320x400: bars above and below
    ],
)
def test_a_heatmap_cell_is_drawn_at_its_position_in_the_frame(shape, cell):
    scores = np.zeros(shape, np.uint8)
    scores[cell] = 255
    image = draw_heatmap(GREY, scores, 4)
    scale = min(shape[1] * 4 / 320, shape[0] * 4 / 240)
    x = ((cell[1] + 0.5) * 4 - shape[1] * 2) / scale + 160
    y = ((cell[0] + 0.5) * 4 - shape[0] * 2) / scale + 120
    rows, columns = np.nonzero(changed(image))
    assert abs(columns.mean() + 0.5 - x) < 1
    assert abs(rows.mean() + 0.5 - y) < 1
    assert np.ptp(columns) <= 8 / scale
    assert (draw_heatmap(GREY, scores * 0, 4) == GREY).all()


def test_the_heatmap_is_more_opaque_for_a_higher_score():
    heatmaps = [draw_heatmap(GREY, np.full((60, 80), score, np.uint8), 4) for score in (0, 60, 255)]
    change = [np.abs(image[120, 160].astype(int) - 128).max() for image in heatmaps]
    assert change[0] == 0 < change[1] < change[2]


def test_detections_and_centres_do_not_change_the_input_image():
    overlay, before = Overlay(320, 240), GREY.copy()
    boxes = np.array([[100.0, 80.0, 160.0, 200.0]])
    image = draw_detections(overlay, GREY, boxes, np.array([0.5]))
    assert changed(image)[140, [100, 160]].all()
    assert changed(image)[188:200, 100:125].any()
    centres = draw_centres(overlay, GREY, np.array([[50.0, 60.0, 0.9], [1e9, -1e9, 0.5]]))
    assert changed(centres)[60, 50]
    np.testing.assert_array_equal(GREY, before)


def test_frames_may_be_skipped_and_the_cache_may_end_early(tmp_path):
    def frame(number):
        boxes = np.array([[10.0 * number, 50, 10.0 * number + 8, 90]], np.float32)
        return Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.uint16))

    header = dataclasses.replace(HEADER, width=320, height=240)
    path = write(tmp_path / "seq.h5", [frame(number) for number in range(1, 11)], header)
    overlay = Overlay(320, 240)
    with Cache(path) as cache:
        layers = DetectionLayers(cache, 1.0, 4, detections=True, occlusion=True, undetected=False)
        for number in (4, 5, 9):
            image = layers.draw(overlay, GREY, number)
            assert changed(image)[70, 10 * number], number
        assert not changed(layers.draw(overlay, GREY, 12)).any()


def test_boxes_without_detection_are_dashed_and_refound_if_they_contain_a_centre():
    boxes = np.array([[0.0, 0, 10, 20], [50, 0, 60, 20], [100, 0, 110, 20]])
    styles = [BoxStyle((1, 2, 3), str(i), "0.9") for i in range(3)]
    detections = Detections(
        np.array([[0, 0, 20, 40]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.uint16),
        occlusion_centres=np.array([[10, 10, 0.9], [110, 20, 0.9]], np.float32),
    )
    marked = mark_undetected(VisibleBoxes(np.arange(3), boxes, styles), detections, 0.5)
    assert [style.dashed for style in marked.styles] == [False, True, True]
    centres = detections.occlusion_centres * [2, 2, 1]
    detections = dataclasses.replace(detections, occlusion_centres=centres)
    marked = mark_undetected(VisibleBoxes(np.arange(3), boxes, styles), detections, 0.5)
    assert [style.note for style in marked.styles] == ["0.9", "0.9", "refound"]
    empty = VisibleBoxes(np.zeros(0, int), np.zeros((0, 4)), [])
    assert mark_undetected(empty, detections, 1.0).styles == []


def test_images_are_joined_side_by_side_with_a_line_between():
    row = side_by_side([GREY, GREY * 0, GREY])
    assert row.shape == (240, 3 * 320 + 4, 3)
    assert (row[:, 320:322] == 255).all()
    assert (side_by_side([GREY]) == GREY).all()


def test_a_long_legend_wraps_to_the_next_line():
    entries = [(BoxStyle((0, 200, 200), dashed=True), "a word or two")]
    rows = []
    for count in (0, 1, 8):
        image = Overlay(320, 240).add_legend(GREY, entries * count)
        np.testing.assert_array_equal(image[: len(GREY)], GREY)  # the legend is below the picture
        rows.append(len(image) - len(GREY))
    assert rows[0] == 0 < rows[1]
    assert rows[2] >= 3 * rows[1]


def test_dashes_have_gaps_and_are_drawn_for_corners_far_outside_the_frame():
    box = np.array([[-5000.0, 50, 5000, 150]])
    image = Overlay(320, 240).draw_boxes(GREY, box, [BoxStyle((0, 0, 255), dashed=True)])
    red = image[50, :, 2].astype(int) - image[50, :, 0] > 200
    assert 100 < red.sum() < 220
