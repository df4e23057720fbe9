"""Random detections, and small caches for tests that read a file."""

import numpy as np

from mottool.cache.hdf5 import shard_folder
from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections

HEADER = Header("seq", "pipe", "/video.mp4", "ab12", 640, 480, 25.0, "", {"low": 0.5, "by": [1, 2]})
COST = (0.5, 0.25, 0.125, 0.0)


def made(count=3, size=4, seed=0, centres=0, tracks=False):
    draw = np.random.default_rng(seed)
    return Detections(
        draw.uniform(-5, 700, (count, 4)).astype(np.float32),
        draw.random(count, np.float32),
        draw.integers(0, 9, count).astype(np.uint16),
        None if size is None else draw.random((count, size), np.float32),
        draw.random((centres, 3), np.float32),
        *([draw.random((count, 2), np.float32) for _ in range(2)] if tracks else ()),
    )


def write(path, frames, header=HEADER, finish=True, **more):
    with CacheWriter(path, header, **more) as cache:
        for number in range(cache.committed, len(frames)):
            cache.append(frames[number], number / 25, COST)
        if finish:
            cache.finish()
    return path if finish else shard_folder(path)
