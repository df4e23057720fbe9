from mottool.metrics.tables import TableRow
from mottool.metrics.unscored import MissingResults, drop_without_ground_truth


def test_results_without_ground_truth_are_dropped_unless_none_remain(tmp_path):
    messages = []
    results = {"mine": {"a": tmp_path, "b": tmp_path}, "other": {"c": tmp_path}}
    assert drop_without_ground_truth(results, ["a"], messages.append) == {"mine": {"a": tmp_path}}
    assert messages == ["b, c left out: no ground truth is given"]
    assert drop_without_ground_truth(results, ["d"], messages.append) == results


def test_trackers_that_lack_the_same_results_are_named_in_one_message():
    messages, missing = [], MissingResults()
    for tracker, scored in [("sort", ["a"]), ("jde", ["a"]), ("otrack", ["a", "b"])]:
        rows = [TableRow("tracks", tracker, "mot17", name, {}) for name in scored]
        missing.add(rows, scored, ["a", "b", "c"])
    missing.add([], [], ["a"])  # no row of it is in the table
    missing.report(messages.append)
    assert messages == [
        "sort, jde have no results for b, c: not scored, not in COMBINED",
        "otrack has no results for c: not scored, not in COMBINED",
    ]
