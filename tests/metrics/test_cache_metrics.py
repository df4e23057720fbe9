from dataclasses import replace

import numpy as np
import pytest
from caches import HEADER, write

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import InputError
from mottool.metrics.bootstrap import intervals
from mottool.metrics.cache_metrics import cache_metrics, match_cache
from mottool.metrics.settings import RetrievalSettings
from mottool.motchallenge.rows import Rows

SMALL, MEDIUM, LARGE = (50, 100), (100, 100), (300, 100)  # FairMOT's limits are 6000 and 25000


def frame(*people, classes=None):
    """Detections of (left, width, height, score[, embedding]), all at the top of the image."""
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
def matched(tmp_path):
    def match(frames, people, pipeline="pipe", rules="mot17", **more):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        write(path, frames, replace(HEADER, pipeline=pipeline))
        with Cache(path) as cache:
            return match_cache(cache, people, rules, **more)

    return match


def test_each_size_has_its_own_average_precision(matched):
    frames = [
        # A true positive of each size, and a false positive of medium size that scores higher.
        frame((0, *SMALL, 0.9), (300, *MEDIUM, 0.6), (600, *LARGE, 0.8), (1200, *MEDIUM, 0.7)),
        frame((0, *SMALL, 0.4)),
    ]
    people = truth((1, 1, 0, *SMALL), (1, 2, 300, *MEDIUM), (1, 3, 600, *LARGE))
    metrics = cache_metrics([matched(frames, people)], 0.5)
    assert metrics["AP_S"] == 1  # the false positive in the second frame has a lower score
    assert metrics["AP_M"] == 0.5
    assert metrics["AP_L"] == 1
    assert metrics["AP"] == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert metrics["Rcll"] == 1
    assert metrics["Prcn"] == 3 / 4  # without the one that scores 0.4
    assert not {"TPR", "Rank1", "mAP"} & metrics.keys()


def test_ignored_people_are_difficult_objects(matched):
    frames = [frame((0, *SMALL, 0.5), (300, *SMALL, 0.9), (301, *SMALL, 0.8))]
    people = truth((1, 1, 0, *SMALL), (1, 2, 300, *SMALL, 8))  # 8: a distractor
    metrics = cache_metrics([matched(frames, people)], 0.5)
    assert metrics["AP"] == metrics["Prcn"] == metrics["Rcll"] == 1
    plain = cache_metrics([matched(frames, truth((1, 1, 0, *SMALL)))], 0.5)
    assert plain["AP"] == plain["Prcn"] == pytest.approx(1 / 3)


def test_only_people_are_scored(matched):
    frames = [frame((0, *SMALL, 0.5), (300, *SMALL, 0.9), classes=[0, 2])]
    assert cache_metrics([matched(frames, truth((1, 1, 0, *SMALL)))], 0.5)["AP"] == 1


def test_ground_truth_after_the_last_frame_is_a_false_negative(matched):
    messages = []
    matches = matched(
        [frame((0, *SMALL, 0.9))], truth((1, 1, 0, *SMALL), (2, 1, 0, *SMALL)), warn=messages.append
    )
    assert cache_metrics([matches], 0.5)["AP"] == 0.5
    assert "ends at frame 1: 1 later boxes of the ground truth are false negatives" in messages[0]


def test_without_detections_or_ground_truth(matched):
    people = truth((1, 1, 0, *SMALL))
    assert cache_metrics([matched([frame(), frame()], people)], 0.5) == {
        "AP": 0,
        "AP_S": 0,
        "Rcll": 0,
        "Prcn": 0,
    }
    none = people.select(np.zeros(1, bool))
    assert cache_metrics([matched([frame((0, *SMALL, 0.9))], none)], 0.5)["AP"] == 0


def test_an_unknown_class_is_an_error(matched):
    with pytest.raises(InputError, match="class 20"):
        matched([frame()], truth((1, 1, 0, *SMALL, 20)))


def walk(shown):
    """Two people side by side over frames; `shown` gives each frame's two embeddings."""
    frames = [frame((0, *SMALL, 1, a), (300, *LARGE, 1, b)) for a, b in shown]
    spots = ((1, 0, *SMALL), (2, 300, *LARGE))
    return frames, truth(*[(t, *spot) for t in range(1, len(shown) + 1) for spot in spots])


def test_embeddings_are_scored_at_ground_truth_boxes_only(matched):
    left, right = (1, 0), (0, 1)
    frames, people = walk([(left, right)] * 4)
    metrics = cache_metrics([matched(frames, people, "gt+osnet")], 0.5)
    assert metrics["TPR"] == metrics["Rank1"] == metrics["mAP"] == 1
    assert "TPR_S" not in metrics  # there is one small person only
    assert "TPR" not in cache_metrics([matched(frames, people, "public+osnet")], 0.5)


