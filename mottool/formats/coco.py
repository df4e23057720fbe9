"""COCO's JSON with videos: images have `video_id` and `frame_id`, annotations a `track_id`.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014, extended as CenterTrack and
ByteTrack do. Frames count from 1. What a benchmark does not score is `iscrowd`; results have a
`score`, ground truth a `visibility`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mottool.errors import InputError
from mottool.files import atomic_write, safe_name
from mottool.formats.sequence_rows import CLASSES, Sheet, class_number, results_sheet, truth_sheet
from mottool.motchallenge.rows import Rows, rows_from_table
from mottool.motchallenge.seqinfo import SeqInfo

__all__ = ["read", "write"]

FIX = "give COCO's form: videos, images with video_id and frame_id, annotations with track_id"
IMAGES = "img1"


def write(sheets: Sequence[Sheet], out: Path) -> Path:
    """All sequences as the JSON file `out`; images are named as MOTChallenge's folders have them.

    Their width and height are 0 where they are not known.
    """
    told: dict[str, list[dict[str, Any]]] = {"videos": [], "images": [], "annotations": []}
    for video, sheet in enumerate(sheets, 1):
        info = sheet.info or SeqInfo(sheet.name, IMAGES, None, None, None, None)
        size = {"width": info.width or 0, "height": info.height or 0}
        rate = {"fps": info.frame_rate} if info.frame_rate else {}
        told["videos"].append({"id": video, "name": sheet.name, "file_name": sheet.name} | rate)
        first = len(told["images"])
        told["images"] += [
            {
                "id": first + frame,
                "video_id": video,
                "frame_id": frame,
                "file_name": f"{sheet.name}/{info.image_dir}/{frame:06d}.jpg",
                **size,
            }
            for frame in range(1, sheet.length + 1)
        ]
        told["annotations"] += _annotations(sheet, first, len(told["annotations"]))
    names = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    with atomic_write(out) as part, part.open("w", encoding="utf-8") as file:
        json.dump({**told, "categories": names}, file)
    return out


def _annotations(sheet: Sheet, first: int, count: int) -> list[dict[str, Any]]:
    """The rows of a sheet; its images count on from `first`, annotations from `count`."""
    rows, made = sheet.rows, []
    columns = zip(rows.frames.tolist(), rows.ids.tolist(), rows.tlwh.tolist(), strict=True)
    for number, (frame, identity, box) in enumerate(columns):
        rest = rows.rest[number].tolist()
        more = {"score": rest[0]}
        if sheet.truth:
            more = {"visibility": rest[2]}
        made.append(
            {
                "id": count + number + 1,
                "image_id": first + frame,
                "category_id": int(rest[1]) if sheet.truth else 1,
                "track_id": identity,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(sheet.truth and rest[0] == 0),
                **more,
            }
        )
    return made


def read(path: Path, warn: Callable[[str], None]) -> list[Sheet]:
    """The sheet of each video; annotations with a `score` are results, else ground truth.

    `warn` hears of classes that MOTChallenge does not have: their boxes are left out. An
    `InputError` names the entry that is broken.
    """
    told = _load(path)
    videos = _entries(path, told, "videos", lambda each: (each["id"], _video(each)))
    names = _entries(path, told, "categories", lambda each: (each["id"], str(each["name"])))
    sizes: dict[Any, SeqInfo] = {}

    def placed(each: dict[str, Any]) -> tuple[Any, tuple[Any, int]]:
        video = each["video_id"]
        name, rate = videos[video]
        length = max(int(each["frame_id"]), sizes[video].length or 0 if video in sizes else 0)
        size = int(each.get("width", 0)) or None, int(each.get("height", 0)) or None
        sizes[video] = SeqInfo(name, IMAGES, rate, length, *size)
        return each["id"], (video, int(each["frame_id"]))

    images = _entries(path, told, "images", placed)
    rows: dict[Any, list[list[float]]] = {video: [] for video in videos}
    scored, strange = False, dict[str, int]()
    for place, each in enumerate(told["annotations"]):
        try:
            (video, frame), label = images[each["image_id"]], names[each["category_id"]]
            number = class_number(label)
            if number is None:
                strange[label] = strange.get(label, 0) + 1
                continue
            scored |= "score" in each
            flag = 0 if each.get("iscrowd") or each.get("ignore") else 1
            rest = [each["score"]] if "score" in each else [flag, number, each.get("visibility", 1)]
            box = [float(side) for side in each["bbox"]]
            rows[video].append([frame, int(each["track_id"]), *box, *map(float, rest)])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: entry {place} of annotations is broken", FIX) from None
    for label, count in strange.items():
        warn(f"{path}: {count} boxes of {label!r} left out: no class of MOTChallenge")
    make = results_sheet if scored else truth_sheet
    return [
        make(videos[video][0], _table(path, own, 7 if scored else 9), sizes.get(video))
        for video, own in rows.items()
    ]


def _video(each: dict[str, Any]) -> tuple[str, float | None]:
    """A video's name and its rate; TAO has `name`, CenterTrack's converter `file_name`."""
    rate = each.get("fps")
    return safe_name(str(each.get("name") or each["file_name"])), float(rate) if rate else None


def _load(path: Path) -> dict[str, Any]:
    try:
        told = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", FIX) from error
    for key in ("videos", "images", "annotations", "categories"):
        if not isinstance(told, dict) or not isinstance(told.get(key), list):
            raise InputError(f"{path} has no list of {key}", FIX)
    return dict(told)


def _entries(
    path: Path, told: dict[str, Any], key: str, read: Callable[[dict[str, Any]], tuple[Any, Any]]
) -> dict[Any, Any]:
    """The entries of a list as `read` reads each, by its id."""
    found = {}
    for place, each in enumerate(told[key]):
        try:
            number, value = read(each)
            found[number] = value
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: entry {place} of {key} is broken", FIX) from None
    return found


def _table(path: Path, rows: list[list[float]], columns: int) -> Rows:
    table = np.array(rows, np.float64).reshape(-1, columns)
    return rows_from_table(path, table)
