"""MOTChallenge sequences as datasets: scored rows, copies of MOT17, halves, invalid files."""

import datasets
import pytest
from datasets import load, refusal
from footage import seqinfo, video

from mottool.data.formats import open_dataset
from mottool.errors import SettingError
from mottool.splits import SPLITS


def test_rows_that_are_not_scored_are_omitted(tmp_path):
    rows = [
        "3,9,10,8,20,30,1,1,0.25",
        "1,4,10,8,20,30,0,1,1",  # flag 0
        "1,5,10,8,20,30,1,7,1",  # a static person
        "1,9,11,8,20,30,1,1,1",
    ]
    dataset, _ = load(datasets.motchallenge(tmp_path / "MOT17-02", rows))
    assert [len(image.boxes) for image in dataset] == [1, 0, 1]
    assert dataset.visibility.tolist() == [1.0, 0.25]
    assert dataset.identities.tolist() == [0, 0]
    assert [image.frame for image in dataset] == [1, 2, 3]


def test_world_coordinates_of_mot15_are_not_read_as_classes(tmp_path):
    rows = ["1,1,10,8,20,30,1,7.5,3.2,0", "1,2,10,8,20,30,0,7.5,3.2,0"]
    dataset, _ = load(datasets.motchallenge(tmp_path / "TUD", rows))
    assert dataset.visibility.tolist() == [1.0]


def test_one_of_three_mot17_copies_of_a_video_is_used(tmp_path):
    for detector in ("DPM", "FRCNN", "SDP"):
        datasets.motchallenge(tmp_path / "train" / f"MOT17-02-{detector}")
    datasets.motchallenge(tmp_path / "train" / "MOT17-04-DPM")
    dataset, warnings = load(tmp_path / "train")
    assert (len(dataset), dataset.video_count, dataset.identity_count) == (6, 2, 2)
    assert {path.split("/")[-3] for path in dataset.paths} == {"MOT17-02-SDP", "MOT17-04-DPM"}
    assert "2 sequences are other copies" in warnings[0]


def test_halves_are_taken_of_every_video(tmp_path):
    rows = [f"{frame},{frame // 3},10,8,20,30,1,1,1" for frame in range(1, 6)]
    datasets.motchallenge(tmp_path / "set" / "A", rows, frames=5)
    datasets.motchallenge(tmp_path / "set" / "B", rows, frames=2 + 3)
    first, _ = load(f"{tmp_path}/set@first")
    second, _ = load(f"{tmp_path}/set@second")
    assert [image.frame for image in first] == [1, 2, 1, 2]
    assert [image.frame for image in second] == [3, 4, 5, 3, 4, 5]
    assert (first.identity_count, second.identity_count) == (2, 2)
    assert second[3].rows.tolist() == [3]
    with pytest.raises(SettingError, match="only videos have parts, such as @first"):
        open_dataset(f"{datasets.yolo(tmp_path / 'yolo')}@first", print)
    with pytest.raises(SettingError, match="there is no split 'third' of .*use one of first"):
        open_dataset(f"{tmp_path}/set@third", print)
    assert "there is no file or folder" in refusal(f"{tmp_path}/nothing@first")


@pytest.mark.parametrize("images", ["img1", "frames"])
def test_a_named_split_is_of_its_videos(tmp_path, images):
    names = (*SPLITS["train5"].videos, "TUD-Campus")
    for name in names:
        folder = datasets.motchallenge(tmp_path / "train" / name)
        (folder / "img1").rename(folder / images)
        info = (folder / "seqinfo.ini").read_text().replace("imDir=img1", f"imDir={images}")
        (folder / "seqinfo.ini").write_text(info)
    dataset, _ = load(f"{tmp_path}/train@train5")
    assert dataset.video_count == 5
    assert {path.split("/")[-3] for path in dataset.paths} == set(names[:-1])
    assert dataset.name == "train@train5"
    message = refusal(f"{tmp_path}/train@validate6")
    assert "has no ETH-Sunnyday, ETH-Pedcross2, ADL-Rundle-8, Venice-2, KITTI-17, which" in message


def test_the_halves_of_mot17_are_of_the_copy_that_is_read(tmp_path):
    for name in SPLITS["mot17-first"].videos:
        for detector in ("DPM", "SDP"):
            datasets.motchallenge(tmp_path / f"{name}-{detector}", frames=4)
    dataset, _ = load(f"{tmp_path}@mot17-first")
    assert (dataset.video_count, [image.frame for image in dataset]) == (7, [1, 2] * 7)


def test_video_instead_of_images_is_refused_with_the_command_that_extracts_them(tmp_path):
    folder = seqinfo(tmp_path / "seq", imDir="film.mp4")
    video(folder / "film.mp4", 3)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("1,1,10,8,20,30,1,1,1\n")
    message = refusal(folder)
    assert "film.mp4 is a video" in message
    assert "ffmpeg -i" in message


def without_ground_truth(folder):
    (folder / "img1").mkdir()
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: datasets.motchallenge(at / "s", ["1,1,1,1,a,1,1,1,1"]), "line 1: 'a' is not"),
        (lambda at: datasets.motchallenge(at / "s", ["9,1,1,1,5,5,1,1,1"]), "frame 9 of 3 images"),
        (without_ground_truth, "is a sequence without ground truth: "),
    ],
)
def test_invalid_sequence_is_refused(tmp_path, make, message):
    assert message in refusal(make(tmp_path))
