"""COCO's JSON with videos: images have `video_id` and `frame_id`, annotations a `track_id`.

Lin et al., "Microsoft COCO: common objects in context", ECCV 2014, extended as CenterTrack and
ByteTrack do. Frames count from 1, or from 0 in a video that has an image of frame 0. Boxes that a
benchmark does not score are `iscrowd`; results have a `score`, ground truth has a `visibility`.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mottool.errors import InputError, from_os_error
from mottool.files import UNPACK_FIX, atomic_write, safe_name, unpack_factor
from mottool.formats.sequence_rows import (
    CLASSES,
    SequenceRows,
    ground_truth_rows,
    result_rows,
    warn_of_classes,
)
from mottool.motchallenge.class_names import class_number
from mottool.motchallenge.rows import Rows, rows_from_table
from mottool.motchallenge.seqinfo import SeqInfo

__all__ = ["read", "write"]

FIX = "give COCO's format: videos, images with video_id and frame_id, annotations with track_id"
FIELDS = frozenset(
    {
        "bbox",
        "category_id",
        "file_name",
        "frame_id",
        "id",
        "image_id",
        "name",
        "track_id",
        "video_id",
    }
)
IMAGES = "img1"
MOST_FRAMES = 1_000_000  # of a video: every frame is an entry, whether it has boxes or not

Image = tuple[Any, int, tuple[int, ...]]  # video, frame number, width and height


def write(sequences: Sequence[SequenceRows], out: Path) -> Path:
    """Write all sequences as the JSON file `out`; images are named as in MOTChallenge's folders.

    An unknown width or height is written as 0.
    """
    document: dict[str, list[dict[str, Any]]] = {"videos": [], "images": [], "annotations": []}
    extra = dict.fromkeys(name for rows in sequences for name in rows.extra_classes)
    ids = {name: number for number, name in enumerate([*CLASSES, *extra], 1)}
    for video, sequence in enumerate(sequences, 1):
        if sequence.length > (most := round(unpack_factor() * MOST_FRAMES)):
            problem = f"{sequence.name} has {sequence.length} frames, each an image of COCO's, and "
            problem += f"the limit is {most}"
            raise InputError(problem, f"{UNPACK_FIX}, or choose another format")
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
        numbers = [*range(len(CLASSES) + 1), *map(ids.__getitem__, sequence.extra_classes)]
        document["annotations"] += _annotations(
            sequence, first, len(document["annotations"]), numbers
        )
    categories = [{"id": number, "name": name} for name, number in ids.items()]
    with atomic_write(out) as part, part.open("w", encoding="utf-8") as file:
        json.dump({**document, "categories": categories}, file)
    return out


def _annotations(
    sequence: SequenceRows, first: int, count: int, categories: list[int]
) -> list[dict[str, Any]]:
    """Return the annotations of a sequence: image ids follow `first`, annotation ids `count`.

    `categories` are the category ids of the sequence's classes, by their numbers.
    """
    rows, annotations = sequence.rows, []
    columns = zip(rows.frames.tolist(), rows.ids.tolist(), rows.tlwh.tolist(), strict=True)
    for number, (frame, identity, box) in enumerate(columns):
        rest = rows.rest[number].tolist()
        more = {"visibility": rest[2]} if sequence.is_ground_truth else {"score": rest[0]}
        annotations.append(
            {
                "id": count + number + 1,
                "image_id": first + frame,
                "category_id": categories[int(rest[1])] if sequence.is_ground_truth else 1,
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

    Annotations with a `score` are results, others are ground truth. MMTracking's `instance_id` is
    read as a `track_id`. `warn` receives a message for each class of results that MOTChallenge does
    not have, whose boxes are left out, and for others than people, which results do not tell apart.
    Raises `InputError`, which names the malformed entry.
    """
    if path.suffix.lower() != ".json":
        return None
    document = _load(path)
    videos = _entries(path, document, "videos", lambda entry: (entry["id"], _video(entry)))
    names = _entries(path, document, "categories", lambda entry: (entry["id"], str(entry["name"])))
    images = _entries(path, document, "images", lambda entry: _image(entry, videos))
    _check_frames(path, images, videos)
    from_zero = {video for video, frame, _ in images.values() if frame == 0}
    infos = _infos(videos, images, from_zero)
    scored = _scored(path, document["annotations"])
    rows: dict[Any, list[list[float]]] = {video: [] for video in videos}
    unknown: Counter[str] = Counter()
    labels: dict[Any, list[str]] = {video: [] for video in videos}
    extra: dict[str, int] = {}

    def annotation(entry: dict[str, Any]) -> None:
        (video, frame, _), label = images[entry["image_id"]], names[entry["category_id"]]
        number = class_number(label)
        if number is None and scored:
            unknown[label] += 1
            return
        number = number or extra.setdefault(label, len(CLASSES) + len(extra) + 1)
        flag = 0 if entry.get("iscrowd") or entry.get("ignore") else 1
        rest = [entry["score"]] if scored else [flag, number, entry.get("visibility", 1)]
        left, top, width, height = (float(side) for side in entry["bbox"])
        identified = "track_id" in entry or "instance_id" not in entry
        identity = int(entry["track_id" if identified else "instance_id"])
        values = [frame + (video in from_zero), identity, left, top, width, height]
        rows[video].append([float(value) for value in (*values, *rest)])
        labels[video].append(label)

    _each(path, document, "annotations", annotation)
    for label, count in unknown.items():
        warn(f"{path}: {count} boxes of {label!r} left out: not a MOTChallenge class")
    for video in videos if scored else ():
        warn_of_classes(videos[video][0], labels[video], warn)
    make, columns = (result_rows, 7) if scored else (ground_truth_rows, 9)
    return [
        replace(
            make(videos[video][0], _table(path, video_rows, columns), infos.get(video)),
            extra_classes=tuple(extra),
        )
        for video, video_rows in rows.items()
    ]


