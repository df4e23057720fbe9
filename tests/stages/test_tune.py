"""`mottool tune` on a small scene whose best settings are planted."""

import csv
import dataclasses
import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from caches import HEADER, write
from click.testing import CliRunner
from streams import walkers

from mottool.errors import CacheError, InputError, SettingError
from mottool.metrics.inputs import GroundTruthFile
from mottool.stages.associate import command as associate
from mottool.stages.evaluate import run as evaluate
from mottool.stages.tune import Config, command, run
from mottool.tuning.objective import FIGURES, Objective

FRAMES = 30


def scene(folder, names=("one", "two")):
    """Caches and ground truth: two people score 0.9, ghosts that jump about 0.5, and who is
    hidden for four frames comes back."""
    caches, truth = [], folder / "truth"
    truth.mkdir(parents=True)
    for shift, name in enumerate(names):
        people = [[(60 + 6 * t + shift, 120), (400 - 6 * t, 300)] for t in range(FRAMES)]
        frames = []
        for t, places in enumerate(people):
            seen = places[: 1 if 10 <= t < 14 else 2]
            # A ghost stands still for three frames, long enough to be taken for somebody.
            ghost, look = (70 * (t // 3 % 8) + 40, 420), 2 + t // 3 % 4
            (found,) = walkers([[*seen, ghost]], [[*[0, 1][: len(seen)], look]])
            scores = np.where(np.arange(len(found)) < len(seen), 0.9, 0.5).astype(np.float32)
            frames.append(dataclasses.replace(found, scores=scores))
        header = dataclasses.replace(HEADER, sequence=name, fps=30.0)
        caches.append(write(folder / "work" / "caches" / "pipe" / f"{name}.h5", frames, header))
        rows = [
            f"{t + 1},{who + 1},{x - 20},{y - 50},40,100,1,-1,-1,-1"
            for t, places in enumerate(people)
            for who, (x, y) in enumerate(places)
        ]
        (truth / f"{name}.txt").write_text("\n".join(rows) + "\n")
    return caches, [truth]


SEARCH = ["conf_thres=0.3,0.6,0.95", "fill_gaps=0,5"]
GRID = Config(method="grid", objective="MOTA")


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_planted_settings_are_found_and_everything_is_kept(tmp_path):
    caches, truth = scene(tmp_path)
    best = run(caches, truth, tmp_path / "out", search=SEARCH, config=GRID)
    assert 'tracker = "fairmot"\n\n[default]\nconf_thres = 0.6\nfill_gaps = 5\n' in best.read_text()
    rows = table(tmp_path / "out" / "trials.csv")
    assert [row["trial"] for row in rows] == list("012345")
    scores = {(row["conf_thres"], row["fill_gaps"]): float(row["MOTA"]) for row in rows}
    assert scores["0.6", "5"] == max(scores.values()) > scores["0.6", "0"] > scores["0.3", "0"]
    picture = cv2.imread(str(tmp_path / "out" / "trials.png"))
    assert picture.shape[1] > 2 * picture.shape[0]  # three panels beside each other
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "best.toml",
        "search.json",
        "trials.csv",
        "trials.png",
    ]


def test_the_scores_are_those_of_associate_and_evaluate(tmp_path):
    _, truth = scene(tmp_path)
    work = ["--work", str(tmp_path / "work")]
    words = ["--gt", str(truth[0]), "--search", "conf_thres=0.3:0.8", "--search", "smooth=rts"]
    words += ["--set", "second=IoU 0.6", "--trials", "4", "--jobs", "1", "--json"]
    done = CliRunner().invoke(command, [*work, *words])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)["done"][0]
    assert told["path"] == str(tmp_path / "work/tuning/pipe.fairmot/best.toml")
    assert (told["trials"], told["objective"]) == (4, "HOTA")
    assert told["settings"].keys() == {"second", "conf_thres", "smooth"}
    linked = CliRunner().invoke(associate, [*work, "--settings", told["path"], "--jobs", "1"])
    assert linked.exit_code == 0, linked.output
    scored = evaluate([tmp_path / "work/tracks/pipe.fairmot"], truth, tmp_path / "scores.csv")
    combined = next(row for row in table(scored) if "COMBINED" in row.values())
    best = max(
        table(tmp_path / "work/tuning/pipe.fairmot/trials.csv"), key=lambda row: float(row["HOTA"])
    )
    assert float(best["HOTA"]) == told["score"]
    for name in FIGURES:
        assert float(best[name]) == pytest.approx(float(combined[name]), abs=1e-9)


