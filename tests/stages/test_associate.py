"""`mottool associate`: result files, recorded settings, parallel runs, and refused inputs."""

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from threading import Thread

import numpy as np
import pytest
from caches import HEADER, write
from click.testing import CliRunner
from streams import crowd, reference, walkers, wanted

import mottool.files
from mottool.association.registry import FairMOTSettings
from mottool.association.sequence_settings import PostprocessSettings
from mottool.errors import CacheError, SettingError
from mottool.files import file_digest
from mottool.motchallenge.rows import read_rows
from mottool.records.record import record_of
from mottool.stages.associate import command, run

STEPS = range(0, 60, 4)
PAIR = walkers([[(50 + x, 100), (350 - x, 300)] for x in STEPS], [[0, 1] for _ in STEPS])
BARE = [dataclasses.replace(frame, embeddings=None) for frame in PAIR]
EMPTY = walkers([[]] * 3, [[]] * 3)


def header(sequence="seq", pipeline="pipe", fps=30.0):
    return dataclasses.replace(HEADER, sequence=sequence, pipeline=pipeline, fps=fps)


def save_cache(tmp_path, frames=PAIR, sequence="seq", pipeline="pipe"):
    """Write a cache into the work folder."""
    path = tmp_path / "work" / "caches" / pipeline / f"{sequence}.h5"
    return write(path, frames, header(sequence, pipeline))


def invoke(tmp_path, *arguments):
    arguments = [str(word) for word in arguments]
    return CliRunner().invoke(command, ["--work", str(tmp_path / "work"), *arguments])


def files(folder):
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


@pytest.mark.parametrize("early", [True, False])
def test_a_result_has_its_own_record_if_another_process_tracks_it_too(tmp_path, monkeypatch, early):
    """The other one begins before or after the first one has renamed its tracks."""
    cache, out = save_cache(tmp_path), tmp_path / "out" / "seq.txt"
    other = Thread(target=run, args=(cache, out, "sort"))
    replace_file = mottool.files.replace_file

    def replace_slowly(temporary, path):
        if other.ident is not None:  # it has begun
            replace_file(temporary, path)
            return
        steps = [partial(replace_file, temporary, path), other.start]
        for step in reversed(steps) if early else steps:
            step()
        other.join(1)

    monkeypatch.setattr(mottool.files, "replace_file", replace_slowly)
    run(cache, out, "fairmot", postprocessing=PostprocessSettings(min_track_length=10**6))
    other.join()
    record = json.loads(record_of(out).read_text())
    assert record["sha256"] == file_digest(out)
    assert (record["tracker"] == "sort") == (out.stat().st_size > 0)
    assert files(tmp_path / "out") == ["seq.txt"]
    assert [path.name for path in record_of(out).parent.iterdir()] == ["seq.json"]


@pytest.mark.parametrize("tracker", ["fairmot", "sort"])
def test_result_rows_equal_those_of_the_authors_code(tmp_path, tracker):
    stream = reference("TUD-Stadtmitte")
    cache = write(tmp_path / "a.h5", stream.frames, header(fps=stream.video.frame_rate))
    above = {"fairmot": FairMOTSettings(conf_thres=0.6)}  # the threshold of the reference
    out = run(cache, tmp_path / "out" / "a.txt", tracker, settings=above.get(tracker))
    rows = read_rows(out, "result")
    theirs = wanted("TUD-Stadtmitte", tracker)
    np.testing.assert_array_equal(rows.frames, theirs[:, 0])
    np.testing.assert_array_equal(rows.ids, theirs[:, 1])
    np.testing.assert_allclose(rows.tlwh, theirs[:, 2:6], atol=1e-3)
    np.testing.assert_allclose(rows.rest[:, 0], theirs[:, 6], atol=1e-3)


def test_every_cache_of_the_work_folder_is_associated_by_default(tmp_path):
    save_cache(tmp_path)
    save_cache(tmp_path, EMPTY, "none", "other+one")
    done = invoke(tmp_path)
    assert done.exit_code == 0, done.output
    assert files(tmp_path / "work" / "tracks") == [
        "other+one.fairmot.settings/none.json",
        "other+one.fairmot/none.txt",
        "pipe.fairmot.settings/seq.json",
        "pipe.fairmot/seq.txt",
    ]
    lines = (tmp_path / "work/tracks/pipe.fairmot/seq.txt").read_text().splitlines()
    assert lines[0] == "1,1,30.0000,50.0000,40.0000,100.0000,0.9000,-1,-1,-1"
    assert len(lines) == 2 * len(STEPS)
    assert (tmp_path / "work/tracks/other+one.fairmot/none.txt").read_text() == ""
    assert f"seq.txt  {2 * len(STEPS)} rows, 2 identities, " in done.output


