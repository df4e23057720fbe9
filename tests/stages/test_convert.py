import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scenes import make

from mottool.data.formats import open_dataset
from mottool.errors import InputError
from mottool.formats.folders import text_of, write_motchallenge
from mottool.formats.registry import WRITERS, read
from mottool.formats.sequence_rows import CLASSES, class_number, results_sheet, truth_sheet
from mottool.motchallenge.seqinfo import SeqInfo
from mottool.stages.convert import Config, command, run

SCENES = {"MOT17-a": "plain-17", "MOT20-b": "plain-20"}
OUT = {"server": "out.zip", "coco": "out.json"}


def silent(told):
    raise AssertionError(told)


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, stem in SCENES.items():
        (folder / f"{name}.txt").write_text(text_of(results_sheet(name, make(stem).results)))
    return folder


@pytest.fixture
def dataset(tmp_path):
    for name, stem in SCENES.items():
        folder = tmp_path / "data" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "gt" / "gt.txt").write_text(text_of(truth_sheet(name, make(stem).truth)))
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nframeRate=25\nseqLength={make(stem).length}\n"
            "imWidth=240\nimHeight=160\n"
        )
    return tmp_path / "data"


def same(sheets, others, scores=True):
    """Hold two lists of sheets against each other, whatever the order of their rows."""
    assert [sheet.name for sheet in sheets] == [other.name for other in others]
    for sheet, other in zip(sheets, others, strict=True):
        assert sheet.truth == other.truth
        tables = []
        for rows in (sheet.rows, other.rows):
            order = np.lexsort((rows.ids, rows.frames))
            columns = (rows.frames, rows.ids, rows.tlwh, rows.rest[:, : None if scores else 0])
            tables.append(np.column_stack([column[order] for column in columns]))
        np.testing.assert_allclose(*tables, atol=1e-4)
        assert len(sheet.rows)


@pytest.mark.parametrize("form", ["motchallenge", "trackeval", "server", "coco"])
def test_results_come_back(results, tmp_path, form):
    out = run([results], tmp_path / OUT.get(form, "out"), Config(to=form), warn=silent)
    same(read(out, silent), read(results, silent))


@pytest.mark.parametrize("form", ["motchallenge", "trackeval", "cvat", "coco"])
def test_ground_truth_comes_back(dataset, tmp_path, form):
    out = run([dataset], tmp_path / OUT.get(form, "out"), Config(to=form), warn=silent)
    sheets = read(out, silent)
    same(sheets, read(dataset, silent))
    if form != "cvat":  # which has no place for it
        assert [sheet.info.frame_rate for sheet in sheets] == [25, 25]
        assert [sheet.info.width for sheet in sheets] == [240, 240]
        assert [sheet.length for sheet in sheets] == [60, 30]


def test_every_form_is_tried_above():
    assert set(WRITERS) == {"motchallenge", "trackeval", "server", "cvat", "coco"}


def test_the_layouts_are_those_of_the_others(results, dataset, tmp_path):
    run([results], tmp_path / "tracker", Config(to="trackeval"))
    assert (tmp_path / "tracker" / "data" / "MOT17-a.txt").is_file()
    run([results], tmp_path / "up.zip", Config(to="server"))
    assert zipfile.ZipFile(tmp_path / "up.zip").namelist() == ["MOT17-a.txt", "MOT20-b.txt"]
    run([dataset], tmp_path / "tasks", Config(to="cvat"))
    archive = zipfile.ZipFile(tmp_path / "tasks" / "MOT17-a.zip")
    assert archive.namelist() == ["gt/gt.txt", "gt/labels.txt"]
    assert archive.read("gt/labels.txt").decode().splitlines() == list(CLASSES)
    assert len(archive.read("gt/gt.txt").split()[0].split(b",")) == 9
    run([dataset], tmp_path / "plain", Config(to="motchallenge"))
    for name in SCENES:
        for file in ("gt/gt.txt", "seqinfo.ini"):
            assert (tmp_path / "plain" / name / file).is_file()


def test_a_zip_is_the_same_bytes_every_time(results, tmp_path):
    for name in ("a.zip", "b.zip"):
        run([results], tmp_path / name, Config(to="server"))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_results_become_boxes_to_correct_in_cvat(results, tmp_path):
    out = run([results / "MOT17-a.txt"], tmp_path / "MOT17-a.zip", Config(to="cvat"))
    (task,) = read(out, silent)
    assert task.truth
    assert (task.rows.rest == 1).all()
    (given,) = read(results / "MOT17-a.txt", silent)
    np.testing.assert_allclose(
        np.sort(task.rows.tlwh, axis=0), np.sort(given.rows.tlwh, axis=0), atol=1e-4
    )


def export(path, rows, labels=None):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("img1/frame_000000.PNG", b"")
        archive.writestr("gt/gt.txt", rows)
        if labels is not None:
            archive.writestr("gt/labels.txt", labels)
    return path


