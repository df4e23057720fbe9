"""`mottool inspect`: complete, unfinished and damaged files, as text and JSON."""

import json
import zipfile
from dataclasses import replace

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mottool.cache.hdf5 import shard_folder
from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections
from mottool.stages.inspect import command, run

SETTINGS = {"embedder": "histogram", "min_score": 0.1}
HEADER = Header("TUD", "public", "/data/TUD", "ab12", 640, 480, 25.0, "", SETTINGS)


def cache(path, finish=True):
    one = Detections(
        np.ones((2, 4), np.float32),
        np.ones(2, np.float32),
        np.zeros(2, np.uint16),
        np.ones((2, 8), np.float32),
        np.ones((1, 3), np.float32),
    )
    with CacheWriter(path, HEADER) as writer:
        for number in range(3):
            writer.append(one, number / 25, (0.25, 0.0, 0.125, 0.125))
        if finish:
            writer.finish()
    return path if finish else shard_folder(path)


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_complete_cache_is_described_in_json(tmp_path):
    path = cache(tmp_path / "a.h5")
    assert run(path) == {
        "kind": "cache",
        "state": "complete",
        "sequence": "TUD",
        "pipeline": "public",
        "source": "/data/TUD",
        "source_hash": "ab12",
        "width": 640,
        "height": 480,
        "fps": 25.0,
        "first_frame": 1,
        "weights": "",
        "weights_file": "",
        "embedder_weights_file": "",
        "settings": SETTINGS,
        "frames": 3,
        "seconds": 0.08,
        "detections": 6,
        "embedding_size": 8,
        "occlusion_centres": 3,
        "occlusion_maps": False,
        "bytes": path.stat().st_size,
        "milliseconds_per_frame": {"decode": 250, "network": 0, "heads": 125, "embed": 125},
        "frames_per_second": 2.0,
    }


def test_text_output_has_one_fact_a_line(tmp_path):
    result = invoke("--all", cache(tmp_path / "a.h5"))
    assert result.exit_code == 0
    lines = result.output.splitlines()
    summary = "cache, complete: 3 frames, 6 detections, 8-d embeddings"
    assert lines[0] == f"{tmp_path / 'a.h5'}  {summary}"
    facts = dict(line.strip().split("  ", 1) for line in lines[1:])
    assert facts["embedding size"].strip() == "8"
    assert facts["weights"].strip() == "none"
    assert facts["settings"].strip() == "embedder histogram, min_score 0.1"


def test_settings_of_trackers_whole_hashes_and_long_values_are_shown_if_asked_for(tmp_path):
    digest, names = "0123456789ab" + "c" * 52, ",".join(["class"] * 40)
    suggested = {"sort": {"max_age": 30}, "jde": {"second": 0.8}}
    settings = {"boxes": digest, "names": names, "empty": None, "trackers": suggested}
    header = replace(HEADER, source_hash=digest, weights=digest, settings=settings)
    with CacheWriter(tmp_path / "a.h5", header) as writer:
        writer.finish()
    shown = invoke(tmp_path / "a.h5").stdout.splitlines()
    facts = {line[4:28].strip(): line[28:] for line in shown[1:]}
    assert facts["source hash"] == facts["weights"] == "0123456789ab"
    assert facts["settings"] == f"boxes 0123456789ab, empty none, names {names[:60]}…"
    assert facts["detections"] == "0"
    assert not {"weights file", "sort", "occlusion maps"} & facts.keys()
    assert shown[-1].endswith("  --all shows more")
    everything = invoke("--all", tmp_path / "a.h5").stdout
    assert f"boxes {digest}, empty None, names {names}\n" in everything
    assert "    sort                    max_age 30\n" in everything
    assert "--all shows more" not in everything


@pytest.mark.parametrize("name", ["a.part", "a.h5"])
def test_an_unfinished_cache_is_not_an_error(tmp_path, name):
    part = cache(tmp_path / "a.h5", finish=False)
    result = invoke(tmp_path / name)
    assert result.exit_code == 0
    assert f"{name}  cache, unfinished, 3 frames committed" in result.output
    facts = run(tmp_path / name)
    assert (facts["pipeline"], facts["frames"], facts["settings"]) == ("public", 3, SETTINGS)
    assert facts["bytes"] == (part / "00000000.h5").stat().st_size


def test_a_complete_cache_with_leftover_shards_is_complete(tmp_path):
    path = cache(tmp_path / "a.h5")
    shard_folder(path).mkdir()
    assert run(shard_folder(path)) == run(path)


def test_a_cache_can_be_inspected_while_it_is_written(tmp_path):
    part = cache(tmp_path / "a.h5", finish=False)
    with CacheWriter(tmp_path / "a.h5", HEADER):
        assert run(part)["frames"] == 3


