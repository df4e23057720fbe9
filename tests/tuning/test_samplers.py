"""Samplers: the points of a seed, and learning from scores."""

import sys
from dataclasses import dataclass

import pytest

from mottool.errors import SettingError
from mottool.settings import Settings, setting
from mottool.stages.tune import Config
from mottool.tuning.samplers import METHODS, chosen_method, make_sampler
from mottool.tuning.search_space import Axis, SearchSpace


@dataclass(frozen=True)
class TrackerSettings(Settings):
    x: float = setting(0.0, "A number.", low=-1, high=1, at_most="limit")
    n: int = setting(1, "A number.", low=1)
    form: str = setting("a", "A form.", choices=("a", "b"))
    limit: float = setting(0.9, "A number.")


CLASSES = {"tracker": TrackerSettings}
AXES = (Axis("x", (), -1.0, 1.0), Axis("n", (1, 2, 3, 4)), Axis("form", ("a", "b")))
SPACE = SearchSpace(AXES, CLASSES, vars(TrackerSettings()))


def score(point):
    """Score a point; the highest is x = 0.4, n = 3, form = b."""
    return -((point["x"] - 0.4) ** 2) - 0.1 * abs(point["n"] - 3) - 0.1 * (point["form"] == "a")


def run_search(method, count, seed=0):
    sampler = make_sampler(method, SPACE, count, seed)
    points = []
    for number in range(count):
        points.append(sampler.suggest(number))
        sampler.report(number, points[-1], score(points[-1]), [])
    return points


@pytest.mark.parametrize("method", ["random", "optuna"])
def test_points_depend_on_the_seed_and_are_in_the_space(method):
    points = run_search(method, 12)
    assert points == run_search(method, 12)
    assert points != run_search(method, 12, seed=1)
    for point in points:
        assert -1 <= point["x"] <= 0.9
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


@pytest.mark.parametrize("number", [4, 17])
def test_optuna_goes_on_after_an_interruption_as_without_one(number):
    points = run_search("optuna", 18)
    resumed = make_sampler("optuna", SPACE, 18, 0)
    for earlier, point in enumerate(points[:number]):
        resumed.report(earlier, point, score(point), [])
    assert resumed.suggest(number) == points[number]


def test_optuna_stops_trials_below_the_median():
    sampler = make_sampler("optuna", SPACE, 18, 0)
    point = {"x": 0.0, "n": 1, "form": "a"}
    assert not sampler.is_hopeless(point, [0.0])
    for number in range(6):
        sampler.report(number, point, 0.5, [0.1 * number, 0.2])
    assert sampler.is_hopeless(point, [0.2])
    assert not sampler.is_hopeless(point, [0.3])
    sampler.report(6, point | {"n": 9}, 0.5, [0.1, 0.2])  # outside of the axes: not in the study
    sampler.report(7, point, None, [0.2])


def test_a_grid_has_all_points():
    space = SearchSpace(AXES[1:], CLASSES, vars(TrackerSettings()))
    sampler = make_sampler("grid", space, 8, 0)
    points = [sampler.suggest(number) for number in range(8)]
    assert points[0] == {"n": 1, "form": "a"}
    assert points[-1] == {"n": 4, "form": "b"}
    with pytest.raises(SettingError, match="--trials 8"):
        make_sampler("grid", space, 5, 0)


def test_ranges_without_a_valid_point_are_refused():
    space = SearchSpace((Axis("x", (), 0.95, 1.0),), CLASSES, vars(TrackerSettings()))
    for method in ("random", "optuna"):
        with pytest.raises(SettingError, match=r"x \S+ is above limit 0\.9"):
            make_sampler(method, space, 5, 0)


def test_auto_is_optuna_where_it_is_installed(monkeypatch):
    assert Config().method == "auto"
    assert Config.__dataclass_fields__["method"].metadata["choices"] == METHODS
    assert (chosen_method("auto"), chosen_method("grid")) == ("optuna", "grid")
    monkeypatch.setattr("mottool.tuning.samplers.find_spec", lambda name: None)
    assert chosen_method("auto") == "random"


def test_without_optuna_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(SettingError, match=r"pip install optuna"):
        make_sampler("optuna", SPACE, 5, 0)