def test_cvats_own_labels_are_understood(tmp_path):
    rows = "1,1,10,20,30,40,1,1,0.9\n1,2,50,60,30,40,0,2,1\n2,3,5,6,7,8,1,3,1\n"
    told = []
    (sheet,) = read(export(tmp_path / "street.zip", rows, "dog\nPerson\ncar\n"), told.append)
    assert sheet.name == "street"
    assert sheet.rows.rest[:, :2].tolist() == [[0, 1], [1, 3]]
    assert "1 boxes of 'dog' left out" in told[0]
    (official,) = read(export(tmp_path / "plain.zip", rows), silent)
    assert official.rows.rest[:, 1].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="class 3, but names 2"):
        read(export(tmp_path / "short.zip", rows, "dog\nperson\n"), silent)


def test_mot15_has_pedestrians_only(tmp_path):
    (sheet,) = [truth_sheet("a", make("plain-15").truth)]
    assert (sheet.rows.rest[:, 1:] == 1).all()
    assert set(sheet.rows.rest[:, 0].tolist()) == {0, 1}


def test_coco_is_what_our_reader_of_datasets_takes(dataset, tmp_path):
    out = run([dataset], tmp_path / "train.json", Config(to="coco"))
    told = json.loads(out.read_text())
    assert {image["frame_id"] for image in told["images"] if image["video_id"] == 2} == set(
        range(1, 31)
    )
    for image in told["images"]:
        path = tmp_path / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    found = open_dataset(out, lambda told: None)
    counted = sum(
        ((sheet.rows.rest[:, 0] != 0) & (sheet.rows.rest[:, 1] == 1)).sum()
        for sheet in read(dataset, silent)
    )
    assert len(found.boxes) == counted


def test_the_dataset_tells_what_a_form_lacks(results, dataset, tmp_path):
    told = []
    (results / "alley.txt").write_text("1,1,0,0,5,5,1,-1,-1,-1\n")
    out = run([results], tmp_path / "a.json", Config(to="coco"), [dataset], told.append)
    images = json.loads(out.read_text())["images"]
    assert {image["width"] for image in images if image["video_id"] == 1} == {240}
    assert "no sequence alley in" in told[0]


def test_names_of_classes():
    assert [class_number(name) for name in CLASSES] == list(range(1, 14))
    assert class_number("person_on_vehicle") == 2
    assert class_number(" 'Person' ") == 1
    assert class_number("dog") is None


@pytest.mark.parametrize(
    ("source", "out", "form", "told"),
    [
        ("nowhere", "out", "motchallenge", "does not exist"),
        ("mine", "out.zip", "cvat", "is one zip file, but there are 2 sequences"),
        ("mine", "out", "server", "let it end in .zip"),
        ("data", "out.zip", "server", "is ground truth, which no server takes"),
        ("broken.zip", "out", "motchallenge", "not a readable zip"),
        ("empty.zip", "out", "motchallenge", "holds no text files"),
        ("broken.json", "out", "motchallenge", "is not JSON"),
        ("image.json", "out", "motchallenge", "has no list of videos"),
        ("entry.json", "out", "motchallenge", "entry 0 of annotations is broken"),
        ("nan.json", "out", "motchallenge", "row 1 holds NaN"),
        ("nan.zip", "out", "motchallenge", "line 1 holds NaN"),
    ],
)
def test_what_cannot_be_converted_is_told_in_one_line(
    results, dataset, tmp_path, source, out, form, told
):
    (tmp_path / "broken.zip").write_bytes(b"PK")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    export(tmp_path / "nan.zip", "1,1,nan,20,30,40,1,1,0.9\n")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "image.json").write_text('{"images": [], "annotations": [], "categories": []}')
    whole = {
        "videos": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "video_id": 1, "frame_id": 1}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"image_id": 7, "category_id": 1}],
    }
    (tmp_path / "entry.json").write_text(json.dumps(whole))
    row = {"image_id": 1, "category_id": 1, "track_id": 1, "bbox": [1, 2, float("nan"), 4]}
    (tmp_path / "nan.json").write_text(json.dumps({**whole, "annotations": [row]}))
    with pytest.raises(InputError) as error:
        run([tmp_path / source], tmp_path / out, Config(to=form))
    assert told in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / out).exists()


def test_kinds_and_names_are_not_mixed(results, dataset, tmp_path):
    with pytest.raises(InputError, match="some of these are results"):
        run([results, dataset], tmp_path / "out")
    with pytest.raises(InputError, match="two sequences MOT17-a"):
        run([results, results / "MOT17-a.txt"], tmp_path / "out")


def test_the_command_reports_what_it_made(results, tmp_path):
    given = [str(results), "--to", "server", "--out", str(tmp_path / "up.zip")]
    done = CliRunner().invoke(command, given)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{tmp_path / 'up.zip'}  server of {results}")
    failed = CliRunner().invoke(command, [str(tmp_path / "none"), *given[1:]])
    assert failed.exit_code == 1
    assert Path(tmp_path / "up.zip").exists()


def test_the_rate_and_size_of_a_video_stay(tmp_path):
    info = SeqInfo("a", "img1", 29.97, 7, 640, 480)
    sheet = truth_sheet("a", make("plain-17").truth, info)
    assert sheet.length == 58  # rows go beyond what was claimed
    (back,) = read(write_motchallenge([sheet], tmp_path / "out"), silent)
    assert back.info == SeqInfo("a", "img1", 29.97, 58, 640, 480)
