"""CrowdHuman: an `.odgt` file with one JSON object per line, an image with its people.

Shao et al., "CrowdHuman: a benchmark for detecting human in a crowd", 2018. A person has a full box
(`fbox`), which may extend past the image, and a visible one (`vbox`). Crowds and reflections,
tagged `mask`, and people marked `ignore` are regions to ignore.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.data.readers.parsing import find_folder, read_text
from mottool.errors import InputError
from mottool.sources.images import image_size

__all__ = ["read", "recognises"]

FARTHEST = 1e6  # pixels from an image at which a box can be
FIX = 'write {"ID": image, "gtboxes": [{"tag": "person", "fbox": [x, y, w, h]}, …]} on every line'


def recognises(path: Path) -> bool:
    """Return whether `path` is an `.odgt` file."""
    return path.is_file() and path.suffix == ".odgt"


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read the full boxes of people, without identities; visibility is the area `vbox` / `fbox`.

    The images are in `root`, or by default in a folder with a usual name near the file. Raises
    `InputError` with the line that is broken, or has the image of another one.
    """
    builder, folder, lines = DatasetBuilder(path.stem, upright=False), None, dict[str, int]()
    for number, line in enumerate(read_text(path, "odgt file").splitlines(), 1):
        if not line.strip():
            continue
        try:
            image = json.loads(line)
            name = f"{image['ID']}.jpg"
            people = [row for row in image["gtboxes"] if _is_person(row)]
            full = _boxes([row["fbox"] for row in people])
            visible = _boxes([row.get("vbox", row["fbox"]) for row in people])
            ignored = _boxes([row["fbox"] for row in image["gtboxes"] if not _is_person(row)])
        except (AttributeError, KeyError, OverflowError, RecursionError, TypeError, ValueError):
            raise InputError(f"{path} line {number} is broken", FIX) from None
        if not all((abs(boxes) < FARTHEST).all() for boxes in (full, visible, ignored)):
            raise InputError(f"{path} line {number} has a box beyond any image", FIX)
        if lines.setdefault(name, number) != number:
            problem = f"{path} lines {lines[name]} and {number} are both of {name}"
            raise InputError(problem, "write all boxes of an image in one line")
        folder = folder or find_folder(name, _folders(path, root), path)
        size = image_size(folder / name, upright=False)
        regions = xyxy_from_tlwh(ignored)
        boxes = xyxy_from_tlwh(full)
        visibility = _visibility(full, visible)
        builder.add(folder / name, size, boxes, visibility=visibility, ignored=regions)
    return builder.dataset(warn)


def _boxes(rows: list[Any]) -> npt.NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(len(rows), 4)


def _is_person(row: dict[str, Any]) -> bool:
    return row["tag"] == "person" and not row.get("extra", {}).get("ignore")


def _visibility(full: Any, visible: Any) -> Any:
    """Return the part of each box `full` that the box `visible` covers, (n,) in [0, 1].

    It is 1 for boxes without area. Both are (n, 4) left, top, width, height.
    """
    full, visible = xyxy_from_tlwh(full), xyxy_from_tlwh(visible)
    shared = np.minimum(full, visible)[:, 2:] - np.maximum(full, visible)[:, :2]  # (n, 2)
    areas = (full[:, 2:] - full[:, :2]).prod(axis=1)
    shares = np.maximum(shared, 0).prod(axis=1) / np.where(areas > 0, areas, 1)
    return np.where(areas > 0, np.minimum(shares, 1), 1)


def _folders(path: Path, root: Path | None) -> list[Path]:
    """Return the folders to search for the images, such as `Images/` beside the file."""
    if root:
        return [root]
    parent, split = path.resolve().parent, path.stem.rpartition("_")[2]
    names = ("Images", f"images/{split}", f"CrowdHuman_{split}/Images", f"CrowdHuman_{split}")
    return [parent / name for name in (*names, f"{split}/Images", split, "images", ".")]
