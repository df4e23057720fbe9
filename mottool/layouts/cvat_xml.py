"""CVAT's own XML, "CVAT for video 1.1": tracks in `annotations.xml`, with or without `images`.

docs.cvat.ai, "Formats, CVAT". A track has a label and boxes by frame, from 0. CVAT exports a box
for every frame. Other programs write key frames only: boxes between two of them are interpolated,
as CVAT does, unless the object is outside the picture after the first.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from xml.etree.ElementTree import Element, ParseError, iterparse

import numpy as np

from mottool.errors import InputError, from_os_error
from mottool.files import UNPACK_FIX, unpacked_limit
from mottool.layouts.labels import Labels, to_float

__all__ = ["find", "image_folders", "images_of", "labels_of", "name_of", "read", "recognises"]

FILE, IMAGES = "annotations.xml", "images"
HEAD = 4096  # bytes that are read to recognise a file
ROOT, VERSION = b"<annotations", b"<version>"
SIDES = "xtl", "ytl", "xbr", "ybr"
SHAPES = {"box", "polygon", "polyline", "points", "mask", "cuboid", "ellipse", "skeleton"}
LARGEST = 100_000_000  # frame number
OCCLUDED = 0.5  # visibility
BOX_BYTES = 100  # of a box in the file, at least
MAX_DEPTH = 20  # of elements; CVAT's have 6
FIX = "export the task of one video again, as CVAT for video 1.1 or MOT 1.1"


def recognises(file: Path) -> bool:
    """Return whether a file is an XML file of CVAT."""
    if file.suffix.lower() != ".xml" or not file.is_file():
        return False
    with file.open("rb") as content:
        head = content.read(HEAD)
    return ROOT in head and VERSION in head


def find(path: Path) -> list[Path]:
    """Return the files of a folder, or of its subfolders."""
    for pattern in ("*.xml", f"*/{FILE}"):
        if files := [file for file in sorted(path.glob(pattern)) if recognises(file)]:
            return files
    return []


def name_of(labels: Path) -> str:
    """Return the name of the video that a file names, else that of the file or its folder."""
    for element in _elements(labels):
        if element.tag == "source" and element.text:
            return PureWindowsPath(element.text).stem  # with separators of either system
        if element.tag in ("track", "image"):
            break
    return labels.resolve().parent.name if labels.name == FILE else labels.stem


def image_folders(path: Path) -> list[Path]:
    """Return no folders: images are found as in any folder."""
    return []


def images_of(labels: Path) -> Path:
    """Return the folder of a sequence's images."""
    return labels.parent / IMAGES


def labels_of(images: Path) -> Path | None:
    """Return the file beside a folder `images`; None if there is none."""
    file = images.parent / FILE
    return file if images.name == IMAGES and recognises(file) else None


def read(file: Path) -> Labels:
    """Read a file; raise `InputError` for what has no tracks of boxes."""
    table, classes, length, task = list[list[float]](), list[str](), None, None
    most = unpacked_limit(file.stat().st_size if file.is_file() else 0) // BOX_BYTES
    for element in _elements(file):
        if element.tag == "stop_frame" and length is None:
            length = int(_numbers(file, [element.text or ""])[0]) + 1
        elif element.tag == "frame_filter" and re.search(
            r"step\s*=\s*(?!1\b)\d", element.text or ""
        ):
            problem = f"{file} has labels of every n-th frame only ({element.text})"
            raise InputError(problem, "label all frames, or a video of these frames only")
        elif element.tag == "image":
            raise InputError(f"{file} labels images, which have no identities", FIX)
        elif element.tag == "track":
            if task not in (None, element.get("task_id")):
                raise InputError(f"{file} has tracks of several tasks", FIX)
            task = element.get("task_id")
            rows = _boxes(file, element, most - len(table))
            table += rows
            classes += [element.get("label", "")] * len(rows)
            element.clear()
    return Labels.of(table, classes, [False] * len(table), [False] * len(table), length=length)


def _elements(file: Path) -> Iterator[Element]:
    """Yield each element of a file when it ends; raise `InputError` if it is no XML."""
    depth = 0
    try:
        for event, element in iterparse(file, ("start", "end")):
            depth += 1 if event == "start" else -1
            if depth > MAX_DEPTH:
                raise InputError(f"{file} has elements within {MAX_DEPTH} others", FIX)
            if event == "end":
                yield element
    except (ParseError, LookupError, ValueError) as error:  # also of an unknown encoding
        raise InputError(f"{file} is damaged XML: {error}", FIX) from error
    except OSError as error:
        raise from_os_error(error) from error


def _boxes(file: Path, track: Element, most: int) -> list[list[float]]:
    """Return the rows of a track, as `Labels.of` takes them, in the order of frames.

    Raises `InputError` if there are more than `most`.
    """
    identity = _numbers(file, [track.get("id", "")])[0] + 1
    others = {shape.tag for shape in track} & SHAPES - {"box"}
    if others:
        problem = f"{file}: track {track.get('id')} has shapes other than boxes ({min(others)})"
        raise InputError(problem, "export boxes only")
    shapes = [_shape(file, shape) for shape in track if shape.tag == "box"]
    rows = list[list[float]]()
    for shape, after in zip(shapes := sorted(shapes), [*shapes[1:], None], strict=True):
        frame, outside, *box, visibility = shape
        if outside:
            continue
        end = after[0] if after else frame + 1
        if len(rows) + end - frame > most:
            raise InputError(f"{file} has key frames very far apart", UNPACK_FIX)
        frames = np.arange(frame, end)
        if len(frames) == 0:
            problem = f"{file}: track {track.get('id')} has two boxes in frame {frame:g}"
            raise InputError(problem, "remove one of them")
        # An object stands still before it leaves the picture: the box outside is of no use.
        target = after[2:6] if after and not after[1] else box
        part = ((frames - frame) / len(frames))[:, None]  # (n, 1)
        left, top, right, bottom = (np.array(box) + part * np.subtract(target, box)).T
        rows += [
            [number + 1, identity, x, y, width, height, visibility]
            for number, x, y, width, height in zip(
                frames, left, top, right - left, bottom - top, strict=True
            )
        ]
    return rows


def _shape(file: Path, shape: Element) -> list[float]:
    """Return frame, whether the object is outside, left, top, right, bottom and visibility."""
    given = [shape.get(name, "") for name in ("frame", "outside", *SIDES)]
    frame, outside, *box = _numbers(file, given)
    if frame < 0 or frame % 1 or frame > LARGEST:
        raise InputError(f"{file} has a box in frame {frame:g}", FIX)
    if _numbers(file, [shape.get("rotation", "0")])[0] % 360:
        raise InputError(f"{file} has a rotated box in frame {frame:g}", "export upright boxes")
    return [frame, outside, *box, OCCLUDED if shape.get("occluded") == "1" else 1.0]


def _numbers(file: Path, words: list[str]) -> list[float]:
    """Return finite numbers; raise `InputError` for other text."""
    try:
        return to_float(file, 0, words, FIX)
    except InputError:
        raise InputError(f"{file} has {', '.join(words)} in place of numbers", FIX) from None