def test_queries_rank_the_second_halves(matched):
    left, right = (1, 0), (0, 1)
    frames, people = walk([(left, right), (left, right), (right, left), (right, left)])
    metrics = cache_metrics([matched(frames, people, "gt+osnet")], 0.5)
    # Each query has the other person's boxes at ranks 1 and 2 and its person's at 3 and 4.
    assert metrics["Rank1"] == 0
    assert metrics["mAP"] == pytest.approx((1 / 3 + 2 / 4) / 2)


def test_sequences_are_combined_and_repeated(matched):
    left, right = (1, 0), (0, 1)
    good = matched(*walk([(left, right)] * 4), "gt+osnet")
    bad = matched(*walk([(left, right), (right, left)]), "gt+osnet")
    metrics = cache_metrics([good, bad], 0.5)
    assert metrics["Rank1"] == pytest.approx(4 / 6)  # queries search their own sequence
    assert metrics["TPR"] < 1
    twice = cache_metrics([good, bad], 0.5, np.array([2, 1]))
    assert twice["Rank1"] == pytest.approx(8 / 10)
    assert "TPR" not in twice
    assert cache_metrics([good, bad], 0.5, np.array([0, 3]))["Rank1"] == 0


def direction(degrees):
    return np.cos(np.radians(degrees)), np.sin(np.radians(degrees))


def alone(matched, degrees, retrieval):
    """One person over two frames with embeddings in two directions."""
    frames = [frame((0, *SMALL, 1, direction(angle))) for angle in degrees]
    people = truth((1, 1, 0, *SMALL), (2, 1, 0, *SMALL))
    return matched(frames, people, "gt+osnet", retrieval=retrieval)


@pytest.mark.parametrize(
    ("settings", "rank_1", "precision"),
    # In its own sequence each query finds the only box. Pooled, the query at 20 degrees has the
    # other sequence's box at 30 at rank 1 and its person's at 50 at rank 2, both of identity 1.
    [
        ({"gallery": "sequence"}, 1, 1),
        ({"gallery": "pooled"}, 1 / 2, (1 + 1 / 2) / 2),
        ({"gallery": "pooled", "ap_sum": "trapezoid"}, 1 / 2, (1 + (0 + 1 / 2) / 2) / 2),
    ],
)
def test_the_gallery_is_of_the_sequence_or_pooled(matched, settings, rank_1, precision):
    retrieval = RetrievalSettings(**settings)
    both = [alone(matched, degrees, retrieval) for degrees in ((0, 30), (20, 50))]
    metrics = cache_metrics(both, 0.5, retrieval=retrieval)
    assert (metrics["Rank1"], metrics["mAP"]) == pytest.approx((rank_1, precision))
    drawn = cache_metrics(both, 0.5, np.array([1, 1]), retrieval)
    assert ("Rank1" in drawn) == (settings["gallery"] == "sequence")


def test_retrieval_leaves_occluded_boxes_out(matched):
    left, right = direction(0), direction(90)
    frames, people = walk([(left, right), (right, right), (left, right), (left, right)])
    people.rest[people.ids == 1, 2] = [1, 0.69, 0.7, 1]
    plain = cache_metrics([matched(frames, people, "gt+osnet")], 0.5)
    # Of four queries the occluded one has the other person at ranks 1 and 2.
    assert plain["Rank1"] == 3 / 4
    assert plain["mAP"] == pytest.approx((3 + (1 / 3 + 2 / 4) / 2) / 4)
    retrieval = RetrievalSettings(min_visibility=0.7)
    match = matched(frames, people, "gt+osnet", retrieval=retrieval)
    visible = cache_metrics([match], 0.5, retrieval=retrieval)
    assert visible["Rank1"] == visible["mAP"] == 1
    assert visible["TPR"] == plain["TPR"]
    notes = []
    bare = replace(people, rest=people.rest[:, :1])
    matched(frames, bare, "gt+osnet", rules="mot15", retrieval=retrieval, warn=notes.append)
    assert notes == ["seq: no visibility is annotated, so all boxes count as visible"]


def test_intervals_cover_the_values_of_other_draws():
    values = np.array([0.2, 0.4, 0.6, 0.8])
    metrics = intervals(lambda times: {"x": float(times @ values / 4)}, 4, 2000)
    low, high = metrics["x"]
    assert low == pytest.approx(0.275, abs=0.03)
    assert high == pytest.approx(0.725, abs=0.03)
    assert metrics == intervals(lambda times: {"x": float(times @ values / 4)}, 4, 2000)
    assert intervals(lambda times: {"x": 1.0}, 1, 2000) == {}
    assert intervals(lambda times: {"x": 1.0}, 4, 0) == {}
