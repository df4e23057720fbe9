"""Read `seqinfo.ini`: name, image size, frame rate and length of a MOTChallenge sequence."""

import configparser
from dataclasses import dataclass
from pathlib import Path

from mottool.errors import InputError, from_os_error

__all__ = ["SeqInfo", "parse_seqinfo", "read_seqinfo"]

FIX = "write one with [Sequence] and name, imDir, frameRate, seqLength, imWidth, imHeight"


@dataclass(frozen=True)
class SeqInfo:
    """The content of a `seqinfo.ini`; None for a value that it does not give.

    `frame_rate` is in frames a second, `length` in frames, `width` and `height` in pixels.
    """

    name: str
    image_dir: str
    frame_rate: float | None
    length: int | None
    width: int | None
    height: int | None


def read_seqinfo(path: Path) -> SeqInfo:
    """Read `seqinfo.ini`; raise `InputError` for another file or a number that is not positive."""
    try:
        return parse_seqinfo(path.read_text(encoding="utf-8-sig"), path)
    except OSError as error:
        raise from_os_error(error) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not a MOTChallenge seqinfo.ini", FIX) from error


def parse_seqinfo(text: str, path: Path) -> SeqInfo:
    """Parse the text of a file, with the checks of `read_seqinfo`; errors name `path`."""
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
        section = parser["Sequence"]
    except (configparser.Error, KeyError) as error:
        raise InputError(f"{path} is not a MOTChallenge seqinfo.ini", FIX) from error

    def number(key: str) -> float | None:
        text = section.get(key)
        if text is None:
            return None
        try:
            value = float(text)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise InputError(f"{path} has {key}={text}", "give a positive number")
        return value

    def count(key: str) -> int | None:
        value = number(key)
        return None if value is None else int(value)

    return SeqInfo(
        name=section.get("name", path.parent.name),
        image_dir=section.get("imDir", "img1"),
        frame_rate=number("frameRate"),
        length=count("seqLength"),
        width=count("imWidth"),
        height=count("imHeight"),
    )
