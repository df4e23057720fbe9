"""COCO's JSON with videos: where frames begin, and what is refused."""

import json

import pytest

from mottool.errors import InputError
from mottool.formats.registry import read
from mottool.stages.convert import Config, run


def no_warning(message):
    raise AssertionError(message)


def coco(path, change=lambda document: None, first=1):
    """Write two images and a box in the second of them, as COCO's JSON."""
    images = [{"id": n, "video_id": 1, "frame_id": first + n} for n in range(2)]
    box = {"id": 1, "image_id": 1, "category_id": 1, "track_id": 4, "bbox": [1, 2, 3, 4]}
    document = {
        "videos": [{"id": 1, "name": "s1"}],
        "images": images,
        "annotations": [box, {**box, "id": 2, "track_id": 5}],
        "categories": [{"id": 1, "name": "person"}],
    }
    change(document)
    path.write_text(json.dumps(document))
    return path


@pytest.mark.parametrize("first", [0, 1])
def test_coco_frames_count_from_the_first_image_with_or_without_boxes(tmp_path, first):
    (sequence,) = read(coco(tmp_path / "a.json", first=first), no_warning)
    assert sequence.rows.frames.tolist() == [2, 2]
    assert sequence.length == 2


def test_coco_instances_are_tracks(tmp_path):
    def rename(document):
        for box in document["annotations"]:
            box["instance_id"] = box.pop("track_id")

    (sequence,) = read(coco(tmp_path / "a.json", rename), no_warning)
    assert sequence.rows.ids.tolist() == [4, 5]


def put(key, **values):
    return lambda document: document[key][1 if key in {"images", "annotations"} else 0].update(
        values
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("annotations", score=0.5), "1 of 2 annotations have a score"),
        (put("annotations", bbox=[1, 2, 3]), "entry 1 of annotations is broken"),
        (put("annotations", bbox=[1, 2, 3, float("inf")]), "row 2 holds NaN or infinity"),
        (put("annotations", bbox=[1, 2, 3, 10**400]), "entry 1 of annotations is broken"),
        (put("annotations", track_id=float("inf")), "entry 1 of annotations is broken"),
        (put("annotations", image_id=[1]), "entry 1 of annotations is broken"),
        (put("annotations", bbox="abcd"), "entry 1 of annotations is broken"),
        (put("annotations", image_id=77), "entry 1 of annotations refers to the id 77, which is"),
        (lambda d: d["annotations"][1].pop("track_id"), "entry 1 of annotations has no track_id"),
        (lambda d: d["images"][0].pop("video_id"), "entry 0 of images has no video_id"),
        (put("images", frame_id=1.5), "entry 1 of images is broken"),
        (put("images", frame_id="x"), "entry 1 of images is broken"),
        (put("images", frame_id=-1), "entry 1 of images is broken"),
        (put("images", id=[1]), "entry 1 of images is broken"),
        (put("images", width=[]), "entry 1 of images is broken"),
        (put("videos", id={}), "entry 0 of videos is broken"),
        (put("categories", id=[]), "entry 0 of categories is broken"),
        (put("images", id=0), "two images have the id 0"),
        (put("images", frame_id=1), "two images are frame 1 of s1"),
    ],
)
def test_malformed_coco_is_refused_in_one_line(tmp_path, change, message):
    with pytest.raises(InputError, match=message) as refused:
        read(coco(tmp_path / "a.json", change), no_warning)
    assert "\n" not in str(refused.value)


def test_a_frame_number_beyond_any_video_is_refused(tmp_path):
    (tmp_path / "s1.txt").write_text("50000000,1,15,20,30,80,0.5,-1,-1,-1\n")
    limit = "s1 has 50000000 frames.*the limit is 1000000.*run mottool --unpack-limit 10 COMMAND"
    with pytest.raises(InputError, match=limit):
        run([tmp_path / "s1.txt"], tmp_path / "out.json", Config(to="coco"))
