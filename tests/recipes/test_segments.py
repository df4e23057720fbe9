"""Recipes that make the caches of long sequences in segments."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from distributed import LocalCluster
from footage import images, video

from mottool.cache.reader import Cache
from mottool.cli.main import cli
from mottool.engines.dask_cluster import DaskCluster
from mottool.errors import SettingError
from mottool.pipelines import detect_embed
from mottool.recipes.recipe import read_recipe
from mottool.recipes.run import RecipeRun
from mottool.workdir import WorkDir

RECIPE = """
work = "work"
segment_frames = 64
[[dataset]]
path = ["long", "short", "moving.mp4"]
[[pipeline]]
pipeline = "public"
embedder = "histogram"
boxes = "boxes"
[[tracker]]
tracker = "sort"
[produce]
comparison = false
"""
FRAMES = {"long": 200, "short": 64, "moving": 130}


@pytest.fixture
def folder(tmp_path):
    images(tmp_path / "long", FRAMES["long"])
    images(tmp_path / "short", FRAMES["short"])
    video(tmp_path / "moving.mp4", FRAMES["moving"])
    (tmp_path / "boxes").mkdir()
    for name, frames in FRAMES.items():
        rows = [f"{frame},-1,{frame % 20},4,20,30,0.9" for frame in range(1, frames + 1)]
        (tmp_path / "boxes" / f"{name}.txt").write_text("\n".join(rows) + "\n")
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path


def mottool(folder, *arguments):
    done = CliRunner().invoke(cli, ["run", str(folder / "r.toml"), *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done


def content(path):
    """Return all of a cache but what it cost."""
    with Cache(path) as cache:
        frames = [(each.boxes, each.scores, each.embeddings) for each in cache.frames()]
        return cache.header_digest, cache.pts.tolist(), [[a.tolist() for a in f] for f in frames]


def contents(work):
    return {name: content(work / f"caches/public+histogram/{name}.h5") for name in FRAMES}


def plan(folder, text=RECIPE):
    (folder / "r.toml").write_text(text)
    recipe = read_recipe(folder / "r.toml")
    return RecipeRun(recipe, WorkDir(folder / "work"), lambda *_: None, print)


def test_long_sequences_are_made_in_segments_and_the_caches_are_the_same(folder):
    done = mottool(folder, "--jobs", 2, "--network-jobs", 2, "--json")
    report = json.loads(done.stdout)
    assert not any(entry["result"].startswith("segments/") for entry in report["done"])
    assert not list((folder / "work/caches").rglob("*.part"))
    mottool(folder, "--segment-frames", 1000, "--work", folder / "whole", "--jobs", 1)
    assert contents(folder / "work") == contents(folder / "whole")
    again = mottool(folder, "--jobs", 1)
    assert again.stdout.startswith("6 results are fresh\n")


def test_stale_caches_are_replaced_in_segments_too(folder, monkeypatch):
    mottool(folder, "--jobs", 1)
    rows = (folder / "boxes/long.txt").read_text().replace(",0.9", ",0.8")
    (folder / "boxes/long.txt").write_text(rows)
    monkeypatch.setattr(detect_embed, "process", None)  # nothing is left for the end
    done = mottool(folder, "--jobs", 1)
    assert "made: caches (1), tracks (1)" in done.stdout
    with Cache(folder / "work/caches/public+histogram/long.h5") as cache:
        assert {float(frame.scores[0]) for frame in cache.frames()} == {np.float32(0.8)}


def test_the_plan_has_a_task_for_each_segment_of_a_long_sequence(folder):
    names = [task.name for task in plan(folder).plan().tasks if "short" not in task.name]
    group = "segments/public+histogram"
    assert names == [
        *(f"{group}/long", *(f"{group}/long/{number}" for number in (1, 2, 3, 4))),
        *("caches/public+histogram/long", "tracks/public+histogram.sort/long"),
        *(f"{group}/moving", *(f"{group}/moving/{number}" for number in (1, 2, 3))),
        *("caches/public+histogram/moving", "tracks/public+histogram.sort/moving"),
    ]
    tasks = {task.name: task for task in plan(folder).plan().tasks}
    assert tasks["caches/public+histogram/long"].after == tuple(names[1:5])


def test_a_dask_cluster_makes_the_same_segments(folder):
    options = {"processes": False, "threads_per_worker": 1, "dashboard_address": None}
    run = plan(folder)
    with (
        LocalCluster(n_workers=2, **options) as cluster,
        DaskCluster(cluster.scheduler_address) as engine,
    ):
        outcomes = list(run.run(run.plan(), engine))
    assert [outcome.error for outcome in outcomes if outcome.error] == []
    mottool(folder, "--segment-frames", 1000, "--work", folder / "whole", "--jobs", 1)
    assert contents(folder / "work") == contents(folder / "whole")


def test_pipelines_that_cannot_be_divided_are_named(folder):
    for given, reason in (
        ('pipeline = "otrack"\nweights = "boxes/long.txt"', "each frame needs the detections"),
        ('pipeline = "mottool-s"\nbatch = "auto"', "--batch auto varies"),
    ):
        text = RECIPE.replace('pipeline = "public"\nembedder = "histogram"\nboxes = "boxes"', given)
        made = plan(folder, text).plan()
        assert not [task for task in made.tasks if task.name.startswith("segments/")]
        assert [note for note in made.notes if f"makes no segments: {reason}" in note]


def test_a_sequence_that_cannot_be_divided_is_named_and_made_by_one_process(folder):
    (folder / "moving.mp4").unlink()
    video(folder / "moving.avi", FRAMES["moving"], codec="mpeg4")
    (folder / "r.toml").write_text(RECIPE.replace("moving.mp4", "moving.avi"))
    done = mottool(folder, "--jobs", 1)
    assert "moving.avi has no presentation times, so that one process reads it" in done.stderr
    assert content(folder / "work/caches/public+histogram/moving.h5")


def test_a_wrong_number_of_frames_is_refused(folder):
    with pytest.raises(SettingError, match="segment_frames"):
        plan(folder, RECIPE.replace("= 64", "= 0"))
