"""Every annotation format gives the same dataset; what is broken is named with file and line."""

import json

import cv2
import datasets
import numpy as np
import pytest

from mottool.data.formats import open_dataset, open_datasets
from mottool.errors import InputError, SettingError


def opened(source, root=None):
    """A dataset, and the warnings about it."""
    warnings = []
    return open_dataset(source, warnings.append, root), warnings


def refused(source, root=None):
    """The one-line message of the `InputError` that a dataset raises."""
    with pytest.raises(InputError) as caught:
        open_dataset(source, print, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("form", datasets.FORMATS)
def test_every_format_gives_boxes_in_pixels(tmp_path, form):
    dataset, warnings = opened(datasets.FORMATS[form](tmp_path / "set"))
    seen = [image for image in dataset if len(image.boxes)]
    assert len(seen) == 1
    assert seen[0].boxes.dtype == np.float32
    np.testing.assert_allclose(seen[0].boxes, [[10, 8, 30, 38]], atol=1e-4)
    assert seen[0].pixels().shape == (48, 64, 3)
    assert seen[0].identities.tolist() == ([0] if form == "motchallenge" else [-1])
    assert seen[0].visibility.tolist() == ([0.5] if form == "crowdhuman" else [1.0])
    assert not warnings


def test_lists_with_labels_give_identities_and_empty_images(tmp_path):
    dataset, warnings = opened(datasets.train_list(tmp_path))
    assert [len(image.boxes) for image in dataset] == [1, 0]
    np.testing.assert_allclose(dataset[0].boxes, [[24, 12, 40, 36]], atol=1e-4)
    assert dataset[0].identities.tolist() == [0]
    assert dataset.video_count == 0
    (tmp_path / "Town" / "labels_with_ids" / "train" / "b.txt").unlink()
    dataset, warnings = opened(tmp_path / "lists" / "town.train")
    assert len(dataset) == 2
    assert "1 of 2 images have no label file" in warnings[0]


def test_a_list_finds_its_images_in_the_root_that_is_named(tmp_path):
    listed = datasets.train_list(tmp_path / "data")
    moved = tmp_path / "elsewhere" / "town.train"
    moved.parent.mkdir()
    listed.rename(moved)
    assert "Town/images/train/a.png, which is in none of" in refused(moved)
    assert len(opened(moved, tmp_path / "data")[0]) == 2


def test_frames_of_a_list_that_lie_in_img1_are_a_video(tmp_path):
    for number in (1, 2, 5):
        datasets.photo(tmp_path / "MOT17" / "images" / "02" / "img1" / f"{number:06d}.png")
        file = tmp_path / "MOT17" / "labels_with_ids" / "02" / "img1" / f"{number:06d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0 3 0.5 0.5 0.2 0.2\n")
    listed = tmp_path / "mot17.train"
    names = [f"MOT17/images/02/img1/{number:06d}.png" for number in (5, 1, 2)]
    listed.write_text("\n".join(names))
    dataset, _ = opened(listed)
    assert [(image.video, image.frame) for image in dataset] == [(0, 5), (0, 1), (0, 2)]
    assert dataset.near(1, 1).tolist() == [2]


def test_one_box_fills_a_crop_and_junk_has_no_identity(tmp_path):
    names = ("0002_c1s1_000451_03", "-1_c1s1_1_00", "0000_c3s1_2_00", "0007_c2s1_1_00")
    root = tmp_path / "Market"
    datasets.crops(root / "bounding_box_train", names)
    datasets.crops(root / "query", ("0009_c1s1_000451_03",))
    dataset, _ = opened(root)
    assert dataset.identities.tolist() == [-1, 0, 1, -1]
    np.testing.assert_array_equal(dataset[0].boxes, [[0, 0, 20, 40]])
    assert len(opened(datasets.crops(tmp_path / "CUHK03", ("0099_09",)))[0]) == 1


def test_motchallenge_s_rows_that_are_not_scored_are_not_learned(tmp_path):
    rows = [
        "3,9,10,8,20,30,1,1,0.25",
        "1,4,10,8,20,30,0,1,1",  # flag 0
        "1,5,10,8,20,30,1,7,1",  # a static person
        "1,9,11,8,20,30,1,1,1",
    ]
    dataset, _ = opened(datasets.motchallenge(tmp_path / "MOT17-02", rows))
    assert [len(image.boxes) for image in dataset] == [1, 0, 1]
    assert dataset.visibility.tolist() == [1.0, 0.25]
    assert dataset.identities.tolist() == [0, 0]
    assert [image.frame for image in dataset] == [1, 2, 3]


def test_mot15_has_world_coordinates_where_others_have_classes(tmp_path):
    rows = ["1,1,10,8,20,30,1,7.5,3.2,0", "1,2,10,8,20,30,0,7.5,3.2,0"]
    dataset, _ = opened(datasets.motchallenge(tmp_path / "TUD", rows))
    assert dataset.visibility.tolist() == [1.0]


