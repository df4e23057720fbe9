import csv
import json

import numpy as np
import pytest
from goldens import HERE, shared
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SCENES, crowd, make

from mottool.metrics.hota import ALPHAS
from mottool.metrics.preprocess import preprocess
from mottool.metrics.tracking import TrackingScore, combined, score
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import detect_rules
from mottool.motchallenge.seqinfo import read_seqinfo

FIGURES = json.loads((HERE / "metrics.json").read_text())


def scored(name: str) -> TrackingScore:
    scene = make(name)
    return score(preprocess(scene.truth, scene.results, scene.length, scene.rules, name))


@pytest.mark.parametrize("name", SCENES)
def test_every_figure_is_trackevals(name):
    assert scored(name).figures() == pytest.approx(FIGURES[name], abs=1e-9)


def test_sequences_combine_as_in_trackeval():
    joined = combined(scored(name) for name in SCENES).figures()
    assert joined == pytest.approx(FIGURES["COMBINED"], abs=1e-9)


def test_real_sequences_score_what_the_official_kit_says():
    folder = shared("data/evaluation")
    rows = list(csv.DictReader((folder / "expected.csv").read_text().splitlines()))
    assert len(rows) == 5
    for row in rows:
        place = folder / row["bench"] / row["seq"]
        truth = read_rows(place / "gt.txt.gz", "ground truth")
        results = read_rows(place / f"{row['tracker']}.txt.gz", "result")
        rules = detect_rules(row["seq"], truth)
        assert rules.upper() == row["bench"]
        length = read_seqinfo(place / "seqinfo.ini").length
        figures = score(preprocess(truth, results, length, rules, row["seq"])).figures()
        assert list(figures) == list(row)[3:]
        expected = {name: float(row[name]) for name in figures}
        assert figures == pytest.approx(expected, abs=1e-6)


def test_perfect_results_score_one_and_none_of_them_nothing():
    truth = make("plain-15").truth
    keep = truth.rest[:, 0] != 0
    same = Rows(truth.frames[keep], truth.ids[keep] + 7, truth.tlwh[keep], truth.rest[keep])
    perfect = score(preprocess(truth, same, 40, "mot15", "x")).figures()
    ratios = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR", "Rcll", "Prcn")
    assert [perfect[name] for name in ratios] == pytest.approx([1] * len(ratios))
    assert (perfect["FP"], perfect["FN"], perfect["IDSW"]) == (0, 0, 0)
    apart = Rows(same.frames, same.ids, same.tlwh + [5000, 0, 0, 0], same.rest)
    nothing = score(preprocess(truth, apart, 40, "mot15", "x")).figures()
    assert (nothing["TP"], nothing["HOTA"], nothing["MOTA"]) == (0, 0, -1)


@given(st.permutations(range(8)), st.integers(0, 10**6))
@settings(derandomize=True, deadline=None, max_examples=20)
def test_names_of_identities_and_the_order_of_rows_do_not_matter(names, seed):
    scene = crowd(12, 25)  # no double boxes: where two results tie, their order may decide
    r, order = scene.results, np.random.default_rng(seed).permutation(len(scene.results))
    spread = np.unique(r.ids, return_inverse=True)[1]
    new = (np.array(names)[spread % 8] + 8 * (spread // 8)) * 3
    mixed = Rows(r.frames[order], new[order], r.tlwh[order], r.rest[order])
    first, again = (
        score(preprocess(scene.truth, results, scene.length, scene.rules, "x")).figures()
        for results in (r, mixed)
    )
    assert 0 < first["HOTA"] < 1
    assert again == pytest.approx(first, abs=1e-9)


def test_hota_keeps_its_curves_and_hits_fall_with_alpha():
    hota = scored("plain-17").hota
    curves = hota.curves()
    assert {curve.shape for curve in curves.values()} == {ALPHAS.shape}
    assert all(((curve >= 0) & (curve <= 1)).all() for curve in curves.values())
    assert (np.diff(hota.hits) <= 0).all()
    assert hota.hits[0] > hota.hits[-1]
