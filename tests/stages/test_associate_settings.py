"""`mottool associate`: settings from flags and files, and what they are refused for."""

import dataclasses
import json
import re

import numpy as np
import pytest
from pair_caches import PAIR, STEPS, invoke, save_cache

from mottool.errors import SettingError


def read_record(tmp_path, sequence, tracker="fairmot", pipeline="pipe"):
    folder = tmp_path / "work" / "tracks" / f"{pipeline}.{tracker}.settings"
    return json.loads((folder / f"{sequence}.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--max-age", "3"], "fairmot has no setting 'max_age'"),
        (["--set", "conf_thresh=0.5"], "did you mean 'conf_thres'"),
        (["--set", "conf_thres"], "has no value"),
        (["--second", "IoU 0.5", "--set", "second=0.6"], "disagree"),
        (["--second", "2"], "second cannot be 2.0"),
        (["--track-buffer", "-1"], "at least 0"),
    ],
)
def test_invalid_settings_are_usage_errors(tmp_path, arguments, message):
    save_cache(tmp_path)
    done = invoke(tmp_path, *arguments)
    assert isinstance(done.exception, SettingError)
    assert message in str(done.exception)
    assert not (tmp_path / "work" / "tracks").exists()


def test_settings_file_tables_apply_by_sequence_and_flags_override_them(tmp_path):
    save_cache(tmp_path, sequence="MOT17-05-SDP")
    save_cache(tmp_path, sequence="MOT17-09-SDP")
    file = tmp_path / "settings.toml"
    file.write_text(
        'tracker = "sort"\n[default]\nmax_age = 2\nmin_score = 0.5\n'
        '["MOT17-05*"]\nmax_age = 7\nmin_hits = 2\n[KITTI-13]\nmax_age = 9\n'
    )
    done = invoke(tmp_path, "--settings", file, "--min-hits", 1)
    assert done.exit_code == 0, done.output
    assert f"{file} [KITTI-13] fits none of these sequences" in done.stderr
    five, nine = (read_record(tmp_path, f"MOT17-{n}-SDP", "sort@settings") for n in ("05", "09"))
    assert (five["settings"]["max_age"], nine["settings"]["max_age"]) == (7, 2)
    assert five["settings"]["min_hits"] == nine["settings"]["min_hits"] == 1
    assert five["input"]["min_score"] == 0.5


@pytest.mark.parametrize(
    ("arguments", "text", "message"),
    [
        (["--tracker", "jde"], 'tracker = "sort"', "--tracker is jde, but the settings are for"),
        ([], 'tracker = "sorted"', "'sorted', which is not a tracker. Fix: did you mean 'sort'"),
        ([], "[a]\nmax_age = 3", r"\[a\]: fairmot has no setting 'max_age'"),
    ],
)
def test_settings_file_of_another_tracker_is_refused(tmp_path, arguments, text, message):
    save_cache(tmp_path)
    file = tmp_path / "settings.toml"
    file.write_text(text)
    done = invoke(tmp_path, "--settings", file, *arguments)
    assert isinstance(done.exception, SettingError)
    assert re.search(message, str(done.exception))


def test_input_filters_are_applied_and_recorded(tmp_path):
    of_two = [dataclasses.replace(frame, classes=np.array([0, 2], np.uint16)) for frame in PAIR]
    save_cache(tmp_path, of_two)
    done = invoke(tmp_path, "--classes", "2,3", "--min-score", 0.3, "--fixed-rate")
    assert done.exit_code == 0, done.output
    record = read_record(tmp_path, "seq")
    assert record["rows"] == len(STEPS)
    assert record["input"] == {
        "classes": [2, 3],
        "min_score": 0.3,
        "fixed_rate": True,
        "public": None,
    }


def test_unused_and_ambiguous_public_detections_are_refused(tmp_path):
    save_cache(tmp_path, sequence="a")
    save_cache(tmp_path, sequence="b")
    (tmp_path / "det.txt").write_text("1,-1,30,50,40,100,0.9\n")
    for tracker in ("fairmot", "outrack"):
        done = invoke(tmp_path, "--tracker", tracker, "--public", tmp_path)
        assert "add --track-type public_track" in str(done.exception)
    arguments = ["--track-type", "public_track", "--public", tmp_path / "det.txt"]
    done = invoke(tmp_path, "--tracker", "outrack", *arguments)
    assert "one file for 2 sequences" in str(done.exception)


def test_optional_setting_accepts_none(tmp_path):
    save_cache(tmp_path)
    done = invoke(tmp_path, "--tracker", "sort", "--score-filter", "none")
    assert done.exit_code == 0, done.output
    assert read_record(tmp_path, "seq", "sort")["settings"]["score_filter"] is None


def test_public_tracking_requires_public_detections(tmp_path):
    save_cache(tmp_path)
    arguments = ["--tracker", "outrack", "--track-type", "public_track"]
    assert "give them with --public" in str(invoke(tmp_path, *arguments).exception)
    (tmp_path / "seq.txt").write_text("1,-1,30,50,40,100,0.9\n")
    done = invoke(tmp_path, *arguments, "--public", tmp_path)
    assert done.exit_code == 0, done.output
    assert read_record(tmp_path, "seq", "outrack")["identities"] == 1


def test_results_of_other_settings_are_kept_apart_or_reported(tmp_path):
    for name in ("a", "b"):
        save_cache(tmp_path, sequence=name)
    caches, folder = tmp_path / "work/caches/pipe", tmp_path / "work/tracks/pipe.sort"
    assert invoke(tmp_path, "--tracker", "sort").stderr == ""
    assert invoke(tmp_path, "--tracker", "sort").stderr == ""  # of the same settings
    done = invoke(tmp_path, caches / "a.h5", "--tracker", "sort", "--max-age", 7)
    replaced = f"mottool: {folder}: replaces a of other settings (max_age 1, now 7); to keep both"
    assert done.stderr.startswith(replaced)
    assert f"{folder} mixes results of different settings: max_age is 7 of a" in done.stderr
    (tmp_path / "best.2.toml").write_text('tracker = "sort"\n[default]\nmax_age = 9\n')
    assert invoke(tmp_path, "--settings", tmp_path / "best.2.toml").stderr == ""
    assert read_record(tmp_path, "a", "sort@best_2")["settings"]["max_age"] == 9
    assert read_record(tmp_path, "a", "sort")["settings"]["max_age"] == 7