def test_an_unfinished_cache_without_frames_is_reported(tmp_path):
    with CacheWriter(tmp_path / "a.h5", HEADER):
        result = invoke(tmp_path / "a.part")
    assert result.exit_code == 1
    assert "a.part is unfinished, no frames are committed. Fix: run the same" in result.output


def test_an_empty_cache_has_no_speed(tmp_path):
    with CacheWriter(tmp_path / "a.h5", HEADER) as writer:
        writer.finish()
    facts = run(tmp_path / "a.h5")
    assert (facts["frames"], facts["frames_per_second"]) == (0, None)
    assert invoke(tmp_path / "a.h5").exit_code == 0


def test_result_rows_are_counted(tmp_path):
    path = tmp_path / "TUD.txt"
    path.write_text("1,1,0,0,5,5,1,-1,-1,-1\n1,2,0,0,5,5,1,-1,-1,-1\n7,1,0,0,5,5,1,-1,-1,-1\n")
    result = invoke("--json", path)
    assert result.exit_code == 0
    assert json.loads(result.output)["done"] == [
        {
            "sequence": "TUD",
            "path": str(path),
            "kind": "MOTChallenge rows",
            "state": "complete",
            "rows": 3,
            "frames": 2,
            "last_frame": 7,
            "identities": 2,
            "bytes": path.stat().st_size,
        }
    ]


def test_results_in_a_zip_file_are_counted_together(tmp_path):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        for name in ("a", "b"):
            file.writestr(f"{name}.txt", "1,1,0,0,5,5,1,-1,-1,-1\n")
    first, *lines = invoke(tmp_path / "all.zip").stdout.splitlines()
    assert first.endswith("  zip file of MOTChallenge rows, complete: 2 rows, 2 identities")
    assert lines[1] == "    sequences               a, b"


def test_datasets_are_counted_and_their_identities_add_up(tmp_path):
    """As in Table 2 of JDE's paper. The identities of two datasets are different people."""
    paths = []
    for name, labels in (
        ("one", ["0 7 .5 .5 .2 .2\n0 -1 .3 .3 .2 .2\n", ""]),
        ("two", ["0 7 .5 .5 .2 .2\n"]),
    ):
        for folder in ("images", "labels_with_ids"):
            (tmp_path / name / folder).mkdir(parents=True)
        names = []
        for number, text in enumerate(labels):
            image = tmp_path / name / f"images/{number}.png"
            cv2.imwrite(str(image), np.zeros((20, 30, 3), np.uint8))
            (tmp_path / name / f"labels_with_ids/{number}.txt").write_text(text)
            names.append(f"{name}/images/{number}.png")
        paths.append(tmp_path / f"{name}.train")
        paths[-1].write_text("\n".join(names))
    first, second, total = json.loads(invoke("--json", *paths).stdout)["done"]
    counts = {"images": 2, "boxes": 2, "identities": 1, "videos": 0}
    assert first == {
        "sequence": "one.train", "path": str(paths[0]), "kind": "dataset", "state": "complete",
    } | counts  # fmt: skip
    assert (second["images"], second["boxes"], second["identities"]) == (1, 1, 1)
    counts = {"images": 3, "boxes": 3, "identities": 2, "videos": 0}
    assert total == {"sequence": "total", "kind": "datasets"} | counts
    printed = invoke(*paths).output
    assert "total of 2 datasets" in printed
    assert "total" not in invoke(paths[0]).output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.h5", b"text", "is truncated or not an HDF5 file"),
        ("a.part.h5", b"", "is truncated or not an HDF5 file"),
        ("a.mp4", b"text", "is neither a cache nor MOTChallenge rows"),
        ("a.txt", b"1,2,3\n", "has 3 columns"),
        ("missing.h5", None, "is not a file"),
    ],
)
def test_errors_are_reported_and_the_other_files_are_shown(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    result = invoke("--json", path, cache(tmp_path / "good.h5"))
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [entry["sequence"] for entry in report["failed"]] == [name]
    assert message in report["failed"][0]["error"]
    assert [entry["sequence"] for entry in report["done"]] == ["TUD"]


def test_a_cache_with_a_damaged_root_is_reported(tmp_path):
    path = cache(tmp_path / "a.h5")
    content = bytearray(path.read_bytes())
    root = int.from_bytes(content[64:72], "little")  # the address of its header, in superblock 0
    assert content[root + 16 : root + 18] == b"\x10\x00"  # its messages are elsewhere
    content[root + 16] = 0
    path.write_bytes(content)
    result = invoke(path)
    assert result.exit_code == 1
    assert "is damaged or not a cache" in result.output
