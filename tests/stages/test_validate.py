"""`mottool validate`: metrics of networks on datasets of images."""

import csv
import json

import cv2
import datasets
import numpy as np
import pytest
from click.testing import CliRunner
from footage import seqinfo
from untrained import checkpoint

from mottool.errors import InputError, SettingError
from mottool.stages import detect_embed, evaluate
from mottool.stages.validate import Config, command, run

NETWORK = "fairmot-yolov5s"
HISTOGRAM = ("--pipeline", "gt+histogram")


def call(command, *arguments, code=0):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


@pytest.fixture
def videos(tmp_path):
    """Two sequences of noisy people, whose colours change a little from frame to frame."""
    draw = np.random.default_rng(3)
    for name in ("MOT17-02", "MOT17-04"):
        folder = seqinfo(tmp_path / "MOT17" / name, seqLength=6, imWidth=96, imHeight=64)
        (folder / "img1").mkdir()
        (folder / "gt").mkdir()
        colours, rows = draw.integers(40, 220, (3, 3)), []
        for frame in range(1, 7):
            image = draw.integers(90, 160, (64, 96, 3), dtype=np.uint8)
            for person in range(3):
                left = 4 + 30 * person + frame % 3
                noise = draw.integers(-60, 60, (40, 18, 3))
                image[10:50, left : left + 18] = np.clip(colours[person] + noise, 0, 255)
                visible = draw.random()
                rows.append(f"{frame},{person + 1},{left},10,18,40,1,1,{visible:.2f}")
            cv2.imwrite(str(folder / f"img1/{frame:06d}.png"), image)
        (folder / "gt/gt.txt").write_text("\n".join(rows) + "\n")
    return tmp_path / "MOT17"


@pytest.mark.parametrize(
    "protocol", [(), ("--gallery", "pooled", "--min-visibility", 0.3, "--ap-sum", "trapezoid")]
)
@pytest.mark.parametrize("half", ["", "@second"])
def test_embeddings_of_videos_score_as_those_of_caches(videos, tmp_path, protocol, half):
    source, work = f"{videos}{half}", ("--work", tmp_path / "work")
    call(detect_embed.command, source, "--boxes", "gt", "--embedder", "histogram", *work)
    scored = call(evaluate.command, "--caches", "--gt", source, *protocol, *work, "--json")
    expected = json.loads(scored.stdout)["done"][-1]["figures"]
    shown = call(command, source, *HISTOGRAM, *protocol, "--json")
    (row,) = json.loads(shown.stdout)["done"]
    assert (row["sequence"], row["images"]) == (f"MOT17{half}", 6 if half else 12)
    assert set(row["figures"]) >= {"TPR", "Rank1", "mAP"}
    assert "AP" not in row["figures"]  # nothing was detected
    for name, value in row["figures"].items():
        # Caches have half precision.
        assert value == pytest.approx(expected[name], abs=2e-3), name


def test_a_network_is_scored_on_every_format_and_combined(tmp_path):
    weights = checkpoint(NETWORK, tmp_path)
    sources = [
        datasets.train_list(tmp_path / "jde"),
        datasets.crowdhuman(tmp_path / "crowd"),
        datasets.coco(tmp_path / "coco"),
    ]
    options = ("--pipeline", NETWORK, "--weights", weights, "--input", "64x64")
    table = tmp_path / "scores.csv"
    result = call(command, *sources, *options, "--csv", table)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    names = [row["Dataset"] for row in rows]
    assert names == [*(line.split()[1] for line in result.stdout.splitlines()[1:])]
    assert names[-1] == "COMBINED"
    images = [int(row["Images"]) for row in rows]
    assert sum(images[:-1]) == images[-1]
    assert all(0 <= float(row["AP"]) <= 1 for row in rows)
    assert "has no identities: no metrics of embeddings" in result.stderr


def test_the_function_writes_the_table(videos, tmp_path):
    config = Config(pipeline="gt+histogram")
    rows = run([videos], tmp_path / "scores.csv", config).read_text().splitlines()
    assert rows[0].split(",")[:3] == ["Pipeline", "Dataset", "Images"]
    assert rows[1].startswith("gt+histogram,MOT17,12,")
    assert len(rows) == 2


def test_crops_are_embedded_only(tmp_path):
    names = [f"{person:04d}_c1s1_{shot:06d}_00" for person in (1, 2) for shot in range(4)]
    crops = datasets.crops(tmp_path / "market", names)
    rows = run([crops], tmp_path / "a.csv", Config(pipeline="gt+histogram"))
    assert "Rank1" in rows.read_text().splitlines()[0]
    weights = checkpoint(NETWORK, tmp_path)
    config = Config(pipeline=NETWORK, weights=weights, input=(64, 64))
    head = run([crops], tmp_path / "b.csv", config).read_text().splitlines()[0]
    assert ",AP" not in head
    config = Config(pipeline=NETWORK, weights=weights, input=(64, 64), only="detections")
    with pytest.raises(InputError, match="consists of crops of people"):
        run([crops], tmp_path / "b.csv", config)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pipeline": "public"}, "public detects nothing in images"),
        ({"pipeline": "gt"}, "gt detects nothing in images"),
        ({"pipeline": "gt+histogram", "occlusion_maps": True}, "--occlusion-maps does not apply"),
        ({"pipeline": "fairmot-dla35"}, "there is no pipeline 'fairmot-dla35'"),
    ],
)
def test_pipelines_that_read_no_images_are_refused(tmp_path, settings, message):
    with pytest.raises(SettingError, match=message):
        run([datasets.coco(tmp_path / "coco")], tmp_path / "a.csv", Config(**settings))


def test_embeddings_need_identities(tmp_path):
    source = datasets.crowdhuman(tmp_path / "crowd")
    with pytest.raises(InputError, match="has no identities, which metrics of embeddings need"):
        run([source], tmp_path / "a.csv", Config(pipeline="gt+histogram"))


def test_identities_with_one_box_each_have_no_metrics(tmp_path):
    crops = datasets.crops(tmp_path / "market")
    result = call(command, crops, *HISTOGRAM)
    assert "no identity has two boxes, so there is nothing to compare" in result.stderr


def test_missing_visibility_is_reported(tmp_path):
    source = datasets.train_list(tmp_path / "jde", ["0 5 0.5 0.5 0.25 0.5"])
    result = call(command, source, *HISTOGRAM, "--min-visibility", 0.7)
    assert "no visibility is annotated, so all boxes count as visible" in result.stderr
