"""A pipeline whose detections show every pixel, videos that move, and segments that are killed."""

import os
import signal
import zlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from mottool.detections import Detections
from mottool.pipelines import segments
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.interfaces import FrameTimes
from mottool.sources import prefetch
from mottool.sources.discovery import find_sequences

__all__ = ["PixelPipeline", "divide", "finish", "moving_video", "segment_killed_once"]


def moving_video(path, frames=200, codec="libx264", form=None, keys=30, ticks=None, **options):
    """Write a video of noise that moves to the right; frame i is shown at ticks[i] / 30 seconds."""
    noise = np.random.default_rng(7).integers(0, 255, (48, 64, 3), np.uint8)
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.gop_size = keys
        for index in range(frames):
            picture = np.roll(noise, 2 * index, 1)
            picture[:, index % 64] = index % 256
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts, frame.time_base = ticks[index] if ticks else index, Fraction(1, 30)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


class PixelPipeline:
    """Detects one person in a frame, with a score and an embedding of all its pixels.

    Its times are constant, so that caches of two runs have the same bytes. From frame `dies_at` on
    it kills its process, if that is above 0.
    """

    name, weights, weights_files, fitted = "pixels", "", {}, {}

    def __init__(self, batch=1, dies_at=0, needs_all_frames=False):
        self.batch, self.dies_at, self.needs_all_frames = batch, dies_at, needs_all_frames
        self.numbers = []

    def start(self, sequence, warn, recorded=()):
        return PixelRun(self)


class PixelRun:
    needs_pixels, last_frame = True, 0

    def __init__(self, pipeline):
        self.pipeline, self.settings = pipeline, {"batch": pipeline.batch}
        self.needs_all_frames = pipeline.needs_all_frames

    def detect(self, frames):
        for frame in frames:
            if 0 < self.pipeline.dies_at <= frame.number:
                os.kill(os.getpid(), signal.SIGKILL)
            self.pipeline.numbers.append(frame.number)
            checksum = zlib.crc32(frame.image)
            # The number of the first frame of the batch shows where batches begin.
            box = [checksum % 97, frames[0].number, checksum % 97 + 20, frames[0].number + 20]
            yield (
                Detections(
                    np.array([box], np.float32),
                    np.array([(checksum % 1000) / 1000], np.float32),
                    np.zeros(1, np.uint16),
                    frame.image.mean((0, 1), dtype=np.float64)[None].astype(np.float32) / 500,
                ),
                FrameTimes(0.5, 0.25, 0.125),
            )


def divide(source, out, frames, pipeline, **options):
    (sequence,) = find_sequences([source])
    segments.divide_cache(sequence, out, pipeline, frames, **options)


def segment_killed_once(source: Path, out: Path, number: int, count: int, dies_at: int):
    """Make a segment in this process, which is killed at frame `dies_at` in the first try."""
    prefetch.perf_counter = lambda: 0.0
    mark = out.with_name(f"{out.name}.{number}.killed")
    once = dies_at and not mark.exists()
    if once:
        mark.touch()
    pipeline = PixelPipeline(dies_at=dies_at if once else 0)
    (sequence,) = find_sequences([source])
    segments.run_segment(sequence, out, pipeline, number, count)
    return pipeline.numbers


def finish(source: Path, out: Path, *pipelines):
    """Make the complete cache, and return the frames that were not in segments."""
    prefetch.perf_counter = lambda: 0.0
    pipeline = pipelines[0] if pipelines else PixelPipeline()
    (sequence,) = find_sequences([source])
    detect_embed(sequence, out, pipeline)
    return pipeline.numbers
