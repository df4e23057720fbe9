"""`mottool run`: the plan, failures, and results that other commands have made."""

import json
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner
from recipe_project import SORT_RECIPE
from rowed import rowed_pair

from mottool.cli.main import cli
from mottool.errors import InputError
from mottool.locks import locked
from mottool.stages.run import run as run_recipe

RECIPE = f'work = "work"\n{SORT_RECIPE}'


@pytest.fixture
def folder(tmp_path):
    rowed_pair(tmp_path / "data")
    (tmp_path / "r.toml").write_text(RECIPE)
    return tmp_path


def mottool(*arguments):
    return CliRunner().invoke(cli, [*map(str, arguments)])


def run(folder, *arguments):
    return mottool("run", folder / "r.toml", "--jobs", 1, *arguments)


def files(folder):
    return {path: path.stat().st_mtime_ns for path in (folder / "work").rglob("*.*")}


def test_a_dry_run_prints_the_plan_with_reasons_and_costs_and_makes_nothing(folder):
    dry = run(folder, "--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "caches/public       2 to make: missing (a, b)" in dry.stdout
    assert (
        "0 results are fresh, 6 to make: no earlier times for caches (2), tracks (2)" in dry.stdout
    )
    assert not (folder / "work").exists()
    assert run(folder).exit_code == 0
    (folder / "r.toml").write_text(RECIPE + "settings = { max_age = 7 }\n")
    before = files(folder)
    dry = run(folder, "--dry-run")
    assert "tracks/public.sort  2 to make: max_age 1, now 7 (a, b)" in dry.stdout
    assert "2 results are fresh, 4 to make: about " in dry.stdout
    assert files(folder) == before


def test_the_function_makes_a_recipe_without_a_comparison(folder):
    page = run_recipe(folder / "r.toml", folder / "work")
    assert (folder / "work/scores/public.sort/a.json").is_file()
    assert not page.exists()


def test_the_function_raises_the_first_error_after_the_other_results(folder):
    (folder / "data/a/det/det.txt").write_text("1,-1,nonsense\n")
    with pytest.raises(InputError, match=r"a/det/det\.txt"):
        run_recipe(folder / "r.toml")
    assert (folder / "work/scores/public.sort/b.json").is_file()


def test_tracks_without_rows_are_explained_with_their_pipeline_and_tracker(folder):
    (folder / "r.toml").write_text(RECIPE + "settings = { score_filter = 1 }\n")
    done = run(folder)
    assert done.exit_code == 0, done.output
    message = "public.sort/a, public.sort/b: 2 results have no rows, as no detection scores above "
    assert f"mottool: {message}score_filter 1; the highest score is " in done.stderr


def test_a_run_ends_in_one_page_and_the_next_makes_nothing(folder):
    (folder / "r.toml").write_text(RECIPE.replace("comparison = false", ""))
    done = run(folder)
    assert done.exit_code == 0, done.output
    page = folder / "work/comparison/r.html"
    assert f"{page}  comparison of all results" in done.stdout
    assert "<svg" in page.read_text()
    before = files(folder)
    again = run(folder)
    assert again.exit_code == 0, again.output
    assert again.stdout.startswith("8 results are fresh")
    assert again.stdout.splitlines()[1:] == done.stdout.splitlines()[-3:]
    assert files(folder) == before


def test_a_run_waits_for_another_of_its_recipe_and_makes_what_that_has_not(folder):
    prepared = folder / "prepared"
    assert run(folder, "--work", prepared).exit_code == 0
    shutil.rmtree(prepared / "scores")
    command = [sys.executable, "-m", "mottool", "run", str(folder / "r.toml"), "--jobs", "1"]
    with locked(folder / "work/.r.run.lock", pytest.fail):
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(command, **pipes)
        assert "waiting until another run of r in " in process.stderr.readline()
        shutil.copytree(prepared, folder / "work", dirs_exist_ok=True)
        before = {path: time for path, time in files(folder).items() if path.name[0] != "."}
    printed, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert printed.splitlines()[-1] == "made: scores (2)"
    after = files(folder)
    assert {path: after.get(path) for path in before} == before


def test_a_terminal_shows_the_columns_that_fit(folder, monkeypatch):
    (folder / "r.toml").write_text(RECIPE.replace("comparison = false", ""))
    whole = run(folder).stdout.splitlines()[-3:-1]
    monkeypatch.setattr("mottool.stages.run.terminal_width", lambda: 60)
    done = run(folder)
    assert max(map(len, done.stdout.splitlines()[-3:-1])) <= 60 < max(map(len, whole))
    assert "FPSD, FPSE, FPSA; --all-columns prints them" in done.stderr
    assert done.stdout.splitlines()[-3].endswith(" FPS")
    assert run(folder, "--all-columns").stdout.splitlines()[-3:-1] == whole


def test_what_the_times_in_the_table_are_worth_is_noted(folder):
    (folder / "r.toml").write_text(RECIPE.replace("comparison = false", ""))
    boxes = "mottool: public.sort: boxes come from files, so FPS includes no detection"
    beside = (
        "mottool: public.sort: association was timed while up to 2 processes worked, which can "
        "lower FPSA and FPS; mottool associate --jobs 1 times it alone"
    )
    done = mottool("run", folder / "r.toml", "--jobs", 2)
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[:2] == [boxes, beside]
    page = folder / "work/comparison/r.html"
    assert all(note.removeprefix("mottool: ") in page.read_text() for note in (boxes, beside))
    assert run(folder).stderr == done.stderr  # the page is fresh
    again = mottool("associate", "--tracker", "sort", "--jobs", 1, "--work", folder / "work")
    assert again.exit_code == 0, again.output
    assert run(folder).stderr == done.stderr.replace(f"{beside}\n", "")
    assert beside.removeprefix("mottool: ") not in page.read_text()


def test_failures_are_named_and_stop_no_others_unless_asked(folder):
    (folder / "data/a/det/det.txt").write_text("1,-1,nonsense\n")
    failed = run(folder, "--json")
    assert failed.exit_code == 1
    report = json.loads(failed.stdout)
    assert [entry["sequence"] for entry in report["failed"]] == ["caches/public/a"]
    assert {entry["result"][-1] for entry in report["done"]} == {"b"}
    again = run(folder)
    assert again.exit_code == 1
    assert "caches/public/a: " in again.stderr
    assert "3 results are fresh, 3 to make" in again.stdout


def test_fail_fast_stops_at_the_first_failure(folder):
    (folder / "data/a/det/det.txt").write_text("1,-1,nonsense\n")
    failed = run(folder, "--fail-fast")
    assert failed.exit_code == 1
    assert not list((folder / "work").rglob("tracks"))


def test_results_of_the_other_commands_are_used_and_its_own_are_theirs(folder):
    work = "--work", folder / "work"
    done = mottool(
        "detect-embed", folder / "data", "--pipeline", "public", "--embedder", "none", *work
    )
    assert done.exit_code == 0, done.output
    assert mottool("associate", "--tracker", "sort", *work).exit_code == 0
    dry = run(folder, "--dry-run")
    assert "tracks/" not in dry.stdout
    assert "4 results are fresh, 2 to make" in dry.stdout
    assert run(folder).exit_code == 0
    before = files(folder)
    again = mottool(
        *("track", folder / "data", "--pipeline", "public", "--embedder", "none"),
        *("--tracker", "sort", *work),
    )
    assert again.exit_code == 0, again.output
    after = files(folder)
    assert [path for path in before if before[path] != after[path]] == []


def test_results_of_other_settings_are_named_before_they_are_replaced(folder):
    assert run(folder).stderr == ""
    shutil.copy(folder / "work/tracks/public.sort/a.txt", folder / "work/tracks/public.sort/c.txt")
    record = folder / "work/tracks/public.sort.settings/a.json"
    shutil.copy(record, record.with_name("c.json"))  # of a sequence that the recipe does not have
    (folder / "r.toml").write_text(RECIPE + "settings = { max_age = 7 }\n")
    tracks = folder / "work/tracks/public.sort"
    replaced = (
        f"mottool: {tracks}: replaces a, b of other settings (max_age 1, now 7); to keep both, "
        "give the tracker another name in the recipe, or another --work\n"
    )
    assert run(folder, "--dry-run").stderr == replaced
    mixed = (
        f"mottool: {tracks} mixes results of different settings: max_age is 7 of a, b and 1 of c"
    )
    assert run(folder).stderr == f"{replaced}{mixed}\n"
    assert run(folder).stderr == ""  # nothing is made


def test_a_mistake_in_the_recipe_is_one_line_and_wrong_usage(folder):
    (folder / "r.toml").write_text(RECIPE + "max_age = 3\n")
    done = subprocess.run(
        [sys.executable, "-m", "mottool", "run", folder / "r.toml"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "r.toml [[tracker]] has no key 'max_age'. Fix: " in done.stderr


def test_nothing_heavy_is_imported_while_nothing_is_stale(folder):
    assert run(folder).exit_code == 0
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "mottool", "run", folder / "r.toml"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "mottool.recipes.planner" in names
    assert not names & {"torch", "cv2", "h5py", "numpy", "scipy", "av", "matplotlib"}
