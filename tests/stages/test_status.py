"""`mottool status` on a work folder with complete, unfinished and damaged files."""

import json

from click.testing import CliRunner
from helpers.caches import made, write

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
    shown = CliRunner().invoke(command, ["--work", str(tmp_path)]).output.splitlines()
    assert (
        shown[0] == "pipe  cache, 1 complete: a (3 frames); 1 unfinished: b (2 frames); "
        "1 damaged: c (0 frames)"
    )
    assert shown[-3:] == [
        "pipe.sort  tracks, 2 complete: a (0 rows), b (0 rows)",
        "    max_age 1  (1 of 2)",
        "    max_age 5  (1 of 2)",
    ]
    done = CliRunner().invoke(command, ["--work", str(tmp_path), "--json"]).output
    assert [entry["state"] for entry in json.loads(done)["done"]][:3] == [
        *("complete", "unfinished", "damaged"),
    ]