def test_settings_and_counts_are_recorded_beside_the_result(tmp_path):
    cache = save_cache(tmp_path)
    arguments = ["--conf-thres", 0.5, "--set", "second=IoU 0.6", "--set", "track-buffer=20"]
    assert invoke(tmp_path, *arguments).exit_code == 0
    record = json.loads((tmp_path / "work/tracks/pipe.fairmot.settings/seq.json").read_text())
    assert record["tracker"] == "fairmot"
    assert record["settings"] == {
        **dataclasses.asdict(FairMOTSettings()),
        "conf_thres": 0.5,
        "second": 0.6,
        "track_buffer": 20,
    }
    assert record["cache"] == str(cache)
    assert record["source_hash"] == HEADER.source_hash
    assert record["rows"] == 2 * len(STEPS)
    assert record["identities"] == 2
    other = write(tmp_path / "other.h5", PAIR, header(fps=29.0))
    run(other, tmp_path / "out" / "seq.txt")
    again = json.loads(record_of(tmp_path / "out" / "seq.txt").read_text())
    assert len(again["cache_header"]) == 64
    assert again["cache_header"] != record["cache_header"]


def test_out_folder_gets_all_files(tmp_path):
    cache = write(tmp_path / "a.h5", BARE, header())
    done = invoke(tmp_path, cache, "--tracker", "sort", "--out", tmp_path / "mine", "--json")
    assert files(tmp_path / "mine") == ["seq.txt"]
    assert files(tmp_path / "mine.settings") == ["seq.json"]
    entry = json.loads(done.stdout)["done"][0]
    assert entry["path"] == str(tmp_path / "mine" / "seq.txt")
    assert (entry["rows"], entry["identities"], entry["frames"]) == (2 * len(STEPS), 2, len(STEPS))
    assert entry["frames_per_second"] > 0
    assert not (tmp_path / "work").exists()


def test_missing_embeddings_error_names_an_embedder_and_another_tracker(tmp_path):
    cache = write(tmp_path / "a.h5", BARE, header())
    with pytest.raises(
        CacheError, match="no embeddings, which fairmot.*--embedder histogram.*sort"
    ):
        run(cache, tmp_path / "out" / "a.txt")
    assert files(tmp_path) == ["a.h5"]


def test_failed_sequence_does_not_stop_the_others(tmp_path):
    save_cache(tmp_path, BARE, "a")
    save_cache(tmp_path, PAIR, "b")
    done = invoke(tmp_path)
    assert done.exit_code == 1
    assert "mottool: a: " in done.stderr
    assert files(tmp_path / "work" / "tracks") == [
        "pipe.fairmot.settings/b.json",
        "pipe.fairmot/b.txt",
    ]


def test_results_do_not_depend_on_the_number_of_processes(tmp_path):
    for number in range(5):
        save_cache(tmp_path, list(crowd(20, 12, seed=number)), f"crowd-{number}")
    save_cache(tmp_path, BARE, "bare")
    message = {}
    for jobs in (1, 3):
        done = invoke(tmp_path, "--jobs", jobs, "--out", tmp_path / str(jobs), "--json")
        assert done.exit_code == 1
        message[jobs] = json.loads(done.stdout)
        assert [each["sequence"] for each in message[jobs]["failed"]] == ["bare"]
        assert [each["sequence"] for each in message[jobs]["done"]] == [
            f"crowd-{n}" for n in range(5)
        ]
    assert message[1]["failed"] == message[3]["failed"]
    for folder in ("{}", "{}.settings"):
        one, three = (tmp_path / folder.format(jobs) for jobs in (1, 3))
        assert len(files(one)) == 5
        for name in files(one):
            texts = [(each / name).read_text() for each in (one, three)]
            if name.endswith(".json"):  # the times differ
                records = [json.loads(text) for text in texts]
                assert [record.pop("processes") for record in records] == [1, 3]
                for key in ("seconds", "record_sha256"):
                    assert all(record.pop(key) for record in records)
                texts = [json.dumps(record) for record in records]
            assert texts[0] == texts[1]


def test_shards_cover_all_sequences_once(tmp_path):
    for name in "abc":
        save_cache(tmp_path, sequence=name)
    made = []
    for number in range(1, 5):
        done = invoke(tmp_path, "--shard", f"{number}/4", "--json")
        assert done.exit_code == 0, done.output
        made.append([each["sequence"] for each in json.loads(done.stdout)["done"]])
    assert made == [["a"], ["b"], ["c"], []]


