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
from mottool.drawing.overlay import BoxStyle, Overlay, beside_each_other
from mottool.drawing.track_layer import VisibleBoxes, unseen

GREY = np.full((240, 320, 3), 128, np.uint8)


def changed(image, before=GREY):
    return np.abs(image.astype(int) - before).max(axis=2) > 20


@pytest.mark.parametrize(
    ("shape", "place"),
    [
        ((60, 80), (30, 20)),  # the network sees the frame as it is
        ((38, 68), (19, 17)),  # 272x152: letterboxed at 0.6333, bars left and right
        ((100, 80), (50, 20)),  # 320x400: bars above and below
    ],
)
def test_a_cell_of_the_heatmap_lies_where_the_network_saw_it(shape, place):
    scores = np.zeros(shape, np.uint8)
    scores[place] = 255
    image = draw_heatmap(GREY, scores, 4)
    scale = min(shape[1] * 4 / 320, shape[0] * 4 / 240)
    x = ((place[1] + 0.5) * 4 - shape[1] * 2) / scale + 160
    y = ((place[0] + 0.5) * 4 - shape[0] * 2) / scale + 120
    rows, columns = np.nonzero(changed(image))
    assert abs(columns.mean() + 0.5 - x) < 1
    assert abs(rows.mean() + 0.5 - y) < 1
    assert np.ptp(columns) <= 8 / scale
    assert (draw_heatmap(GREY, scores * 0, 4) == GREY).all()


def test_a_stronger_score_hides_more_of_the_frame():
    flat = [draw_heatmap(GREY, np.full((60, 80), score, np.uint8), 4) for score in (0, 60, 255)]
    covered = [np.abs(image[120, 160].astype(int) - 128).max() for image in flat]
    assert covered[0] == 0 < covered[1] < covered[2]


def test_detections_and_centres_leave_the_given_image_as_it_was():
    overlay, before = Overlay(320, 240), GREY.copy()
    boxes = np.array([[100.0, 80.0, 160.0, 200.0]])
    image = draw_detections(overlay, GREY, boxes, np.array([0.5]))
    assert changed(image)[140, [100, 160]].all()
    assert changed(image)[188:200, 100:125].any()
    centres = draw_centres(overlay, GREY, np.array([[50.0, 60.0, 0.9], [1e9, -1e9, 0.5]]))
    assert changed(centres)[60, 50]
    np.testing.assert_array_equal(GREY, before)


def test_frames_may_be_left_out_and_the_cache_may_end_early(tmp_path):
    def frame(number):
        boxes = np.array([[10.0 * number, 50, 10.0 * number + 8, 90]], np.float32)
        return Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.uint16))

    header = dataclasses.replace(HEADER, width=320, height=240)
    path = write(tmp_path / "seq.h5", [frame(number) for number in range(1, 11)], header)
    overlay = Overlay(320, 240)
    with Cache(path) as cache:
        layers = DetectionLayers(cache, 1.0, 4, detections=True, occlusion=True, guesses=False)
        for number in (4, 5, 9):
            image = layers.under(overlay, GREY, number)
            assert changed(image)[70, 10 * number], number
        assert not changed(layers.under(overlay, GREY, 12)).any()


def test_what_lies_on_no_detection_is_dashed_and_refound_by_a_centre():
    boxes = np.array([[0.0, 0, 10, 20], [50, 0, 60, 20], [100, 0, 110, 20]])
    looks = [BoxStyle((1, 2, 3), str(i), "0.9") for i in range(3)]
    found = Detections(
        np.array([[0, 0, 20, 40]], np.float32),
        np.ones(1, np.float32),
        np.zeros(1, np.uint16),
        occlusion_centres=np.array([[10, 10, 0.9], [110, 20, 0.9]], np.float32),
    )
    seen = unseen(VisibleBoxes(np.arange(3), boxes, looks), found, 0.5)
    assert [look.dashed for look in seen.looks] == [False, True, True]
    found = dataclasses.replace(found, occlusion_centres=found.occlusion_centres * [2, 2, 1])
    seen = unseen(VisibleBoxes(np.arange(3), boxes, looks), found, 0.5)
    assert [look.note for look in seen.looks] == ["0.9", "0.9", "refound"]
    none = VisibleBoxes(np.zeros(0, int), np.zeros((0, 4)), [])
    assert unseen(none, found, 1.0).looks == []


def test_pictures_stand_in_a_row_with_a_line_between():
    row = beside_each_other([GREY, GREY * 0, GREY])
    assert row.shape == (240, 3 * 320 + 4, 3)
    assert (row[:, 320:322] == 255).all()
    assert (beside_each_other([GREY]) == GREY).all()


def test_a_legend_that_is_too_long_goes_on_in_the_next_line():
    entries = [(BoxStyle((0, 200, 200), dashed=True), "a word or two")]
    rows = []
    for count in (0, 1, 8):
        image = GREY.copy()
        Overlay(320, 240).legend(image, entries * count)
        rows.append(changed(image)[:, 0].sum())
    assert rows[0] == 0 < rows[1]
    assert rows[2] >= 3 * rows[1]


def test_dashes_leave_gaps_and_reach_the_frame_from_far_away():
    box = np.array([[-5000.0, 50, 5000, 150]])
    image = Overlay(320, 240).boxes(GREY, box, [BoxStyle((0, 0, 255), dashed=True)])
    red = image[50, :, 2].astype(int) - image[50, :, 0] > 200
    assert 100 < red.sum() < 220
