"""The search space, parsed from the texts of `--search`."""

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import SettingError
from mottool.settings import Settings, setting
from mottool.tuning.search_space import Axis, grid, grid_size, parse_axes


@dataclass(frozen=True)
class TrackerSettings(Settings):
    age: int = setting(3, "Frames.", low=0)
    overlap: float = setting(0.5, "A share.", low=0, high=1)
    levels: int = setting(2, "A number.", low=1, high=4)
    form: str = setting("code", "A form.", choices=("code", "paper"))
    strict: bool = setting(False, "Whether.")
    rate: float | None = setting(None, "A rate, or none.", low=0)


@dataclass(frozen=True)
class OtherSettings(Settings):
    gap: int = setting(0, "Frames.", low=0)


CLASSES = {"tracker": TrackerSettings, "other": OtherSettings}


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("overlap=0.1:0.9", Axis("overlap", (), 0.1, 0.9)),
        ("overlap=0.1:0.4:0.1", Axis("overlap", (0.1, 0.2, 0.3, 0.4))),
        ("overlap=0:1:0.3", Axis("overlap", (0.0, 0.3, 0.6, 0.9))),
        ("overlap", Axis("overlap", (), 0, 1)),
        ("age=1:4", Axis("age", (1, 2, 3, 4))),
        ("age=0:30:10", Axis("age", (0, 10, 20, 30))),
        ("age=1, 30,5", Axis("age", (1, 30, 5))),
        ("levels", Axis("levels", (1, 2, 3, 4))),
        ("form", Axis("form", ("code", "paper"))),
        ("strict", Axis("strict", (False, True))),
        ("rate=none,25", Axis("rate", (None, 25.0))),
        ("gap=5,5", Axis("gap", (5,))),
    ],
)
def test_a_text_is_parsed_into_an_axis(text, axis):
    assert parse_axes(CLASSES, [text]) == (axis,)


def test_without_a_text_all_settings_with_a_range_are_searched():
    assert [axis.name for axis in parse_axes(CLASSES, [])] == [
        "overlap",
        "levels",
        "form",
        "strict",
    ]
    with pytest.raises(SettingError, match="name the settings to search"):
        parse_axes({"other": OtherSettings}, [])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["overlop=0:1"], "did you mean 'overlap'"),
        (["overlap=0:2"], "at most 1"),
        (["overlap=0.5,2"], "at most 1"),
        (["overlap=0.9:0.1"], "is not a valid range"),
        (["overlap=0:1:0.1:2"], "is not a valid range"),
        (["overlap=0:1:-0.1"], "is not a valid range"),
        (["overlap=a:b"], "is not a valid range"),
        (["overlap=0:inf"], "is not a valid range"),
        (["age"], "age=low:high:step"),
        (["age=1:9e9"], "longer steps"),
        (["form=verse"], "form cannot be"),
        (["age=1:3", "age=5,6"], "given twice"),
        (["levels=0:3"], "at least 1"),
    ],
)
def test_invalid_texts_are_refused(texts, message):
    with pytest.raises(SettingError, match=message):
        parse_axes(CLASSES, texts)


def test_a_grid_has_every_point_once_and_the_last_axis_changes_first():
    space = parse_axes(CLASSES, ["age=1,2", "form", "strict"])
    points = list(grid(space))
    assert points[0] == {"age": 1, "form": "code", "strict": False}
    assert points[1] == {"age": 1, "form": "code", "strict": True}
    assert len({tuple(point.items()) for point in points}) == len(points) == grid_size(space) == 8


def test_a_grid_requires_steps():
    with pytest.raises(SettingError, match="overlap=0.0:1.0:0.1"):
        grid_size(parse_axes(CLASSES, ["overlap=0:1"]))


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 0.99), st.floats(0.001, 0.5), st.integers(0, 1000))
def test_samples_are_in_the_range(low, width, seed):
    (axis,) = parse_axes(CLASSES, [f"overlap={low}:{min(1.0, low + width)}"])
    assert axis.low <= axis.sample(Random(seed)) <= axis.high


def test_every_value_of_a_list_is_sampled():
    (axis,) = parse_axes(CLASSES, ["form"])
    assert {axis.sample(Random(seed)) for seed in range(20)} == {"code", "paper"}
