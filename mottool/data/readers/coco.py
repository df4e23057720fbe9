"""COCO: one JSON file of images, annotations and categories.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014. A `track_id` of annotations, and
a `video_id` and `frame_id` of images, give identities and videos; CenterTrack's and ByteTrack's
converters write them. Boxes refer to the stored pixels, as in COCO itself. With `"upright": true`
in `info` they refer to the images as rotated by their EXIF tags.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import STILL, UNKNOWN, Dataset, DatasetBuilder
from mottool.data.readers.parsing import find_folder, person_class, read_text
from mottool.errors import InputError

__all__ = ["read", "recognises"]

FIX = "write COCO's lists: images, annotations with image_id, category_id, bbox, and categories"


def recognises(path: Path) -> bool:
    """Return whether `path` is a JSON file."""
    return path.is_file() and path.suffix == ".json"


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read the boxes of people; crowds are regions to ignore. Identities need a `track_id`.

    The images are in `root`, or by default in a folder with a usual name near the file. Raises
    `InputError` with the index of the entry that is broken.
    """
    document = _load(path)
    people, crowds = _people(path, document)
    try:
        first = str(document["images"][0]["file_name"])
    except (KeyError, TypeError):
        raise InputError(f"{path}: entry 0 of images is broken", FIX) from None
    folder = find_folder(first, _folders(path, root), path)
    info = document.get("info")
    upright = isinstance(info, dict) and info.get("upright") is True
    builder, tracks = DatasetBuilder(path.stem, upright), dict[tuple[int, int], int]()
    numbers = set()
    for index, image in enumerate(document["images"]):
        try:
            number, file = image["id"], folder / image["file_name"]
            repeated = number in numbers
            numbers.add(number)
            size = int(image["width"]), int(image["height"])
            video, frame = int(image.get("video_id", STILL)), int(image.get("frame_id", 0))
            np.array([*size, video, frame], np.int32)  # as in a Dataset; may overflow
        except (KeyError, TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: entry {index} of images is broken", FIX) from None
        if repeated:  # as after joining two files; their annotations cannot be told apart
            problem = f"{path}: two images have the id {number}"
            raise InputError(problem, "give each an id of its own, and change its annotations")
        if not file.is_file():
            fix = "add it, or remove its entry"
            raise InputError(f"{path}: there is no image {file}", fix)
        rows = people.pop(number, [])
        identities = [
            tracks.setdefault((video, track), len(tracks)) if track > UNKNOWN else UNKNOWN
            for _, track in rows
        ]
        boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
        regions = np.array(crowds.pop(number, []), np.float64).reshape(-1, 4)
        builder.add(
            file,
            size,
            xyxy_from_tlwh(boxes),
            identities,
            video=video,
            frame=frame,
            ignored=xyxy_from_tlwh(regions),
        )
    if remaining := {**people, **crowds}:
        image_id = next(iter(remaining))
        problem = f"{path}: annotations refer to image {image_id}, which is not in the file"
        raise InputError(problem, FIX)
    return builder.dataset(warn)


def _load(path: Path) -> dict[str, Any]:
    """Read the file and check that its three lists are present."""
    document: dict[str, Any]
    try:
        document = json.loads(read_text(path, "COCO file"))
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise InputError(f"{path} is not JSON: {error}", FIX) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise InputError(f"{path} has no list of {key}", FIX)
    if not document["images"]:
        raise InputError(f"{path} has an empty list of images", FIX)
    return document


def _people(path: Path, document: dict[str, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return the boxes of people, each with its track or -1, and those of crowds, by image id.

    Boxes are left, top, width, height.
    """
    try:
        names = {int(row["id"]): str(row["name"]) for row in document["categories"]}
    except (KeyError, TypeError, ValueError, OverflowError):
        raise InputError(f"{path}: a category has no id or no name", FIX) from None
    person = person_class(names, path)
    people = defaultdict[Any, list[tuple[list[float], int]]](list)
    crowds = defaultdict[Any, list[list[float]]](list)
    for index, row in enumerate(document["annotations"]):
        try:
            if row["category_id"] != person:
                continue
            box, track = [float(side) for side in row["bbox"]], int(row.get("track_id", UNKNOWN))
            if len(box) != 4 or not np.isfinite(box).all():
                raise ValueError
            if row.get("iscrowd"):
                crowds[row["image_id"]].append(box)
            else:
                people[row["image_id"]].append((box, track))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise InputError(f"{path}: entry {index} of annotations is broken", FIX) from None
    return people, crowds


def _folders(path: Path, root: Path | None) -> list[Path]:
    """Return the folders to search for the images.

    For `annotations/instances_train2017.json` these include `train2017/` beside `annotations/`.
    """
    if root:
        return [root]
    parent, split = path.resolve().parent, path.stem.rpartition("_")[2]
    tops = (parent, parent.parent)
    return [
        folder
        for top in tops
        for folder in (top / split, top / "images" / split, top / "images", top)
    ]