def test_mot17_s_three_copies_of_a_video_are_one(tmp_path):
    for detector in ("DPM", "FRCNN", "SDP"):
        datasets.motchallenge(tmp_path / "train" / f"MOT17-02-{detector}")
    datasets.motchallenge(tmp_path / "train" / "MOT17-04-DPM")
    dataset, warnings = opened(tmp_path / "train")
    assert (len(dataset), dataset.video_count, dataset.identity_count) == (6, 2, 2)
    assert {path.split("/")[-3] for path in dataset.paths} == {"MOT17-02-SDP", "MOT17-04-DPM"}
    assert "2 sequences are other copies" in warnings[0]


def test_halves_are_of_every_video(tmp_path):
    rows = [f"{frame},{frame // 3},10,8,20,30,1,1,1" for frame in range(1, 6)]
    datasets.motchallenge(tmp_path / "set" / "A", rows, frames=5)
    datasets.motchallenge(tmp_path / "set" / "B", rows, frames=2 + 3)
    first, _ = opened(f"{tmp_path}/set@first")
    second, _ = opened(f"{tmp_path}/set@second")
    assert [image.frame for image in first] == [1, 2, 1, 2]
    assert [image.frame for image in second] == [3, 4, 5, 3, 4, 5]
    assert (first.identity_count, second.identity_count) == (2, 2)
    assert second[3].rows.tolist() == [3]
    with pytest.raises(SettingError, match="only videos have halves"):
        open_dataset(f"{datasets.yolo(tmp_path / 'yolo')}@first", print)
    assert "there is no file or folder" in refused(f"{tmp_path}/set@third")


def test_coco_s_tracks_are_identities_of_their_video(tmp_path):
    file = datasets.coco(tmp_path)
    document = json.loads(file.read_text())
    image = document["images"][0]
    document["images"] = [
        {**image, "video_id": 1, "frame_id": 1},
        {**image, "id": 8, "video_id": 2, "frame_id": 1},
    ]
    row = document["annotations"][0]
    document["annotations"] = [
        {**row, "track_id": 3},
        {**row, "track_id": -1},
        {**row, "image_id": 8, "track_id": 3},
    ]
    file.write_text(json.dumps(document))
    dataset, _ = opened(file)
    assert dataset.identities.tolist() == [0, -1, 1]
    assert [image.video for image in dataset] == [0, 1]


@pytest.mark.parametrize(
    "names",
    [
        "names: [car, person]",
        "names: [car,\n  person]  # two classes",
        "names: {0: car, 1: person}",
        "names:\n- car\n- person",
        "names:\n  1: person  # class of people\n  0: car",
        None,
    ],
)
def test_the_class_of_people_is_found_by_its_name(tmp_path, names):
    folder = datasets.yolo(tmp_path)
    (folder / "data.yaml").unlink()
    if names is None:
        (folder / "classes.txt").write_text("car\npedestrian\n")
    else:
        (folder / "data.yaml").write_text(f"nc: 2\n{names}\ntrain: images\n")
    boxes = opened(folder / "images" / "train")[0].boxes
    np.testing.assert_allclose(boxes, [[10, 8, 30, 38]], atol=1e-4)


def test_images_that_lie_on_their_side_are_annotated_upright(tmp_path):
    folder = datasets.yolo(tmp_path, ["1 0.5 0.5 1 1"])
    from PIL import Image

    tag = Image.Exif()
    tag[0x0112] = 6
    Image.new("RGB", (64, 48)).save(folder / "images" / "train" / "a.jpg", exif=tag)
    (folder / "images" / "train" / "a.png").unlink()
    image = opened(folder)[0][0]
    assert image.boxes.tolist() == [[0, 0, 48, 64]]
    assert image.pixels().shape == (64, 48, 3)


BAD_LABELS = [
    (["0 5 0.5 0.5 0.25"], "line 1 has 5 columns"),
    (["0 5 0.5 0.5 0.25 0.5", "", "0 5 0.5 x 0.25 0.5"], "line 3: '0 5 0.5 x 0.25 0.5'"),
    (["0 5 0.5 0.5 0.25 nan"], "line 1 contains NaN"),
    (["0 5 320 240 64 128"], "line 1 has 320 as a fraction"),
    (["0 5 -320 0.5 0.1 0.1"], "line 1 has -320 as a fraction"),
    (["", "0 5.5 0.5 0.5 0.1 0.1"], "line 2: identity 5.5 is not an integer"),
]