@pytest.mark.parametrize("method", ["random", "grid"])
def test_several_workers_find_what_one_finds(tmp_path, method):
    caches, truth = scene(tmp_path)
    config = Config(method=method, trials=6, seed=3)
    for jobs in (1, 2):
        run(caches, truth, tmp_path / str(jobs), search=SEARCH, config=config, jobs=jobs)
    for name in ("trials.csv", "best.toml", "search.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_search_that_was_killed_goes_on(tmp_path):
    caches, truth = scene(tmp_path)
    search, trials = ["conf_thres=0.3:0.9", "second=0.2:0.9"], 60
    config = Config(trials=trials)
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
    told = []

    def watch(made, total, done):
        told.append((total, done))
        for trial in made:
            told.append(trial.number)
            yield trial

    run(caches, truth, path.parent, search=search, config=config, watch=watch)
    done = len(kept) - 1
    assert told == [(trials, done), *range(done, trials)]
    assert path.read_bytes().splitlines()[: len(kept)] == kept
    run(caches, truth, tmp_path / "whole", search=search, config=config)
    assert (tmp_path / "whole" / "trials.csv").read_bytes() == path.read_bytes()


def test_another_objective_and_more_trials_use_what_is_there(tmp_path):
    caches, truth = scene(tmp_path, ["one"])
    begun = []

    def watch(made, total, done):
        begun.append(total - done)
        return made

    own = {"search": ["conf_thres=0.3:0.9"], "watch": watch}
    run(caches, truth, tmp_path / "out", config=Config(trials=2), **own)
    run(caches, truth, tmp_path / "out", config=Config(trials=2, objective="MOTA"), **own)
    run(caches, truth, tmp_path / "out", config=Config(trials=5), **own)
    assert begun == [2, 0, 3]


def test_optuna_searches_too_and_goes_on(tmp_path):
    caches, truth = scene(tmp_path, ["one"])
    search = ["conf_thres=0.3:0.95", "fill_gaps=0,5"]
    for trials in (3, 6):
        config = Config(method="optuna", trials=trials)
        run(caches, truth, tmp_path / "out", search=search, config=config)
    assert len(table(tmp_path / "out" / "trials.csv")) == 6


def test_what_was_interrupted_keeps_the_trials_that_were_done(tmp_path):
    caches, truth = scene(tmp_path, ["one"])

    def watch(made, total, done):
        yield next(iter(made))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(caches, truth, tmp_path, search=SEARCH, config=GRID, jobs=2, watch=watch)
    assert len(table(tmp_path / "trials.csv")) >= 1
    assert not (tmp_path / "best.toml").exists()


def test_the_judge_ends_a_sequence_where_its_ground_truth_says(tmp_path):
    (cache,), (truth,) = scene(tmp_path, ["one"])
    judge = Objective(
        "fairmot", {}, ((cache, "one", GroundTruthFile("one", truth / "one.txt", FRAMES - 5)),)
    )
    with pytest.raises(InputError, match="lies beyond the last one"):
        judge({})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--search", "conf_thresh=0:1"], "did you mean 'conf_thres'"),
        (["--search", "conf_thres=0:1", "--set", "conf-thres=0.5"], "is set and searched"),
        (["--search", "conf_thres=0:1", "--set", "nonsense=1"], "no setting 'nonsense'"),
        (["--search", "conf_thres=0:1", "--method", "grid"], "give a step"),
        (["--search", "second=0:1:0.5", "--method", "grid", "--trials", "2"], "--trials 3"),
        (["--search", "second=0:2"], "at most 1"),
    ],
)
def test_wrong_searches_are_wrong_usage(tmp_path, words, told):
    _, truth = scene(tmp_path, ["one"])
    work = ["--work", str(tmp_path / "work"), "--gt", str(truth[0])]
    done = CliRunner().invoke(command, [*work, *words])
    assert isinstance(done.exception, SettingError)
    assert told in str(done.exception)
    assert not (tmp_path / "work" / "tuning").exists()


def test_caches_that_cannot_be_searched_are_told(tmp_path):
    caches, truth = scene(tmp_path)
    bare = write(
        tmp_path / "bare.h5",
        [dataclasses.replace(walkers([[(9, 9)]], [[0]])[0], embeddings=None)],
        dataclasses.replace(HEADER, sequence="one"),
    )
    for given, kind, match in [
        ([bare], CacheError, "no embeddings"),
        ([caches[0], bare], InputError, "two caches are of the sequence one"),
        ([write(tmp_path / "x.h5", [])], InputError, "no ground truth for 'seq'"),
    ]:
        with pytest.raises(kind, match=match):
            run(given, truth, tmp_path / "out", search=SEARCH, config=GRID)
    done = CliRunner().invoke(command, ["--work", str(tmp_path / "none"), "--gt", str(truth[0])])
    assert "run mottool detect-embed first" in str(done.exception)