def test_postprocessing_fills_gaps_and_is_recorded(tmp_path):
    gap = [*PAIR[:5], *walkers([[]] * 2, [[]] * 2), *PAIR[7:]]
    save_cache(tmp_path, gap)
    plain = invoke(tmp_path, "--jobs", 1, "--out", tmp_path / "plain")
    assert plain.exit_code == 0, plain.output
    arguments = ["--fill-gaps", 3, "--smooth", "rts", "--min-track-length", 2]
    assert invoke(tmp_path, *arguments, "--out", tmp_path / "done").exit_code == 0
    before, after = (read_rows(tmp_path / name / "seq.txt", "result") for name in ("plain", "done"))
    assert 6 not in before.frames
    assert (np.bincount(after.frames)[1:] == 2).all()
    record = json.loads((tmp_path / "done.settings" / "seq.json").read_text())
    assert record["rows"] == len(after)
    assert record["finishing"] == {
        "min_track_length": 2,
        "fill_gaps": 3,
        "smooth": "rts",
        "smooth_tau": 10.0,
    }


def group_exists(group):
    """Return whether any process of a group exists."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_ends_every_worker_and_leaves_complete_files_only(tmp_path):
    frames = [dataclasses.replace(frame, embeddings=None) for frame in crowd(100, 80)] * 12
    for number in range(4):
        save_cache(tmp_path, frames, f"long-{number}")
    out = tmp_path / "out"
    arguments = ["--work", tmp_path / "work", "--out", out, "--tracker", "sort", "--jobs", 2]
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "mottool", "associate", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a process group, as a shell gives a command
    )
    while not out.exists() or not files(out):  # the first sequence is done
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, message = process.communicate(timeout=60)
    assert process.returncode == 130
    assert message.strip().startswith("mottool: interrupted.")
    assert message.strip().count("\n") == 0
    for name in files(out):
        assert len(set(read_rows(out / name, "result").frames)) > 1100
    assert len(files(out)) < 4
    assert not [name for name in files(tmp_path) if "part" in name]
    while group_exists(process.pid):  # the operating system takes a moment to end the workers
        assert time.monotonic() < began + 60
        time.sleep(0.01)


def test_two_caches_with_one_result_path_are_refused(tmp_path):
    save_cache(tmp_path, pipeline="one")
    save_cache(tmp_path, pipeline="two")
    done = invoke(tmp_path, "--out", tmp_path / "mine")
    assert done.exit_code == 1
    assert "would both be written to" in done.stderr
    assert files(tmp_path / "mine") == ["seq.txt"]


def test_missing_caches_are_an_error(tmp_path):
    done = invoke(tmp_path)
    assert "run mottool detect-embed first" in str(done.exception)


@pytest.mark.parametrize("text", ["nonsense", ""])
def test_invalid_caches_are_refused(tmp_path, text):
    (tmp_path / "a.h5").write_text(text)
    done = invoke(tmp_path, tmp_path / "a.h5")
    assert done.exit_code == 1
    assert "Fix: " in done.stderr
    assert files(tmp_path) == ["a.h5"]


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


def test_path_separators_in_cache_names_do_not_leave_the_work_folder(tmp_path):
    cache = write(tmp_path / "a.h5", PAIR, header("../../evil", "../up"))
    assert invoke(tmp_path, cache).exit_code == 0
    assert all("evil" not in name or name.startswith("work/tracks/") for name in files(tmp_path))
    assert len(files(tmp_path / "work" / "tracks")) == 2


def test_interrupted_run_leaves_no_result(tmp_path):
    cache = write(tmp_path / "a.h5", PAIR, header())

    def watch(frames):
        yield next(iter(frames))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(cache, tmp_path / "out" / "a.txt", "sort", progress=watch)
    assert files(tmp_path) == ["a.h5"]


def read_record(tmp_path, sequence, tracker="fairmot", pipeline="pipe"):
    folder = tmp_path / "work" / "tracks" / f"{pipeline}.{tracker}.settings"
    return json.loads((folder / f"{sequence}.json").read_text())


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


def test_missing_optional_data_is_reported_once(tmp_path):
    save_cache(tmp_path, sequence="a")
    save_cache(tmp_path, sequence="b")
    done = invoke(tmp_path, "--tracker", "outrack", "--jobs", 1)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("no occlusion centres: outrack recovers no lost") == 1


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
