"""`mottool tune` on a small scene whose best settings are known."""

import csv
import dataclasses
import json
import re
import signal
import subprocess
import sys
import time
from functools import partial

import cv2
import numpy as np
import pytest
from caches import HEADER, write
from click.testing import CliRunner
from streams import walkers

from mottool.errors import BusyError, CacheError, InputError, SettingError
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.stages.associate import command as associate
from mottool.stages.evaluate import run as evaluate
from mottool.stages.tune import Config, command, run
from mottool.tuning.objective import FIGURES, Objective

FRAMES = 30


def scene(folder, names=("one", "two")):
    """Write caches and ground truth of two people, one of whom is hidden for four frames.

    People score 0.9; false positives that jump about score 0.5.
    """
    caches, truth = [], folder / "truth"
    truth.mkdir(parents=True)
    for shift, name in enumerate(names):
        people = [[(60 + 6 * t + shift, 120), (400 - 6 * t, 300)] for t in range(FRAMES)]
        frames = []
        for t, centres in enumerate(people):
            visible = centres[: 1 if 10 <= t < 14 else 2]
            # A false positive stays for three frames, long enough to start a track.
            false_positive, embedding = (70 * (t // 3 % 8) + 40, 420), 2 + t // 3 % 4
            embeddings = [*[0, 1][: len(visible)], embedding]
            (detections,) = walkers([[*visible, false_positive]], [embeddings])
            scores = np.where(np.arange(len(detections)) < len(visible), 0.9, 0.5).astype(
                np.float32
            )
            frames.append(dataclasses.replace(detections, scores=scores))
        header = dataclasses.replace(HEADER, sequence=name, fps=30.0)
        caches.append(write(folder / "work" / "caches" / "pipe" / f"{name}.h5", frames, header))
        rows = [
            f"{t + 1},{identity + 1},{x - 20},{y - 50},40,100,1,-1,-1,-1"
            for t, centres in enumerate(people)
            for identity, (x, y) in enumerate(centres)
        ]
        (truth / f"{name}.txt").write_text("\n".join(rows) + "\n")
    return caches, [truth]


SEARCH = ["conf_thres=0.3,0.6,0.95", "fill_gaps=0,5"]
GRID = Config(method="grid", objective="MOTA")


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_best_settings_are_written_beside_all_trials(tmp_path):
    caches, truth = scene(tmp_path)
    best = run(caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
    assert "# MOTA " in best.read_text()
    assert "# one: MOTA " in best.read_text()
    assert 'tracker = "fairmot"\n\n[default]\nconf_thres = 0.6\nfill_gaps = 5\n' in best.read_text()
    rows = table(tmp_path / "out" / "trials.csv")
    assert [row["trial"] for row in rows] == list("0123456")
    assert (rows[0]["conf_thres"], rows[0]["fill_gaps"]) == ("0.4", "0")  # the published ones
    complete = [row for row in rows if not row["stopped"]]
    scores = {(row["conf_thres"], row["fill_gaps"]): float(row["MOTA"]) for row in complete}
    assert scores["0.6", "5"] == max(scores.values()) > scores["0.6", "0"] > scores["0.3", "0"]
    plot = cv2.imread(str(tmp_path / "out" / "trials.png"))
    assert plot.shape[1] > 2 * plot.shape[0]  # three panels beside each other
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "best.toml",
        "search.json",
        "trials.csv",
        "trials.png",
    ]


def test_a_folder_holds_one_search_at_a_time(tmp_path):
    caches, truth = scene(tmp_path)
    search = partial(run, caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
    refused = []

    def search_again(trials, *_):
        for trial in trials:
            with pytest.raises(BusyError, match="another process is writing to"):
                search(overwrite=True)
            refused.append(trial.number)
            yield trial

    best = search(progress=search_again).read_text()
    assert len(refused) == len(table(tmp_path / "out" / "trials.csv")) == 7
    assert search(overwrite=True).read_text() == best


def test_the_camera_is_still_if_a_flag_says_so(tmp_path):
    scene(tmp_path)
    words = ["--tracker", "botsort", "--no-camera-motion", "--search", "track_buffer=20,30"]
    words += ["--method", "grid", "--work", tmp_path / "work", "--gt", tmp_path / "truth"]
    done = CliRunner().invoke(command, list(map(str, words)))
    assert done.exit_code == 0, done.output + repr(done.exception)
    (best,) = tmp_path.glob("work/tuning/*/best.toml")
    assert "camera_motion = false" in best.read_text()


def test_the_scores_are_those_of_associate_and_evaluate(tmp_path):
    _, truth = scene(tmp_path)
    work = ["--work", str(tmp_path / "work")]
    words = ["--gt", str(truth[0]), "--search", "conf_thres=0.3:0.8", "--search", "smooth=rts"]
    words += ["--set", "second=IoU 0.6", "--trials", "4", "--jobs", "1", "--json"]
    words += ["--method", "random"]
    done = CliRunner().invoke(command, [*work, *words])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)["done"][0]
    assert report["path"] == str(tmp_path / "work/tuning/pipe.fairmot/best.toml")
    assert (report["trials"], report["objective"]) == (4, "HOTA")
    assert report["default"] < report["score"]
    assert report["by_sequence"].keys() == {"one", "two"}
    assert report["worse"] == []
    assert report["settings"].keys() == {"second", "conf_thres", "smooth"}
    linked = CliRunner().invoke(associate, [*work, "--settings", report["path"], "--jobs", "1"])
    assert linked.exit_code == 0, linked.output
    scored = evaluate([tmp_path / "work/tracks/pipe.fairmot@best"], truth, tmp_path / "scores.csv")
    combined = next(row for row in table(scored) if "COMBINED" in row.values())
    trials = table(tmp_path / "work/tuning/pipe.fairmot/trials.csv")
    best = max(trials, key=lambda row: float(row["HOTA"] or 0))
    assert float(best["HOTA"]) == report["score"]
    for name in FIGURES:
        assert float(best[name]) == pytest.approx(float(combined[name]), abs=1e-9)


@pytest.mark.parametrize("method", ["random", "grid"])
def test_several_workers_get_the_same_results_as_one(tmp_path, method):
    caches, truth = scene(tmp_path)
    config = Config(method=method, trials=7, seed=3)
    for jobs in (1, 2):
        run(caches, truth, tmp_path / str(jobs), search=SEARCH, config=config, jobs=jobs)
    for name in ("trials.csv", "best.toml", "search.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_killed_search_is_resumed(tmp_path):
    caches, truth = scene(tmp_path)
    search, trials = ["conf_thres=0.3:0.9", "second=0.2:0.9"], 24
    config = Config(trials=trials)  # of optuna's sampler
    words = ["--work", tmp_path / "work", "--gt", truth[0], "--trials", trials, "--jobs", 1]
    words += [word for text in search for word in ("--search", text)]
    process = subprocess.Popen([sys.executable, "-m", "mottool", "tune", *map(str, words)])
    path = tmp_path / "work/tuning/pipe.fairmot/trials.csv"
    while not path.exists() or len(path.read_bytes().splitlines()) < 4:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = path.read_bytes().rpartition(b"\n")[0].splitlines()
    assert 4 <= len(kept) <= trials
    calls = []

    def progress(trials, total, done):
        calls.append((total, done))
        for trial in trials:
            calls.append(trial.number)
            yield trial

    run(caches, truth, path.parent, search=search, config=config, progress=progress)
    done = len(kept) - 1
    assert calls == [(trials, done), *range(done, trials)]
    assert path.read_bytes().splitlines()[: len(kept)] == kept
    run(caches, truth, tmp_path / "uninterrupted", search=search, config=config)
    assert (tmp_path / "uninterrupted" / "trials.csv").read_bytes() == path.read_bytes()


def test_another_objective_and_more_trials_use_earlier_trials(tmp_path):
    caches, truth = scene(tmp_path, ["one"])
    missing = []

    def progress(trials, total, done):
        missing.append(total - done)
        return trials

    options = {"search": ["conf_thres=0.3:0.9"], "progress": progress}
    for trials, objective in [(2, "HOTA"), (2, "MOTA"), (5, "HOTA")]:
        config = Config(method="random", trials=trials, objective=objective)
        run(caches, truth, tmp_path / "out", config=config, **options)
    assert missing == [2, 0, 3]


def test_optuna_searches_and_resumes(tmp_path):
    caches, truth = scene(tmp_path, ["one"])
    search = ["conf_thres=0.3:0.95", "fill_gaps=0,5"]
    for trials in (3, 6):
        config = Config(method="optuna", trials=trials)
        run(caches, truth, tmp_path / "out", search=search, config=config)
    assert len(table(tmp_path / "out" / "trials.csv")) == 6


def test_an_interrupted_search_keeps_its_trials(tmp_path):
    caches, truth = scene(tmp_path, ["one"])

    def progress(trials, total, done):
        yield next(iter(trials))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(caches, truth, tmp_path, search=SEARCH, config=GRID, jobs=2, progress=progress)
    assert len(table(tmp_path / "trials.csv")) >= 1
    assert not (tmp_path / "best.toml").exists()


def test_the_objective_takes_the_length_of_a_sequence_from_its_ground_truth(tmp_path):
    (cache,), (truth,) = scene(tmp_path, ["one"])
    objective = Objective(
        "fairmot", {}, ((cache, "one", GroundTruthFile("one", truth / "one.txt", FRAMES - 5)),)
    )
    with pytest.raises(InputError, match="lies beyond the last one"):
        objective.score((0, {}))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--search", "conf_thresh=0:1"], "did you mean 'conf_thres'"),
        (["--search", "conf_thres=0:1", "--set", "conf-thres=0.5"], "is set and searched"),
        (["--search", "conf_thres=0:1", "--set", "nonsense=1"], "no setting 'nonsense'"),
        (["--search", "conf_thres=0:1", "--method", "grid"], "give a step"),
        (["--search", "second=0:1:0.5", "--method", "grid", "--trials", "2"], "--trials 3"),
        (["--tracker", "bytetrack", "--search", "low_thresh=0.7:1"], "is above track_thresh 0.6"),
        (["--search", "second=0:2"], "at most 1"),
    ],
)
def test_invalid_searches_are_usage_errors(tmp_path, words, message):
    _, truth = scene(tmp_path, ["one"])
    work = ["--work", str(tmp_path / "work"), "--gt", str(truth[0])]
    done = CliRunner().invoke(command, [*work, *words])
    assert isinstance(done.exception, SettingError)
    assert message in str(done.exception)
    assert not (tmp_path / "work" / "tuning").exists()


def test_what_the_best_settings_make_worse_is_reported(tmp_path):
    _, (truth,) = scene(tmp_path, ["one"])
    # A person who scores as low as the false positives of the other sequence.
    frames = [walkers([[(60 + 6 * t, 120)]], [[0]])[0] for t in range(12)]
    low = np.full(1, 0.5, np.float32)
    frames = [dataclasses.replace(detections, scores=low) for detections in frames]
    header = dataclasses.replace(HEADER, sequence="faint", fps=30.0)
    write(tmp_path / "work" / "caches" / "pipe" / "faint.h5", frames, header)
    rows = [f"{t + 1},1,{40 + 6 * t},70,40,100,1,-1,-1,-1\n" for t in range(12)]
    (truth / "faint.txt").write_text("".join(rows))
    words = ["--work", tmp_path / "work", "--gt", truth, "--method", "grid", "--jobs", 1]
    words += ["--search", "conf_thres=0.6", "--objective", "MOTA"]
    done = CliRunner().invoke(command, list(map(str, words)))
    assert done.exit_code == 0, done.output
    assert re.search(
        r"best.toml  MOTA \S+ → \S+, the best of 2 trials: conf_thres 0.4 →", done.stdout
    )
    assert re.search(r"^faint +default +100.0.*\nfaint +best +0.0", done.stdout, re.M)
    expected = "worse than with the default settings: faint: MOTA 100.0 → 0.0"
    assert done.stderr.startswith(f"mottool: {expected}")
    best = (tmp_path / "work/tuning/pipe.fairmot/best.toml").read_text()
    assert f"# W{expected[1:]}" in best


def test_a_trial_stops_when_perfect_tracks_of_the_rest_would_not_do(tmp_path):
    caches, truth = scene(tmp_path)
    search, config = ["conf_thres=0.95,0.6"], Config(method="grid", objective="MOTA")
    run(caches, truth, tmp_path / "out", search=search, config=config)
    default, hopeless, best = table(tmp_path / "out" / "trials.csv")
    assert (hopeless["stopped"], hopeless["MOTA"], hopeless["MOTA two"]) == ("MOTA", "", "")
    assert float(hopeless["MOTA one"]) == 0
    assert float(best["MOTA"]) > float(default["MOTA"]) > 0.5  # MOTA of half of the boxes


def test_unusable_caches_are_refused(tmp_path):
    caches, truth = scene(tmp_path)
    boxes_only = write(
        tmp_path / "boxes_only.h5",
        [dataclasses.replace(walkers([[(9, 9)]], [[0]])[0], embeddings=None)],
        dataclasses.replace(HEADER, sequence="one"),
    )
    for paths, error, match in [
        ([boxes_only], CacheError, "no embeddings"),
        ([caches[0], boxes_only], InputError, "two caches are of the sequence one"),
        ([write(tmp_path / "x.h5", [])], InputError, "no ground truth for 'seq'"),
    ]:
        with pytest.raises(error, match=match):
            run(paths, truth, tmp_path / "out", search=SEARCH, config=GRID)
    done = CliRunner().invoke(command, ["--work", str(tmp_path / "none"), "--gt", str(truth[0])])
    assert "run mottool detect-embed first" in str(done.exception)


def test_a_search_on_other_ground_truth_or_camera_motion_is_not_resumed(tmp_path):
    """Trials of both would be compared."""
    caches, truth = scene(tmp_path)
    run(caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
    path = truth[0] / "one.txt"
    rows = path.read_text()
    path.write_text("".join(rows.splitlines(keepends=True)[:20]))
    with pytest.raises(SettingError, match="holds a search on other ground truth"):
        run(caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
    path.write_text(rows)
    run(caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
    motion = tmp_path / "work/camera-motion/one.h5"
    motion.parent.mkdir()
    motion.write_bytes(b"of another method")
    with pytest.raises(SettingError, match="holds a search on other camera motion"):
        run(caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
