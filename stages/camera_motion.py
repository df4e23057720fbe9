"""Stage `camera-motion`: frames in, one file of camera motion per sequence out."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    list_option,
    pixel_range_option,
    select_shard,
    settings_options,
    shard_option,
    work_option,
)
from mottool.pipelines.camera_motion import MotionSettings, estimate_motion
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pixel_range import PixelRange

__all__ = ["Config", "command", "run"]

Config = MotionSettings
run = estimate_motion


@click.command("camera-motion", epilog=splits_help())
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@list_option
@pixel_range_option
@settings_options(Config)
@click.option("--overwrite", is_flag=True, help="Replace existing files.")
@shard_option
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    listed: Path | None,
    pixel_range: PixelRange | None,
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
    sequences = find_sequences(sources, listed, jobs.fail, jobs.note, pixel_range)
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
