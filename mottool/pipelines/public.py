"""The pipelines `public…`: boxes from a file, described by an embedder that sees the frames.

This is MOTChallenge's public-detection protocol, and the one pipeline that needs no weights.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from mottool.detections import Detections
from mottool.detectors.public import PublicDetections
from mottool.embedders.histogram import Histogram
from mottool.errors import InputError
from mottool.pipelines.pipeline import Times
from mottool.sources import Frame
from mottool.sources import Sequence as Source

__all__ = ["EMBEDDERS", "Public", "pipeline_name"]

EMBEDDERS = ("histogram", "file", "none")
FORMS = (".txt", ".txt.gz", ".npy")


def pipeline_name(embedder: str) -> str:
    """`public+histogram`, `public+file`, or `public` alone without an embedder."""
    return "public" if embedder == "none" else f"public+{embedder}"


class Public:
    """Public detections with one of `EMBEDDERS`."""

    weights = ""
    batch = 1

    def __init__(self, embedder: str, detections: Path | None, margin: float | None) -> None:
        """`detections` is a file for the one sequence, or a folder of `<sequence>.txt` or `.npy`.

        None stands for each sequence's own `det/det.txt`; `margin` is that of `probabilities`.
        """
        self.name = pipeline_name(embedder)
        self.embedder = embedder
        self.detections = detections
        self.margin = margin

    def start(self, sequence: Source, warn: Callable[[str], None]) -> "PublicPass":
        """Read the sequence's detections and check that the embedder has what it needs."""
        path = self._file_of(sequence)
        public = PublicDetections.read(path, self.margin)
        if self.embedder == "file" and public.embeddings is None:
            fix = "give a .npy of 10 + D columns, or --embedder histogram or none"
            raise InputError(f"{path} holds no embeddings", fix)
        if self.embedder == "histogram" and not sequence.has_images:
            fix = "put the frames beside its seqinfo.ini, or give --embedder none"
            raise InputError(f"{sequence.path} has no images to describe boxes by", fix)
        if public.dropped:
            warn(f"{path}: {public.dropped} boxes without width or height are left out")
        if public.margin is not None:
            warn(
                f"{path}: scores are raw margins, not in [0, 1]; taken through "
                f"1/(1+exp(-score/{public.margin:.4g})) (see --score-scale)"
            )
        if sequence.length and public.last_frame > sequence.length:
            warn(
                f"{path}: there are detections up to frame {public.last_frame}, but the sequence "
                f"says it has {sequence.length}; those past its end are left out"
            )
        return PublicPass(public, self.embedder)

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


class PublicPass:
    """One sequence's public detections, frame by frame."""

    def __init__(self, public: PublicDetections, embedder: str) -> None:
        self.public = public
        self.histogram = Histogram() if embedder == "histogram" else None
        self.with_features = embedder == "file"
        self.needs_pixels = self.histogram is not None
        self.settings: dict[str, Any] = {
            "detections": public.sha256,
            "embedder": embedder,
            "score_scale": public.margin,
        }

    def detect(self, frames: Sequence[Frame]) -> Iterator[tuple[Detections, Times]]:
        """The file's boxes on each frame, with the embedder's word on them."""
        for frame in frames:
            found = self.public.on(frame.number)
            begun = perf_counter()
            embeddings = found.embeddings if self.with_features else None
            if self.histogram:
                embeddings = self.histogram.embed([frame.image], [found.boxes])[0]
            seconds = perf_counter() - begun
            yield (
                Detections(found.boxes, found.scores, found.classes, embeddings),
                Times(embed=seconds),
            )
