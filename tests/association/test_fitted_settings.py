"""Settings that fit a network travel from its card through the cache to the tracker."""

import dataclasses
import json

import pytest
from caches import HEADER, write
from click.testing import CliRunner
from streams import walkers

import mottool
from mottool.association.fitted_settings import fitted_settings, fitted_tracker
from mottool.association.registry import ByteTrackSettings, OTrackSettings
from mottool.cli.main import cli
from mottool.errors import CacheError, SettingError

STEPS = range(0, 60, 4)
FRAMES = walkers([[(50 + x, 100), (350 - x, 300)] for x in STEPS], [[0, 1] for _ in STEPS])
TABLES = {
    "tracker": "bytetrack",
    "trackers": {
        "fairmot": {"conf_thres": 0.95, "first_assoc": 0.55},
        "bytetrack": {"track_thresh": 0.5},
    },
}


def cache(tmp_path, name="seq", pipeline="net", **settings):
    path = tmp_path / "work" / "caches" / pipeline / f"{name}.h5"
    header = dataclasses.replace(HEADER, sequence=name, pipeline=pipeline, settings=settings)
    return write(path, FRAMES, header)


def associate(tmp_path, *words):
    done = CliRunner().invoke(cli, ["associate", "--work", str(tmp_path / "work"), *words])
    assert done.exit_code == 0, done.output
    return done.stderr


def record(tmp_path, folder, name="seq"):
    path = tmp_path / "work" / "tracks" / f"{folder}.settings" / f"{name}.json"
    return json.loads(path.read_text())


def test_associate_starts_from_them_and_says_so(tmp_path):
    cache(tmp_path, **TABLES)
    message = associate(tmp_path, "--tracker", "fairmot")
    assert "fairmot uses settings that fit net (conf_thres 0.95, first_assoc 0.55)" in message
    assert "--published uses its authors'" in message
    saved = record(tmp_path, "net.fairmot")
    assert saved["settings"]["conf_thres"] == 0.95
    assert saved["rows"] == 0  # all score 0.9


def test_flags_go_before_them(tmp_path):
    cache(tmp_path, **TABLES)
    message = associate(tmp_path, "--tracker", "fairmot", "--conf-thres", "0.4")
    assert "(first_assoc 0.55)" in message
    assert record(tmp_path, "net.fairmot")["settings"]["conf_thres"] == 0.4


def test_settings_of_another_form_are_left_out(tmp_path):
    cache(tmp_path, trackers={"outrack": {"conf_thres": 0.45, "lost_frame_range": 10}})
    message = associate(tmp_path, "--tracker", "outrack")
    assert "(conf_thres 0.45, lost_frame_range 10)" in message
    message = associate(tmp_path, "--tracker", "outrack", "--form", "paper")
    assert "(conf_thres 0.45)" in message


def test_a_settings_file_goes_before_them(tmp_path):
    cache(tmp_path, **TABLES)
    file = tmp_path / "own.toml"
    file.write_text('tracker = "fairmot"\n[default]\nconf_thres = 0.3\nfirst_assoc = 0.4\n')
    message = associate(tmp_path, "--settings", str(file))
    assert "uses settings that fit" not in message
    assert record(tmp_path, "net.fairmot@own")["settings"]["conf_thres"] == 0.3


def test_published_leaves_them_out(tmp_path):
    cache(tmp_path, **TABLES)
    message = associate(tmp_path, "--published", "--tracker", "fairmot")
    assert "uses settings that fit" not in message
    assert record(tmp_path, "net.fairmot")["settings"]["conf_thres"] == 0.4


def test_a_profile_takes_their_place(tmp_path):
    cache(tmp_path, **TABLES)
    message = associate(tmp_path, "--profile", "2020-05", "--second", "0.6")
    assert "uses settings that fit" not in message
    settings = record(tmp_path, "net.fairmot")["settings"]  # not bytetrack's, which fits
    assert (settings["conf_thres"], settings["first_assoc"], settings["second"]) == (0.6, 0.7, 0.6)


