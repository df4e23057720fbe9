"""Recognise texts that are not MOTChallenge's rows by their first line."""

import re
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["KITTI_COLUMNS", "OtherText", "describe_other_text", "is_kitti"]

LONGEST = 1000  # characters of a line that are examined
NUMBER = r"-?\d+(?:\.\d+)?"
# A comma inside a cell that blanks, tabs or semicolons separate from others.
DECIMAL_COMMA = re.compile(
    rf"(?<![\d.-]){NUMBER},{NUMBER}\s*[;\s]\s*-?\d|(?<![\d.-]){NUMBER}\s+{NUMBER},-?\d"
)
KITTI_COLUMNS = (17, 18)  # of labels and results


class OtherText(NamedTuple):
    """What a text is instead of rows, as the predicate of a sentence, and how to go on."""

    problem: str
    fix: str


def describe_other_text(line: str) -> OtherText | None:
    """Return what a text is instead of rows, by its first line; None if it may be rows."""
    start = line.strip()[:LONGEST]
    return next((text for is_text, text in OTHER_TEXTS if is_text(start)), None)


def _is_yolo_label(line: str) -> bool:
    """Return whether a line is a YOLO label: class, x, y, width, height, and perhaps a score."""
    try:
        kind, *values = map(float, line.replace(",", " ").split())
    except ValueError:
        return False
    fractions = all(0 <= value <= 1 for value in values)
    return len(values) in (4, 5) and kind % 1 == 0 and fractions and values[0] % 1 != 0


def _is_header(line: str) -> bool:
    """Return whether a line has names of columns, or is a comment."""
    words = [word for word in re.split(r"[,;\s]+", line) if word]
    return line.startswith(("#", "//")) or (
        len(words) > 1 and all(re.fullmatch(r"[\"']?[^\W\d][\w .%/()-]*[\"']?", w) for w in words)
    )


def is_kitti(line: str) -> bool:
    """Return whether a line is a row of KITTI tracking: the third of its columns is a class."""
    words = line.split()
    return len(words) in KITTI_COLUMNS and words[2].replace("_", "").isalpha()


OTHER_TEXTS: tuple[tuple[Callable[[str], bool], OtherText], ...] = (
    (
        _is_yolo_label,
        OtherText(
            "holds YOLO labels, fractions of one image",
            "write all boxes into rows: frame, id, left, top, width, height, score, in pixels",
        ),
    ),
    (
        lambda line: line.startswith("<"),
        OtherText(
            "is XML or a web page, not rows",
            "give rows of MOTChallenge, which CVAT exports as MOT 1.1",
        ),
    ),
    (
        lambda line: line.startswith(("{", "[{")),
        OtherText("is JSON, not rows", "run mottool convert on a .json of COCO's format first"),
    ),
    (
        is_kitti,
        OtherText("holds rows of KITTI tracking", "run mottool convert first, and give its output"),
    ),
    (_is_header, OtherText("begins with a header", "remove that line")),
    (
        lambda line: DECIMAL_COMMA.search(line) is not None and not re.search(r",\s", line),
        OtherText(
            "has commas in numbers, or two kinds of separators",
            "write decimal points, and commas between the numbers",
        ),
    ),
    (
        lambda line: ";" in line,
        OtherText("separates numbers by semicolons", "write commas between the numbers"),
    ),
)
