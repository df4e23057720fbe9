import numpy as np
import pytest
import scenes

from mottool.metrics.box_outcomes import IdentitySwitch, Outcome, box_outcomes
from mottool.metrics.clear import Clear
from mottool.metrics.preprocess import preprocess
from mottool.motchallenge.rows import Rows


def rows(table, rest=1):
    table = np.array(table, float)
    frames, ids = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rows(frames, ids, table[:, 2:6], np.full((len(table), rest), 1.0))


def classified(truth, results, rules="mot15"):
    length = int(max(truth.frames.max(initial=1), results.frames.max(initial=1)))
    sequence = preprocess(truth, results, length, rules, "made")
    return sequence, box_outcomes(sequence, truth, results)


@pytest.mark.parametrize("name", scenes.SCENES)
def test_the_boxes_add_up_to_the_counts_of_clear(name):
    made = scenes.make(name)
    sequence, outcomes = classified(made.truth, made.results, made.rules)
    counts = Clear.compute(sequence)
    hit = np.isin(outcomes.results, [Outcome.HIT, Outcome.SWITCHED]).sum()
    assert hit == (outcomes.truth == Outcome.HIT).sum() == counts.true_positives
    assert hit == (outcomes.partners >= 0).sum()
    assert (outcomes.results == Outcome.FALSE).sum() == counts.false_positives
    assert (outcomes.truth == Outcome.MISSED).sum() == counts.false_negatives
    assert (outcomes.results == Outcome.SWITCHED).sum() == counts.identity_switches
    assert len(outcomes.switches) == counts.identity_switches


def test_outcomes_are_in_the_order_of_the_file():
    truth = rows([[3, 5, 0, 0, 10, 20], [1, 5, 0, 0, 10, 20], [2, 5, 0, 0, 10, 20],
                  [4, 5, 0, 0, 10, 20]])  # fmt: skip
    results = rows([[4, 9, 0, 0, 10, 20], [1, 8, 0, 0, 10, 20], [3, 9, 0, 0, 10, 20],
                    [3, 7, 90, 0, 10, 20]])  # fmt: skip
    _, outcomes = classified(truth, results)
    assert outcomes.truth.tolist() == [Outcome.HIT, Outcome.HIT, Outcome.MISSED, Outcome.HIT]
    assert outcomes.results.tolist() == [Outcome.HIT, Outcome.HIT, Outcome.SWITCHED, Outcome.FALSE]
    assert outcomes.partners.tolist() == [9, 8, -1, 9]
    assert outcomes.switches == [IdentitySwitch(frame=3, last=1, object=5, before=8, after=9)]


def test_ignored_boxes_have_no_outcome():
    truth = rows([[1, 1, 0, 0, 10, 20], [1, 2, 50, 0, 10, 20]], rest=3)
    truth.rest[1, :2] = 0, 12  # a reflection
    results = rows([[1, 1, 0, 0, 10, 20], [1, 2, 50, 0, 10, 20]])
    _, outcomes = classified(truth, results, "mot17")
    assert outcomes.truth.tolist() == outcomes.results.tolist() == [Outcome.HIT, Outcome.UNJUDGED]
