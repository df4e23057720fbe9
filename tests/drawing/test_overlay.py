import subprocess
import sys

import av
import cv2
import numpy as np
import pytest

from mottool.drawing.identity_colours import identity_colours
from mottool.drawing.overlay import Overlay, identity_styles
from mottool.drawing.style import IDENTITY_COLOURS, colour_of, text_colour_on
from mottool.drawing.video_writer import video_writer
from mottool.motchallenge.rows import Rows

GREY = np.full((240, 320, 3), 128, np.uint8)
ONE = np.array([7]), np.array([[100.0, 80.0, 160.0, 200.0]])


def cielab(colour):
    """Convert a colour to CIELAB, where a distance of 2.3 is just noticeable."""
    return cv2.cvtColor(np.float32([[colour]]) / 255, cv2.COLOR_BGR2Lab)[0, 0]


def styles(ids, scores=None):
    return identity_styles(ids, {i: colour_of(i) for i in ids.tolist()}, scores)


def draw(overlay, number, ids, boxes, scores=None):
    return overlay.draw(GREY, number, ids, boxes, styles(ids, scores))


def seen_with(matrix, colour):
    """Return CIELAB of a colour (BGR) for readers whose vision `matrix` simulates, linear RGB."""
    seen = (np.array(matrix) @ (np.array(colour[::-1]) / 255) ** 2.2).clip(0, 1) ** (1 / 2.2)
    return cielab(255 * seen[::-1])


# Machado, Oliveira & Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", IEEE TVCG 2009, severity 1.0.
PROTANOPIA = [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]
DEUTERANOPIA = [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]


@pytest.mark.parametrize(
    ("matrix", "least"), [(np.eye(3), 38), (PROTANOPIA, 22), (DEUTERANOPIA, 22)]
)
def test_the_colours_of_identities_are_far_apart_for_all_readers(matrix, least):
    colours = [seen_with(matrix, colour) for colour in IDENTITY_COLOURS]
    for index, colour in enumerate(colours):
        assert min(np.linalg.norm(colour - other) for other in colours[:index] + [1e3]) > least
    for colour in map(cielab, IDENTITY_COLOURS):
        assert 50 < colour[0] < 88
    for colour in IDENTITY_COLOURS:
        assert abs(cielab(colour)[0] - cielab(text_colour_on(colour))[0]) > 40


def test_identities_near_each_other_at_the_same_time_have_different_colours():
    count = len(IDENTITY_COLOURS)
    # Two groups far apart, and a third one later, whose numbers would all give one colour.
    ids, frames, left = [], [], []
    for group, (first, place) in enumerate([(1, 0.0), (1, 9000.0), (500, 0.0)]):
        for member in range(count):
            ids += [1 + count * (group * count + member)] * 40
            frames += range(first, first + 40)
            left += [place + 30 * member] * 40
    tlwh = np.stack([np.array(left), np.full(len(ids), 60.0), *np.full((2, len(ids)), 90.0)], 1)
    rows = Rows(np.array(frames), np.array(ids), tlwh, np.zeros((len(ids), 0)))
    colours = identity_colours(rows)
    by_group = [list(colours.values())[count * group :][:count] for group in range(3)]
    assert [len(set(group)) for group in by_group] == [count] * 3
    shuffled = rows.select(np.random.default_rng(0).permutation(len(rows)))
    assert identity_colours(shuffled) == colours
    alone = rows.select(rows.ids == 1)
    assert identity_colours(alone) == {1: colour_of(1)}
    assert identity_colours(rows.select(rows.ids < 0)) == {}


def test_a_box_and_its_caption_have_the_colour_of_the_identity():
    overlay = Overlay(320, 240)
    before = GREY.copy()
    image = draw(overlay, 1, *ONE)
    np.testing.assert_array_equal(GREY, before)
    for row, column in ((140, 100), (140, 160), (80, 130), (200, 130)):
        assert np.abs(image[row, column].astype(int) - colour_of(7)).max() < 24  # anti-aliased
    assert (image[85:195, 105:155] == 128).all()  # inside the box nothing changes
    caption = image[80 - 11 : 79, 100:107].reshape(-1, 3)
    assert (caption == colour_of(7)).all(1).sum() > 20


def test_frame_number_and_score_change_the_picture():
    def drawn(number, scores):
        return draw(Overlay(320, 240), number, *ONE, scores)

    base = drawn(1, None)
    assert (base[:12, :40] != drawn(2, None)[:12, :40]).any()
    assert (drawn(1, np.array([0.5])) != drawn(1, np.array([0.9]))).any()
    assert (base[120:] == drawn(2, np.array([0.5]))[120:]).all()