def _scored(path: Path, annotations: list[Any]) -> bool:
    """Return whether annotations have scores; raise `InputError` if only some of them do."""
    count = sum(isinstance(entry, dict) and "score" in entry for entry in annotations)
    if 0 < count < len(annotations):
        problem = f"{path}: {count} of {len(annotations)} annotations have a score"
        raise InputError(problem, "give all of them a score (results), or none (ground truth)")
    return count > 0


def _image(entry: dict[str, Any], videos: dict[Any, Any]) -> tuple[Any, Image]:
    """Return the id of an image, and its video, frame number, and width and height."""
    video, size = entry["video_id"], tuple(int(entry.get(key, 0)) for key in ("width", "height"))
    frame = int(entry["frame_id"])
    if video not in videos:
        raise KeyError(video)
    if frame < 0 or frame != float(entry["frame_id"]):
        raise ValueError(frame)
    return entry["id"], (video, frame, size)


def _check_frames(
    path: Path, images: dict[Any, Image], videos: dict[Any, tuple[str, float | None]]
) -> None:
    """Raise `InputError` if two images are the same frame of a video: their boxes would mix."""
    frames = set()
    for video, frame, _ in images.values():
        if (video, frame) in frames:
            problem = f"{path}: two images are frame {frame} of {videos[video][0]}"
            raise InputError(problem, "give each image of a video a frame_id of its own")
        frames.add((video, frame))


def _infos(
    videos: dict[Any, tuple[str, float | None]], images: dict[Any, Image], from_zero: set[Any]
) -> dict[Any, SeqInfo]:
    """Return the metadata of each video that has images."""
    lengths: dict[Any, int] = {}
    sizes = {}
    for video, frame, size in images.values():
        lengths[video] = max(lengths.get(video, 0), frame + (video in from_zero))
        sizes[video] = [side or None for side in size]
    return {
        video: SeqInfo(videos[video][0], IMAGES, videos[video][1], length, *sizes[video])
        for video, length in lengths.items()
    }


def _video(entry: dict[str, Any]) -> tuple[str, float | None]:
    """Return a video's name and frame rate; TAO has `name`, CenterTrack's converter `file_name`."""
    rate = entry.get("fps")
    return safe_name(str(entry.get("name") or entry["file_name"])), float(rate) if rate else None


def _load(path: Path) -> dict[str, Any]:
    """Load the JSON file and check that it has the four lists."""
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise from_os_error(error) from error
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
    """Return the entries of the list `key` by id, parsed by `parse` into id and value.

    Raises `InputError` if two entries have the same id, as after joining two files.
    """
    entries = {}

    def add(entry: dict[str, Any]) -> None:
        number, value = parse(entry)
        if number in entries:
            raise InputError(
                f"{path}: two {key} have the id {number}", "give each an id of its own"
            )
        entries[number] = value

    _each(path, document, key, add)
    return entries


def _each(
    path: Path, document: dict[str, Any], key: str, parse: Callable[[dict[str, Any]], None]
) -> None:
    """Parse every entry of the list `key`; raise `InputError` that names the first broken one."""
    for index, entry in enumerate(document[key]):
        try:
            parse(entry)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            problem = _reason(entry, error) or "is broken"
            raise InputError(f"{path}: entry {index} of {key} {problem}", FIX) from None


def _reason(entry: Any, error: Exception) -> str:
    """Return which key an entry lacks, or which other entry it refers to; "" for other errors."""
    if not isinstance(error, KeyError) or not isinstance(entry, dict):
        return ""
    (key,) = error.args
    if isinstance(key, str) and key not in entry and key in FIELDS:
        return f"has no {key}"
    return f"refers to the id {key!r}, which is missing" if key in entry.values() else ""


def _table(path: Path, rows: list[list[float]], columns: int) -> Rows:
    table = np.array(rows, np.float64).reshape(-1, columns)
    return rows_from_table(path, table)
