import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from scenes import make

from mottool.data.formats import open_dataset
from mottool.errors import InputError
from mottool.formats.folders import rows_as_text, write_motchallenge
from mottool.formats.registry import TRACK_FORMATS, read
from mottool.formats.sequence_rows import (
    CLASSES,
    ground_truth_rows,
    result_rows,
)
from mottool.motchallenge.class_names import class_number
from mottool.motchallenge.seqinfo import SeqInfo
from mottool.records.record import write_record
from mottool.stages.convert import Config, command, run

SCENES = {"MOT17-a": "plain-17", "MOT20-b": "plain-20"}
OUT = {"server": "out.zip", "coco": "out.json"}


def no_warning(message):
    raise AssertionError(message)


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, stem in SCENES.items():
        (folder / f"{name}.txt").write_text(rows_as_text(result_rows(name, make(stem).results)))
    return folder


@pytest.fixture
def dataset(tmp_path):
    for name, stem in SCENES.items():
        folder = tmp_path / "data" / name
        (folder / "gt").mkdir(parents=True)
        (folder / "gt" / "gt.txt").write_text(
            rows_as_text(ground_truth_rows(name, make(stem).truth))
        )
        (folder / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nframeRate=25\nseqLength={make(stem).length}\n"
            "imWidth=240\nimHeight=160\n"
        )
    return tmp_path / "data"


def assert_equal(sequences, expected):
    """Compare two lists of sequences, in any order of their rows."""
    assert [sequence.name for sequence in sequences] == [sequence.name for sequence in expected]
    for pair in zip(sequences, expected, strict=True):
        assert pair[0].is_ground_truth == pair[1].is_ground_truth
        tables = []
        for rows in (sequence.rows for sequence in pair):
            order = np.lexsort((rows.ids, rows.frames))
            columns = (rows.frames, rows.ids, rows.tlwh, rows.rest)
            tables.append(np.column_stack([column[order] for column in columns]))
        np.testing.assert_allclose(*tables, atol=1e-4)
        assert len(tables[0])


@pytest.mark.parametrize("format", ["motchallenge", "trackeval", "server", "coco"])
def test_results_are_read_back(results, tmp_path, format):
    out = run([results], tmp_path / OUT.get(format, "out"), Config(to=format), warn=no_warning)
    assert_equal(read(out, no_warning), read(results, no_warning))


@pytest.mark.parametrize("format", ["motchallenge", "trackeval", "cvat", "coco"])
def test_ground_truth_is_read_back(dataset, tmp_path, format):
    out = run([dataset], tmp_path / OUT.get(format, "out"), Config(to=format), warn=no_warning)
    sequences = read(out, no_warning)
    assert_equal(sequences, read(dataset, no_warning))
    if format != "cvat":  # CVAT does not store the sequence length
        assert [sequence.info.frame_rate for sequence in sequences] == [25, 25]
        assert [sequence.info.width for sequence in sequences] == [240, 240]
        assert [sequence.length for sequence in sequences] == [60, 30]


def test_yolo_labels_are_read_back(results, dataset, tmp_path):
    """They have no flags and no visibility; the size of the images is in seqinfo.ini."""
    out = run([results], tmp_path / "out", Config(to="yolo"), [dataset], no_warning)
    assert_equal(read(out, [].append), read(results, no_warning))
    first = next((out / "MOT17-a/labels").glob("MOT17-a_*.txt")).read_text().split("\n")[0].split()
    assert (len(first), first[0]) == (7, "0")
    out = run([dataset], tmp_path / "truth", Config(to="yolo"), warn=no_warning)
    expected = read(dataset, no_warning)
    for sequence in expected:
        sequence.rows.rest[:, [0, 2]] = 1
    messages = []
    assert_equal(read(out, messages.append), expected)
    assert messages == [f"{out}: read as Ultralytics track labels"]
    with pytest.raises(InputError, match="unknown size.*--dataset"):
        run([results], tmp_path / "none", Config(to="yolo"), warn=no_warning)