def test_a_score_does_not_cover_a_caption():
    boxes = np.array([[100.0, 80.0, 110.0, 200.0], [118.0, 80.0, 128.0, 190.0]])
    plain = draw(Overlay(320, 240), 1, np.array([7, 4]), boxes)
    scored = draw(Overlay(320, 240), 1, np.array([7, 4]), boxes, np.array([0.5, 0.9]))
    for left in (101, 119):  # inside the caption of each identity
        np.testing.assert_array_equal(scored[70:78, left : left + 5], plain[70:78, left : left + 5])


def test_a_caption_stays_in_the_frame():
    for x1, y1 in ((-20.0, -30.0), (300.0, -5.0), (315.0, 235.0), (-900.0, -900.0), (1e12, -1e12)):
        box = np.array([[x1, y1, x1 + 40, y1 + 90]])
        image = draw(Overlay(320, 240), 1, np.array([1234567]), box, np.array([0.5]))
        assert image.shape == GREY.shape
    image = draw(Overlay(320, 240), 1, np.array([7]), np.array([[150.0, 0.0, 200.0, 90.0]]))
    assert (image[2:12, 150:160] == colour_of(7)).all(2).any()


def test_a_trail_has_the_set_length_and_fades():
    def trail_change(trail, until=40):
        """Return the change of the pixels along the path of the feet."""
        overlay = Overlay(320, 240, trail)
        for number in range(1, until + 1):
            box = np.array([[5.0 * number, 100.0, 5.0 * number + 20, 180.0]])
            ids, box = (np.array([3]), box) if number <= 40 else (np.zeros(0, int), box[:0])
            image = draw(overlay, number, ids, box)
        return np.abs(image[180].astype(int) - 128).sum(1)

    changed = trail_change(30)
    foot = 5 * 40 + 10
    oldest = foot - 5 * 30
    assert changed[oldest + 4 : foot - 15].min() > 20
    assert changed[: oldest - 8].max() == 0
    assert changed[oldest + 10] < changed[foot - 75] < changed[foot - 20]
    assert trail_change(0)[: foot - 15].max() == 0
    assert trail_change(30, until=41).max() == 0  # the trail ends with its track


def test_lines_and_text_grow_with_the_frame():
    small, large = Overlay(480, 360), Overlay(3840, 2160)
    assert small.line_width == 1
    assert large.line_width > 3
    assert large.font_scale > 3 * small.font_scale


def frames_of(path):
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        codec = stream.codec_context
        assert (codec.name, codec.pix_fmt, container.format.name[:7]) == (
            "h264",
            "yuv420p",
            "mov,mp4",
        )
        return [
            (frame.time, frame.to_ndarray(format="bgr24")) for frame in container.decode(stream)
        ]


@pytest.mark.parametrize("size", [(48, 64), (47, 63), (48, 63), (2, 2)])
def test_a_video_keeps_times_sizes_and_colours(tmp_path, size):
    out = tmp_path / "new" / "a.mp4"
    times = [2.0, 2.04, 2.1, 3.5, 3.5333]
    colour = colour_of(4)
    with video_writer(out, 29.97, 12) as video:
        for seconds in times:
            video.write(np.full((*size, 3), colour, np.uint8), seconds)
        assert not out.exists()
    frames = frames_of(out)
    np.testing.assert_allclose([time for time, _ in frames], np.array(times) - 2, atol=2e-5)
    assert frames[0][1].shape[:2] == (size[0] + size[0] % 2, size[1] + size[1] % 2)
    assert np.abs(frames[-1][1].astype(int) - colour).max() < 8
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # the index is in front, for streaming
    assert [path.name for path in out.parent.iterdir()] == ["a.mp4"]


def test_an_interrupted_video_leaves_nothing(tmp_path):
    def interrupted():
        with video_writer(tmp_path / "a.mp4", 30, 20) as video:
            video.write(GREY, 0.0)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path):
    code = f"""
import resource
import numpy as np
from mottool.drawing.video_writer import video_writer
from mottool.motchallenge.rows import Rows
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
draw = np.random.default_rng(0)
with video_writer(__import__("pathlib").Path({str(tmp_path / "a.mp4")!r}), 30, 1) as video:
    for number in range(40):
        video.write(draw.integers(0, 256, (240, 320, 3), np.uint8), number / 30)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "OutputError: no room left on the disk" in done.stderr
    assert list(tmp_path.iterdir()) == []
