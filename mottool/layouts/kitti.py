"""KITTI tracking: `label_02/0000.txt`, with the images in `image_02/0000/000000.png`.

Geiger, Lenz & Urtasun, "Are we ready for autonomous driving?", CVPR 2012; the readme of the
tracking devkit. A row is frame (from 0), identity, type, truncated, occluded, alpha, left, top,
right, bottom, and nine values of the object in space, separated by spaces; results end with a
score. The benchmark scores cars and pedestrians. It ignores truncated objects, those that are
occluded by more than level 2, and the regions `DontCare`.
"""

from pathlib import Path

from mottool.errors import InputError
from mottool.layouts.labels import Labels, read_lines, to_float
from mottool.motchallenge.other_texts import KITTI_COLUMNS, is_kitti

__all__ = ["find", "image_folders", "images_of", "labels_of", "read", "recognises"]

LABELS, IMAGES = "label_02", "image_02"
TRUTH_COLUMNS, RESULT_COLUMNS = KITTI_COLUMNS
DONT_CARE = "DontCare"
RENAMED = {"Person": "Person_sitting"}  # labels have the first name, the devkit the second
MAX_OCCLUSION = 2
FIX = "write frame, id, type, truncated, occluded, alpha, left, top, right, bottom, …: 17 columns"


def recognises(file: Path) -> bool:
    """Return whether a file holds such labels."""
    if file.suffix != ".txt" or not file.is_file():
        return False
    if file.resolve().parent.name == LABELS:
        return True
    try:
        with file.open(encoding="utf-8") as text:
            return is_kitti(text.readline())
    except (OSError, UnicodeDecodeError):
        return False


def find(path: Path) -> list[Path]:
    """Return the label files of a folder: of `label_02`, or of one up to two levels below."""
    for folder in (path.resolve(), path / LABELS, *sorted(path.glob(f"*/{LABELS}"))):
        if folder.name == LABELS and folder.is_dir():
            return sorted(folder.glob("*.txt"))
    return []


def image_folders(path: Path) -> list[Path]:
    """Return the folders of images of the left camera, one for each sequence."""
    for pattern in (f"{IMAGES}/*", f"*/{IMAGES}/*"):
        if folders := sorted(folder for folder in path.glob(pattern) if folder.is_dir()):
            return folders
    return []


def images_of(labels: Path) -> Path:
    """Return the folder of a sequence's images."""
    return labels.parent.parent / IMAGES / labels.stem


def labels_of(images: Path) -> Path | None:
    """Return the label file of a folder of images; None if it is in another layout."""
    folder = images.parent
    return folder.parent / LABELS / f"{images.name}.txt" if folder.name == IMAGES else None


def read(file: Path) -> Labels:
    """Read a label file; raise `InputError` with the line that is malformed."""
    table, classes, ignored = [], [], []
    lines = read_lines(file, "KITTI's labels")
    scored = bool(lines) and len(lines[0][1]) == RESULT_COLUMNS
    for number, words in lines:
        if len(words) != (RESULT_COLUMNS if scored else TRUTH_COLUMNS):
            raise InputError(f"{file} line {number} has {len(words)} columns", FIX)
        frame, identity, *values = to_float(file, number, words[:2] + words[3:], FIX)
        truncated, occluded, _, left, top, right, bottom = values[:7]
        if frame < 0 or frame % 1 or identity % 1:
            raise InputError(f"{file} line {number}: frame or id is not an integer", FIX)
        last = values[-1] if scored else 1.0
        table.append([frame + 1, identity, left, top, right - left, bottom - top, last])
        classes.append(RENAMED.get(words[2], words[2]))
        ignored.append(not scored and (truncated > 0 or occluded > MAX_OCCLUSION))
    regions = [name == DONT_CARE for name in classes]
    return Labels.of(table, classes, ignored, regions, scored=scored)
