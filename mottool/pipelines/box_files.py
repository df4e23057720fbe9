"""Files of the boxes of sequences in a folder, as `--detections` names it. Imports no numpy."""

from collections.abc import Iterable
from pathlib import Path

from mottool.errors import InputError

__all__ = ["find_boxes"]

SUFFIXES = (".txt", ".txt.gz", ".npy")


def find_boxes(folder: Path, names: Iterable[str]) -> Path | None:
    """Return the file of a sequence, which has the first of `names` that there is; None for none.

    Raises `InputError` for two files of one name, such as `SEQUENCE.txt` and `SEQUENCE.npy`.
    """
    for name in dict.fromkeys(names):
        paths = (folder / f"{name}{suffix}" for suffix in SUFFIXES)
        files = [path for path in paths if path.is_file()]
        if len(files) > 1:
            problem = f"{files[0]} and {files[1]} are both detections of {name}"
            raise InputError(problem, "keep one of them in the folder")
        if files:
            return files[0]
    return None
