import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from results import row
from scipy.stats import binomtest

from mottool.comparison.results import chance, ranks
from mottool.metrics.tables import format_metric


def test_metrics_are_formatted_as_in_papers():
    assert format_metric("MOTA", 0.7128) == "71.3"
    assert format_metric("MOTA", -0.05) == "-5.0"
    assert format_metric("IDSW", 1031) == "1031"
    assert format_metric("FPS", 18.84) == "18.8"
    assert format_metric("FPSA", 2345.6) == "2346"
    assert format_metric("TPR", None) == "-"


def test_ranks_follow_the_printed_values():
    rows = [row(MOTA=value) for value in (0.5, 0.7001, 0.6, None, 0.7003)]
    assert ranks(rows, "MOTA") == [0, 1, 2, 0, 1]
    assert ranks([row(IDSW=value) for value in (10, 7, 9)], "IDSW") == [0, 1, 2]
    assert ranks([row(AP=0.5), row(AP=0.5)], "AP") == [0, 0]
    assert ranks([row(TPR=None), row(TPR=0.3)], "TPR") == [0, 0]


def test_ground_truth_boxes_and_detection_without_times_do_not_compete():
    rows = [row(kind="true boxes", MOTA=0.99), row(MOTA=0.5), row(MOTA=0.6)]
    assert ranks(rows, "MOTA") == [0, 2, 1]
    public, slow, fast = row(FPS=2000), row(FPS=5, FPSD=6), row(FPS=30, FPSD=40)
    assert ranks([public, slow, fast], "FPS") == [0, 2, 1]
    assert ranks([public, row(FPS=1000)], "FPS") == [1, 2]


values = st.lists(st.one_of(st.none(), st.floats(0, 1)), min_size=1, max_size=8)


@settings(derandomize=True, deadline=None)
@given(values, st.sampled_from(["MOTA", "IDSW"]))
def test_rank_1_has_the_best_printed_value(given_values, name):
    scale, sign = (1000, -1) if name == "IDSW" else (1, 1)
    rows = [row(**{name: value and value * scale}) for value in given_values]
    printed = [format_metric(name, row.figures[name]) for row in rows]
    present = [sign * float(text) for text in printed if text != "-"]
    for text, rank in zip(printed, ranks(rows, name), strict=True):
        if rank == 1:
            assert sign * float(text) == max(present)
        if rank == 2:
            assert sum(value > sign * float(text) for value in set(present)) == 1
        if text == "-":
            assert rank == 0


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_sequences_cannot_be_significant(count):
    rows = [row(by=[{}] * count), row(by=[{}] * count)]
    (message,) = chance(rows)
    assert message.startswith(f"{count} sequence")
    assert "too few to call any difference significant (sign test, at least 6 needed)" in message


def test_many_sequences_can_be_significant():
    good = row("good", by=[{"MOTA": 0.6, "IDF1": 0.6, "HOTA": 0.5}] * 7, MOTA=0.6, HOTA=0.5)
    half = [{"MOTA": 0.5, "IDF1": 0.6, "HOTA": value} for value in (0.4, 0.6, 0.6, 0.4, 0.5, 0, 0)]
    mota, idf1, hota = chance([row("bad", by=half, MOTA=0.5, HOTA=0.4), good])
    assert "good.sort is ahead of bad.sort on 7 of 7 sequences, behind on 0: significant" in mota
    assert f"p = {binomtest(7, 7).pvalue:.3f}" in mota
    assert "not significant (sign test, p = 1.000)" in idf1
    assert "on 4 of 7 sequences, behind on 2: not significant" in hota
    assert f"p = {binomtest(4, 6).pvalue:.3f}" in hota


def test_single_row_has_no_significance_test():
    assert chance([row(by=[{}] * 3), row(kind="true boxes", by=[{}] * 3)]) == []