def test_every_format_is_tested_above():
    """Those of `benchmarks` are tested in tests/layouts."""
    tested = {"motchallenge", "trackeval", "server", "cvat", "coco", "yolo"}
    assert set(TRACK_FORMATS) - {"layouts"} == tested


def test_files_are_where_other_programs_read_them(results, dataset, tmp_path):
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


def test_zip_files_are_reproducible(results, tmp_path):
    for name in ("a.zip", "b.zip"):
        run([results], tmp_path / name, Config(to="server"))
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_results_are_exported_as_cvat_tracks(results, tmp_path):
    out = run([results / "MOT17-a.txt"], tmp_path / "MOT17-a.zip", Config(to="cvat"))
    (task,) = read(out, no_warning)
    assert task.is_ground_truth
    assert (task.rows.rest == 1).all()
    (given,) = read(results / "MOT17-a.txt", no_warning)
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


def test_labels_of_cvat_are_read(tmp_path):
    rows = "1,1,10,20,30,40,1,1,0.9\n1,2,50,60,30,40,0,2,1\n2,3,5,6,7,8,1,3,1\n"
    path = export(tmp_path / "street.zip", rows, "dog\nPerson\ncar\n")
    (sequence,) = read(path, no_warning)
    assert sequence.name == "street"
    assert sequence.rows.rest[:, :2].tolist() == [[1, 14], [0, 1], [1, 3]]
    assert sequence.class_names[13] == "dog"
    (official,) = read(export(tmp_path / "plain.zip", rows), no_warning)
    assert official.rows.rest[:, 1].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="class 3, but names 2"):
        read(export(tmp_path / "short.zip", rows, "dog\nperson\n"), no_warning)


def test_mot15_has_pedestrians_only(tmp_path):
    sequence = ground_truth_rows("a", make("plain-15").truth)
    assert (sequence.rows.rest[:, 1:] == 1).all()
    assert set(sequence.rows.rest[:, 0].tolist()) == {0, 1}


def test_coco_is_readable_as_a_dataset(dataset, tmp_path):
    out = run([dataset], tmp_path / "train.json", Config(to="coco"))
    document = json.loads(out.read_text())
    assert {image["frame_id"] for image in document["images"] if image["video_id"] == 2} == set(
        range(1, 31)
    )
    for image in document["images"]:
        path = tmp_path / image["file_name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    opened = open_dataset(out, lambda message: None)
    count = sum(
        ((sequence.rows.rest[:, 0] != 0) & (sequence.rows.rest[:, 1] == 1)).sum()
        for sequence in read(dataset, no_warning)
    )
    assert len(opened.boxes) == count


def test_dataset_provides_missing_image_sizes(results, dataset, tmp_path):
    warnings = []
    (results / "alley.txt").write_text("1,1,0,0,5,5,1,-1,-1,-1\n")
    out = run([results], tmp_path / "a.json", Config(to="coco"), [dataset], warnings.append)
    images = json.loads(out.read_text())["images"]
    assert {image["width"] for image in images if image["video_id"] == 1} == {240}
    assert "no sequence alley in" in warnings[0]


def test_names_of_classes():
    assert [class_number(name) for name in CLASSES] == list(range(1, 14))
    assert class_number("person_on_vehicle") == 2
    assert class_number(" 'Person' ") == 1
    assert class_number("dog") is None


@pytest.mark.parametrize(
    ("source", "out", "format", "message"),
    [
        ("nowhere", "out", "motchallenge", "does not exist"),
        ("mine", "out.zip", "cvat", "is one zip file, but there are 2 sequences"),
        ("mine", "out", "server", "give a name that ends in .zip"),
        ("data", "out.zip", "server", "is ground truth, which the server does not accept"),
        ("broken.zip", "out", "motchallenge", "not a readable zip"),
        ("empty.zip", "out", "motchallenge", "holds no text files"),
        ("broken.json", "out", "motchallenge", "is not JSON"),
        ("image.json", "out", "motchallenge", "has no list of videos"),
        ("entry.json", "out", "motchallenge", "entry 0 of annotations refers to the id 7"),
        ("nan.json", "out", "motchallenge", "row 1 holds NaN"),
        ("nan.zip", "out", "motchallenge", "line 1 holds NaN"),
    ],
)
def test_errors_have_one_line(results, dataset, tmp_path, source, out, format, message):
    (tmp_path / "broken.zip").write_bytes(b"PK")
    zipfile.ZipFile(tmp_path / "empty.zip", "w").close()
    export(tmp_path / "nan.zip", "1,1,nan,20,30,40,1,1,0.9\n")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "image.json").write_text('{"images": [], "annotations": [], "categories": []}')
    document = {
        "videos": [{"id": 1, "name": "a"}],
        "images": [{"id": 1, "video_id": 1, "frame_id": 1}],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"image_id": 7, "category_id": 1}],
    }
    (tmp_path / "entry.json").write_text(json.dumps(document))
    row = {"image_id": 1, "category_id": 1, "track_id": 1, "bbox": [1, 2, float("nan"), 4]}
    (tmp_path / "nan.json").write_text(json.dumps({**document, "annotations": [row]}))
    with pytest.raises(InputError) as error:
        run([tmp_path / source], tmp_path / out, Config(to=format))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize(("target", "is_warned"), [("server", True), ("cvat", False)])
