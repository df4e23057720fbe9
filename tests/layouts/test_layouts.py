"""Published layouts are read as sources, as ground truth, for training, and by convert."""

import json
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from footage import images, seqinfo, video
from layouts import FRAMES, LAYOUTS, PERSON, REGION, bdd100k, kitti, ultralytics, visdrone

from mottool.cli.main import cli
from mottool.data.formats import open_dataset
from mottool.data.readers.motchallenge import scored_rows
from mottool.errors import InputError
from mottool.formats.registry import read, write
from mottool.layouts.registry import LAYOUTS as ENTRIES
from mottool.layouts.registry import digest_of_labels, read_ground_truth
from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import find_ground_truth
from mottool.metrics.track_evaluation import score_tracks
from mottool.motchallenge.public_detections import PublicDetections
from mottool.motchallenge.rows import Rows
from mottool.sources.discovery import find_sequences
from mottool.sources.images import images_in

# Another path of the same labels, by their rules.
OTHER = {  # ground truth besides the split and the folder above
    "0000": "label_02/0000.txt",
    "b1c66a42-6f7d68ca": "labels/box_track_20/val",
    "film": "labels",
    "street": "annotations.xml",
}
CAR_FRAME_1 = [20, 10, 20, 28]


def no_warning(message):
    raise AssertionError(message)


@pytest.fixture(params=LAYOUTS, ids=lambda make: make.__name__)
def made(request, tmp_path):
    """Return a split and what is known of it."""
    return request.param(tmp_path), LAYOUTS[request.param]


def tracks(*boxes):
    """Return one track per box, which stays where it is; the first walks as the person does."""
    frames = np.repeat(np.arange(1, FRAMES + 1), len(boxes))
    tlwh = np.tile(np.array(boxes, np.float64), (FRAMES, 1))
    tlwh[:: len(boxes), 0] += 2 * np.arange(FRAMES)
    ids = np.tile(np.arange(1, len(boxes) + 1), FRAMES)
    return Rows(frames, ids, tlwh, np.ones((len(frames), 1)))


def test_a_split_is_a_source(made):
    split, (name, rate, *_) = made
    (sequence,) = find_sequences([split], note=no_warning)
    assert (sequence.name, sequence.fps, sequence.length) == (name, rate, FRAMES)
    assert [frame.image.shape for frame in sequence.frames()] == [(48, 64, 3)] * FRAMES
    assert sequence.ground_truth is not None


