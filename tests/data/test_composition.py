"""Composed scenes: boxes move with their pixels; hidden and cropped people are ignored."""

import cv2
import numpy as np
import pytest

from mottool.data.composition import Canvas, Tile
from mottool.data.dataset import AnnotatedImage

WIDTH, HEIGHT = 64, 48
RED = (0, 0, 250)


@pytest.fixture
def image(tmp_path):
    """Return a function that makes an image with a red rectangle for each of its boxes."""

    def make(*boxes, **changed):
        pixels = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
        for x1, y1, x2, y2 in boxes:
            pixels[y1:y2, x1:x2] = RED
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.png"
        cv2.imwrite(str(path), pixels)
        count = len(boxes)
        fields = {
            "path": path,
            "width": WIDTH,
            "height": HEIGHT,
            "upright": True,
            "boxes": np.array(boxes, np.float32).reshape(-1, 4),
            "identities": np.arange(count),
            "visibility": np.ones(count, np.float32),
            "rows": np.arange(10, 10 + count),
            "video": -1,
            "frame": 0,
            "ignored": np.zeros((0, 4), np.float32),
            "instances": np.zeros(count, np.int64),
        }
        return AnnotatedImage(**fields | changed)

    return make


def red_box(pixels):
    """Return the box around the red pixels of an image (h, w, 3)."""
    y, x = np.nonzero((pixels[..., 2] > 170) & (pixels[..., 0] < 80))
    return [x.min(), y.min(), x.max() + 1, y.max() + 1]


@pytest.mark.parametrize("flipped", [False, True])
@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.5, 0.7), (2.0, 1.5)])
@pytest.mark.parametrize("corner", [(0.0, 0.0), (9.0, 4.0), (-7.5, 3.25)])
def test_box_stays_around_its_pixels_when_placed_in_a_tile(image, flipped, scale, corner):
    canvas = Canvas.empty(200, 120, 127)
    canvas.add_image(image((20, 10, 40, 38)), Tile((0, 0, 200, 120), scale, corner, flipped), 0.0)
    np.testing.assert_allclose(canvas.visible[0], red_box(canvas.pixels), atol=1.01)


def test_tile_changes_nothing_outside_its_region(image):
    canvas = Canvas.empty(100, 80, 127)
    canvas.add_image(image((0, 0, 64, 48)), Tile((30, 20, 70, 60), (3.0, 3.0), (-20.0, -20.0)), 0.0)
    outside = np.ones((80, 100), bool)
    outside[20:60, 30:70] = False
    assert (canvas.pixels[outside] == 127).all()
    assert red_box(canvas.pixels) == [30, 20, 70, 60]


def test_box_with_too_small_a_visible_share_is_ignored(image):
    tile = Tile((0, 0, 40, 40), (1.0, 1.0), (-35.0, 0.0))
    canvas = Canvas.empty(40, 40, 127)
    canvas.add_image(image((20, 5, 45, 35)), tile, min_share=0.5)  # 10 of 25 columns are visible
    assert not len(canvas.boxes)
    assert canvas.ignored.tolist() == [[0, 5, 10, 35]]
    canvas = Canvas.empty(40, 40, 127)
    canvas.add_image(image((20, 5, 45, 35)), tile, min_share=0.3)
    assert canvas.visible.tolist() == [[0, 5, 10, 35]]
    # At most 0.4 of the width may lie outside.
    assert canvas.boxes.tolist() == [[-10, 5, 10, 35]]
    assert not len(canvas.ignored)


def test_small_and_mostly_hidden_people_are_ignored(image):
    canvas = Canvas.empty(64, 48, 127)
    hidden = image((2, 2, 5, 20), (20, 4, 40, 40), visibility=np.array([1, 0.1], np.float32))
    canvas.add_image(hidden, Tile((0, 0, 64, 48), (1.0, 1.0), (0.0, 0.0)), 0.3)
    assert not len(canvas.boxes)
    assert len(canvas.ignored) == 2


def test_ignored_regions_are_transformed_with_the_image(image):
    region = np.array([[10, 10, 30, 30]], np.float32)
    canvas = Canvas.empty(128, 96, 127)
    tile = Tile((0, 0, 128, 96), (2.0, 2.0), (0.0, 0.0), flipped=True)
    canvas.add_image(image((40, 10, 60, 40), ignored=region), tile, 0.3)
    assert canvas.ignored.tolist() == [[68, 20, 108, 60]]


def test_boxes_with_origin_one_are_shifted_by_one_pixel(image):
    canvas = Canvas.empty(64, 48, 127)
    tile = Tile((0, 0, 64, 48), (1.0, 1.0), (0.0, 0.0))
    canvas.add_image(image((21, 11, 41, 39), origin=1), tile, 0.3)
    assert canvas.visible.tolist() == [[20, 10, 40, 38]]


def test_pasted_cutout_hides_the_people_behind_it(image):
    canvas = Canvas.empty(64, 48, 127)
    people = image((20, 10, 30, 40), (45, 10, 60, 40))
    canvas.add_image(people, Tile((0, 0, 64, 48), (1.0, 1.0), (0.0, 0.0)), 0.3)
    cutout = np.full((36, 16, 3), (250, 0, 0), np.uint8)
    opacity = np.ones((36, 16), np.float32)
    opacity[:, :4] = 0
    canvas.paste(cutout, opacity, (17.2, 8.0), row=77, identity=5, min_share=0.3)
    assert canvas.rows.tolist() == [11, 77]  # the person in front of the pasted one is unchanged
    assert canvas.identities.tolist() == [1, 5]
    assert canvas.visible[1].tolist() == [17, 8, 33, 44]
    assert canvas.ignored.tolist() == [[20, 10, 30, 40]]
    assert canvas.pixels[20, 30].tolist() == [250, 0, 0]
    assert canvas.pixels[20, 18].tolist() == [90, 90, 90]  # transparent


def test_cutout_outside_the_canvas_changes_nothing():
    canvas = Canvas.empty(64, 48, 127)
    canvas.paste(np.zeros((9, 9, 3), np.uint8), np.ones((9, 9), np.float32), (70, 3), 1, 1, 0.3)
    assert (canvas.pixels == 127).all()
    assert not len(canvas.boxes)
