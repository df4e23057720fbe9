"""`mottool associate`: result files, recorded settings, parallel runs, and refused inputs."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from threading import Thread

import numpy as np
import pytest
from caches import HEADER, write
from pair_caches import BARE, EMPTY, PAIR, STEPS, header, invoke, save_cache
from streams import crowd, reference, walkers, wanted

import mottool.files
from mottool.association.registry import FairMOTSettings
from mottool.association.sequence_settings import PostprocessSettings
from mottool.errors import CacheError
from mottool.files import file_digest
from mottool.motchallenge.rows import read_rows
from mottool.records.record import record_of
from mottool.stages.associate import run


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
