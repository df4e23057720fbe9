import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from goldens import HERE, shared
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import SCENES, crowd, make

from mottool.metrics.hota import ALPHAS
from mottool.metrics.preprocess import preprocess
from mottool.metrics.tracking import TrackingScore, combine, score
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import detect_rules
from mottool.motchallenge.seqinfo import read_seqinfo

EXPECTED = json.loads((HERE / "metrics.json").read_text())


def scored(name: str) -> TrackingScore:
    scene = make(name)
    return score(preprocess(scene.truth, scene.results, scene.length, scene.rules, name))


@pytest.mark.parametrize("name", SCENES)
def test_every_metric_equals_trackevals(name):
    assert scored(name).metrics() == pytest.approx(EXPECTED[name], abs=1e-9)


def test_sequences_are_combined_as_in_trackeval():
    joined = combine(scored(name) for name in SCENES).metrics()
    assert joined == pytest.approx(EXPECTED["COMBINED"], abs=1e-9)


def test_real_sequences_score_as_in_the_official_kit():
    folder = shared("data/evaluation")
    rows = list(csv.DictReader((folder / "expected.csv").read_text().splitlines()))
    assert len(rows) == 5
    for row in rows:
        sequence = folder / row["bench"] / row["seq"]
        truth = read_rows(sequence / "gt.txt.gz", "ground truth")
        results = read_rows(sequence / f"{row['tracker']}.txt.gz", "result")
        rules = detect_rules(row["seq"], truth)
        assert rules.upper() == row["bench"]
        length = read_seqinfo(sequence / "seqinfo.ini").length
        metrics = score(preprocess(truth, results, length, rules, row["seq"])).metrics()
        assert list(metrics) == list(row)[3:]
        expected = {name: float(row[name]) for name in metrics}
        assert metrics == pytest.approx(expected, abs=1e-6)


def test_perfect_results_score_one_and_results_elsewhere_zero():
    truth = make("plain-15").truth
    keep = truth.rest[:, 0] != 0
    same = Rows(truth.frames[keep], truth.ids[keep] + 7, truth.tlwh[keep], truth.rest[keep])
    perfect = score(preprocess(truth, same, 40, "mot15", "x")).metrics()
    ratios = ("HOTA", "DetA", "AssA", "LocA", "MOTA", "MOTP", "IDF1", "IDP", "IDR", "Rcll", "Prcn")
    assert [perfect[name] for name in ratios] == pytest.approx([1] * len(ratios))
    assert (perfect["FP"], perfect["FN"], perfect["IDSW"]) == (0, 0, 0)
    elsewhere = Rows(same.frames, same.ids, same.tlwh + [5000, 0, 0, 0], same.rest)
    worst = score(preprocess(truth, elsewhere, 40, "mot15", "x")).metrics()
    assert (worst["TP"], worst["HOTA"], worst["MOTA"]) == (0, 0, -1)


@given(st.permutations(range(8)), st.integers(0, 10**6))
@settings(derandomize=True, deadline=None, max_examples=20)
def test_identity_numbers_and_the_order_of_rows_do_not_matter(numbers, seed):
    scene = crowd(12, 25)  # no duplicate boxes: between equal results their order may decide
    r, order = scene.results, np.random.default_rng(seed).permutation(len(scene.results))
    index = np.unique(r.ids, return_inverse=True)[1]
    ids = (np.array(numbers)[index % 8] + 8 * (index // 8)) * 3
    mixed = replace(r, ids=ids).select(order)
    first, second = (
        score(preprocess(scene.truth, results, scene.length, scene.rules, "x")).metrics()
        for results in (r, mixed)
    )
    assert 0 < first["HOTA"] < 1
    assert second == pytest.approx(first, abs=1e-9)


def test_hota_has_curves_and_true_positives_decrease_with_alpha():
    hota = scored("plain-17").parts["hota"]
    curves = hota.curves()
    assert {curve.shape for curve in curves.values()} == {ALPHAS.shape}
    assert all(((curve >= 0) & (curve <= 1)).all() for curve in curves.values())
    assert (np.diff(hota.true_positives) <= 0).all()
    assert hota.true_positives[0] > hota.true_positives[-1]


def test_rates_of_motchallenges_tables():
    # Three objects in 4 frames: one is found in all, one in none, one in the first two of them. A
    # fourth result is elsewhere in every frame.
    frames = np.tile(np.arange(1, 5), 3)
    ids = np.repeat([1, 2, 3], 4)
    tlwh = np.stack([100.0 * ids, frames * 0.0, frames * 0 + 50.0, frames * 0 + 90.0], 1)
    truth = Rows(frames, ids, tlwh, np.ones((12, 3)))
    keep = (ids == 1) | ((ids == 3) & (frames <= 2))
    elsewhere = np.tile([5000.0, 0, 50, 90], (4, 1))
    wrong = Rows(np.arange(1, 5), np.full(4, 9), elsewhere, np.ones((4, 1)))
    results = Rows(
        np.concatenate([frames[keep], wrong.frames]),
        np.concatenate([ids[keep], wrong.ids]),
        np.concatenate([tlwh[keep], wrong.tlwh]),
        np.ones((10, 1)),
    )
    total = score(preprocess(truth, results, 8, "mot15", "x"))
    assert total.frames == 8
    # 4 false positives in 8 frames.
    assert total.rates() == pytest.approx({"MT%": 1 / 3, "ML%": 1 / 3, "FAR": 0.5})
    assert combine([total, total]).rates() == pytest.approx(total.rates())
    assert "FAR" not in TrackingScore().rates()
