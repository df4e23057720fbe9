"""MOTChallenge folders: videos as images, with `gt/gt.txt`.

Leal-Taixé et al., "MOTChallenge 2015", Milan et al., "MOT16", Dendorfer et al., "MOT20". Trained
on are the rows that the benchmark scores: pedestrians whose flag is not 0. Pedestrians whose flag
is 0 and the classes that the benchmark takes for neither right nor wrong (static people, people on
vehicles, reflections, distractors) are regions to ignore.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.errors import InputError
from mottool.motchallenge.rows import Rows, read_rows
from mottool.motchallenge.rules import DISTRACTORS, detect_rules
from mottool.sources.discovery import find_sequences
from mottool.sources.images import images_in
from mottool.sources.sequence import Sequence

__all__ = ["read", "recognises", "scored_rows"]

TRUTH = "gt/gt.txt"
PEDESTRIAN = 1
Bools = npt.NDArray[np.bool_]
# MOT17 holds every video three times, once for each public detector.
COPY = re.compile(r"(MOT17-\d+)-(DPM|FRCNN|SDP)")


def recognises(path: Path) -> bool:
    """Whether `path` is a sequence with ground truth, or has such one or two folders below."""
    return any(True for depth in ("", "*/", "*/*/") for _ in path.glob(depth + TRUTH))


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Every sequence in the folder that has ground truth. `root` is not needed.

    Of MOT17's three copies of a video the last in order of their names is taken, SDP's if there.
    An `InputError` names the line that is broken, or a sequence whose frames are a video.
    """
    sequences = [each for each in find_sequences([path]) if each.ground_truth is not None]
    copies = {_video(sequence.name): sequence for sequence in sequences}
    if len(copies) < len(sequences):
        warn(f"{path}: {len(sequences) - len(copies)} sequences are other copies of the same video")
    collector, people = DatasetBuilder(path.resolve().name, origin=1), 0
    for video, sequence in enumerate(copies.values()):
        people += _add(collector, sequence, video, people)
    return collector.dataset(warn)


def _video(sequence: str) -> str:
    copy = COPY.fullmatch(sequence)
    return copy[1] if copy else sequence


def _add(collector: DatasetBuilder, sequence: Sequence, video: int, people: int) -> int:
    """Put a sequence's images into the collector, identities from `people` on; how many it took."""
    files = _images(sequence)
    rows, regions = _rows(sequence)
    if len(rows) and rows.frames.max() > len(files):
        problem = f"{sequence.path / TRUTH} has frame {rows.frames.max()} of {len(files)} images"
        raise InputError(problem, "add the missing images, or take those rows out")
    visibility = rows.rest[:, 2] if rows.rest.shape[1] == 3 else np.ones(len(rows))
    size = sequence.width, sequence.height
    rows_of, regions_of = _by_frame(rows, len(files)), _by_frame(regions, len(files))
    for number, file in enumerate(files, 1):
        own, ignored = rows_of[number - 1], regions_of[number - 1]
        boxes, who = xyxy_from_tlwh(rows.tlwh[own]), rows.ids[own]
        who = np.where(who < 0, who, who + people)
        collector.add(
            file,
            size,
            boxes,
            who,
            visibility[own],
            video,
            number,
            ignored=xyxy_from_tlwh(regions.tlwh[ignored]),
        )
    return int(rows.ids.max(initial=-1)) + 1


def _by_frame(rows: Rows, frames: int) -> list[npt.NDArray[np.int64]]:
    """Return the indices of the rows of each frame; frames count from 1."""
    order = np.argsort(rows.frames, kind="stable")
    ends = np.searchsorted(rows.frames[order], np.arange(1, frames + 1), side="right")
    return np.split(order, ends)[:-1]


def _images(sequence: Sequence) -> list[Path]:
    """The images of a sequence, in order of its frames."""
    if sequence.media is None:
        raise InputError(f"{sequence.path} has ground truth but no images", "add its images")
    if sequence.media.is_file():
        film, folder = sequence.media, sequence.path / "img1"
        command = f"mkdir -p {folder} && ffmpeg -i {film} -fps_mode passthrough {folder}/%06d.jpg"
        fix = f"make images of it ({command}) and set imDir=img1 in its seqinfo.ini"
        raise InputError(f"{film} is a video, but training jumps between frames", fix)
    return images_in(sequence.media)


def scored_rows(sequence: Sequence) -> Rows:
    """The rows of the ground truth that count as people."""
    return _rows(sequence)[0]


def _rows(sequence: Sequence) -> tuple[Rows, Rows]:
    """Return the rows of the ground truth that are scored as people, and those to be ignored."""
    rows = read_rows(sequence.path / TRUTH, "ground truth")
    scored, ignored = _roles(sequence, rows)
    return _chosen(rows, scored), _chosen(rows, ignored)


def _roles(sequence: Sequence, rows: Rows) -> tuple[Bools, Bools]:
    """Return which rows are scored as people and which are to be ignored, (n,) bool each."""
    columns, rules = rows.rest.shape[1], detect_rules(sequence.name, rows)
    flagged = rows.rest[:, 0] != 0 if columns else np.ones(len(rows), bool)
    if rules == "mot15" or columns < 2:
        return flagged, ~flagged
    pedestrian = rows.rest[:, 1] == PEDESTRIAN
    ignored = np.isin(rows.rest[:, 1], DISTRACTORS[rules]) | (pedestrian & ~flagged)
    return flagged & pedestrian, ignored


def _chosen(rows: Rows, keep: Bools) -> Rows:
    return Rows(rows.frames[keep], rows.ids[keep], rows.tlwh[keep], rows.rest[keep])
