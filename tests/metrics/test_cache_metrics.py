from dataclasses import replace

import numpy as np
import pytest
from caches import HEADER, write

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import InputError
from mottool.metrics.bootstrap import intervals
from mottool.metrics.cache_metrics import figures, find
from mottool.motchallenge.rows import Rows

SMALL, MEDIUM, LARGE = (50, 100), (100, 100), (200, 100)  # FairMOT's limits are 7000 and 15000


def frame(*people, classes=None):
    """Detections of (left, width, height, score[, embedding]), all at the top of the picture."""
    boxes = np.array([(x, 0, x + w, h) for x, w, h, *_ in people], np.float32).reshape(-1, 4)
    scores = np.array([person[3] for person in people], np.float32)
    numbers = np.zeros(len(people), np.uint16) if classes is None else np.array(classes, np.uint16)
    known = [person[4] for person in people if len(person) > 4]
    embeddings = np.array(known, np.float32) if known else None
    return Detections(boxes, scores, numbers, embeddings)


def truth(*people):
    """Rows of (frame, identity, left, width, height[, class])."""
    table = np.array([person[:5] for person in people], np.float64)
    kinds = [person[5] if len(person) > 5 else 1 for person in people]
    rest = np.column_stack([np.ones(len(people)), kinds, np.ones(len(people))])
    tlwh = np.column_stack([table[:, 2], np.zeros(len(table)), table[:, 3:]])
    return Rows(table[:, 0].astype(int), table[:, 1].astype(int), tlwh, rest)


@pytest.fixture
def found(tmp_path):
    def judge(frames, people, pipeline="pipe", **more):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        write(path, frames, replace(HEADER, pipeline=pipeline))
        with Cache(path) as cache:
            return find(cache, people, "mot17", **more)

    return judge


def test_each_size_has_its_own_average_precision(found):
    frames = [
        # Right in each size, and a false alarm as large as a medium one that scores higher.
        frame((0, *SMALL, 0.9), (300, *MEDIUM, 0.6), (600, *LARGE, 0.8), (1200, *MEDIUM, 0.7)),
        frame((0, *SMALL, 0.4)),
    ]
    people = truth((1, 1, 0, *SMALL), (1, 2, 300, *MEDIUM), (1, 3, 600, *LARGE))
    told = figures([found(frames, people)], 0.5)
    assert told["AP_S"] == 1  # the false alarm in the second frame comes after
    assert told["AP_M"] == 0.5
    assert told["AP_L"] == 1
    assert told["AP"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert told["Rcll"] == 1
    assert told["Prcn"] == 3 / 4  # the one that scores 0.4 does not count
    assert not {"TPR", "Rank1", "mAP"} & told.keys()


def test_people_that_count_neither_way_are_difficult(found):
    frames = [frame((0, *SMALL, 0.5), (300, *SMALL, 0.9), (301, *SMALL, 0.8))]
    people = truth((1, 1, 0, *SMALL), (1, 2, 300, *SMALL, 8))  # 8: a distractor
    told = figures([found(frames, people)], 0.5)
    assert told["AP"] == told["Prcn"] == told["Rcll"] == 1
    plain = figures([found(frames, truth((1, 1, 0, *SMALL)))], 0.5)
    assert plain["AP"] == plain["Prcn"] == pytest.approx(1 / 3)


def test_only_people_are_looked_at(found):
    frames = [frame((0, *SMALL, 0.5), (300, *SMALL, 0.9), classes=[0, 2])]
    assert figures([found(frames, truth((1, 1, 0, *SMALL)))], 0.5)["AP"] == 1


def test_what_comes_after_the_last_frame_is_missed(found):
    told = []
    finds = found(
        [frame((0, *SMALL, 0.9))], truth((1, 1, 0, *SMALL), (2, 1, 0, *SMALL)), warn=told.append
    )
    assert figures([finds], 0.5)["AP"] == 0.5
    assert "ends at frame 1: 1 later people are missed" in told[0]


def test_no_detection_and_nobody_there(found):
    people = truth((1, 1, 0, *SMALL))
    assert figures([found([frame(), frame()], people)], 0.5) == {
        "AP": 0,
        "AP_S": 0,
        "Rcll": 0,
        "Prcn": 0,
    }
    nobody = Rows(people.frames[:0], people.ids[:0], people.tlwh[:0], people.rest[:0])
    assert figures([found([frame((0, *SMALL, 0.9))], nobody)], 0.5)["AP"] == 0


def test_classes_that_mean_nothing_are_told(found):
    with pytest.raises(InputError, match="class 20"):
        found([frame()], truth((1, 1, 0, *SMALL, 20)))


def walk(shown):
    """Two people side by side over frames; `shown` gives each frame's two embeddings."""
    frames = [frame((0, *SMALL, 1, a), (300, *LARGE, 1, b)) for a, b in shown]
    spots = ((1, 0, *SMALL), (2, 300, *LARGE))
    return frames, truth(*[(t, *spot) for t in range(1, len(shown) + 1) for spot in spots])


def test_embeddings_are_judged_at_true_boxes_only(found):
    left, right = (1, 0), (0, 1)
    frames, people = walk([(left, right)] * 4)
    told = figures([found(frames, people, "gt+osnet")], 0.5)
    assert told["TPR"] == told["Rank1"] == told["mAP"] == 1
    assert "TPR_S" not in told  # one small person is confused with no other small one
    assert "TPR" not in figures([found(frames, people, "public+osnet")], 0.5)


def test_the_second_halves_are_searched(found):
    left, right = (1, 0), (0, 1)
    frames, people = walk([(left, right), (left, right), (right, left), (right, left)])
    told = figures([found(frames, people, "gt+osnet")], 0.5)
    # Each query finds the other person's two first and its own at ranks 3 and 4.
    assert told["Rank1"] == 0
    assert told["mAP"] == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_sequences_are_joined_and_weighed(found):
    left, right = (1, 0), (0, 1)
    good = found(*walk([(left, right)] * 4), "gt+osnet")
    bad = found(*walk([(left, right), (right, left)]), "gt+osnet")
    told = figures([good, bad], 0.5)
    assert told["Rank1"] == pytest.approx(4 / 6)  # each query asks in its own sequence
    assert told["TPR"] < 1
    twice = figures([good, bad], 0.5, np.array([2, 1]))
    assert twice["Rank1"] == pytest.approx(8 / 10)
    assert "TPR" not in twice
    assert figures([good, bad], 0.5, np.array([0, 3]))["Rank1"] == 0


def test_intervals_hold_what_other_sequences_could_give():
    values = np.array([0.2, 0.4, 0.6, 0.8])
    told = intervals(lambda times: {"x": float(times @ values / 4)}, 4, 2000)
    low, high = told["x"]
    assert low == pytest.approx(0.275, abs=0.03)
    assert high == pytest.approx(0.725, abs=0.03)
    assert told == intervals(lambda times: {"x": float(times @ values / 4)}, 4, 2000)
    assert intervals(lambda times: {"x": 1.0}, 1, 2000) == {}
    assert intervals(lambda times: {"x": 1.0}, 4, 0) == {}