def test_results_of_different_settings_are_named(results, tmp_path, target, is_warned):
    for name, age in zip(SCENES, (1, 5), strict=True):
        settings = {"tracker": "sort", "settings": {"max_age": age, "min_hits": 3}}
        write_record(results / f"{name}.txt", settings)
    out = str(tmp_path / OUT.get(target, "out"))
    done = CliRunner().invoke(command, [str(results), "--to", target, "--out", out])
    assert done.exit_code == 0, done.output
    warning = (
        "mottool: results of different settings are scored as those of one tracker: "
        "max_age is 1 of MOT17-a and 5 of MOT20-b\n"
    )
    assert done.stderr == (warning if is_warned else "")


def test_results_and_ground_truth_are_not_mixed(results, dataset, tmp_path):
    with pytest.raises(InputError, match="some sources are results"):
        run([results, dataset], tmp_path / "out")
    with pytest.raises(InputError, match="two sequences MOT17-a"):
        run([results, results / "MOT17-a.txt"], tmp_path / "out")


def test_the_command_reports_the_written_path(results, tmp_path):
    arguments = [str(results), "--to", "server", "--out", str(tmp_path / "up.zip")]
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == 0, done.output
    assert done.output.startswith(f"{tmp_path / 'up.zip'}  results of ")
    assert "as the zip file that MOTChallenge's server accepts" in done.output
    coco = CliRunner().invoke(
        command, [str(results), "--to", "coco", "--out", f"{tmp_path}/a.json"]
    )
    assert "width and height are unknown and written as 0; give --dataset" in coco.stderr
    failed = CliRunner().invoke(command, [str(tmp_path / "none"), *arguments[1:]])
    assert failed.exit_code == 1
    assert Path(tmp_path / "up.zip").exists()


def test_the_frame_rate_and_size_of_a_video_are_kept(tmp_path):
    info = SeqInfo("a", "img1", 29.97, 7, 640, 480)
    sequence = ground_truth_rows("a", make("plain-17").truth, info)
    assert sequence.length == 58  # rows continue after the length in `info`
    (read_back,) = read(write_motchallenge([sequence], tmp_path / "out"), no_warning)
    assert read_back.info == SeqInfo("a", "img1", 29.97, 58, 640, 480)


TOY_FORMAT = """
from mottool.formats.sequence_rows import result_rows
from mottool.motchallenge.rows import parse_rows

def write(sequences, out):
    lines = (f"{len(sequence.rows)} boxes of {sequence.name}" for sequence in sequences)
    out.write_text("\\n".join(lines))
    return out

def read(path, warn):
    if path.suffix != ".toy":
        return None
    return [result_rows(path.stem, parse_rows("1,1,10,20,30,40,1,-1,-1,-1\\n", path))]
"""
WITH_TOY_FORMAT = """
from mottool.formats.registry import TRACK_FORMATS, TrackFormat

TRACK_FORMATS["toy"] = TrackFormat(
    "one line per sequence", write="toy_format:write", read="toy_format:read", suffix=".toy"
)
from mottool.cli.main import main

main()
"""


