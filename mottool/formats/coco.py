"""COCO's JSON with videos: images have `video_id` and `frame_id`, annotations a `track_id`.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014, extended as CenterTrack and
ByteTrack do. Frames count from 1. Boxes that a benchmark does not score are `iscrowd`; results have
a `score`, ground truth has a `visibility`.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mottool.errors import InputError
from mottool.files import atomic_write, safe_name
from mottool.formats.sequence_rows import (
    CLASSES,
    SequenceRows,
    class_number,
    ground_truth_rows,
    result_rows,
)
from mottool.motchallenge.rows import Rows, rows_from_table
from mottool.motchallenge.seqinfo import SeqInfo

__all__ = ["read", "write"]

FIX = "give COCO's format: videos, images with video_id and frame_id, annotations with track_id"
IMAGES = "img1"


def write(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write all sequences as the JSON file `out`; images are named as in MOTChallenge's folders.

    An unknown width or height is written as 0.
    """
    document: dict[str, list[dict[str, Any]]] = {"videos": [], "images": [], "annotations": []}
    for video, sequence in enumerate(sequences, 1):
        info = sequence.info or SeqInfo(sequence.name, IMAGES, None, None, None, None)
        size = {"width": info.width or 0, "height": info.height or 0}
        rate = {"fps": info.frame_rate} if info.frame_rate else {}
        names = {"name": sequence.name, "file_name": sequence.name}
        document["videos"].append({"id": video, **names, **rate})
        first = len(document["images"])
        document["images"] += [
            {
                "id": first + frame,
                "video_id": video,
                "frame_id": frame,
                "file_name": f"{sequence.name}/{info.image_dir}/{frame:06d}.jpg",
                **size,
            }
            for frame in range(1, sequence.length + 1)
        ]
        document["annotations"] += _annotations(sequence, first, len(document["annotations"]))
    categories = [{"id": number, "name": name} for number, name in enumerate(CLASSES, 1)]
    with atomic_write(out) as part, part.open("w", encoding="utf-8") as file:
        json.dump({**document, "categories": categories}, file)
    return out


def _annotations(sequence: SequenceRows, first: int, count: int) -> list[dict[str, Any]]:
    """Return the annotations of a sequence: image ids follow `first`, annotation ids `count`."""
    rows, annotations = sequence.rows, []
    columns = zip(rows.frames.tolist(), rows.ids.tolist(), rows.tlwh.tolist(), strict=True)
    for number, (frame, identity, box) in enumerate(columns):
        rest = rows.rest[number].tolist()
        more = {"visibility": rest[2]} if sequence.is_ground_truth else {"score": rest[0]}
        annotations.append(
            {
                "id": count + number + 1,
                "image_id": first + frame,
                "category_id": int(rest[1]) if sequence.is_ground_truth else 1,
                "track_id": identity,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": int(sequence.is_ground_truth and rest[0] == 0),
                **more,
            }
        )
    return annotations


def read(path: Path, warn: Callable[[str], None]) -> list[SequenceRows] | None:
    """Read the sequence of each video; return None for other files than `.json`.

    Annotations with a `score` are results, others are ground truth. `warn` receives a message for
    each class that MOTChallenge does not have, whose boxes are left out. Raises `InputError`, which
    names the malformed entry.
    """
    if path.suffix != ".json":
        return None
    document = _load(path)
    videos = _entries(path, document, "videos", lambda entry: (entry["id"], _video(entry)))
    names = _entries(path, document, "categories", lambda entry: (entry["id"], str(entry["name"])))
    infos: dict[Any, SeqInfo] = {}

    def frame_of(entry: dict[str, Any]) -> tuple[Any, tuple[Any, int]]:
        video = entry["video_id"]
        name, rate = videos[video]
        length = max(int(entry["frame_id"]), infos[video].length or 0 if video in infos else 0)
        size = int(entry.get("width", 0)) or None, int(entry.get("height", 0)) or None
        infos[video] = SeqInfo(name, IMAGES, rate, length, *size)
        return entry["id"], (video, int(entry["frame_id"]))

    images = _entries(path, document, "images", frame_of)
    rows: dict[Any, list[list[float]]] = {video: [] for video in videos}
    are_results, unknown = False, dict[str, int]()
    for index, entry in enumerate(document["annotations"]):
        try:
            (video, frame), label = images[entry["image_id"]], names[entry["category_id"]]
            number = class_number(label)
            if number is None:
                unknown[label] = unknown.get(label, 0) + 1
                continue
            are_results |= "score" in entry
            flag = 0 if entry.get("iscrowd") or entry.get("ignore") else 1
            rest = [flag, number, entry.get("visibility", 1)]
            if "score" in entry:
                rest = [entry["score"]]
            box = [float(side) for side in entry["bbox"]]
            rows[video].append([frame, int(entry["track_id"]), *box, *map(float, rest)])
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: entry {index} of annotations is broken", FIX) from None
    for label, count in unknown.items():
        warn(f"{path}: {count} boxes of {label!r} left out: not a MOTChallenge class")
    make, columns = (result_rows, 7) if are_results else (ground_truth_rows, 9)
    return [
        make(videos[video][0], _table(path, video_rows, columns), infos.get(video))
        for video, video_rows in rows.items()
    ]


def _video(entry: dict[str, Any]) -> tuple[str, float | None]:
    """Return a video's name and frame rate; TAO has `name`, CenterTrack's converter `file_name`."""
    rate = entry.get("fps")
    return safe_name(str(entry.get("name") or entry["file_name"])), float(rate) if rate else None


def _load(path: Path) -> dict[str, Any]:
    """Load the JSON file and check that it has the four lists."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"there is no file {path}", "check the path") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}", FIX) from error
    for key in ("videos", "images", "annotations", "categories"):
        if not isinstance(document, dict) or not isinstance(document.get(key), list):
            raise InputError(f"{path} has no list of {key}", FIX)
    return dict(document)


def _entries(
    path: Path,
    document: dict[str, Any],
    key: str,
    parse: Callable[[dict[str, Any]], tuple[Any, Any]],
) -> dict[Any, Any]:
    """Return the entries of the list `key` by id, parsed by `parse` into id and value."""
    entries = {}
    for index, entry in enumerate(document[key]):
        try:
            number, value = parse(entry)
            entries[number] = value
        except (AttributeError, KeyError, TypeError, ValueError):
            raise InputError(f"{path}: entry {index} of {key} is broken", FIX) from None
    return entries


def _table(path: Path, rows: list[list[float]], columns: int) -> Rows:
    table = np.array(rows, np.float64).reshape(-1, columns)
    return rows_from_table(path, table)
