"""Parts of datasets: halves of sequences, published lists of sequences, and spans of frames.

`PATH@NAME` is the part NAME of the sequences at PATH. All commands that read sequences, caches or
ground truth accept it. The part of one sequence is called `SEQUENCE@first` or `SEQUENCE@second`;
its frames keep their numbers. Imports no numpy, because help texts list `SPLITS`.
"""

import glob
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mottool.errors import InputError, SettingError, did_you_mean, empty_path

__all__ = [
    "HALVES",
    "SPLITS",
    "Span",
    "Split",
    "frames_of_half",
    "name_of_half",
    "parse_source",
    "parse_span",
    "splits_help",
    "video_name",
    "without_half",
]

Span = tuple[int, int | None]  # first and last frame; None: to the end

HALVES = ("first", "second")
# MOT17 contains every video three times, once for each public detector.
COPY = re.compile(r"(MOT17-\d+)-(DPM|FRCNN|SDP)")


@dataclass(frozen=True)
class Split:
    """A part of a dataset.

    `videos` are the names of its videos; () means all videos of the dataset. `half` is one of
    `HALVES`, or "" for whole videos.
    """

    name: str
    summary: str
    videos: tuple[str, ...] = ()
    half: str = ""

    def select(self, sequences: Iterable[str], source: str | Path) -> list[str]:
        """Return the names of the sequences that belong to the split, in their order.

        Of MOT17's three copies of a video, `videos` select the last by name: SDP's, if present.
        Raises `InputError` if the dataset at `source` lacks one of the videos.
        """
        sequences = list(sequences)
        wholes = sorted({without_half(name)[0] for name in sequences})
        copies = {video_name(whole): whole for whole in wholes}
        missing = [video for video in self.videos if video not in copies]
        if missing:
            problem = f"{source} has no {', '.join(missing)}, which the split {self.name} contains"
            raise InputError(problem, "give the folder that contains all sequences of the dataset")
        if not self.videos:
            return sequences
        selected = {copies[video] for video in self.videos}
        return [name for name in sequences if without_half(name)[0] in selected]


MOT17 = tuple(f"MOT17-{number}" for number in ("02", "04", "05", "09", "10", "11", "13"))
SPLITS = {
    split.name: split
    for split in (
        Split("first", "the first half of every sequence", half="first"),
        Split("second", "the second half of every sequence", half="second"),
        # Xiang, Alahi & Savarese, "Learning to track", ICCV 2015; FairMOT, Tables 2-4.
        Split(
            "train5",
            "2DMOT15: the 5 training videos of MDP and FairMOT",
            ("TUD-Stadtmitte", "ETH-Bahnhof", "ADL-Rundle-6", "KITTI-13", "PETS09-S2L1"),
        ),
        Split(
            "validate6",
            "2DMOT15: the 6 validation videos of MDP and FairMOT",
            (
                *("TUD-Campus", "ETH-Sunnyday", "ETH-Pedcross2"),
                *("ADL-Rundle-8", "Venice-2", "KITTI-17"),
            ),
        ),
        # The list in FairMOT's track.py, of videos that are not in JDE's training data.
        Split(
            "jde6",
            "2DMOT15: the 6 videos that JDE's and FairMOT's training data lacks",
            (
                *("KITTI-13", "KITTI-17", "ADL-Rundle-6"),
                *("PETS09-S2L1", "TUD-Campus", "TUD-Stadtmitte"),
            ),
        ),
        Split(
            "mot17-first",
            "MOT17: the first halves of the 7 training videos, each once",
            MOT17,
            "first",
        ),
        Split(
            "mot17-second",
            "MOT17: the second halves of the 7 training videos, each once",
            MOT17,
            "second",
        ),
    )
}


def splits_help() -> str:
    """Return a paragraph about splits for a command's `--help`."""
    width = max(map(len, SPLITS))
    lines = [f"    @{split.name:<{width}}  {split.summary}" for split in SPLITS.values()]
    head = "PATH@SPLIT is a part of the sequences at PATH. Frames keep their numbers."
    return "\b\n" + "\n".join([head, *lines])


def parse_source(source: str | Path) -> tuple[Path, Split | None]:
    """Split `PATH@NAME` into its path and its split, which is None for a path without one.

    An existing file or folder with an @ in its name is a path. Raises `SettingError` for an unknown
    name after an existing path or a pattern, and for an empty source.
    """
    if source == "":
        raise empty_path("a source")
    text, separator, name = str(source).rpartition("@")
    if not separator or not text or "/" in name or Path(source).exists():
        return Path(source), None
    if name in SPLITS:
        return Path(text), SPLITS[name]
    if Path(text).exists() or glob.has_magic(text):
        fix, names = did_you_mean(name, SPLITS), ", ".join(SPLITS)
        if names not in fix:
            fix += f"; splits are {names}"
        raise SettingError(f"there is no split {name!r} of {text}", fix)
    return Path(source), None


def video_name(sequence: str) -> str:
    """Return the name of the video that a sequence shows; MOT17 has three sequences of each."""
    copy = COPY.fullmatch(sequence)
    return copy[1] if copy else sequence


def name_of_half(sequence: str, half: str) -> str:
    """Return the name of a half of a sequence; the name of the sequence if `half` is ""."""
    return f"{sequence}@{half}" if half else sequence


def without_half(name: str) -> tuple[str, str]:
    """Split `SEQUENCE@first` into the sequence and its half, which is "" for a whole sequence."""
    sequence, separator, half = name.rpartition("@")
    return (sequence, half) if separator and half in HALVES else (name, "")


def frames_of_half(count: int, half: str, sequence: str) -> tuple[int, int]:
    """Return the first and the last frame, from 1, of a half of a sequence of `count` frames.

    As in FairMOT's lists, the second half of an odd number has one frame more. Raises `InputError`
    for a sequence of less than two frames.
    """
    if count < 2:
        problem = f"{sequence} has {count} frames, which cannot be halved"
        raise InputError(problem, "give a longer sequence, or use all of it")
    middle = count // 2
    return (1, middle) if half == HALVES[0] else (middle + 1, count)


def parse_span(text: str) -> Span:
    """Parse `1-100`, `50-` (to the end) or `7` (one frame)."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        begin = int(first)
        end = int(last) if last else None if dash else begin
    except ValueError:
        begin, end = 0, None
    if begin < 1 or (end is not None and end < begin):
        problem = f"--frames {text!r} is not a range of frames"
        raise SettingError(problem, "write 1-100, 50- or 7")
    return begin, end
