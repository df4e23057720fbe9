"""Camera-motion files, `mottool/camera-motion/1`: how the background moves from frame to frame.

One HDF5 file per sequence, for the caches of all pipelines, with F frames:

    /warps           (F, 2, 3) f8  the affine map of the background's pixels from the previous frame
                                   to each frame; the identity in the first one

    attributes of /  schema, version (of the mottool that began the file), sequence, source,
                     source_hash, settings (a JSON object): text; width, height, first_frame:
                     integers; complete: a boolean

It is written and read by the rules of `mottool.cache.layout`: as shards in `<name>.part/` until it
is complete, and without links out of the file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.cache.hdf5 import DatasetSpec, Layout, as_cache_error, open_file
from mottool.cache.shard_writer import ShardWriter

__all__ = ["LAYOUT", "SCHEMA", "CameraMotion", "CameraMotionHeader", "CameraMotionWriter"]

SCHEMA = "mottool/camera-motion/1"
WARPS = "warps"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CameraMotionHeader:
    """What a file was made from: its attributes, which are as those of a cache's `Header`."""

    sequence: str
    source: str
    source_hash: str
    width: int
    height: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    first_frame: int = 1


LAYOUT = Layout(
    schema=SCHEMA,
    kind="camera-motion file",
    command="camera-motion",
    items="frames",
    header=CameraMotionHeader,
    may_differ=("source",),
    datasets={WARPS: DatasetSpec("<f8", (2, 3), "frames", 512)},
)


class CameraMotionWriter(ShardWriter):
    """Writes the file of one sequence, after the last frame that an earlier run committed."""

    def __init__(self, path: Path, header: CameraMotionHeader, overwrite: bool = False) -> None:
        """Start or resume the file `path`, as `ShardWriter` does and with its errors."""
        super().__init__(path, LAYOUT, header, overwrite)

    def append(self, warps: Sequence[Floats]) -> None:
        """Commit the warps (2, 3) of the next frames. Raises `OutputError` on a full disk."""
        self._commit_columns({WARPS: np.array(warps, np.float64).reshape(-1, 2, 3)})

    def _read_complete(self) -> tuple[CameraMotionHeader, int]:
        motion = CameraMotion(self.path)
        return motion.header, len(motion.warps)

    def _flush(self) -> None:
        if not self.committed:
            self.append([])


class CameraMotion:
    """The camera motion of one sequence: `warps` (F, 2, 3) float64 of its frames."""

    def __init__(self, path: Path) -> None:
        """Read `path`.

        Raises `CacheError` if it is missing, unfinished, damaged, or not a camera-motion file.
        """
        file, self.header, _ = open_file(path, LAYOUT)
        with file, as_cache_error(path, LAYOUT):
            self.warps: Floats = file[WARPS][:]
            if not np.isfinite(self.warps).all():
                raise ValueError("a warp is not finite")

    @property
    def median_shift(self) -> float:
        """The median distance, in pixels, by which the centre of the image moves in a frame."""
        if not len(self.warps):
            return 0.0
        centre = np.array([self.header.width / 2, self.header.height / 2])
        moved = self.warps[:, :, :2] @ centre + self.warps[:, :, 2] - centre  # (F, 2)
        return float(np.median(np.hypot(*moved.T)))

    def between(self, first_frame: int, last_frame: int) -> Floats:
        """Return the warps (F, 2, 3) of those of these frames, counted from 1, that are there."""
        start = first_frame - self.header.first_frame
        stop = last_frame + 1 - self.header.first_frame
        return self.warps[max(start, 0) : max(stop, 0)]
