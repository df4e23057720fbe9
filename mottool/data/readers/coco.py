"""COCO: one JSON file of images, annotations and categories.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014. Where annotations have a
`track_id`, and images a `video_id` and a `frame_id`, as CenterTrack's and ByteTrack's converters
write them, those make identities and videos. Boxes are of the stored pixels, as in COCO itself,
unless `info` says `"upright": true`: then they are of the images as their EXIF tags turn them.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import STILL, UNKNOWN, Dataset, DatasetBuilder
from mottool.data.readers.parsing import folder_of, person_class, read_text
from mottool.errors import InputError

__all__ = ["read", "recognises"]

FIX = "give COCO's form: images, annotations with image_id, category_id and bbox, and categories"


def recognises(path: Path) -> bool:
    """Whether `path` is a JSON file."""
    return path.is_file() and path.suffix == ".json"


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """The people; crowds are regions to ignore. Identities only where there are tracks.

    The images lie in `root`, or else in a folder near by that is named as usual. An `InputError`
    names the entry that is broken.
    """
    told = _load(path)
    rows, crowds = _people(path, told)
    folder = folder_of(told["images"][0]["file_name"], _folders(path, root), path)
    info = told.get("info")
    upright = isinstance(info, dict) and info.get("upright") is True
    collector, tracks = DatasetBuilder(path.stem, upright), dict[tuple[int, int], int]()
    for place, image in enumerate(told["images"]):
        try:
            number, file = image["id"], folder / image["file_name"]
            size = int(image["width"]), int(image["height"])
            video, frame = int(image.get("video_id", STILL)), int(image.get("frame_id", 0))
        except (KeyError, TypeError, ValueError):
            raise InputError(f"{path}: entry {place} of images is broken", FIX) from None
        if not file.is_file():
            raise InputError(
                f"{path}: there is no image {file}", "put it there, or take its entry out"
            )
        own = rows.pop(number, [])
        who = [
            tracks.setdefault((video, track), len(tracks)) if track > UNKNOWN else UNKNOWN
            for _, track in own
        ]
        boxes = np.array([box for box, _ in own], np.float64).reshape(-1, 4)
        regions = np.array(crowds.pop(number, []), np.float64).reshape(-1, 4)
        collector.add(
            file,
            size,
            xyxy_from_tlwh(boxes),
            who,
            video=video,
            frame=frame,
            ignored=xyxy_from_tlwh(regions),
        )
    if lost := {**rows, **crowds}:
        problem = f"{path}: annotations are of image {next(iter(lost))}, which is not in the file"
        raise InputError(problem, FIX)
    return collector.dataset(warn)


def _load(path: Path) -> dict[str, Any]:
    """The file, its three lists being some."""
    told: dict[str, Any]
    try:
        told = json.loads(read_text(path, "COCO file"))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", FIX) from error
    for key in ("images", "annotations", "categories"):
        if not isinstance(told, dict) or not isinstance(told.get(key), list):
            raise InputError(f"{path} has no list of {key}", FIX)
    if not told["images"]:
        raise InputError(f"{path} names no images", FIX)
    return told


def _people(path: Path, told: dict[str, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """Return, by image, the boxes of people with their tracks or -1, and the boxes of crowds.

    Boxes are left, top, width, height.
    """
    try:
        names = {int(each["id"]): str(each["name"]) for each in told["categories"]}
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path}: the categories are broken", FIX) from None
    person = person_class(names, path)
    people = defaultdict[Any, list[tuple[list[float], int]]](list)
    crowds = defaultdict[Any, list[list[float]]](list)
    for place, row in enumerate(told["annotations"]):
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
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: entry {place} of annotations is broken", FIX) from None
    return people, crowds


def _folders(path: Path, root: Path | None) -> list[Path]:
    """Where the images may lie: `annotations/instances_train2017.json` beside `train2017/`."""
    if root:
        return [root]
    here, split = path.resolve().parent, path.stem.rpartition("_")[2]
    tops = (here, here.parent)
    return [
        folder
        for top in tops
        for folder in (top / split, top / "images" / split, top / "images", top)
    ]
