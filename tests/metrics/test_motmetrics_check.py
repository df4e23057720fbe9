import pytest
from scenes import crowd, make

from mottool.metrics.motmetrics_check import SecondOpinion
from mottool.metrics.preprocess import preprocess
from mottool.metrics.tracking import combined, score

SHARED = ("MOTA", "MOTP", "IDF1", "IDP", "IDR", "Rcll", "Prcn", "FP", "FN")


def test_motmetrics_agrees_where_it_counts_alike():
    opinion, scores = SecondOpinion(), {}
    for name, made in (("one", crowd(10, 60)), ("two", crowd(30, 40))):
        scene = preprocess(made.truth, made.results, made.length, made.rules, name)
        opinion.add(name, scene)
        scores[name] = score(scene)
    theirs = opinion.figures()
    ours = {name: one.figures() for name, one in scores.items()}
    ours["COMBINED"] = combined(scores.values()).figures()
    assert list(theirs) == list(ours)
    for name in ours:
        for figure in SHARED:
            slack = 0.005 if figure in ("MOTA", "MOTP") else 1e-9
            assert theirs[name][figure] == pytest.approx(ours[name][figure], abs=slack), figure
        assert "HOTA" not in theirs[name]


def test_what_motmetrics_leaves_undefined_is_left_out():
    made = make("no-results-17")
    opinion = SecondOpinion()
    scene = preprocess(made.truth, made.results, made.length, made.rules, "x")
    opinion.add("x", scene)
    figures = opinion.figures()["x"]
    assert figures["FN"] == score(scene).clear.misses > 0
    assert "MOTP" not in figures
