import numpy as np
import pytest

from mottool.errors import InputError
from mottool.metrics.clear import clear
from mottool.metrics.preprocess import preprocess
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import DISTRACTORS, detect_rules
from mottool.stages.evaluate import Config


def rows(table, rest):
    table = np.array(table, float).reshape(-1, 6)
    frames, ids = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rows(
        frames, ids, table[:, 2:], np.array(rest, float).reshape(len(table), -1 if rest else 0)
    )


BOX, ASIDE = [10, 10, 40, 100], [200, 10, 40, 100]
NO_RESULTS = rows([], [])


@pytest.mark.parametrize(
    ("name", "columns", "rules"),
    [
        ("MOT17-05-SDP", 9, "mot17"),
        ("MOT16-02", 9, "mot16"),
        ("mot20-01", 8, "mot20"),
        ("dancetrack0001", 9, "mot17"),
        ("PETS09-S2L1", 10, "mot15"),
        ("MOT17-05-SDP", 10, "mot15"),
        ("anything", 7, "mot15"),
    ],
)
def test_rules_follow_from_columns_and_name(name, columns, rules):
    assert detect_rules(name, rows([[1, 1, *BOX]], [[1] * (columns - 6)])) == rules


def test_without_rows_only_the_name_tells_the_rules():
    assert detect_rules("MOT20-05", NO_RESULTS) == "mot20"
    assert detect_rules("MOT15-x", NO_RESULTS) == "mot15"
    assert detect_rules("street", NO_RESULTS) == "mot17"


def test_the_stage_offers_every_benchmark():
    choices = Config.__dataclass_fields__["rules"].metadata["choices"]
    assert choices == ("auto", *DISTRACTORS)


@pytest.mark.parametrize("rules", DISTRACTORS)
@pytest.mark.parametrize("kind", range(1, 14))
def test_a_result_on_another_class_is_false_unless_the_class_counts_neither_way(rules, kind):
    truth = rows([[1, 1, *BOX], [1, 2, *ASIDE]], [[1, kind, 1], [1, 1, 1]])
    found = clear(preprocess(truth, rows([[1, 5, *BOX]], [[1]]), 1, rules, "x"))
    neither_way = {2, 7, 8, 12} | ({6} if rules == "mot20" else set())
    if rules == "mot15" or kind == 1:
        assert (found.hits, found.false_alarms, found.misses) == (1, 0, 1)
    elif kind in neither_way:
        assert (found.hits, found.false_alarms, found.misses) == (0, 0, 1)
    else:
        assert (found.hits, found.false_alarms, found.misses) == (0, 1, 1)


def test_a_row_marked_zero_is_no_object():
    truth = rows([[1, 1, *BOX], [1, 2, *ASIDE]], [[0, 1, 1], [1, 1, 1]])
    found = clear(preprocess(truth, rows([[1, 5, *BOX]], [[1]]), 1, "mot17", "x"))
    assert (found.hits, found.false_alarms, found.misses) == (0, 1, 1)


def test_truth_without_a_flag_counts_whole():
    truth = rows([[1, 1, *BOX]], [])
    assert clear(preprocess(truth, rows([[1, 5, *BOX]], [[1]]), 1, "mot15", "x")).mota == 1


GOOD = rows([[1, 1, *BOX]], [[1, 1, 1]])


@pytest.mark.parametrize(
    ("truth", "results", "rules", "told"),
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
def test_files_that_do_not_fit_are_refused(truth, results, rules, told):
    with pytest.raises(InputError, match=told):
        preprocess(truth, results, 3, rules, "x")


def test_far_apart_frame_numbers_cost_nothing():
    last = 2**52
    truth = rows([[1, 1, *BOX], [last, 1, *BOX]], [[1], [1]])
    assert clear(preprocess(truth, truth, last, "mot15", "x")).hits == 2