@pytest.mark.parametrize(("labels", "expected"), BAD_LABELS, ids=[text for _, text in BAD_LABELS])
def test_a_broken_label_is_named_by_file_and_line(tmp_path, labels, expected):
    message = refused(datasets.train_list(tmp_path, labels))
    assert expected in message
    assert "labels_with_ids/train/a.txt" in message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("names: [car, person", "data.yaml is not YAML: "),
        ("names: {a: person}", "data.yaml does not number its classes"),
        ("names: [car]", "data.yaml has no class of people among car"),
    ],
)
def test_a_broken_list_of_classes_is_named(tmp_path, text, message):
    folder = datasets.yolo(tmp_path)
    (folder / "data.yaml").write_text(text)
    assert message in refused(folder)


def without_ground_truth(folder):
    (folder / "img1").mkdir()
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: datasets.yolo(at, ["0 0.5 0.5 0.1"]), "a.txt line 1 has 4 columns"),
        (lambda at: datasets.yolo(at, ["0 0.5 0.5 0.1 0.1"]), "but no boxes of people"),
        (lambda at: datasets.motchallenge(at / "s", ["1,1,1,1,a,1,1,1,1"]), "line 1: 'a' is not"),
        (lambda at: datasets.motchallenge(at / "s", ["9,1,1,1,5,5,1,1,1"]), "frame 9 of 3 images"),
        (lambda at: datasets.crowdhuman(at, [{"tag": "person"}]), "odgt line 1 is broken"),
        (
            lambda at: datasets.crowdhuman(at, [{"tag": "person", "fbox": [1, 2, 3]}]),
            "odgt line 1 is broken",
        ),
        (lambda at: datasets.coco(at, annotations=[{"image_id": 7}]), "entry 0 of annotations"),
        (
            lambda at: datasets.coco(at, images=[{"id": 7, "file_name": "a.jpg"}]),
            "entry 0 of images",
        ),
        (lambda at: datasets.coco(at, images=[]), "has an empty list of images"),
        (lambda at: datasets.coco(at, annotations={}), "has no list of annotations"),
        (lambda at: datasets.coco(at, categories=[{"id": 1, "name": "cat"}]), "no class of people"),
        (
            lambda at: datasets.coco(
                at, annotations=[{"image_id": 8, "category_id": 1, "bbox": [1, 1, 1, 1]}]
            ),
            "image 8, which is not in the file",
        ),
        (lambda at: datasets.penn_fudan(at, ": (1, 2) - (3)"), "line 3 is not a bounding box"),
        (lambda at: datasets.crops(at, ["0001_c1_1", "me"]), "does not give a person"),
        (lambda at: at / "nothing", "there is no file or folder"),
        (lambda at: at, "is not a dataset. Fix: give one of: Penn-Fudan, MOTChallenge"),
        (without_ground_truth, "is a sequence without ground truth: "),
    ],
)
def test_broken_datasets_are_refused_with_file_and_line(tmp_path, make, message):
    assert message in refused(make(tmp_path))


def test_a_list_names_the_line_of_an_image_that_is_missing(tmp_path):
    listed = datasets.train_list(tmp_path)
    listed.write_text(listed.read_text() + "Town/images/train/c.png\n")
    assert "town.train line 3: there is no image" in refused(listed)
    listed.write_text("Town/images/train/a.png\nnot an image\n")
    assert "line 2: 'not an image' is not the name of an image" in refused(listed)
    datasets.photo(tmp_path / "Town" / "a.png")
    listed.write_text("Town/a.png\n")
    assert "line 1: no folder of Town/a.png is called images" in refused(listed)


def test_a_file_that_is_not_an_image_is_named(tmp_path):
    folder = datasets.yolo(tmp_path)
    (folder / "images" / "train" / "a.png").write_text("words")
    assert "a.png cannot be read as an image" in refused(folder)


def test_a_sequence_whose_frames_are_a_video_says_how_to_extract_them(tmp_path):
    from footage import seqinfo, video

    folder = seqinfo(tmp_path / "seq", imDir="film.mp4")
    video(folder / "film.mp4", 3)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("1,1,10,8,20,30,1,1,1\n")
    message = refused(folder)
    assert "film.mp4 is a video" in message
    assert "ffmpeg -i" in message


def test_a_dataset_given_twice_is_refused(tmp_path):
    folder = datasets.motchallenge(tmp_path / "seq")
    for sources in ([folder, folder], [folder, f"{folder}@first"]):
        with pytest.raises(SettingError, match="is given twice"):
            open_datasets(sources, print)
    with pytest.raises(SettingError, match="no dataset is given"):
        open_datasets([], print)


def test_an_image_that_changed_since_it_was_annotated_is_refused(tmp_path):
    file = datasets.coco(tmp_path)
    dataset, _ = opened(file)
    cv2.imwrite(str(tmp_path / "val2017" / "a.jpg"), np.zeros((20, 30, 3), np.uint8))
    with pytest.raises(InputError, match="is 30x20 but annotated as 64x48"):
        dataset[0].pixels()
