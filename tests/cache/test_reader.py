"""Caches that are damaged on the disk, or while they are read."""

import os
import random

import h5py
import numpy as np
import pytest
from caches import made, write

from mottool.cache.reader import Cache
from mottool.errors import CacheError

FRAMES = [made(12, 64, seed, centres=2) for seed in range(40)]


def content(path):
    """Return all numbers of a cache."""
    with Cache(path) as cache:
        frames = [
            array.tobytes()
            for frame in cache.frames()
            for array in (frame.boxes, frame.scores, frame.classes, frame.embeddings)
        ]
        return [*frames, cache.pts.tobytes(), cache.timing.tobytes()]


def test_every_flipped_bit_of_the_data_is_refused(tmp_path):
    path = write(tmp_path / "seq.h5", FRAMES)
    whole, names = path.read_bytes(), ("boxes", "scores", "classes", "embeddings", "pts", "timing")
    expected, draw = content(path), random.Random(0)
    with h5py.File(path) as file:
        chunks = [
            file[name].id.get_chunk_info(number)
            for name in names
            for number in range(file[name].id.get_num_chunks())
        ]
    for _ in range(200):
        chunk = draw.choice(chunks)
        damaged = bytearray(whole)
        damaged[chunk.byte_offset + draw.randrange(chunk.size)] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(CacheError, match=r"damaged.*--overwrite"):
            content(path)
    path.write_bytes(whole)
    assert content(path) == expected


def test_flipped_bits_anywhere_change_no_number_silently(tmp_path):
    path = write(tmp_path / "seq.h5", FRAMES)
    whole, expected, draw, refused = path.read_bytes(), content(path), random.Random(1), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            assert content(path) == expected
        except CacheError:
            refused += 1
    assert refused > 200


def test_a_cache_that_is_cut_short_while_it_is_read_is_refused(tmp_path):
    path = write(tmp_path / "seq.h5", [made(300, 128, seed) for seed in range(120)])
    size = path.stat().st_size
    with Cache(path) as cache:
        frames = cache.frames()
        next(frames)
        os.truncate(path, size // 10)
        with pytest.raises(CacheError, match=r"cut short while it was read.*Fix"):
            list(frames)


def test_a_cache_that_is_replaced_by_a_smaller_one_while_it_is_read_is_read_whole(tmp_path):
    frames = [made(300, 128, seed) for seed in range(120)]
    path = write(tmp_path / "seq.h5", frames)
    smaller = write(tmp_path / "smaller.h5", frames[:1])
    with Cache(path) as cache:
        boxes = []
        for frame in cache.frames():
            boxes.append(frame.boxes)
            if len(boxes) == 1:
                smaller.replace(path)
    assert np.array_equal(np.concatenate(boxes), np.concatenate([f.boxes for f in frames]))


@pytest.mark.parametrize(
    ("name", "value"), [("boxes", np.nan), ("boxes", np.inf), ("scores", 1.5), ("scores", np.nan)]
)
def test_numbers_outside_their_range_are_refused(tmp_path, name, value):
    path = write(tmp_path / "seq.h5", FRAMES[:3])
    with h5py.File(path, "r+") as file:
        file[name][7] = value
    with pytest.raises(CacheError, match="not finite, or a score outside of 0 to 1"):
        content(path)
