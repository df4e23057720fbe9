"""Samplers: the points of a seed, and learning from scores."""

import sys

import pytest

from mottool.errors import SettingError
from mottool.tuning.samplers import make_sampler
from mottool.tuning.search_space import Axis

SPACE = (Axis("x", (), -1.0, 1.0), Axis("n", (1, 2, 3, 4)), Axis("form", ("a", "b")))


def score(point):
    """Score a point; the highest is x = 0.4, n = 3, form = b."""
    return -((point["x"] - 0.4) ** 2) - 0.1 * abs(point["n"] - 3) - 0.1 * (point["form"] == "a")


def run_search(method, count, seed=0):
    sampler = make_sampler(method, SPACE, count, seed)
    points = []
    for number in range(count):
        points.append(sampler.suggest(number))
        sampler.report(number, points[-1], score(points[-1]))
    return points


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_points_depend_on_the_seed_and_are_in_the_space(method):
    points = run_search(method, 12)
    assert points == run_search(method, 12)
    assert points != run_search(method, 12, seed=1)
    for point in points:
        assert -1 <= point["x"] <= 1
        assert point["x"] == float(f"{point['x']:.4g}")
        assert point["n"] in (1, 2, 3, 4)
        assert point["form"] in ("a", "b")


def test_a_random_point_does_not_depend_on_earlier_ones():
    assert make_sampler("random", SPACE, 9, 3).suggest(7) == run_search("random", 9, 3)[7]


def test_optuna_learns():
    def mean(points):
        return sum(map(score, points)) / len(points)

    points = run_search("optuna", 60)
    assert mean(points[10:]) > mean(points[:10]) + 0.1  # the first ten are random


def test_optuna_learns_from_the_trials_of_an_earlier_run():
    points = run_search("optuna", 40)
    resumed = make_sampler("optuna", SPACE, 60, 1)
    for number, point in enumerate(points):
        resumed.report(number, point, score(point))
    later = [score(resumed.suggest(number)) for number in range(40, 50)]
    assert sum(later) / 10 > sum(map(score, points[:10])) / 10


def test_a_grid_has_all_points():
    space = SPACE[1:]
    sampler = make_sampler("grid", space, 8, 0)
    points = [sampler.suggest(number) for number in range(8)]
    assert points[0] == {"n": 1, "form": "a"}
    assert points[-1] == {"n": 4, "form": "b"}
    with pytest.raises(SettingError, match="--trials 8"):
        make_sampler("grid", space, 5, 0)


def test_without_optuna_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingError, match=r"pip install 'mottool\[tune\]'"):
        make_sampler("optuna", SPACE, 5, 0)
