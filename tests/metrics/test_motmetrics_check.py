import pytest
from scenes import crowd, make

from mottool.metrics.motmetrics_check import MotmetricsCheck
from mottool.metrics.preprocess import preprocess
from mottool.metrics.tracking import combine, score

SHARED = ("MOTA", "MOTP", "IDF1", "IDP", "IDR", "Rcll", "Prcn", "FP", "FN")


def test_motmetrics_agrees_where_its_definitions_do():
    check, scores = MotmetricsCheck(), {}
    for name, made in (("one", crowd(10, 60)), ("two", crowd(30, 40))):
        sequence = preprocess(made.truth, made.results, made.length, made.rules, name)
        check.add(name, sequence)
        scores[name] = score(sequence)
    theirs = check.metrics()
    ours = {name: one.metrics() for name, one in scores.items()}
    ours["COMBINED"] = combine(scores.values()).metrics()
    assert list(theirs) == list(ours)
    for name in ours:
        for metric in SHARED:
            tolerance = 0.005 if metric in ("MOTA", "MOTP") else 1e-9
            assert theirs[name][metric] == pytest.approx(ours[name][metric], abs=tolerance), metric
        assert "HOTA" not in theirs[name]


def test_undefined_metrics_of_motmetrics_are_omitted():
    made = make("no-results-17")
    check = MotmetricsCheck()
    sequence = preprocess(made.truth, made.results, made.length, made.rules, "x")
    check.add("x", sequence)
    metrics = check.metrics()["x"]
    assert metrics["FN"] == score(sequence).metrics()["FN"] > 0
    assert "MOTP" not in metrics
