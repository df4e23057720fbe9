"""CrowdHuman: an `.odgt` file, one JSON object a line, each an image with its people.

Shao et al., "CrowdHuman: a benchmark for detecting human in a crowd", 2018. A person has a full
box (`fbox`), which may reach out of the image, and a visible one (`vbox`). Crowds and reflections,
tagged `mask`, and people marked `ignore` are regions to ignore.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.data.readers.parsing import folder_of, read_text
from mottool.errors import InputError
from mottool.sources.images import image_size

__all__ = ["read", "recognises"]

FIX = 'write {"ID": image, "gtboxes": [{"tag": "person", "fbox": [x, y, w, h]}, …]} on every line'


def recognises(path: Path) -> bool:
    """Whether `path` is an `.odgt` file."""
    return path.is_file() and path.suffix == ".odgt"


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """The people by their full boxes, nobody with an identity; visibility is `vbox` over `fbox`.

    The images lie in `root`, or else in a folder near by that is named as usual. An `InputError`
    names the line that is broken.
    """
    collector, folder = DatasetBuilder(path.stem, upright=False), None
    for number, line in enumerate(read_text(path, "odgt file").splitlines(), 1):
        if not line.strip():
            continue
        try:
            told = json.loads(line)
            name = f"{told['ID']}.jpg"
            people = [row for row in told["gtboxes"] if _is_person(row)]
            full = np.array([row["fbox"] for row in people], np.float64).reshape(len(people), 4)
            seen = np.array([row.get("vbox", row["fbox"]) for row in people], np.float64)
            visibility = _shares(full, seen.reshape(len(people), 4))
            others = [row["fbox"] for row in told["gtboxes"] if not _is_person(row)]
            ignored = np.array(others, np.float64).reshape(len(others), 4)
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            raise InputError(f"{path} line {number} is broken", FIX) from None
        if not (np.isfinite(full).all() and np.isfinite(ignored).all()):
            raise InputError(f"{path} line {number} holds NaN or infinity", FIX)
        folder = folder or folder_of(name, _folders(path, root), path)
        size = image_size(folder / name, upright=False)
        regions = xyxy_from_tlwh(ignored)
        boxes = xyxy_from_tlwh(full)
        collector.add(folder / name, size, boxes, visibility=visibility, ignored=regions)
    return collector.dataset(warn)


def _is_person(row: dict[str, Any]) -> bool:
    return row["tag"] == "person" and not row.get("extra", {}).get("ignore")


def _shares(full: Any, seen: Any) -> Any:
    """How much of the boxes `full` the boxes `seen` are, (n,) in [0, 1]; 1 of those without area.

    Both are left, top, width, height.
    """
    full, seen = xyxy_from_tlwh(full), xyxy_from_tlwh(seen)
    shared = np.minimum(full, seen)[:, 2:] - np.maximum(full, seen)[:, :2]  # (n, 2)
    areas = (full[:, 2:] - full[:, :2]).prod(axis=1)
    shares = np.maximum(shared, 0).prod(axis=1) / np.where(areas > 0, areas, 1)
    return np.where(areas > 0, np.minimum(shares, 1), 1)


def _folders(path: Path, root: Path | None) -> list[Path]:
    """Where the images may lie: `annotation_train.odgt` beside `Images/`, say."""
    if root:
        return [root]
    here, split = path.resolve().parent, path.stem.rpartition("_")[2]
    names = ("Images", f"images/{split}", f"CrowdHuman_{split}/Images", f"CrowdHuman_{split}")
    return [here / name for name in (*names, f"{split}/Images", split, "images", ".")]