def test_flags_and_a_settings_file_go_before_a_profile(tmp_path):
    cache(tmp_path, **TABLES)
    file = tmp_path / "own.toml"
    file.write_text('tracker = "fairmot"\n[default]\nconf_thres = 0.3\n')
    words = ["--settings", str(file), "--profile", "2020-05", "--min-box-area", "50"]
    associate(tmp_path, *words)
    settings = record(tmp_path, "net.fairmot@own")["settings"]
    limits = settings["conf_thres"], settings["first_assoc"], settings["min_box_area"]
    assert limits == (0.3, 0.7, 50.0)


def test_a_profile_of_another_tracker_is_refused(tmp_path):
    cache(tmp_path, **TABLES)
    words = ["associate", "--work", str(tmp_path / "work"), "--tracker", "sort"]
    done = CliRunner().invoke(cli, [*words, "--profile", "2020-05"])
    assert isinstance(done.exception, SettingError)
    assert "sort has no profile '2020-05'" in done.exception.problem


def test_the_tracker_that_suits_the_network_is_the_default(tmp_path):
    cache(tmp_path, **TABLES)
    associate(tmp_path)
    assert record(tmp_path, "net.bytetrack")["settings"]["track_thresh"] == 0.5
    associate(tmp_path, "--published")
    assert record(tmp_path, "net.fairmot")["settings"]["conf_thres"] == 0.4


def test_caches_that_disagree_get_fairmot(tmp_path):
    cache(tmp_path, **TABLES)
    cache(tmp_path, name="other", pipeline="plain")
    associate(tmp_path)
    assert record(tmp_path, "net.fairmot")["settings"]["conf_thres"] == 0.95
    assert record(tmp_path, "plain.fairmot", "other")["settings"]["conf_thres"] == 0.4


def test_thresholds_of_embeddings_do_not_fit_another_embedder():
    settings = TABLES | {"embedder": "osnet_x0_25"}
    assert fitted_settings(settings, "fairmot") == {"conf_thres": "0.95"}
    assert fitted_settings(TABLES, "fairmot") == {"conf_thres": "0.95", "first_assoc": "0.55"}


@pytest.mark.parametrize(
    "settings",
    [{}, {"trackers": 3}, {"trackers": {}}, {"trackers": {"fairmot": []}}, {"tracker": ["sort"]}],
)
def test_headers_without_settings_have_none(settings):
    assert fitted_settings(settings, "fairmot") == {}
    assert fitted_tracker(settings) is None
    assert fitted_tracker({"tracker": "unheard-of"}) is None


@pytest.mark.parametrize("table", [{"conf_thres": "high"}, {"conf_thres": 7}, {"no_such": 1}])
def test_settings_that_do_not_fit_the_tracker_are_refused(tmp_path, table):
    path = cache(tmp_path, trackers={"fairmot": table})
    with pytest.raises(CacheError, match="do not fit.*give published"):
        mottool.track(mottool.open_cache(path))
    assert len(mottool.track(mottool.open_cache(path), published=True)) == 2 * len(STEPS)


def test_python_starts_from_them_too(tmp_path):
    opened = mottool.open_cache(cache(tmp_path, **TABLES))
    assert len(mottool.track(opened)) == 2 * len(STEPS)  # bytetrack, above 0.5
    assert len(mottool.track(opened, "fairmot")) == 0
    assert len(mottool.track(opened, "fairmot", conf_thres=0.5)) == 2 * len(STEPS)
    assert len(mottool.track(opened, "fairmot", published=True)) == 2 * len(STEPS)


# Settings that the authors derive from others


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({}, 0.7), ({"track_thresh": 0.3}, 0.4), ({"track_thresh": 0.3, "det_thresh": 0.9}, 0.9)],
)
def test_bytetracks_creation_threshold_follows_the_tracking_threshold(given, wanted):
    assert ByteTrackSettings(**given).creation_threshold == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [({}, 0.4), ({"track_thresh": 0.2}, 0.3), ({"track_thresh": 0.6}, 0.6), ({"new_thresh": 1}, 1)],
)
def test_otracks_creation_threshold_follows_the_tracking_threshold(given, wanted):
    assert OTrackSettings(**given).creation_threshold == pytest.approx(wanted)
