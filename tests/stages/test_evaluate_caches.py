"""`mottool evaluate` scores caches, alone and with results."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from caches import HEADER, write
from evaluated import call, scored_dataset
from scenes import make

from mottool.boxes import xyxy_from_tlwh
from mottool.detections import Detections
from mottool.motchallenge.rules import scored_and_ignored
from mottool.stages.evaluate import run


@pytest.fixture
def dataset(tmp_path):
    return scored_dataset(tmp_path)


def cached(dataset: Path, pipeline: str, **scenes: str) -> list[Path]:
    """Write a cache of each sequence with perfect detections and embeddings."""
    paths = []
    for name, stem in scenes.items():
        scene, frames = make(stem), []
        rows, scored = scene.truth, scored_and_ignored(scene.truth, scene.rules, name)[0]
        for number in range(1, scene.length + 1):
            in_frame = scored & (rows.frames == number)
            embeddings = np.eye(64, dtype=np.float32)[rows.ids[in_frame] % 64]
            boxes = xyxy_from_tlwh(rows.tlwh[in_frame]).astype(np.float32)
            ones = np.ones(len(boxes), np.float32)
            frames.append(Detections(boxes, ones, np.zeros(len(boxes), np.uint16), embeddings))
        header = replace(HEADER, sequence=name.replace("_", "-"), pipeline=pipeline)
        paths.append(write(dataset / "caches" / pipeline / f"{header.sequence}.h5", frames, header))
    return paths


def test_caches_are_scored_by_pipeline(dataset):
    scenes = {"MOT17_a": "plain-17", "street": "plain-15"}
    paths = cached(dataset, "gt+mine", **scenes)
    cached(dataset, "public", MOT20_b="plain-20")
    output = call("--caches", "--gt", dataset / "data", "--work", dataset).splitlines()
    heads = [line.split() for line in output if line.startswith("Sequence")]
    assert heads[0][2:4] == ["AP", "AP_S"]
    assert heads[0][-2:] == ["Rank1", "mAP"]
    assert heads[1][-1] == "Prcn"
    assert "gt+mine has no results for MOT20-b: not scored, not in COMBINED" in "\n".join(output)
    truths = [item for name in ("MOT17-a", "street") for item in ("--gt", dataset / "data" / name)]
    done = json.loads(call(*paths, *truths, "--json"))["done"]
    assert [entry["sequence"] for entry in done] == ["MOT17-a", "street", "COMBINED"]
    for entry in done:
        for name in ("AP", "Rcll", "Prcn", "Rank1", "mAP"):
            assert entry["figures"][name] == pytest.approx(1), name


def test_caches_and_results_go_into_one_csv(dataset):
    (path,) = cached(dataset, "gt+mine", street="plain-15")
    given = [path.parent, dataset / "tracks" / "mine" / "street.txt"]
    out = run(given, [dataset / "data"], dataset / "scores.csv")
    rows = list(csv.DictReader(out.read_text().splitlines()))
    assert [row["tracker"] for row in rows] == ["mine", "mine", "gt+mine", "gt+mine"]
    assert rows[0]["AP"] == rows[2]["HOTA"] == ""
    assert float(rows[2]["Rank1"]) == 1
    markdown = dataset / "scores.md"
    call(*given, "--gt", dataset / "data", "--markdown", markdown)
    assert markdown.read_text().count("| Tracker |") == 2


def test_a_cache_without_ground_truth(dataset):
    paths = cached(dataset, "gt+mine", street="plain-15", alley="plain-15")
    output = call("--caches", "--gt", dataset / "data", "--work", dataset)
    assert "alley left out: no ground truth is given" in output
    assert "alley left out" in call(*paths, "--gt", dataset / "data")
    call(paths[1], "--gt", dataset / "data", code=1)  # nothing remains
    paths[0].write_bytes(b"no cache")
    assert "1 failed" in call(
        *paths[:1], cached(dataset, "more", street="plain-15")[0], "--gt", dataset / "data", code=1
    )
