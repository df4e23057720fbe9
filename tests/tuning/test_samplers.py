"""Who proposes points: what follows from a seed, and what is learnt."""

import sys

import pytest

from mottool.errors import SettingError
from mottool.tuning.samplers import proposer
from mottool.tuning.search_space import Axis

SPACE = (Axis("x", (), -1.0, 1.0), Axis("n", (1, 2, 3, 4)), Axis("form", ("a", "b")))


def height(point):
    """Highest where x is 0.4, n is 3 and form is b."""
    return -((point["x"] - 0.4) ** 2) - 0.1 * abs(point["n"] - 3) - 0.1 * (point["form"] == "a")


def searched(method, count, seed=0):
    asked = proposer(method, SPACE, count, seed)
    points = []
    for number in range(count):
        points.append(asked.propose(number))
        asked.learn(number, points[-1], height(points[-1]))
    return points


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_points_follow_from_the_seed_and_lie_in_the_space(method):
    points = searched(method, 12)
    assert points == searched(method, 12)
    assert points != searched(method, 12, seed=1)
    for point in points:
        assert -1 <= point["x"] <= 1
        assert point["x"] == float(f"{point['x']:.4g}")
        assert point["n"] in (1, 2, 3, 4)
        assert point["form"] in ("a", "b")


def test_a_random_point_does_not_depend_on_those_before():
    assert proposer("random", SPACE, 9, 3).propose(7) == searched("random", 9, 3)[7]


def test_optuna_learns():
    def mean(points):
        return sum(map(height, points)) / len(points)

    points = searched("optuna", 60)
    assert mean(points[10:]) > mean(points[:10]) + 0.1  # the first ten are drawn by chance


def test_optuna_goes_on_from_the_trials_of_an_earlier_run():
    points = searched("optuna", 40)
    again = proposer("optuna", SPACE, 60, 1)
    for number, point in enumerate(points):
        again.learn(number, point, height(point))
    later = [height(again.propose(number)) for number in range(40, 50)]
    assert sum(later) / 10 > sum(map(height, points[:10])) / 10


def test_a_grid_goes_through_all_points():
    space = SPACE[1:]
    asked = proposer("grid", space, 8, 0)
    points = [asked.propose(number) for number in range(8)]
    assert points[0] == {"n": 1, "form": "a"}
    assert points[-1] == {"n": 4, "form": "b"}
    with pytest.raises(SettingError, match="--trials 8"):
        proposer("grid", space, 5, 0)


def test_without_optuna_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingError, match=r"pip install 'mottool\[tune\]'"):
        proposer("optuna", SPACE, 5, 0)
