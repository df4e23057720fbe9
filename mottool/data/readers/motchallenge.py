"""MOTChallenge folders: videos as images, with `gt/gt.txt`.

Leal-Taixé et al., "MOTChallenge 2015", Milan et al., "MOT16", Dendorfer et al., "MOT20". The
training boxes are the rows that the benchmark scores: pedestrians whose flag is not 0. Regions to
ignore are pedestrians whose flag is 0, and the classes that the benchmark ignores (static people,
people on vehicles, reflections, distractors).
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.data.dataset import Dataset, DatasetBuilder
from mottool.errors import InputError
from mottool.layouts.registry import read_ground_truth
from mottool.motchallenge.rows import Rows
from mottool.motchallenge.rules import DISTRACTORS, detect_rules
from mottool.sources.discovery import find_sequences
from mottool.sources.images import images_in
from mottool.sources.sequence import Sequence
from mottool.splits import video_name

__all__ = ["read", "recognises", "scored_rows"]

GROUND_TRUTH = "gt/gt.txt"
PEDESTRIAN = 1
Bools = npt.NDArray[np.bool_]


def recognises(path: Path) -> bool:
    """Return whether `path` is a sequence with ground truth, or has one up to two levels below."""
    return any(True for depth in ("", "*/", "*/*/") for _ in path.glob(depth + GROUND_TRUTH))


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read every sequence in the folder that has ground truth. `root` is not used.

    Of MOT17's three copies of a video, the last by name is read: SDP's, if present. Raises
    `InputError` for a broken line, or for a sequence whose frames are a video.
    """
    sequences = [item for item in find_sequences([path]) if item.ground_truth is not None]
    copies = {video_name(sequence.name): sequence for sequence in sequences}
    if len(copies) < len(sequences):
        skipped = len(sequences) - len(copies)
        warn(f"{path}: {skipped} sequences are other copies of the same video and are skipped")
    builder, people = DatasetBuilder(path.resolve().name, origin=1), 0
    for video, sequence in enumerate(copies.values()):
        people += _add(builder, sequence, video, people)
    return builder.dataset(warn)


def _add(builder: DatasetBuilder, sequence: Sequence, video: int, people: int) -> int:
    """Add a sequence's images, with identities from `people` on; return how many it used."""
    files = _images(sequence)
    rows, regions = _rows(sequence)
    if len(rows) and rows.frames.max() > len(files):
        last = rows.frames.max()
        problem = f"{sequence.path / GROUND_TRUTH} has frame {last} of {len(files)} images"
        raise InputError(problem, "add the missing images, or remove those rows")
    visibility = rows.rest[:, 2] if rows.rest.shape[1] == 3 else np.ones(len(rows))
    size = sequence.width, sequence.height
    rows_of, regions_of = _by_frame(rows, len(files)), _by_frame(regions, len(files))
    for number, file in enumerate(files, 1):
        selected, ignored = rows_of[number - 1], regions_of[number - 1]
        ids = rows.ids[selected]
        builder.add(
            file,
            size,
            xyxy_from_tlwh(rows.tlwh[selected]),
            np.where(ids < 0, ids, ids + people),
            visibility[selected],
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
    """Return the images of a sequence, in order of its frames."""
    if sequence.media is None:
        raise InputError(f"{sequence.path} has ground truth but no images", "add its images")
    if sequence.media.is_file():
        video, folder = sequence.media, sequence.path / "img1"
        command = f"mkdir -p {folder} && ffmpeg -i {video} -fps_mode passthrough {folder}/%06d.jpg"
        fix = f"extract its images ({command}) and set imDir=img1 in its seqinfo.ini"
        raise InputError(f"{video} is a video, but training reads frames in random order", fix)
    return images_in(sequence.media)


def scored_rows(sequence: Sequence) -> Rows:
    """Return the rows of the ground truth that the benchmark scores."""
    return _rows(sequence)[0]


def _rows(sequence: Sequence) -> tuple[Rows, Rows]:
    """Return the rows of the ground truth that are scored, and those that are ignored."""
    rows = read_ground_truth(sequence.ground_truth or sequence.path / GROUND_TRUTH)
    scored, ignored = _scored_and_ignored(sequence, rows)
    return _select(rows, scored), _select(rows, ignored)


def _scored_and_ignored(sequence: Sequence, rows: Rows) -> tuple[Bools, Bools]:
    """Return which rows are scored and which are ignored, (n,) bool each."""
    columns, rules = rows.rest.shape[1], detect_rules(sequence.whole_name, rows)
    flagged = rows.rest[:, 0] != 0 if columns else np.ones(len(rows), bool)
    if rules == "mot15" or columns < 2:
        return flagged, ~flagged
    pedestrian = rows.rest[:, 1] == PEDESTRIAN
    ignored = np.isin(rows.rest[:, 1], DISTRACTORS[rules]) | (pedestrian & ~flagged)
    return flagged & pedestrian, ignored


def _select(rows: Rows, keep: Bools) -> Rows:
    return Rows(rows.frames[keep], rows.ids[keep], rows.tlwh[keep], rows.rest[keep])
