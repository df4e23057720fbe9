"""Settings files: which table counts for which sequence, and what is refused."""

import pytest

from mottool.association.registry import FairMOTSettings
from mottool.association.sequence_settings import (
    InputSettings,
    SequenceSettings,
    given_settings,
)
from mottool.errors import InputError, SettingError
from mottool.settings import build_settings

KINDS = {"fairmot": FairMOTSettings, "input": InputSettings}


def profiles(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return SequenceSettings(path)


def test_without_a_file_everything_is_as_given():
    settings, seen = SequenceSettings().of("a", KINDS, {"conf_thres": "0.3", "classes": "0,2"})
    assert settings == FairMOTSettings(conf_thres=0.3)
    assert seen == InputSettings(classes=(0, 2))


def test_tables_count_in_the_order_of_the_file_and_flags_before_them(tmp_path):
    text = """
    [default]
    conf_thres = 0.5
    track-buffer = 20
    ["MOT17-0*"]
    conf_thres = 0.4
    second = "IoU 0.6"
    ["MOT17-05-SDP"]
    conf_thres = 0.35
    classes = [0, 1]
    """
    result = profiles(tmp_path, text)
    result.check(KINDS)
    assert result.unused == ["MOT17-0*", "MOT17-05-SDP"]
    assert result.of("x", KINDS, {})[0] == FairMOTSettings(conf_thres=0.5, track_buffer=20)
    settings, seen = result.of("MOT17-05-SDP", KINDS, {"track_buffer": 9})
    assert settings == FairMOTSettings(conf_thres=0.35, second=0.6, track_buffer=9)
    assert seen == InputSettings(classes=(0, 1))
    assert result.unused == []
    assert result.of("MOT17-04", KINDS, {})[0].conf_thres == 0.4


def test_a_table_that_fits_nothing_is_known(tmp_path):
    result = profiles(tmp_path, "[a]\nconf_thres = 0.4\n['b*']\nconf_thres = 0.4\n")
    result.of("bc", KINDS, {})
    assert result.unused == ["a"]


def test_the_file_may_name_its_tracker(tmp_path):
    assert profiles(tmp_path, 'tracker = "sort"').tracker == "sort"
    assert profiles(tmp_path, "").tracker is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a]\nconf_thresh = 0.4", r"\[a\]: fairmot has no setting.*did you mean 'conf_thres'"),
        ("[default]\nsecond = 1.5", r"\[default\]: second cannot be 1.5"),
        ("[default]\ntrack_buffer = 1.5", r"track_buffer cannot be '1.5'.*a whole number"),
        ("[default]\nfixed_rate = 3", "fixed_rate cannot be '3'.*true or false"),
        ("conf_thres = 0.5", "conf_thres is outside of any table"),
        ("tracker = 3", "tracker is not a text"),
        ("[a]\nmax-age = 1\nmax_age = 2", r"\[a\] has max-age and max_age. Fix: leave one"),
    ],
)
def test_what_is_no_setting_is_refused_with_its_table(tmp_path, text, message):
    with pytest.raises(SettingError, match=message):
        profiles(tmp_path, text).check(KINDS)


@pytest.mark.parametrize("text", ["[a", "\x00"])
def test_what_is_no_toml_is_refused(tmp_path, text):
    with pytest.raises(InputError, match="not a TOML file of settings"):
        profiles(tmp_path, text)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(InputError, match="there is no settings file"):
        SequenceSettings(tmp_path / "none.toml")


def test_flag_and_published_setting_may_agree():
    flags = {"second": "0.5", "conf_thres": 0.3}
    made = given_settings(
        {"fairmot": FairMOTSettings},
        flags,
        ["second=IoU 0.5", "min_box_area=50", "note=as published"],
    )
    assert build_settings(FairMOTSettings, made, "fairmot") == FairMOTSettings(
        conf_thres=0.3, second=0.5, min_box_area=50.0
    )
