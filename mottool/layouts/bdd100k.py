"""BDD100K MOT: `labels/box_track_20/val/VIDEO.json`, images in `images/track/val/VIDEO`.

Yu et al., "BDD100K: a diverse driving dataset for heterogeneous multitask learning", CVPR 2020, in
Scalabel's format: a list of frames with `frameIndex` (or `index`) from 0 and `labels`, each with
`id`, `category`, `attributes` and `box2d`. The benchmark does not score results in the boxes of
crowds and of its three classes other person, other vehicle and trailer.
"""

import json
from pathlib import Path
from typing import Any

from mottool.errors import InputError, from_os_error
from mottool.layouts.labels import Labels, to_float

__all__ = ["find", "image_folders", "images_of", "labels_of", "read", "recognises"]

REGIONS = ("other person", "other vehicle", "trailer")
# The first release of the labels has other names.
RENAMED = {"person": "pedestrian", "bike": "bicycle", "motor": "motorcycle"}
FIX = "give Scalabel's list of frames with frameIndex and labels (id, category, box2d)"
HEAD = 4096  # bytes that are read to recognise a file
KEYS = b'"frameIndex"', b'"videoName"', b'[{"name":'  # of which a list of frames has one
FRAME_KEYS = frozenset({"name", "videoName", "frameIndex", "index", "labels"})


def recognises(file: Path) -> bool:
    """Return whether a file is a JSON list of frames, or Scalabel's object that begins with one."""
    if file.suffix != ".json" or not file.is_file():
        return False
    with file.open("rb") as content:
        head = content.read(HEAD).lstrip().replace(b" ", b"")
    is_list = head.startswith((b"[", b'{"frames":['))
    return is_list and any(key in head for key in KEYS)


def find(path: Path) -> list[Path]:
    """Return the label files of a folder, of its splits, or of `labels/box_track_20` below it."""
    for pattern in ("*.json", "*/*.json", "box_track_20/*/*.json", "labels/box_track_20/*/*.json"):
        if files := [file for file in sorted(path.glob(pattern)) if recognises(file)]:
            return files
    return []


def image_folders(path: Path) -> list[Path]:
    """Return the folders of images below `images/track`."""
    return sorted(folder for folder in path.glob("images/track/*/*") if folder.is_dir())


def images_of(labels: Path) -> Path:
    """Return the folder of a video's images."""
    split = labels.resolve().parent
    return split.parents[2] / "images" / "track" / split.name / labels.stem


def labels_of(images: Path) -> Path | None:
    """Return the label file of a folder of images; None if it is in another layout."""
    split = images.parent
    if split.parent.name != "track" or split.parents[1].name != "images":
        return None
    return split.parents[2] / "labels" / "box_track_20" / split.name / f"{images.name}.json"


def read(file: Path) -> Labels:
    """Read a label file; raise `InputError` with the frame that is malformed."""
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise from_os_error(error) from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}", FIX) from error
    frames = document.get("frames") if isinstance(document, dict) else document
    if not isinstance(frames, list):
        raise InputError(f"{file} is not a list of frames", FIX)
    table, classes, regions = [], [], []
    identities: dict[str, int] = {}
    videos: dict[str, None] = {}
    for number, frame in enumerate(frames):
        try:
            if not FRAME_KEYS & frame.keys():
                raise KeyError(number)
            if video := frame.get("videoName"):
                videos[str(video)] = None
            index = int(frame.get("frameIndex", frame.get("index", number)))
            for label in frame.get("labels") or ():
                box = [label["box2d"][side] for side in ("x1", "y1", "x2", "y2")]
                left, top, right, bottom = to_float(file, number, box, FIX)
                identity = identities.setdefault(str(label["id"]), len(identities) + 1)
                category, attributes = str(label["category"]), label.get("attributes") or {}
                visibility = 0.5 if _is_set(attributes, "occluded") else 1.0
                table.append(
                    [index + 1, identity, left, top, right - left, bottom - top, visibility]
                )
                classes.append(RENAMED.get(category, category))
                regions.append(category in REGIONS or _is_set(attributes, "crowd"))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
            raise InputError(f"{file}: frame {number} of the list is broken", FIX) from None
    if len(videos) > 1:
        problem = f"{file} has frames of {len(videos)} videos ({', '.join([*videos][:3])}, …)"
        raise InputError(problem, "write the frames of each video to a file VIDEO.json of its own")
    return Labels.of(table, classes, [False] * len(table), regions, length=len(frames))


def _is_set(attributes: dict[str, Any], name: str) -> bool:
    """Return an attribute, whose name the first release writes with a capital letter."""
    return bool(attributes.get(name) or attributes.get(name.capitalize()))
