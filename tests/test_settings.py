import json
from dataclasses import dataclass, fields
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mottool.cli.options import merged_options, settings_options
from mottool.errors import SettingError
from mottool.settings import Settings, build_settings, parse_key_values, setting, to_json


@dataclass(frozen=True)
class Sample(Settings):
    count: int = setting(3, "How many.", low=1, high=9)
    share: float = setting(0.5, "Which part.", low=0, high=1)
    fast: bool = setting(True, "Whether to hurry.")
    kind: str = setting("a", "Which kind.", choices=("a", "bee"))
    part: str | None = setting(None, "Which part.", choices=("some", "none"))
    path: Path | None = setting(None, "The path.")
    limit: float | None = setting(None, "Up to where.", parse=lambda text: float(text.split()[-1]))
    margin: float | None = setting(0.5, "How far.")
    turns: int | None = setting(None, "How often.")
    pair: str = setting("a:b", "Two names.", parse=str, form="A:B")


@dataclass(frozen=True)
class Other(Settings):
    count: int = setting(7, "How many.")
    speed: float = setting(1.0, "How quick.")


@click.command()
@settings_options(Sample)
def one(config):
    click.echo(json.dumps(to_json(config)))


@click.command()
@merged_options({"sample": Sample, "other": Other})
def several(given):
    click.echo(json.dumps(given, default=str))


def test_flags_reach_the_settings_and_untouched_ones_keep_their_defaults(tmp_path):
    path = str(tmp_path)
    arguments = ["--count", "4", "--no-fast", "--kind", "bee", "--path", path, "--limit", "IoU 2"]
    values = json.loads(CliRunner().invoke(one, arguments).output)
    assert values == {
        "count": 4, "share": 0.5, "fast": False, "kind": "bee", "part": None, "path": path,
        "limit": 2.0, "margin": 0.5, "turns": None, "pair": "a:b",
    }  # fmt: skip
    assert json.loads(CliRunner().invoke(one).output) == to_json(Sample())


def test_help_shows_every_setting_with_its_default():
    help = CliRunner().invoke(one, ["--help"]).output
    for field in fields(Sample):
        assert f"--{field.name}" in help
        assert field.metadata["help"] in help
    assert help.count("[default:") == 6  # a default of None is described by the help text itself
    assert "[default: on]" in help


def test_the_help_shows_that_a_number_may_be_none():
    help = CliRunner().invoke(one, ["--help"]).output
    for option in ("--margin FLOAT|none", "--turns INTEGER ", "--pair A:B", "--limit TEXT"):
        assert option in help
    for text in ("none", "None"):
        arguments = ["--margin", text, "--turns", text]
        values = json.loads(CliRunner().invoke(one, arguments).output)
        assert (values["margin"], values["turns"]) == (None, None)
    given = json.loads(CliRunner().invoke(several, ["--margin", "none"]).output)
    assert build_settings(Sample, given, "sample").margin is None


def test_settings_of_several_classes_share_flags_and_show_each_default():
    assert json.loads(CliRunner().invoke(several, ["--speed", "2"]).output) == {"speed": 2.0}
    assert "3 (sample); 7 (other)" in CliRunner().invoke(several, ["--help"]).output


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cuont": 1}, "has no setting 'cuont'. Fix: did you mean 'count'"),
        ({"count": 0}, "count cannot be 0. Fix: give a value of at least 1 and at most 9"),
        ({"share": "1.5"}, "share cannot be 1.5"),
        ({"share": "nan"}, "share is not a number"),
        ({"limit": "inf"}, "limit is infinite. Fix: give a finite number"),
        ({"cou": 1}, "has no setting 'cou'. Fix: did you mean 'count'"),
        ({"kind": "be"}, "kind cannot be 'be'. Fix: did you mean 'bee'"),
        ({"fast": "perhaps"}, "fast cannot be 'perhaps'. Fix: give true or false"),
        ({"count": "2.5"}, "count cannot be '2.5'. Fix: give a whole number"),
        ({"limit": "IoU"}, "limit cannot be 'IoU'"),
        ({"margin": "wide"}, "margin cannot be 'wide'. Fix: give a number, or none."),
        ({"turns": "often"}, "turns cannot be 'often'. Fix: give a whole number."),
    ],
)
def test_a_value_that_does_not_fit_is_refused_with_a_fix(values, message):
    with pytest.raises(SettingError) as caught:
        build_settings(Sample, values, "sample")
    assert message in str(caught.value)


def test_settings_made_in_python_are_checked_too():
    with pytest.raises(SettingError, match="count cannot be 10"):
        Sample(count=10)


def test_a_whole_number_that_libraries_cannot_take_is_refused():
    with pytest.raises(SettingError, match="count is a number of more than 31 bits"):
        build_settings(Other, {"count": "9" * 30}, "other")


def test_texts_are_parsed_by_the_type_of_their_setting():
    sample = build_settings(
        Sample, {"count": "2", "fast": "off", "path": "none", "limit": "IoU 0.5"}, "sample"
    )
    assert sample == Sample(count=2, fast=False, path=None, limit=0.5)


def test_none_is_the_value_none_unless_it_is_a_choice():
    assert build_settings(Sample, {"part": "none", "limit": "none"}, "sample") == Sample(
        part="none"
    )


def test_pairs_need_an_equals_sign():
    assert parse_key_values(["a=1", "b = x=y"]) == {"a": "1", "b": "x=y"}
    with pytest.raises(SettingError, match="write --set key=value"):
        parse_key_values(["a"])


def test_pairs_take_a_key_again_with_the_same_value_only():
    assert parse_key_values(["a=1", "a=1"]) == {"a": "1"}
    with pytest.raises(SettingError, match="--set a is given two values"):
        parse_key_values(["a=1", "a=2"])


def test_a_class_without_settings_accepts_none():
    with pytest.raises(SettingError, match="it has no setting 'eta'. Fix: leave it out"):
        build_settings(Settings, {"eta": 3}, "it")
