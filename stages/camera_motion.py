"""Stage `camera-motion`: frames in, one file of camera motion per sequence out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    list_option,
    select_shard,
    settings_options,
    shard_option,
    work_option,
)
from mottool.pipelines.detect_embed import batches
from mottool.settings import Settings, setting, to_json
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.sources.sequence import Sequence

__all__ = ["Config", "command", "run"]

BLOCK = 64  # frames per commit
PREFETCHED = 16  # frames decoded ahead


@dataclass(frozen=True)
class Config(Settings):
    """How camera motion is estimated."""

    method: str = setting(
        "sparse-flow",
        "sparse-flow: RANSAC on corners that optical flow follows, as BoT-SORT does. ecc: "
        "alignment of small images by their correlation, as StrongSORT does.",
        choices=("sparse-flow", "ecc"),
    )
    downscale: float | None = setting(
        None,
        "Divide the width and the height of frames by this first; none: by 2 for sparse-flow, by "
        "10 for ecc.",
        low=1,
    )


def run(
    sequence: Sequence,
    out: Path,
    config: Config | None = None,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> Path:
    """Estimate the camera motion of `sequence` and write it to `out`.

    An interrupted run resumes after the last frame it committed; a complete file of the same source
    and settings is kept. Raises `CacheError` if `out` was made from other inputs, unless
    `overwrite`, and `InputError` if the sequence has no images.
    """
    from mottool.cache.camera_motion import CameraMotionHeader, CameraMotionWriter
    from mottool.errors import printable

    config = config or Config()
    header = CameraMotionHeader(
        sequence=sequence.name,
        source=printable(str(sequence.path)),
        source_hash=sequence.fingerprint(),
        width=sequence.width,
        height=sequence.height,
        settings=to_json(config),
        first_frame=sequence.first_frame,
    )
    with CameraMotionWriter(out, header, overwrite) as motion:
        if motion.already_complete:
            return out
        warps = _warps(sequence, config, motion.committed, warn)
        for block in batches(warps, BLOCK):
            motion.append(block)
        return motion.finish()


def _warps(
    sequence: Sequence, config: Config, done: int, warn: Callable[[str], None]
) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the warp (2, 3) of each frame but the first `done`."""
    from mottool.progress import progress
    from mottool.sources.camera_motion import METHODS
    from mottool.sources.prefetch import prefetch

    method = METHODS[config.method]
    estimate = method() if config.downscale is None else method(config.downscale)
    first = sequence.first_frame + done
    # The first one is compared with the frame before.
    frames = prefetch(sequence.frames(first - 1 if done else first, warn), PREFETCHED)
    for frame, _ in progress(frames, sequence.name, sequence.length, done):
        warp = estimate(frame.image)
        if frame.number >= first:
            yield warp


@click.command("camera-motion", epilog=splits_help())
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@list_option
@settings_options(Config)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@shard_option
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    listed: Path | None,
    config: Config,
    overwrite: bool,
    shard: tuple[int, int] | None,
    work: Path,
    as_json: bool,
) -> None:
    """Estimate how the camera of every SOURCE moves, for trackers that compensate for it.

    A SOURCE is what detect-embed takes.

    \b
        mottool camera-motion video.mp4
        mottool camera-motion MOT17/train
        mottool camera-motion MOT17/train --method ecc

    Each file is WORK/camera-motion/SEQUENCE.h5. It serves the caches of all pipelines: associate,
    compare and tune find it by themselves, and read no images. It contains for each frame the
    rotation, scale and translation of the background since the previous frame. To resume an
    interrupted run, run the same command again.
    """
    from mottool.sources.discovery import find_sequences

    jobs = Jobs(as_json)
    sequences = find_sequences(sources, listed, jobs.fail, jobs.note)
    for sequence in select_shard(sequences, shard):
        out, start = WorkDir(work).camera_motion(sequence.name), perf_counter()
        written = jobs.run(sequence.name, partial(run, sequence, out, config, overwrite, jobs.note))
        if written:
            _report(jobs, sequence.name, written, perf_counter() - start)
    jobs.close()


def _report(jobs: Jobs, sequence: str, path: Path, seconds: float) -> None:
    """Report the file of one sequence."""
    from mottool.cache.camera_motion import CameraMotion

    motion = CameraMotion(path)
    frames, moved = len(motion.warps), motion.median_shift
    text = f"{frames} frames, the background moves by {moved:.1f} pixels a frame, {seconds:.1f} s"
    jobs.report(sequence, path, text, frames=frames, median_shift=moved, seconds=round(seconds, 3))
