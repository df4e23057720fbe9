"""The detectors `public` and `gt`: boxes that somebody else has made, from files.

`public` is MOTChallenge's public-detection protocol. `gt` takes the boxes of the ground truth, so
that what is measured is the embeddings and the association alone (as in CSTrack's Table VIII).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mottool.detections import Detections
from mottool.errors import InputError
from mottool.motchallenge.public_detections import PublicDetections
from mottool.pipelines.interfaces import FrameTimes
from mottool.pipelines.options import Options
from mottool.sources.sequence import Frame
from mottool.sources.sequence import Sequence as Source

__all__ = ["GivenBoxes", "detector"]

FORMS = (".txt", ".txt.gz", ".npy")


def detector(name: str, options: Options) -> "GivenBoxes":
    """`public`, `public+file` (the embeddings of the file are kept), or `gt`."""
    return GivenBoxes(name, options.detections, options.score_scale, options.batch)


class GivenBoxes:
    """Boxes from a file for each sequence."""

    fitted: Mapping[str, Any] = {}
    weights = ""

    def __init__(
        self, name: str, detections: Path | None, margin: float | None, batch: int = 1
    ) -> None:
        """`detections` is a file for the one sequence, or a folder of `<sequence>.txt` or `.npy`.

        None stands for each sequence's own `det/det.txt`; `margin` is that of
        `public.probabilities`.
        """
        self.name, self.batch = name, batch
        self.detections, self.margin = detections, margin

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "GivenPass":
        """Read the sequence's boxes; an `InputError` if there are none to read."""
        if self.name == "gt":
            if sequence.ground_truth is None:
                fix = "add it, or give the boxes of another file with --boxes FILE"
                raise InputError(f"{sequence.path} comes with no gt/gt.txt", fix)
            path = sequence.ground_truth
            boxes = PublicDetections.of_ground_truth(path, sequence.name)
        else:
            path = self._file_of(sequence)
            boxes = PublicDetections.read(path, self.margin)
        with_features = self.name == "public+file"
        if with_features and boxes.embeddings is None:
            fix = "give a .npy of 10 + D columns, or --embedder histogram or none"
            raise InputError(f"{path} holds no embeddings", fix)
        _tell(path, boxes, sequence, warn)
        return GivenPass(boxes, with_features)

    def _file_of(self, sequence: Source) -> Path:
        if self.detections is None:
            if sequence.detections is None:
                fix = "give --detections FILE, or --pipeline with the --weights of a network"
                raise InputError(f"{sequence.path} comes with no det/det.txt", fix)
            return sequence.detections
        if not self.detections.is_dir():
            return self.detections
        for form in FORMS:
            path = self.detections / f"{sequence.name}{form}"
            if path.exists():
                return path
        fix = f"put {sequence.name}.txt or {sequence.name}.npy there"
        raise InputError(f"{self.detections} has no detections of {sequence.name}", fix)


def _tell(
    path: Path, boxes: PublicDetections, sequence: Source, warn: Callable[[str], None]
) -> None:
    """Say what a person may not expect of the file."""
    if not len(boxes):
        warn(f"{path} has no detections")
    if boxes.dropped:
        warn(f"{path}: {boxes.dropped} boxes without width or height are left out")
    if boxes.margin is not None:
        warn(
            f"{path}: scores are raw margins, not in [0, 1]; taken through "
            f"1/(1+exp(-score/{boxes.margin:.4g})) (see --score-scale)"
        )
    if sequence.length and boxes.last_frame > sequence.length:
        warn(
            f"{path}: there are detections up to frame {boxes.last_frame}, but the sequence "
            f"says it has {sequence.length}; what lies past its last frame is left out"
        )


class GivenPass:
    """One sequence's boxes, frame by frame."""

    needs_pixels = False
    needs_all_frames = False

    def __init__(self, boxes: PublicDetections, with_features: bool) -> None:
        self.boxes = boxes
        self.with_features = with_features
        self.settings: dict[str, Any] = {
            "detections": boxes.sha256,
            "score_scale": boxes.margin,
        }

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, FrameTimes]]:
        """The file's boxes on each frame."""
        for frame in frames:
            found = self.boxes.on(frame.number)
            yield found if self.with_features else replace(found, embeddings=None), FrameTimes()
