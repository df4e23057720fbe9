"""Stores of results: fetched and published, by one machine or several, and their errors."""

import shutil
import subprocess
import sys

import fsspec
import pytest
from click.testing import CliRunner
from recipe_project import SORT_RECIPE
from rowed import rowed_pair
from thermal import thermal

from mottool.cli.main import cli
from mottool.engines.base import InProcess
from mottool.errors import InputError, SettingError
from mottool.recipes import store as store_module
from mottool.recipes.recipe import read_recipe
from mottool.recipes.run import RecipeRun
from mottool.recipes.store import Store
from mottool.records.record import read_record, record_of, write_record
from mottool.workdir import WorkDir

SERVER_SECONDS = 60


@pytest.fixture
def project(tmp_path):
    rowed_pair(tmp_path / "data")
    (tmp_path / "r.toml").write_text(SORT_RECIPE)
    return tmp_path


@pytest.fixture(params=["memory", "file"])
def address(request, tmp_path):
    if request.param == "file":
        yield f"file://{tmp_path}/store/mottool"
        return
    yield "memory://store/mottool"
    files = fsspec.filesystem("memory")
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def run(project, address, work, *arguments):
    common = ("--store", address, "--work", project / work, "--jobs", 1)
    return CliRunner().invoke(
        cli, ["run", *map(str, (project / "r.toml", *common, *arguments))], catch_exceptions=False
    )


def content(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: named[name].read_bytes() for name in named if not name.startswith(".")}


class Counted:
    """The file system of a store; counts the calls of each method."""

    def __init__(self, files):
        self.files, self.calls = files, []

    def __getattr__(self, name):
        self.calls.append(name)
        return getattr(self.files, name)


@pytest.fixture
def counted(monkeypatch):
    """Return the calls of file systems from now on."""
    opened, calls = store_module._open_address, []

    def count(address):
        files, path = opened(address)
        files = Counted(files)
        files.calls = calls
        return files, path

    monkeypatch.setattr(store_module, "_open_address", count)
    return calls


def test_camera_motion_is_estimated_by_one_machine(tmp_path, address, monkeypatch):
    thermal(tmp_path / "data/a")
    ranged = SORT_RECIPE.replace('"none"', '"none"\npixel_range = "0-4095"')
    (tmp_path / "r.toml").write_text(ranged.replace('"sort"', '"botsort"'))
    assert run(tmp_path, address, "work").exit_code == 0
    monkeypatch.setattr("mottool.recipes.jobs.estimate_motion", None)
    done = run(tmp_path, address, "there")
    assert done.exit_code == 0, done.output
    assert "to make" not in done.output
    assert content(tmp_path / "there") == content(tmp_path / "work")


def test_results_and_records_are_published_under_the_names_of_the_work_folder(project, address):
    (project / "r.toml").write_text(SORT_RECIPE.replace("comparison = false", ""))
    done = run(project, address, "work")
    assert done.exit_code == 0, done.output
    files, base = fsspec.core.url_to_fs(address)
    names = {name.removeprefix(f"{base}/") for name in files.find(base)}
    assert names == {*content(project / "work")}
    assert "caches/public/a.h5" in names
    assert "comparison.settings/r.json" in names
    for name, data in content(project / "work").items():
        assert files.cat_file(f"{base}/{name}") == data


def test_another_machine_finds_the_results_fresh(project, address):
    assert run(project, address, "work").exit_code == 0
    other = run(project, address, "other")
    assert other.exit_code == 0, other.output
    assert other.stdout.startswith("6 results are fresh\n")
    assert "made:" not in other.stdout
    assert content(project / "other") == content(project / "work")


def test_a_run_with_nothing_stale_lists_the_store_once(project, address, counted):
    assert run(project, address, "work").exit_code == 0
    counted.clear()
    again = run(project, address, "work")
    assert again.stdout.startswith("6 results are fresh\n")
    assert [name for name in counted if name != "protocol"] == ["find"]


