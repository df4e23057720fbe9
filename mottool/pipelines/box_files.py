"""Files of the boxes of sequences in a folder, as `--detections` names it. Imports no numpy."""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["find_boxes"]

SUFFIXES = (".txt", ".txt.gz", ".npy")


def find_boxes(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the file of a sequence, which has one of `names`; None if there is none."""
    files = (folder / f"{name}{suffix}" for name in names for suffix in SUFFIXES)
    return next((file for file in files if file.is_file()), None)
