"""Public detections: boxes, and optionally embeddings, that a benchmark provides.

Two formats are read: MOTChallenge's `det.txt` (frame, -1, left, top, width, height, score, …) and
DeepSORT's `.npy`, the same ten columns followed by one embedding per row.

In the public-detection protocol, a tracker that has another detector may start tracks only near
public boxes (Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §5.3, as the
published code does it).
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.boxes import xyxy_from_tlwh
from mottool.detections import PERSON, Detections
from mottool.errors import InputError
from mottool.files import visible_files
from mottool.motchallenge.class_names import class_column
from mottool.motchallenge.rows import Rows, read_rows, rows_from_table
from mottool.motchallenge.rules import PEDESTRIAN, detect_rules

__all__ = ["PublicDetections", "holds_features", "near_public", "probabilities"]

Floats = npt.NDArray[np.float32]
AnyFloats = npt.NDArray[np.floating[Any]]
COLUMNS = 10  # of DeepSORT's format, before the embedding
UNIT_TOLERANCE = 1e-2  # on the norm of half-precision embeddings


@dataclass(frozen=True)
class PublicDetections:
    """All detections of one sequence, sorted by frame; a frame keeps the file's order.

    `frames` (n,) from 1; `boxes` (n, 4) float32 x1 y1 x2 y2 pixels; `scores` (n,) float32 in
    [0, 1]; `embeddings` (n, D) float32, L2-normalised, or None. `margin` is the divisor of the
    file's scores before the logistic function, None if they were probabilities already; `dropped`
    counts the skipped boxes without area; `sha256` is the file's. `classes` are those in column 8
    if there are others than people, which are 0 or 1.
    """

    frames: npt.NDArray[np.int64]
    boxes: Floats
    scores: Floats
    embeddings: Floats | None
    margin: float | None
    dropped: int
    sha256: str
    classes: tuple[int, ...] = ()

    @classmethod
    def read(cls, path: Path, margin: float | None = None) -> "PublicDetections":
        """Read `det.txt` (plain or gzipped) or `.npy`; raise `InputError` for an invalid file.

        Scores become probabilities: see `probabilities` for `margin`.
        """
        if path.suffix == ".npy":
            rows, features = _read_npy(path)
        else:
            rows, features = read_rows(path, "detection"), None
        keep = (rows.tlwh[:, 2] > 0) & (rows.tlwh[:, 3] > 0)
        order = np.flatnonzero(keep)[np.argsort(rows.frames[keep], kind="stable")]
        raw = rows.rest[order, 0] if rows.rest.shape[1] else np.ones(len(order))
        scores, margin = probabilities(raw, margin)
        return cls(
            frames=rows.frames[order],
            boxes=xyxy_from_tlwh(rows.tlwh[order].astype(np.float32)),
            scores=scores,
            embeddings=None if features is None else _unit(features[order]),
            margin=margin,
            dropped=int((~keep).sum()),
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
            classes=tuple(map(int, np.unique(class_column(rows)))),
        )

    @classmethod
    def of_ground_truth(cls, rows: Rows, sequence: str, sha256: str) -> "PublicDetections":
        """Return the ground truth that the benchmark scores as boxes of score 1.

        Those are the rows whose flag is not 0 and, where there are classes, pedestrians. `sha256`
        is the file's.
        """
        keep = np.ones(len(rows.frames), bool)
        if rows.rest.shape[1]:
            keep &= rows.rest[:, 0] != 0
        if detect_rules(sequence, rows) != "mot15":
            keep &= rows.rest[:, 1] == PEDESTRIAN
        order = np.flatnonzero(keep)[np.argsort(rows.frames[keep], kind="stable")]
        return cls(
            frames=rows.frames[order],
            boxes=xyxy_from_tlwh(rows.tlwh[order].astype(np.float32)),
            scores=np.ones(len(order), np.float32),
            embeddings=None,
            margin=None,
            dropped=0,
            sha256=sha256,
        )

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def last_frame(self) -> int:
        """Return the last frame with a detection, 0 if there is none."""
        return int(self.frames[-1]) if len(self) else 0

    def on(self, frame: int) -> Detections:
        """Return the detections of one frame, counted from 1."""
        rows = slice(*np.searchsorted(self.frames, [frame, frame + 1]))
        boxes = self.boxes[rows]
        return Detections(
            boxes=boxes,
            scores=self.scores[rows],
            classes=np.full(len(boxes), PERSON, np.uint16),
            embeddings=None if self.embeddings is None else self.embeddings[rows],
        )


def probabilities(
    raw: npt.NDArray[np.float64], margin: float | None = None
) -> tuple[Floats, float | None]:
    """Convert a file's scores to scores (n,) in [0, 1]; return them and the scale that was used.

    Scores that are all in [0, 1] are kept. Scores that are all -1 are missing and become 1. All
    others are raw detector margins (ACF and DPM of MOT15 and MOT16 reach from below 0 to above
    100). They go through the logistic function 1 / (1 + exp(-score / scale)), which keeps their
    order and maps the detector's decision boundary, 0, to 0.5. The scale is `margin`, or else the
    median magnitude in the file, so that a median detection scores 0.73 whatever the detector's
    unit. A given `margin` is applied to every file, probabilities too.
    """
    if margin is None:
        if ((raw >= 0) & (raw <= 1)).all():
            return raw.astype(np.float32), None
        if (raw == -1).all():
            return np.ones(len(raw), np.float32), None
        margin = float(np.median(np.abs(raw))) or 1.0
    with np.errstate(over="ignore"):
        return (1 / (1 + np.exp(-raw / margin))).astype(np.float32), margin


def holds_features(path: Path) -> bool:
    """Return whether a `.npy`, or the first one of a folder, has embeddings; skip their values."""
    files = visible_files(path, "*.npy") if path.is_dir() else [path]
    if not files or files[0].suffix != ".npy":
        return False
    try:
        table = np.load(files[0], mmap_mode="r", allow_pickle=False)
    except Exception:  # NumPy raises many kinds for a damaged header
        return False
    return isinstance(table, np.ndarray) and bool(table.ndim == 2 and table.shape[1] > COLUMNS)


def _read_npy(path: Path) -> tuple[Rows, Floats | None]:
    try:
        # Mapped first, so that a header which states more than the file has reserves no memory.
        table = np.load(path, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError as error:
        raise InputError(f"there is no detection file {path}", "check the path") from error
    except Exception as error:  # NumPy raises many kinds for a damaged header
        fix = "save a plain (rows, 10 + D) float array with numpy.save"
        raise InputError(f"{path} is not a readable .npy array", fix) from error
    if not isinstance(table, np.ndarray):
        raise InputError(f"{path} is an .npz archive", "save one array with numpy.save")
    if table.ndim != 2 or table.shape[1] < COLUMNS or table.dtype.kind not in "fiu":
        fix = "give DeepSORT's format: 10 MOTChallenge columns, then the embedding"
        raise InputError(f"{path} holds {table.dtype} {table.shape}", fix)
    features = table[:, COLUMNS:].astype(np.float32)
    if not np.isfinite(features).all():
        row = int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
        raise InputError(f"{path} row {row} has an embedding with NaN or infinity", "make it again")
    rows = rows_from_table(path, table[:, :COLUMNS].astype(np.float64))
    return rows, features if features.shape[1] else None


def _unit(features: Floats) -> Floats:
    """L2-normalise rows; keep those whose norm differs from 1 only by rounding."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)  # (n, 1)
    unnormalised = np.abs(norms - 1) > UNIT_TOLERANCE
    unit: Floats = np.where(unnormalised, features / np.maximum(norms, 1e-12), features)
    return unit


def near_public(centres: AnyFloats, areas: AnyFloats, public: AnyFloats) -> npt.NDArray[np.intp]:
    """Return which detections may start tracks, in the order of their public boxes.

    Each of the `public` boxes (p, 4), in their order, admits the nearest detection that is not
    admitted yet, if the squared distance from its centre is less than the detection's area.
    `centres` (n, 2) and `areas` (n,) describe the detections.
    """
    public_centres = (public[:, :2] + public[:, 2:]) / 2
    distances = np.square(centres[:, None] - public_centres).sum(axis=2)  # (n, p)
    admitted = []
    for column in distances.T if len(centres) else ():
        nearest = int(column.argmin())
        if column[nearest] < areas[nearest]:
            distances[nearest] = np.inf
            admitted.append(nearest)
    return np.array(admitted, np.intp)
