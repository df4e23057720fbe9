import numpy as np
import pytest

from mottool.drawing.style import colour_of
from mottool.drawing.switch_strips import StripMaker
from mottool.metrics.box_outcomes import IdentitySwitch
from mottool.motchallenge.rows import Rows
from mottool.sources.sequence import Frame


def rows(frames, ids):
    frames = np.array(frames)
    tlwh = np.stack([100.0 + 2 * frames, frames * 0 + 60, frames * 0 + 40, frames * 0 + 90], 1)
    return Rows(frames, np.array(ids), tlwh.astype(float), np.zeros((len(frames), 0)))


def film(first, last, read):
    """Yield grey frames and append the number of each to `read`."""
    for number in range(first, last + 1):
        read.append(number)
        yield Frame(number, np.full((240, 320, 3), 128, np.uint8), number / 20)


TRUTH = rows(range(1, 41), [5] * 40)
RESULTS = rows([*range(1, 11), *range(20, 41)], [3] * 10 + [8] * 21)
SWITCH = IdentitySwitch(frame=20, last=10, object=5, before=3, after=8)


def test_a_strip_shows_before_between_at_and_after_the_switch():
    read = []
    maker = StripMaker([SWITCH], TRUTH, RESULTS, fps=20.0)
    assert maker.first == 5
    ((switch, image),) = maker.strips(film(maker.first, 40, read))
    assert switch == SWITCH
    assert read[-1] == 25  # frames that no strip needs are not read
    columns = np.array_split(np.arange(image.shape[1]), 6)  # frames 5, 10, 13, 17, 20, 25
    for part, identity in zip(columns, (3, 3, None, None, 8, 8), strict=True):
        for other in (3, 8):
            distance = np.abs(image[:, part].astype(int) - colour_of(other)).max(axis=2)
            assert ((distance < 8).sum() > 200) == (other == identity)


@pytest.mark.parametrize("last", [20, 24])
def test_a_video_that_ends_early_gives_a_shorter_strip(last):
    maker = StripMaker([SWITCH], TRUTH, RESULTS, fps=20.0)
    complete = list(StripMaker([SWITCH], TRUTH, RESULTS, 20.0).strips(film(5, 40, [])))
    ((_, image),) = maker.strips(film(5, last, []))
    assert image.shape[1] == complete[0][1].shape[1] * 5 // 6


def test_no_frame_is_read_without_switches():
    read = []
    assert list(StripMaker([], TRUTH, RESULTS, 20.0).strips(film(1, 9, read))) == []
    assert read == []


def test_switches_may_overlap_in_time_and_be_at_the_ends_of_the_video():
    truth = rows([*range(1, 31), *range(1, 31)], [1] * 30 + [2] * 30)
    results = rows([1, 2, 3, 29, 30, 30], [3, 4, 4, 7, 8, 9])
    switches = [
        IdentitySwitch(2, 1, 1, 3, 4),
        IdentitySwitch(3, 1, 2, 3, 4),
        IdentitySwitch(30, 29, 1, 7, 8),
    ]
    maker = StripMaker(switches, truth, results, fps=20.0)
    yielded = [switch for switch, _ in maker.strips(film(maker.first, 30, []))]
    assert yielded == switches
