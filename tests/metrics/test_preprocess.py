import numpy as np
import pytest

from mottool.errors import InputError
from mottool.metrics.clear import Clear
from mottool.metrics.preprocess import preprocess
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import DISTRACTORS


def rows(table, rest):
    table = np.array(table, float).reshape(-1, 6)
    frames, ids = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rows(
        frames, ids, table[:, 2:], np.array(rest, float).reshape(len(table), -1 if rest else 0)
    )


BOX, ASIDE = [10, 10, 40, 100], [200, 10, 40, 100]
NO_RESULTS = rows([], [])


def clear_counts(truth, results, rules):
    """Return the true positives, false positives and false negatives of a one-frame sequence."""
    counts = Clear.compute(preprocess(truth, results, 1, rules, "x"))
    return counts.true_positives, counts.false_positives, counts.false_negatives


@pytest.mark.parametrize("rules", DISTRACTORS)
@pytest.mark.parametrize("kind", range(1, 14))
def test_a_result_on_another_class_is_a_false_positive_unless_the_class_is_ignored(rules, kind):
    truth = rows([[1, 1, *BOX], [1, 2, *ASIDE]], [[1, kind, 1], [1, 1, 1]])
    counts = clear_counts(truth, rows([[1, 5, *BOX]], [[1]]), rules)
    ignored = {2, 7, 8, 12} | ({6} if rules == "mot20" else set())
    if rules == "mot15" or kind == 1:
        assert counts == (1, 0, 1)
    elif kind in ignored:
        assert counts == (0, 0, 1)
    else:
        assert counts == (0, 1, 1)


def test_a_row_with_flag_zero_is_not_scored():
    truth = rows([[1, 1, *BOX], [1, 2, *ASIDE]], [[0, 1, 1], [1, 1, 1]])
    counts = clear_counts(truth, rows([[1, 5, *BOX]], [[1]]), "mot17")
    assert counts == (0, 1, 1)


def test_all_rows_without_a_flag_are_scored():
    truth = rows([[1, 1, *BOX]], [])
    assert clear_counts(truth, rows([[1, 5, *BOX]], [[1]]), "mot15") == (1, 0, 0)


GOOD = rows([[1, 1, *BOX]], [[1, 1, 1]])


@pytest.mark.parametrize(
    ("truth", "results", "rules", "message"),
    [
        (GOOD, rows([[4, 1, *BOX]], [[1]]), "mot17", "results of x: frame 4 lies beyond .* 3"),
        (rows([[4, 1, *BOX]], [[1]]), NO_RESULTS, "mot15", "ground truth of x: frame 4"),
        (
            GOOD,
            rows([[2, 7, *BOX], [2, 7, *ASIDE]], [[1], [1]]),
            "mot17",
            "7 occurs twice in frame 2",
        ),
        (GOOD, rows([[1, -1, *BOX], [1, -1, *ASIDE]], [[1], [1]]), "mot17", "mottool associate"),
        (rows([[1, 1, *BOX]], [[1, 14, 1]]), NO_RESULTS, "mot17", "class 14.*--rules mot15"),
        (rows([[1, 1, *BOX]], [[1, -1, 1]]), NO_RESULTS, "mot20", "class -1"),
        (rows([[1, 1, *BOX]], [[1]]), NO_RESULTS, "mot17", "no classes for mot17"),
        (GOOD, rows([[1, 1, *BOX]], [[1, 3, -1, -1]]), "mot17", "only pedestrians"),
    ],
)
def test_files_that_do_not_belong_together_are_refused(truth, results, rules, message):
    with pytest.raises(InputError, match=message):
        preprocess(truth, results, 3, rules, "x")


@pytest.mark.parametrize("rules", ["mot15", "mot17"])
def test_results_of_several_classes_are_refused(rules):
    """A car would be a false positive, or a person."""
    truth = rows([[1, 1, *BOX]], [[1, 1, 1]])
    for column in ([-1, -1], [0, 0], [1, 1], [0.25, 3.5]) if rules == "mot15" else ([-1, -1],):
        both = rows([[1, 5, *BOX], [1, 6, *ASIDE]], [[0.9, value, -1, -1] for value in column])
        assert clear_counts(truth, both, rules) == (1, 1, 0)
    for column in ([0, 1], [0, 2]):
        both = rows([[1, 5, *BOX], [1, 6, *ASIDE]], [[0.9, value, -1, -1] for value in column])
        with pytest.raises(InputError, match="column 8 holds classes"):
            preprocess(truth, both, 1, rules, "x")


def test_far_apart_frame_numbers_cost_nothing():
    last = 2**52
    truth = rows([[1, 1, *BOX], [last, 1, *BOX]], [[1], [1]])
    assert Clear.compute(preprocess(truth, truth, last, "mot15", "x")).true_positives == 2