def test_results_that_another_machine_has_made_since_are_fetched(project, address):
    for work in ("work", "other"):
        assert run(project, address, work).exit_code == 0
    (project / "r.toml").write_text(SORT_RECIPE + "settings = { max_age = 7 }\n")
    assert "tracks (2)" in run(project, address, "work").stdout
    other = run(project, address, "other")
    assert other.stdout.startswith("6 results are fresh\n")
    assert content(project / "other") == content(project / "work")


def test_results_that_were_made_without_the_store_are_published(project, address):
    done = CliRunner().invoke(
        cli, ["run", str(project / "r.toml"), "--work", str(project / "work"), "--jobs", "1"]
    )
    assert done.exit_code == 0, done.output
    assert run(project, address, "work").stdout.startswith("6 results are fresh\n")
    assert run(project, address, "other").stdout.startswith("6 results are fresh\n")


def test_a_missing_result_or_record_is_fetched_and_one_that_was_cut_is_replaced(project, address):
    assert run(project, address, "work").exit_code == 0
    before, work = content(project / "work"), WorkDir(project / "work")
    work.cache("public", "a").unlink()
    record_of(work.cache("public", "b")).unlink()
    assert run(project, address, "work").stdout.startswith("6 results are fresh\n")
    assert content(project / "work") == before
    files, base = fsspec.core.url_to_fs(address)
    files.rm_file(f"{base}/tracks/public.sort.settings/a.json")  # its writer was killed
    assert run(project, address, "work").exit_code == 0
    assert files.exists(f"{base}/tracks/public.sort.settings/a.json")


def test_what_could_not_be_published_is_kept_and_published_by_the_next_run(
    project, address, monkeypatch
):
    put, sent = Store._put, []

    def fail(self, path, key):
        sent.append(path)
        if len(sent) > 5:
            raise ConnectionError("the network is down")
        put(self, path, key)

    monkeypatch.setattr(Store, "_put", fail)
    failed = run(project, address, "work")
    assert failed.exit_code == 1
    assert f"{address} does not answer (the network is down). Fix: run the same" in failed.stderr
    monkeypatch.setattr(Store, "_put", put)
    kept = {path: path.stat().st_mtime_ns for path in (project / "work/caches/public").iterdir()}
    assert run(project, address, "work").exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert run(project, address, "other").stdout.startswith("6 results are fresh\n")


def test_the_record_follows_its_result_and_none_is_there_meanwhile(tmp_path, address, monkeypatch):
    store, result = Store(address, tmp_path), tmp_path / "tracks/p.t/a.txt"
    put, seen = Store._put, []

    def watched(self, path, key):
        put(self, path, key)
        seen.append(sorted(self.read_listing()))

    monkeypatch.setattr(Store, "_put", watched)
    for text in ("one", "another"):
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(text)
        write_record(result, {"text": text})
        store.publish(result)
    names = ["tracks/p.t.settings/a.json", "tracks/p.t/a.txt"]
    assert seen == [names[1:], names] * 2


def test_a_result_that_is_replaced_while_it_is_fetched_is_not_used(tmp_path, address, monkeypatch):
    here, there = Store(address, tmp_path / "here"), Store(address, tmp_path / "there")
    fetch = Store._fetch

    def write(text):
        result = there.root / "tracks/p.t/a.txt"
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(text)
        write_record(result, {"text": text})
        there.publish(result)

    def late(self, result, listing):
        fetch(self, result, listing)
        write("a longer text")

    write("text")
    monkeypatch.setattr(Store, "_fetch", late)
    result = here.root / "tracks/p.t/a.txt"
    here.update([result])
    assert not record_of(result).exists()
    monkeypatch.setattr(Store, "_fetch", fetch)
    here.update([result])
    assert read_record(result) == {"text": result.read_text()}


def test_names_in_the_store_never_become_paths(project, address):
    files, base = fsspec.core.url_to_fs(address)
    assert run(project, address, "work").exit_code == 0
    for name in ("caches/public/c.h5", "evil.txt", "caches/public.settings/c.json"):
        files.makedirs(f"{base}/{name}".rpartition("/")[0], exist_ok=True)
        files.pipe_file(f"{base}/{name}", b"x")
    assert run(project, address, "other").exit_code == 0
    assert content(project / "other") == content(project / "work")


