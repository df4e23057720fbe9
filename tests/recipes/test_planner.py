"""Plans: which results are stale after each kind of change, and that only those are remade."""

import json
import os
import sys

import pytest
from click.testing import CliRunner
from recipe_project import RECIPE, TRACKERS, Project, of_tracker, with_settings
from rowed import rowed
from thermal import thermal

import mottool.association.associate
import mottool.pipelines.cache_record
import mottool.records.known_files
from mottool.cli.main import cli
from mottool.errors import InputError, SettingError
from mottool.recipes.cache_facts import describe_motion
from mottool.recipes.page import comparison_state
from mottool.records.record import read_record, record_of, write_record


def test_a_second_run_makes_nothing(made):
    before = made.times()
    assert made.stale() == {}
    assert made.make(page=True) == []
    assert made.times() == before
    kinds = {name.partition("/")[0] for name in before}
    assert kinds == {
        *("caches", "tracks", "scores", "comparison", "comparison.settings"),
    }


def test_records_of_tracks_without_the_hash_of_their_source_are_fresh(project):
    for name in ("a", "b"):
        tracks = project.work.tracks("public", "sort") / f"{name}.txt"
        record = read_record(tracks)
        record.pop("source_hash")
        write_record(tracks, record)
    assert project.stale() == {}


def test_a_moved_project_is_fresh(project):
    assert project.stale() == {}


def test_a_cache_made_with_a_pixel_range_is_remade(project):
    work = "--work", str(project.work.root)
    done = CliRunner().invoke(
        cli,
        ["detect-embed", str(project.folder / "data/a"), *("--pixel-range", "0-4095"), *work]
        + ["--pipeline", "public", "--embedder", "none", "--overwrite"],
    )
    assert done.exit_code == 0, done.output
    assert project.stale()["caches/public/a"] == "the pixel range changed"
    assert project.make() == []
    assert project.stale() == {}


def test_a_pixel_range_of_a_pipeline_holds_for_all_that_is_made_from_its_frames(tmp_path):
    folder = thermal(tmp_path / "data/a")
    project = Project(tmp_path)
    recipe = RECIPE.replace('tracker = "sort"', 'tracker = "botsort"')
    ranged = recipe.replace('"public"', '"public"\npixel_range = "0-4095"')
    project.write(f"{ranged}[produce]\nvideos = true\n")
    work = "--work", str(project.work.root)
    boxes = "--pipeline", "public", "--embedder", "none"
    done = CliRunner().invoke(
        cli, ["detect-embed", str(folder), *boxes, "--pixel-range", "0-4095", *work]
    )
    assert done.exit_code == 0, done.output
    assert {*project.stale().values()} == {"missing"}
    assert "caches/public/a" not in project.stale()
    assert project.make() == []
    assert project.stale() == {}
    record = json.loads(record_of(project.work.cache("public", "a")).read_text())
    assert record["pixel_range"] == [0.0, 4095.0]
    motion = project.work.camera_motion("a")
    assert describe_motion(motion)["settings"]["pixel_range"] == [0.0, 4095.0]
    project.write(f"{recipe}[produce]\nvideos = true\n")
    assert project.stale()["caches/public/a"] == "the pixel range changed"
    assert project.make() == []
    assert project.stale() == {}
    assert "pixel_range" not in describe_motion(motion)["settings"]


def test_a_dry_run_makes_nothing(tmp_path):
    rowed(tmp_path / "data" / "a")
    project = Project(tmp_path)
    assert set(project.stale().values()) == {"missing"}
    assert not project.work.root.exists()


def test_one_setting_of_one_tracker_remakes_only_its_results(project):
    project.write(with_settings("min_track_length = 9"))
    before = project.times()
    stale = project.stale()
    assert stale.keys() == of_tracker("sort")
    assert stale["tracks/public.sort/a"] == "min_track_length 1, now 9"
    assert stale["scores/public.sort/a"] == "its tracks are remade"
    assert project.make() == []
    changed = {name for name, time in project.times().items() if before[name] != time}
    assert {name for name in changed if "comparison" not in name} == {
        f"{kind}/public.sort{record}"
        for kind, form in (("tracks", "txt"), ("scores", "json"))
        for name in "ab"
        for record in (f"/{name}.{form}", f".settings/{name}.json")
    }
    assert project.stale() == {}


def test_tracks_that_come_out_equal_keep_their_scores(project):
    project.write(with_settings("max_age = 9"))
    before = project.times()
    assert project.make() == []
    changed = {name for name, time in project.times().items() if before[name] != time}
    assert {name.partition("/")[0] for name in changed} == {"tracks"}
    assert project.stale() == {}


def test_a_setting_that_changes_no_score_is_shown_on_the_page(project):
    project.write(with_settings("max_age = 9"))
    assert project.make(page=True) == []
    record = project.work.comparison("r")
    assert comparison_state(project.open().plan(), record) == ""
    project.write(with_settings("max_age = 8"))
    assert project.make() == []
    assert comparison_state(project.open().plan(), record) == "other results than before"


def test_another_point_of_a_sweep_is_made_beside_the_others(project):
    project.write(RECIPE.replace("[0.5, 0.6]", "[0.5, 0.6, 0.7]"))
    stale = project.stale()
    assert stale.keys() == of_tracker("bytetrack@track_thresh=0.7")
    assert set(stale.values()) == {"missing"}


