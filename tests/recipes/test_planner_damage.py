"""Plans after results were deleted, edited or damaged, or a run was killed."""

import json
import shutil

import pytest
from recipe_project import PIPELINE, RECIPE, of_tracker, with_settings

from mottool.errors import InputError
from mottool.recipes import jobs, page
from mottool.records.record import read_record, record_of


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"path": ', '"path": 1, "was": '),
        ('"span": null', '"span": {"a": 1}'),
        ('"length": ', '"longer": '),
        ('"frames": 6', '"frames": 60'),
        ('"files": {', '"files": {"a": 1,'),
        ("}", ""),
    ],
)
def test_what_is_known_of_files_counts_as_unknown_when_it_is_damaged(project, before, after):
    project.stale()
    known = project.work.known_files()
    text = known.read_text()
    assert before in text
    known.write_text(text.replace(before, after))
    assert project.stale() == {}


@pytest.mark.parametrize(
    ("before", "after"),
    [('"seconds": {', '"seconds": [], "was": {'), ('"rows": 12', '"rows": 13')],
)
def test_a_damaged_record_counts_as_none(project, before, after):
    record = record_of(project.work.root / "tracks/public.sort/a.txt")
    text = record.read_text()
    assert before in text
    record.write_text(text.replace(before, after))
    assert project.stale()["tracks/public.sort/a"] == "no record of what it was made from"
    old = json.loads(text)
    del old["record_sha256"]
    record.write_text(json.dumps(old))
    assert "tracks/public.sort/a" not in project.stale()  # as those of older versions


@pytest.mark.parametrize("name", ["scores/public.sort/a.json", "scores/public/a.npz"])
def test_changed_scores_are_made_again(project, name):
    scores = project.work.root / name
    before = scores.read_bytes()
    scores.write_bytes(before[:-3] + bytes([before[-3] ^ 1]) + before[-2:])
    assert {*project.stale().values()} == {"changed after it was made"}
    assert project.make() == []
    assert scores.read_bytes() == before


def test_deleted_and_changed_results_are_remade(project):
    tracks = project.work.root / "tracks/public.sort"
    (tracks / "a.txt").unlink()
    with (tracks / "b.txt").open("a") as file:
        file.write("9,9,1,1,1,1,1,-1,-1,-1\n")
    stale = project.stale()
    assert stale["tracks/public.sort/a"] == "missing"
    assert stale["tracks/public.sort/b"] == "changed after it was made"
    assert stale.keys() == of_tracker("sort")
    assert project.make() == []
    assert project.stale() == {}
    assert "9,9,1" not in (tracks / "b.txt").read_text()


def test_results_without_a_record_are_remade_and_caches_of_the_same_inputs_kept(project):
    cache, tracks = (
        project.work.root / name for name in ("caches/public/a.h5", "tracks/public.sort/a.txt")
    )
    before = cache.stat().st_mtime_ns
    for path in (cache, tracks):
        record_of(path).unlink()
    stale = project.stale()
    assert stale["caches/public/a"] == "no record of what it was made from"
    assert project.make() == []
    assert project.stale() == {}
    assert cache.stat().st_mtime_ns == before


def test_a_replaced_cache_is_remade(project):
    caches = project.work.root / "caches/public"
    shutil.copy(caches / "b.h5", caches / "a.h5")
    assert project.stale()["caches/public/a"] == "replaced after it was made"
    assert project.make() == []
    assert project.stale() == {}


def test_a_damaged_cache_is_remade(project):
    (project.work.root / "caches/public/a.h5").write_bytes(b"no cache")
    assert project.stale()["caches/public/a"] == "damaged"
    assert project.make() == []
    assert project.stale() == {}


def test_a_failed_sequence_stops_no_others(project, monkeypatch):
    project.write(RECIPE.replace("[0.5, 0.6]", "[0.5, 0.6, 0.7]"))
    make, failing = jobs.associate, project.work.root / "caches/public/a.h5"

    def fail(cache, *arguments, **more):
        if cache == failing:
            raise InputError("no", "wait")
        return make(cache, *arguments, **more)

    monkeypatch.setattr(jobs, "associate", fail)
    tracker = "bytetrack@track_thresh=0.7"
    assert {*project.make(page=True)} == of_tracker(tracker, ["a"])
    assert project.stale().keys() == of_tracker(tracker, ["a"])
    page = project.work.comparison("r").read_text()
    assert "a left out of the comparison" in page


def test_a_run_that_is_killed_goes_on(project, monkeypatch):
    project.write(with_settings("min_track_length = 9"))
    write = jobs.associate

    def interrupt(cache, *arguments, **more):
        write(cache, *arguments, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "associate", interrupt)
    with pytest.raises(KeyboardInterrupt):
        project.make()
    monkeypatch.undo()
    assert project.stale().keys() == of_tracker("sort", ["b"]) | {"scores/public.sort/a"}
    assert project.make() == []
    assert project.stale() == {}


def test_scores_whose_process_was_killed_before_the_record_are_remade(project, monkeypatch):
    text = project.folder / "data/a/gt/gt.txt"
    before = text.read_text()
    text.write_text(before.replace(",100,50,120", ",101,50,120"))

    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs, "write_record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        project.make()
    monkeypatch.undo()
    text.write_text(before)
    assert set(project.stale().values()) == {"no record of what it was made from"}


def test_a_page_whose_process_was_killed_before_the_record_has_none(project, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(page, "write_record", interrupt)
    project.write(with_settings("max_age = 7"))
    with pytest.raises(KeyboardInterrupt):
        project.make(page=True)
    assert read_record(project.work.comparison("r")) == {}


def test_an_edited_result_file_is_made_again_by_track(project):
    tracks = project.work.root / "tracks/public.sort/a.txt"
    before = tracks.read_text()
    tracks.write_text(before + "9,9,1,1,1,1,1,-1,-1,-1\n")
    tracker = project.open().recipe.trackers[0]
    cache = project.work.cache(PIPELINE, "a")
    assert not jobs.make_tracks(cache, tracks, tracker).kept
    assert tracks.read_text() == before
    assert jobs.make_tracks(cache, tracks, tracker).kept
