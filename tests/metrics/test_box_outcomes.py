import numpy as np
import pytest
import scenes

from mottool.metrics.box_outcomes import IdentitySwitch, Outcome, verdicts
from mottool.metrics.clear import clear
from mottool.metrics.preprocess import preprocess
from mottool.motchallenge.rows import Rows


def rows(table, rest=1):
    table = np.array(table, float)
    frames, ids = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rows(frames, ids, table[:, 2:6], np.full((len(table), rest), 1.0))


def judged(truth, results, rules="mot15"):
    length = int(max(truth.frames.max(initial=1), results.frames.max(initial=1)))
    scene = preprocess(truth, results, length, rules, "made")
    return scene, verdicts(scene, truth, results)


@pytest.mark.parametrize("name", scenes.SCENES)
def test_the_boxes_add_up_to_the_counts_of_clear(name):
    made = scenes.make(name)
    scene, found = judged(made.truth, made.results, made.rules)
    counts = clear(scene)
    hit = np.isin(found.results, [Outcome.HIT, Outcome.SWITCHED]).sum()
    assert hit == (found.truth == Outcome.HIT).sum() == (found.partners >= 0).sum() == counts.hits
    assert (found.results == Outcome.FALSE).sum() == counts.false_alarms
    assert (found.truth == Outcome.MISSED).sum() == counts.misses
    assert (found.results == Outcome.SWITCHED).sum() == len(found.switches) == counts.switches


def test_every_box_gets_its_own_verdict_whatever_the_order_of_the_file():
    truth = rows([[3, 5, 0, 0, 10, 20], [1, 5, 0, 0, 10, 20], [2, 5, 0, 0, 10, 20],
                  [4, 5, 0, 0, 10, 20]])  # fmt: skip
    results = rows([[4, 9, 0, 0, 10, 20], [1, 8, 0, 0, 10, 20], [3, 9, 0, 0, 10, 20],
                    [3, 7, 90, 0, 10, 20]])  # fmt: skip
    _, found = judged(truth, results)
    assert found.truth.tolist() == [Outcome.HIT, Outcome.HIT, Outcome.MISSED, Outcome.HIT]
    assert found.results.tolist() == [Outcome.HIT, Outcome.HIT, Outcome.SWITCHED, Outcome.FALSE]
    assert found.partners.tolist() == [9, 8, -1, 9]
    assert found.switches == [IdentitySwitch(frame=3, last=1, object=5, before=8, after=9)]


def test_what_counts_neither_way_is_not_judged():
    truth = rows([[1, 1, 0, 0, 10, 20], [1, 2, 50, 0, 10, 20]], rest=3)
    truth.rest[1, :2] = 0, 12  # a reflection
    results = rows([[1, 1, 0, 0, 10, 20], [1, 2, 50, 0, 10, 20]])
    _, found = judged(truth, results, "mot17")
    assert found.truth.tolist() == found.results.tolist() == [Outcome.HIT, Outcome.UNJUDGED]
