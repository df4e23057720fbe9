"""The search space, parsed from the texts of `--search`."""

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import SettingError
from mottool.settings import Settings, setting
from mottool.tuning.search_space import Axis, SearchSpace
from mottool.tuning.search_space import parse_axes as parse_axes_from


@dataclass(frozen=True)
class TrackerSettings(Settings):
    age: int = setting(3, "Frames.", low=0)
    overlap: float = setting(0.5, "A share.", low=0, high=1)
    levels: int = setting(2, "A number.", low=1, high=4)
    form: str = setting("code", "A form.", choices=("code", "paper"))
    strict: bool = setting(False, "Whether.")
    rate: float | None = setting(None, "A rate, or none.", low=0)
    buffer: int = setting(30, "Frames.", low=0, search=(10, 12))
    floor: float = setting(0.1, "A share.", low=0, high=1, at_most="overlap")
    ceiling: float | None = setting(None, "A share.", low=0, high=1, at_least="overlap")
    code_only: float = setting(0.5, "A share.", low=0, high=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.form == "code" and self.code_only > 0.7:
            raise SettingError("code_only is too high for form code", "lower it")


@dataclass(frozen=True)
class OtherSettings(Settings):
    gap: int = setting(0, "Frames.", low=0)


CLASSES = {"tracker": TrackerSettings, "other": OtherSettings}
START = vars(TrackerSettings()) | vars(OtherSettings())


def parse_axes(classes, texts):
    return parse_axes_from(classes, texts, START)


def space(*texts, **start):
    return SearchSpace(parse_axes(CLASSES, texts), CLASSES, START | start)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("overlap=0.1:0.9", Axis("overlap", (), 0.1, 0.9)),
        ("overlap=0.1:0.4:0.1", Axis("overlap", (0.1, 0.2, 0.3, 0.4))),
        ("overlap=0:1:0.3", Axis("overlap", (0.0, 0.3, 0.6, 0.9))),
        ("overlap", Axis("overlap", (), 0.25, 0.75)),
        ("floor", Axis("floor", (), 0, 0.35)),
        ("ceiling", Axis("ceiling", (), 0, 1)),
        ("buffer", Axis("buffer", tuple(range(10, 31)))),
        ("age=1:4", Axis("age", (1, 2, 3, 4))),
        ("age=0:30:10", Axis("age", (0, 10, 20, 30))),
        ("age=1, 30,5", Axis("age", (1, 30, 5))),
        ("levels=1:4", Axis("levels", (1, 2, 3, 4))),
        ("form", Axis("form", ("code", "paper"))),
        ("strict", Axis("strict", (False, True))),
        ("rate=none,25", Axis("rate", (None, 25.0))),
        ("gap=5,5", Axis("gap", (5,))),
    ],
)
def test_a_text_is_parsed_into_an_axis(text, axis):
    assert parse_axes(CLASSES, [text]) == (axis,)


def test_without_a_text_the_numbers_with_a_range_are_searched():
    names = [axis.name for axis in parse_axes(CLASSES, [])]
    assert names == ["overlap", "levels", "buffer", "floor"]  # code_only cannot change alone
    with pytest.raises(SettingError, match="name the settings to search"):
        parse_axes({"other": OtherSettings}, [])


def test_points_keep_the_bounds_that_settings_declare():
    bounded = space("overlap=0:1", "floor=0:1")
    assert bounded.first_point == {"overlap": 0.5, "floor": 0.1}
    assert bounded.is_valid({"overlap": 0.4, "floor": 0.4})
    assert bounded.problems({"overlap": 0.4, "floor": 0.6}) == ["floor 0.6 is above overlap 0.4"]
    assert not space("ceiling=0:1").is_valid({"ceiling": 0.4})
    assert space("ceiling=none,0.4").is_valid({"ceiling": None})
    assert not space("form", "code_only=0:1").is_valid({"form": "code", "code_only": 0.8})
    assert space("floor=0:1", floor=0.8).is_valid({"floor": 0.8})  # as at the start


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


def test_a_grid_has_the_start_and_then_every_valid_point_once():
    points = space("age=1,2", "form", "strict").grid()
    assert points[0] == {"age": 3, "form": "code", "strict": False}
    assert points[1] == {"age": 1, "form": "code", "strict": False}
    assert points[2] == {"age": 1, "form": "code", "strict": True}
    assert len({tuple(point.items()) for point in points}) == len(points) == 9
    assert [*space("overlap=0.3,0.5", "floor=0.1,0.4").grid()] == [
        {"overlap": 0.5, "floor": 0.1},
        {"overlap": 0.3, "floor": 0.1},
        {"overlap": 0.5, "floor": 0.4},
    ]


def test_a_grid_requires_steps():
    with pytest.raises(SettingError, match="overlap=0.0:1.0:0.1"):
        space("overlap=0:1").grid()


@settings(derandomize=True, deadline=None)
@given(st.floats(0, 0.99), st.floats(0.001, 0.5), st.integers(0, 1000))
def test_samples_are_in_the_range(low, width, seed):
    (axis,) = parse_axes(CLASSES, [f"overlap={low}:{min(1.0, low + width)}"])
    assert axis.low <= axis.sample(Random(seed)) <= axis.high


def test_every_value_of_a_list_is_sampled():
    (axis,) = parse_axes(CLASSES, ["form"])
    assert {axis.sample(Random(seed)) for seed in range(20)} == {"code", "paper"}