def test_a_split_is_ground_truth(made):
    """Results in a region are not scored; those on an ignored person neither."""
    split, (name, _, rules, _, has_region) = made
    for source in (split, split / OTHER.get(name, "..")):
        (file,) = find_ground_truth([source]).values()
        assert (file.sequence, file.length) == (name, FRAMES)
    truth = load_ground_truth(file, name)
    assert truth.rules == rules
    boxes = (PERSON, (REGION[0] + 1, 4, 6, 40), (50, 8, 10, 30))
    metrics = score_tracks(tracks(*boxes), truth).metrics()
    assert (metrics["TP"], metrics["FN"]) == (FRAMES, 0)
    assert metrics["FP"] == (0 if has_region else 2 * FRAMES)
    assert score_tracks(tracks(PERSON, (2, 2, 9, 44)), truth).metrics()["FP"] == FRAMES
    (half,) = find_ground_truth([f"{split}@second"]).values()
    assert half.span == (FRAMES // 2 + 1, FRAMES)


def test_other_classes_are_scored(made):
    split, (name, *_, has_car, _) = made
    (file,) = find_ground_truth([split], ("car",)).values()
    truth = load_ground_truth(file, name)
    scored = truth.rows.select(truth.rows.rest[:, 0] == 1)
    assert len(scored) == (FRAMES if has_car else 0)
    if has_car:
        np.testing.assert_allclose(scored.tlwh[0], CAR_FRAME_1, atol=1e-3)
    (file,) = find_ground_truth([split], ("unicorn",)).values()
    with pytest.raises(InputError, match="there is no class 'unicorn'"):
        load_ground_truth(file, name)


def test_rows_for_validation_are_those_that_are_scored(made):
    (sequence,) = find_sequences([made[0]], note=no_warning)
    rows = scored_rows(sequence)
    assert rows.frames.tolist() == list(range(1, FRAMES + 1))
    boxes = PublicDetections.of_ground_truth(
        read_ground_truth(sequence.ground_truth), sequence.name, "sha256"
    )
    assert len(boxes) == FRAMES


def test_a_split_is_a_dataset(made):
    split, (*_, has_region) = made
    dataset = open_dataset(split, no_warning)
    assert len(dataset) == FRAMES
    assert (dataset.identity_count, dataset.video_count) == (1, 1)
    left, top, width, height = PERSON
    np.testing.assert_allclose(
        dataset[0].boxes, [[left, top, left + width, top + height]], atol=0.1
    )
    assert len(dataset[0].ignored) == (2 if has_region else 0)
    assert dataset[1].pixels().shape == (48, 64, 3)


@pytest.mark.parametrize("format", ["coco", "cvat", "motchallenge"])
def test_classes_are_kept_by_convert(made, tmp_path, format):
    split, (name, *_) = made
    (expected,) = read(split, [].append)
    out = tmp_path / ("out.json" if format == "coco" else "out")
    (back,) = read(write([expected], format, out), no_warning)
    assert back.name == expected.name == name

    def named(sequence):
        classes = [sequence.class_names[int(number) - 1] for number in sequence.rows.rest[:, 1]]
        columns = sequence.rows.frames, sequence.rows.ids, classes, sequence.rows.rest[:, 0]
        return sorted(zip(*(list(column) for column in columns), strict=True))

    assert named(back) == named(expected)
    if format == "motchallenge":  # classes that its rules do not know have no effect
        (file,) = find_ground_truth([out]).values()
        assert load_ground_truth(file, name).rows.rest[:, 1].max(initial=0) <= 13


def test_evaluate_has_classes_and_rules(made, tmp_path):
    split, (name, _, rules, has_car, _) = made
    boxes = tracks(PERSON, CAR_FRAME_1)
    lines = zip(boxes.frames, boxes.ids, boxes.tlwh.tolist(), strict=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / f"{name}.txt").write_text(
        "".join(
            f"{frame},{identity},{','.join(map(str, box))},1,-1,-1,-1\n"
            for frame, identity, box in lines
        )
    )
    if not has_car:
        return
    command = ["evaluate", str(tmp_path / "mine"), "--gt", str(split), "--json"]
    result = CliRunner().invoke(cli, [*command, "--classes", "car"])
    assert result.exit_code == 0, result.output
    (row, _) = json.loads(result.stdout)["done"]
    assert (row["figures"]["TP"], row["figures"]["FP"]) == (FRAMES, FRAMES)
    assert rules.upper() in result.stdout.upper()


@pytest.mark.parametrize(
    ("name", "file", "text", "message"),
    [
        ("kitti", "label_02/0000.txt", "0 1 Car 0 0\n", "line 1 has 5 columns"),
        ("kitti", "label_02/0000.txt", "0 1 Car " + "x " * 14 + "\n", "not a row of numbers"),
        ("kitti", "label_02/0000.txt", "0.5 1 Car " + "1 " * 14 + "\n", "is not an integer"),
        ("visdrone", "annotations/a.txt", "1,2,3\n", "line 1 has 3 columns"),
        ("visdrone", "annotations/a.txt", "1,0,1,1,9,9,1,12,0,0\n", "wrong frame, id or category"),
        ("bdd100k", "a.json", "[1]", "frame 0 of the list is broken"),
        ("bdd100k", "a.json", "[", "is not JSON"),
        ("yolo-tracks", "labels/a_1.txt", "0 .5 .5 .1 .1 1", "size is unknown"),
    ],
)
def test_malformed_labels_are_reported(tmp_path, name, file, text, message):
    path = tmp_path / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path = path.with_name("a_*.txt") if name == "yolo-tracks" else path
    with pytest.raises(InputError, match=message):
        ENTRIES[name].module.read(path)


def test_classes_of_motchallenge(tmp_path):
    """Cars have flag 0 in MOT17; pedestrians are scored as ever."""
    path = tmp_path / "gt.txt"
    path.write_text("1,1,0,0,5,9,1,1,1\n1,2,9,9,5,9,0,1,1\n1,3,20,0,9,9,0,3,1\n")
    assert read_ground_truth(path, ("car",)).rest[:, :2].tolist() == [[1, 1]]
    assert read_ground_truth(path, ("car", "pedestrian")).rest[:, 0].tolist() == [1, 0, 1]
    assert len(read_ground_truth(path, ("person",))) == 3


def test_a_file_of_several_videos_is_refused(tmp_path):
    """Their boxes would be in the same frames."""
    (file,) = ENTRIES["bdd100k"].module.find(bdd100k(tmp_path))
    frames = json.loads(file.read_text())
    frames += [{**frame, "videoName": "other"} for frame in frames]
    file.write_text(json.dumps(frames))
    with pytest.raises(InputError, match="frames of 2 videos"):
        read_ground_truth(file)


@pytest.mark.parametrize("make", [kitti, visdrone, bdd100k])
def test_a_missing_image_is_refused(tmp_path, make):
    """Later frames would be one too early for the labels."""
    split = make(tmp_path)
    (sequence,) = find_sequences([split])
    images_in(sequence.media)[1].unlink()
    with pytest.raises(InputError, match="jumps from"):
        find_sequences([split])
    with pytest.raises(InputError, match="jumps from"):
        open_dataset(split, no_warning)


def test_images_of_every_kind_that_is_read_are_counted(tmp_path):
    """The layouts had a list of suffixes of their own."""
    for image in (split := kitti(tmp_path)).glob("image_02/*/*.png"):
        image.rename(image.with_suffix(".ppm"))
    (file,) = find_ground_truth([split]).values()
    assert file.length == find_sequences([split])[0].length == FRAMES


def test_labels_of_ultralytics_belong_to_images_by_name(tmp_path):
    split = ultralytics(tmp_path)
    (sequence,) = find_sequences([split])
    for folder in ("images", "labels"):
        next((split / folder / "film").glob("000002.*")).unlink()
    (file,) = find_ground_truth([split]).values()
    assert (file.length, find_sequences([split])[0].length) == (FRAMES - 1, FRAMES - 1)
    assert read_ground_truth(sequence.ground_truth).frames.max() == FRAMES - 1


@pytest.mark.parametrize("make", [kitti, visdrone, bdd100k])
def test_other_sequences_beside_a_benchmark_are_found_too(tmp_path, make):
    split = make(tmp_path)
    names = {sequence.name for sequence in find_sequences([split])}
    video(split / "clip.mp4")
    images(split / "street/img1")
    both = {sequence.name for sequence in find_sequences([split], note=no_warning)}
    assert both == names | {"clip", "street"}


def test_two_benchmarks_in_a_folder_are_found_together(tmp_path):
    kitti(tmp_path).rename(tmp_path / "training")
    for folder in ("annotations", "sequences"):
        (visdrone(tmp_path / folder) / folder).rename(tmp_path / "moved")
        (tmp_path / "moved").rename(tmp_path / f"{folder}.new")
        shutil.rmtree(tmp_path / folder)
        (tmp_path / f"{folder}.new").rename(tmp_path / folder)
    (tmp_path / "KITTI").rmdir()
    images(tmp_path / "street/img1")
    names = {sequence.name for sequence in find_sequences([tmp_path], note=no_warning)}
    assert names == {"0000", "uav0000086_00000_v", "street"}
    assert {*find_ground_truth([tmp_path])} == names - {"street"}


def test_rows_of_motchallenge_with_spaces_are_no_labels_of_ultralytics(tmp_path):
    (tmp_path / "street_1.txt").write_text("1 1 10 20 30 40 1\n2 1 12 20 30 40 1\n")
    (file,) = find_ground_truth([tmp_path]).values()
    assert read_ground_truth(file.path).tlwh.tolist() == [[10, 20, 30, 40], [12, 20, 30, 40]]
    labels = tmp_path / "set/labels"
    labels.mkdir(parents=True)
    (labels / "a_1.txt").write_text("0 .5 .5 .1 .2 1\n0 320 240 64 96 2\n")
    seqinfo(tmp_path / "set")
    (file,) = find_ground_truth([tmp_path / "set"]).values()
    with pytest.raises(InputError, match="line 2 has no fractions of the image"):
        read_ground_truth(file.path)


def test_names_of_classes_are_part_of_the_content_of_labels(tmp_path):
    """Scores are stale when a class gets another name."""
    split = ultralytics(tmp_path)
    (yolo,) = find_ground_truth([split]).values()
    (tmp_path / "mot/gt").mkdir(parents=True)
    (tmp_path / "mot/gt/gt.txt").write_text("1,1,0,0,5,9,1,1,1\n")
    for labels, names in (
        (yolo.path, split / "data.yaml"),
        (tmp_path / "mot/gt/gt.txt", tmp_path / "mot/gt/labels.txt"),
    ):
        before = digest_of_labels(labels)
        names.write_text("names: {0: rider, 1: person}\n")
        assert digest_of_labels(labels) != before


def test_labels_of_visdrone_are_known_without_their_folders(tmp_path):
    split = visdrone(tmp_path)
    shutil.rmtree(split / "sequences")
    (split / "annotations").rename(tmp_path / "mine")
    messages = []
    for folder in (tmp_path / "mine", shutil.copytree(tmp_path / "mine", split / "annotations")):
        (sequence,) = read(folder, messages.append)
        assert sequence.is_ground_truth
        assert messages.pop() == f"{folder}: read as VisDrone-MOT"
        (file,) = find_ground_truth([folder]).values()
        assert load_ground_truth(file, file.sequence).rules == "visdrone"


def test_results_of_motchallenge_are_no_labels_of_visdrone(tmp_path):
    rows = "".join(f"{frame},1,10,20,30,40,1,1,0,0\n" for frame in range(1, 9))
    (tmp_path / "seq.txt").write_text(rows)
    (sequence,) = read(tmp_path, no_warning)
    assert not sequence.is_ground_truth


def test_a_folder_of_results_of_kitti_is_read(tmp_path):
    lines = (kitti(tmp_path) / "label_02/0000.txt").read_text().splitlines()
    (tmp_path / "data").mkdir()
    people = [f"{line} 0.5\n" for line in lines if " Pedestrian 0 " in line]
    (tmp_path / "data/0000.txt").write_text("".join(people))
    messages = []
    (sequence,) = read(tmp_path / "data", messages.append)
    assert (sequence.is_ground_truth, len(sequence.rows)) == (False, FRAMES)
    assert messages == [f"{tmp_path / 'data'}: read as KITTI tracking"]


def test_json_of_label_studio_is_no_file_of_bdd100k(tmp_path):
    boxes = {"sequence": [{"frame": 1, "x": 1, "y": 2, "width": 3, "height": 4}]}
    region = {"type": "videorectangle", "value": {**boxes, "labels": ["person"]}}
    task = {"id": 1, "data": {"video": "a.mp4"}, "annotations": [{"result": [region]}]}
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    with pytest.raises(InputError, match="has no list of videos"):
        read(tmp_path / "tasks.json", no_warning)
    with pytest.raises(InputError, match="frame 0 of the list is broken"):
        ENTRIES["bdd100k"].module.read(tmp_path / "tasks.json")


@pytest.mark.parametrize("score", ["", " 0.87"])
def test_detections_of_ultralytics_without_a_track_are_left_out(tmp_path, score):
    seqinfo(tmp_path, seqLength=4)
    (tmp_path / "labels").mkdir()
    for frame in range(1, 5):
        box = f"0 0.5 0.5 0.1 0.2{score}"
        rows = f"{box} 7\n{box}\n" if frame > 2 else f"{box}\n"
        (tmp_path / f"labels/walk_{frame}.txt").write_text(rows)
    messages = []
    (sequence,) = read(tmp_path, messages.append)
    assert sequence.rows.frames.tolist() == [3, 4]
    assert sequence.rows.ids.tolist() == [7, 7]
    assert messages[0] == "walk: 4 rows without an identity are left out"
    with (tmp_path / "labels/walk_4.txt").open("a") as file:
        file.write("0 0.5 0.5 0.1 0.2 9\n" if score else "0 0.5 0.5 0.1\n")
    with pytest.raises(InputError, match="walk_4.txt line 3 has . columns"):
        read(tmp_path, messages.append)