def test_given_caches_outside_of_the_work_folder_are_not_published(project, address):
    assert run(project, address, "given").exit_code == 0
    pipeline = 'pipeline = "public"\nembedder = "none"'
    text = SORT_RECIPE.replace(pipeline, 'name = "late"\ncaches = "given/caches/public"')
    (project / "r.toml").write_text(text)
    for _ in range(2):
        done = run(project, address, "work")
        assert done.exit_code == 0, done.output
    files, base = fsspec.core.url_to_fs(address)
    names = {name.removeprefix(f"{base}/") for name in files.find(base)}
    assert {name for name in names if "late" in name} == {*content(project / "work")}


def test_folders_of_results_can_be_links_to_another_disk(project, address):
    for work in ("work", "other"):
        disk = project / "disk" / work
        (project / work).mkdir()
        for kind in ("caches", "tracks/public.sort"):
            (disk / kind).mkdir(parents=True)
            (project / work / kind).parent.mkdir(exist_ok=True)
            (project / work / kind).symlink_to(disk / kind, target_is_directory=True)
        done = run(project, address, work)
        assert done.exit_code == 0, done.output
    assert done.stdout.startswith("6 results are fresh\n")
    files, base = fsspec.core.url_to_fs(address)
    names = {name.removeprefix(f"{base}/") for name in files.find(base)}
    assert {"caches/public/a.h5", "caches/public.settings/a.json"} <= names
    assert {"tracks/public.sort/a.txt", "tracks/public.sort.settings/a.json"} <= names


def test_tasks_on_machines_that_made_nothing_before_fetch_their_inputs(project, address):
    (project / "r.toml").write_text(f'store = "{address}"\n{SORT_RECIPE}')
    work, problems = WorkDir(project / "work"), []
    client = RecipeRun(
        read_recipe(project / "r.toml"), work, lambda *refused: problems.append(refused), print
    )
    for outcome in client.run(client.plan(), InProcess()):
        problems += [outcome.error] if outcome.error else []
        shutil.rmtree(work.root)
    assert problems == []
    assert client.plan().stale == []


def test_local_processes_publish(project, tmp_path):
    address = f"file://{tmp_path}/store"
    assert run(project, address, "work", "--jobs", 2).exit_code == 0
    assert run(project, address, "other").stdout.startswith("6 results are fresh\n")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("nonsense://a/b", "--store nonsense://a/b: Protocol not known: nonsense. Fix: write it"),
        ("oci://a@b/c", "pip install 'mottool[s3]' for s3://, or the package of fsspec"),
    ],
)
def test_addresses_that_cannot_be_opened_are_refused(project, address, message):
    store = Store(address, project / "work")
    with pytest.raises(SettingError) as refused:
        store.update([])
    assert message in str(refused.value)
    assert not store.root.exists()


class NoCredentialsError(Exception):
    """As that of botocore, which is no `OSError`."""


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (PermissionError("Access Denied"), "memory://a refuses access (Access Denied). Fix: check"),
        (NoCredentialsError("Unable to\nlocate"), "memory://a refuses access (Unable to locate)"),
        (FileNotFoundError("no bucket"), "memory://a is not there (no bucket). Fix: create"),
        (TimeoutError(), "memory://a does not answer (TimeoutError). Fix: run the same command"),
    ],
)
def test_errors_of_a_store_are_one_line_with_a_fix(tmp_path, monkeypatch, error, message):
    def fail(*arguments, **options):
        raise error

    monkeypatch.setattr(fsspec.get_filesystem_class("memory"), "find", fail)
    with pytest.raises(InputError) as failed:
        Store("memory://a", tmp_path).update([])
    assert message in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1


def test_without_a_store_fsspec_is_not_imported(project):
    code = "import sys; from mottool.stages.run import run; from pathlib import Path\n"
    code += f"run(Path({str(project / 'r.toml')!r}), Path({str(project / 'work')!r}))\n"
    code += "print({'fsspec', 's3fs'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