def test_new_format_needs_one_file_and_one_entry(results, tmp_path):
    (tmp_path / "toy_format.py").write_text(TOY_FORMAT)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])

    def convert(*arguments):
        command = [sys.executable, "-c", WITH_TOY_FORMAT, "convert", *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "toy: one line per sequence." in " ".join(convert("--help").split())
    convert(results, "--to", "toy", "--out", tmp_path / "out.toy")
    first, second = (tmp_path / "out.toy").read_text().splitlines()
    assert first.endswith(" boxes of MOT17-a")
    assert second.endswith(" boxes of MOT20-b")
    convert(tmp_path / "out.toy", "--out", tmp_path / "back")
    assert (tmp_path / "back" / "out.txt").read_text() == "1,1,10,20,30,40,1,-1,-1,-1\n"


def test_nine_columns_are_results_on_request(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "s1.txt").write_text("1,1,15,20,30,80,1,0,0.9\n")
    messages = []
    with pytest.raises(InputError, match="is ground truth.*--kind results"):
        run([tmp_path / "mine"], tmp_path / "up.zip", Config(to="server"), warn=messages.append)
    assert messages == [
        "s1: read as ground truth, because the rows have nine columns; "
        "for results add --kind results"
    ]
    config = Config(to="server", kind="results")
    path = run([tmp_path / "mine"], tmp_path / "up.zip", config, warn=no_warning)
    assert zipfile.ZipFile(path).read("s1.txt") == b"1,1,15,20,30,80,1,-1,-1,-1\n"


@pytest.mark.parametrize("source", ["rows", "coco", "kitti"])
def test_results_that_lose_their_classes_are_named(tmp_path, source):
    """A car would become a person."""
    path = tmp_path / "s1.txt"
    if source == "rows":
        path.write_text("1,1,15,20,30,80,0.5,0,-1,-1\n1,2,15,20,30,80,0.5,2,-1,-1\n")
    elif source == "kitti":
        tail = "0 0 0 10 10 40 90 1 1 1 1 1 1 1 0.5\n"
        path.write_text(f"0 1 Pedestrian {tail}0 2 Car {tail}")
    else:
        path = tmp_path / "s1.json"
        box = {"image_id": 1, "category_id": 1, "track_id": 4, "bbox": [1, 2, 3, 4], "score": 0.5}
        document = {
            "videos": [{"id": 1, "name": "s1"}],
            "images": [{"id": 1, "video_id": 1, "frame_id": 1}],
            "annotations": [box, {**box, "category_id": 3, "track_id": 5}],
            "categories": [{"id": 1, "name": "person"}, {"id": 3, "name": "car"}],
        }
        path.write_text(json.dumps(document))
    notes = []
    run([path], tmp_path / "out", Config(), warn=notes.append)
    assert "results keep no classes, of which there are 2" in notes[0]
    assert notes[1:] == ([f"{path}: read as KITTI tracking"] if source == "kitti" else [])
    assert len((tmp_path / "out/s1.txt").read_text().splitlines()) == 2


def test_detections_are_said_to_be_no_tracks(tmp_path):
    (tmp_path / "seq.txt").write_text("1,-1,10,20,30,40,0.5,-1,-1,-1\n")
    messages = []
    run([tmp_path / "seq.txt"], tmp_path / "out", warn=messages.append)
    assert messages == ["seq: no row has an identity; these are detections, not tracks"]


def test_results_of_one_class_that_is_not_people_are_named(tmp_path):
    (tmp_path / "seq.txt").write_text("1,1,10,20,30,40,0.5,2,-1,-1\n")
    messages = []
    run([tmp_path / "seq.txt"], tmp_path / "out", warn=messages.append)
    assert messages == ["seq: results keep no classes, of which there are 1 (rows: 2 1)"]