def test_changed_detections_of_a_sequence_remake_what_is_made_from_them(project):
    rowed(project.folder / "data/a", left=7)
    stale = project.stale()
    assert stale["caches/public/a"] == "boxes changed"
    assert {name[-1] for name in stale} == {"a"}
    assert len(stale) == 2 + 2 * len(TRACKERS)
    assert project.make() == []
    assert project.stale() == {}


def test_changed_content_of_a_source_remakes_what_is_made_from_it(project):
    info = project.folder / "data/b/seqinfo.ini"
    info.write_text(info.read_text().replace("frameRate=25", "frameRate=30"))
    stale = project.stale()
    assert stale["caches/public/b"] == "the content of the source changed"
    assert {name[-1] for name in stale} == {"b"}
    assert project.make() == []
    assert project.stale() == {}


def test_a_touched_file_is_read_again_but_nothing_is_remade(project):
    for path in (project.folder / "data").rglob("*.txt"):
        path.write_bytes(path.read_bytes())
    for path in (project.work.root / "tracks").rglob("*.txt"):
        os.utime(path)
    assert project.stale() == {}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no time of change")
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("data/a/det/det.txt", "caches"),
        ("data/a/gt/gt.txt", "scores"),
        ("work/tracks/public.sort/a.txt", "tracks"),
    ],
)
def test_changes_that_keep_the_size_and_the_time_are_seen(project, name, kind):
    assert project.stale() == {}
    path = project.folder / name
    content, times = path.read_text(), path.stat()
    with path.open("r+") as file:  # the same inode, as `rsync --inplace --times` leaves it
        file.write(content.replace("1", "2", 1))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert kind in {result.partition("/")[0] for result in project.stale()}


def test_changed_ground_truth_changes_scores_only(project):
    truth = project.folder / "data/a/gt/gt.txt"
    truth.write_text(truth.read_text().replace(",100,50,120", ",101,50,120"))
    stale = project.stale()
    assert {name.partition("/")[0] for name in stale} == {"scores"}
    assert set(stale.values()) == {"the ground truth changed"}


def test_an_added_sequence_is_made(project):
    rowed(project.folder / "data/c")
    assert {name[-1] for name in project.stale()} == {"c"}


def test_options_of_a_pipeline_are_compared(project):
    project.write(RECIPE.replace('embedder = "none"', 'embedder = "none"\nscore_scale = 2.0'))
    assert project.stale()["caches/public/a"] == "score_scale None, now 2.0"
    assert project.make() == []
    assert project.stale() == {}


def test_another_version_of_mottool_remakes_what_is_made_from_caches(project, monkeypatch):
    monkeypatch.setattr(mottool.association.associate, "__version__", "9.9")
    monkeypatch.setattr(mottool.records.known_files, "__version__", "9.9")
    stale = project.stale()
    assert stale["tracks/public.sort/a"] == "the version of mottool 0.1.0, now 9.9"
    assert stale.keys() == {name for tracker in TRACKERS for name in of_tracker(tracker)}


def test_another_schema_of_caches_remakes_everything(project, monkeypatch):
    monkeypatch.setattr(mottool.pipelines.cache_record, "SCHEMA", "mottool/detections/9")
    stale = project.stale()
    assert stale["caches/public/a"] == "the schema mottool/detections/1, now mottool/detections/9"
    assert len(stale) == 2 * (2 + 2 * len(TRACKERS))


def test_what_is_known_of_files_need_not_be_kept(project, capsys):
    known = project.work.known_files()
    known.unlink()
    known.mkdir()
    assert project.stale() == {}
    assert "what is known of files is not kept: " in capsys.readouterr().out


def test_two_results_with_the_same_file_are_refused(project):
    one = '[[pipeline]]\npipeline = "public"\nembedder = "none"\nname = "a"\n'
    other = one.replace('"a"', '"a.sort@x"')
    tracker = '[[tracker]]\ntracker = "sort"\n'
    project.write(f'[[dataset]]\npath = "data"\n{one}{other}{tracker}{tracker}name = "x.sort"\n')
    with pytest.raises(SettingError, match=r"two results have the file .*/a.sort@x.sort/a.txt"):
        project.open().plan()


def test_ground_truth_without_a_sequence_is_reported(project, capsys):
    project.write(RECIPE.replace('"data"', '"data"\ngt = "data/a"'))
    project.open()
    assert "data/a: no ground truth of b, which is not scored" in capsys.readouterr().out
    rowed(project.folder / "other/c")
    project.write(RECIPE.replace('"data"', '"data"\ngt = "other"'))
    with pytest.raises(InputError, match="other: no ground truth of a, b"):
        project.open()


def test_a_recipe_without_ground_truth_says_that_nothing_is_scored(project):
    for truth in project.folder.glob("data/*/gt/gt.txt"):
        truth.unlink()
    assert project.open().plan().notes == ["no sequence has ground truth, so there are no scores"]


def test_pairs_that_cannot_be_made_are_left_out_with_a_note(project):
    several = 'tracker = "fairmot"\n[[tracker]]\ntracker = "jde"'
    project.write(RECIPE.replace('tracker = "sort"', several))
    plan = project.open().plan()
    assert plan.notes == ["public.fairmot, public.jde left out: no embeddings"]
    assert not [result for result in plan.results if "fairmot" in result.name]
