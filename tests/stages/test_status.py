"""`mottool status` on a work folder with complete, unfinished and damaged files."""

import dataclasses
import json

from click.testing import CliRunner
from helpers.caches import HEADER, made, write

from mottool.files import file_digest
from mottool.records.record import write_record
from mottool.stages.status import command
from mottool.workdir import WorkDir


def test_status_lists_sequences_by_state_and_settings(tmp_path):
    caches = tmp_path / "caches" / "pipe"
    caches.mkdir(parents=True)
    write(caches / "a.h5", [made()] * 3)
    write(caches / "b.h5", [made()] * 2, finish=False)
    (caches / "c.h5").write_bytes(b"no cache")
    folder = WorkDir(tmp_path).tracks("pipe", "sort")
    folder.mkdir(parents=True)
    for name, age in (("a", 1), ("b", 5)):
        (folder / f"{name}.txt").write_text("")
        write_record(folder / f"{name}.txt", {"rows": 0, "settings": {"max_age": age}})
    (folder / "c.txt").write_text("1,1,0,0,9,9,1,-1,-1,-1\n")
    record = {"rows": 0, "settings": {"max_age": 5}, "sha256": file_digest(folder / "a.txt")}
    write_record(folder / "c.txt", record)
    shown = CliRunner().invoke(command, ["--work", str(tmp_path)]).output.splitlines()
    assert (
        shown[0] == "pipe  cache, 1 complete: a (3 frames); 1 unfinished: b (2 frames); "
        "1 damaged: c (0 frames)"
    )
    assert shown[-4:] == [
        "pipe.sort  tracks, 2 complete: a (0 rows), b (0 rows); 1 changed: c",
        "    max_age 1  (1 of 3: a)",
        "    max_age 5  (1 of 3: b)",
        "    settings unknown  (1 of 3: c)",
    ]
    done = CliRunner().invoke(command, ["--work", str(tmp_path), "--json"]).output
    assert [entry["state"] for entry in json.loads(done)["done"]][:3] == [
        *("complete", "unfinished", "damaged"),
    ]


def results(work, settings, **more):
    folder = WorkDir(work).tracks("pipe", "sort")
    folder.mkdir(parents=True)
    for name, values in settings.items():
        (folder / f"{name}.txt").write_text("")
        write_record(folder / f"{name}.txt", {"tracker": "sort", **values, **more})


def shown(work):
    return CliRunner().invoke(command, ["--work", str(work)])


def test_all_settings_are_shown_and_different_ones_told_apart(tmp_path):
    many = {f"value_{number}": number for number in range(12)}
    settings = {
        name: {"settings": {**many, "low": None}, "finishing": {"smooth": smooth}}
        for name, smooth in {"a": "none", "b": "gp", "c": "none", "d": "none", "e": "none"}.items()
    }
    results(tmp_path, settings)
    (WorkDir(tmp_path).tracks("pipe", "sort") / "f.txt").write_text("")  # without a record
    assert shown(tmp_path).output.splitlines()[1:] == [
        f"    tracker sort, {', '.join(f'{name} {value}' for name, value in many.items())}",
        "    smooth none  (4 of 6: a, c, d, 1 more)",
        "    smooth gp  (1 of 6: b)",
        "    settings unknown  (1 of 6: f)",
    ]


def test_results_without_a_record_are_named_beside_those_with_one(tmp_path):
    results(tmp_path, {"a": {"settings": {"max_age": 1}}})
    (WorkDir(tmp_path).tracks("pipe", "sort") / "b.txt").write_text("")
    assert shown(tmp_path).output.splitlines()[1:] == [
        "    tracker sort, max_age 1",
        "    settings unknown  (1 of 2: b)",
    ]


def test_caches_of_other_weights_or_suggested_settings_are_told_apart(tmp_path):
    folder = tmp_path / "caches" / "pipe"
    folder.mkdir(parents=True)
    for name, weights, age in (("a", "a" * 64, 1), ("b", "b" * 64, 2)):
        header = dataclasses.replace(
            HEADER,
            weights=weights,
            weights_file="net.pth",
            settings={"low": 0.5, "trackers": {"sort": {"max_age": age, "min_hits": 3}}},
        )
        write(folder / f"{name}.h5", [made()], header)
    assert shown(tmp_path).output.splitlines()[1:] == [
        "    weights net.pth, low 0.5",
        f"    weights_sha256 {'a' * 12}, trackers.sort.max_age 1  (1 of 2: a)",
        f"    weights_sha256 {'b' * 12}, trackers.sort.max_age 2  (1 of 2: b)",
    ]


def test_results_of_another_video_of_the_same_name_are_named(tmp_path):
    folder = tmp_path / "caches" / "pipe"
    folder.mkdir(parents=True)
    for name in ("a", "b", "c"):
        write(folder / f"{name}.h5", [made()], dataclasses.replace(HEADER, source_hash="ab12"))
    settings = {"settings": {"max_age": 1}}
    results(
        tmp_path,
        {"a": settings | {"source_hash": "cd34"}, "b": settings, "c": settings}
        | {"c": settings | {"source_hash": "ab12"}},
    )
    assert shown(tmp_path).stderr.splitlines() == [
        "mottool: a was made from videos or images of different content: ab12 in pipe; "
        "cd34 in pipe.sort"
    ]
