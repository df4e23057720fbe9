"""The detectors `public` and `gt`: boxes read from files.

`public` is MOTChallenge's public-detection protocol. `gt` uses the boxes of the ground truth, so
that only embeddings and association are measured (as in CSTrack's Table VIII).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mottool.detections import Detections
from mottool.errors import InputError
from mottool.layouts.registry import digest_of_labels, read_ground_truth
from mottool.motchallenge.frame_fit import describe_misfit
from mottool.motchallenge.public_detections import PublicDetections
from mottool.pipelines.box_files import find_boxes
from mottool.pipelines.interfaces import NO_SETTINGS, FrameTimes
from mottool.pipelines.options import Options
from mottool.sources.images import images_in
from mottool.sources.sequence import Frame, check_numbers
from mottool.sources.sequence import Sequence as Source

__all__ = ["BoxesFromFiles", "detector"]

MOST_SHOWN = 10  # classes in a message


def detector(name: str, options: Options) -> "BoxesFromFiles":
    """Build `public`, `public+file` (keeps the embeddings of the file), or `gt`."""
    return BoxesFromFiles(name, options.detections, options.score_scale, options.batch)


class BoxesFromFiles:
    """A detector that reads the boxes of each sequence from a file."""

    fitted: Mapping[str, Any] = {}
    weights_files: Mapping[str, str] = {}
    weights = ""

    def __init__(
        self, name: str, detections: Path | None, margin: float | None, batch: int = 1
    ) -> None:
        """Create the detector.

        `detections` is a file for one sequence, or a folder of `<sequence>.txt` or `.npy`; by
        default each sequence's `det/det.txt`. `margin` is that of
        `motchallenge.public_detections.probabilities`.
        """
        self.name, self.batch = name, batch
        self.detections, self.margin = detections, margin

    def start(
        self,
        sequence: Source,
        warn: Callable[[str], None],
        recorded: Mapping[str, Any] = NO_SETTINGS,
    ) -> "BoxesRun":
        """Read the boxes of a sequence. Raises `InputError` if there is no such file."""
        if self.name == "gt":
            if sequence.ground_truth is None:
                fix = "add it, or give the boxes of another file with --boxes FILE"
                raise InputError(f"{sequence.path} has no gt/gt.txt", fix)
            path = sequence.ground_truth
            rows, name = read_ground_truth(path), sequence.whole_name
            boxes = PublicDetections.of_ground_truth(rows, name, digest_of_labels(path))
        else:
            path = self._file_of(sequence)
            boxes = PublicDetections.read(path, self.margin)
        with_features = self.name == "public+file"
        if with_features and boxes.embeddings is None:
            fix = "give a .npy of 10 + D columns, or --embedder histogram or none"
            raise InputError(f"{path} has no embeddings", fix)
        if sequence.media is not None and sequence.media.is_dir():
            check_numbers(images_in(sequence.media))
        _warn(path, boxes, sequence, warn)
        return BoxesRun(boxes, with_features)

    def _file_of(self, sequence: Source) -> Path:
        if self.detections is None:
            if sequence.detections is None:
                fix = "give --detections FILE, or --pipeline with the --weights of a network"
                raise InputError(f"{sequence.path} has no det/det.txt", fix)
            return sequence.detections
        if not self.detections.is_dir():
            return self.detections
        if path := find_boxes(self.detections, (sequence.name, sequence.whole_name)):
            return path
        name = sequence.whole_name
        fix = f"put {name}.txt or {name}.npy there"
        raise InputError(f"{self.detections} has no detections of {name}", fix)


def _warn(
    path: Path, boxes: PublicDetections, sequence: Source, warn: Callable[[str], None]
) -> None:
    """Report unexpected contents of the file."""
    if not len(boxes):
        warn(f"{path} has no detections")
    elif (boxes.boxes <= 1).all():
        fix = f"multiply x by {sequence.width} and y by {sequence.height}"
        raise InputError(f"the boxes of {path} are fractions of the image, not pixels", fix)
    elif misfit := describe_misfit(boxes.boxes, sequence.width, sequence.height):
        warn(f"{path}: {misfit}")
    if boxes.classes:
        shown = ", ".join(map(str, boxes.classes[:MOST_SHOWN]))
        more = ", …" if len(boxes.classes) > MOST_SHOWN else ""
        warn(f"{path}: column 8 has the classes {shown}{more}, all of which are tracked as people")
    if boxes.dropped:
        warn(f"{path}: {boxes.dropped} boxes without width or height are skipped")
    if boxes.margin is not None:
        warn(
            f"{path}: scores are raw margins, not in [0, 1]; converted by "
            f"1/(1+exp(-score/{boxes.margin:.4g})) (see --score-scale)"
        )


class BoxesRun:
    """The boxes of one sequence, frame by frame."""

    needs_pixels = False
    needs_all_frames = False

    def __init__(self, boxes: PublicDetections, with_features: bool) -> None:
        self.boxes = boxes
        self.with_features = with_features
        self.last_frame = boxes.last_frame
        self.settings: dict[str, Any] = {
            "detections": boxes.sha256,
            "score_scale": boxes.margin,
        }

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """Return the boxes of the file in each frame."""
        for frame in frames:
            boxes = self.boxes.on(frame.number)
            yield boxes if self.with_features else replace(boxes, embeddings=None), FrameTimes()
