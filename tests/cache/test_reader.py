"""Caches that are damaged on the disk, or while they are read."""

import os
import random
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from caches import HEADER, made, write

from mottool.cache.reader import Cache, read_header
from mottool.errors import CacheError, InputError

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


def test_embeddings_are_read_only_on_request(tmp_path):
    path = write(tmp_path / "seq.h5", FRAMES)
    with Cache(path) as cache:
        for frame, bare in zip(cache.frames(3), cache.frames(3, embeddings=False), strict=True):
            assert bare.embeddings is None
            np.testing.assert_array_equal(bare.boxes, frame.boxes)
            np.testing.assert_array_equal(bare.occlusion_centres, frame.occlusion_centres)


def test_a_half_of_a_cache_has_the_numbers_of_the_whole(tmp_path):
    frames = [made(count, seed=count, centres=count % 2) for count in (2, 0, 3, 1, 2)]
    path = write(tmp_path / "a.h5", frames)
    halves = (Cache(Path(f"{path}@{half}")) for half in ("first", "second"))
    with Cache(path) as whole, next(halves) as first, next(halves) as second:
        assert (first.header.sequence, second.header.sequence) == ("seq@first", "seq@second")
        assert (whole.first_frame, whole.last_frame) == (1, 5)
        assert (first.first_frame, first.last_frame, first.frame_count) == (1, 2, 2)
        assert (second.first_frame, second.last_frame, second.frame_count) == (3, 5, 3)
        assert (first.detection_count, second.detection_count) == (2, 6)
        assert (first.occlusion_count, second.occlusion_count) == (0, 2)
        parts = [*first.frames(), *second.frames()]
        for half, same in zip(parts, whole.frames(), strict=True):
            np.testing.assert_array_equal(half.boxes, same.boxes)
            np.testing.assert_array_equal(half.embeddings, same.embeddings)
            np.testing.assert_array_equal(half.occlusion_centres, same.occlusion_centres)
        (last,) = second.frames(start=2)
        assert len(last) == 2
        np.testing.assert_array_equal(second.pts, whole.pts[2:])
        np.testing.assert_array_equal(first.timing, whole.timing[:2])


def test_a_header_is_read_without_the_data(tmp_path):
    path = write(tmp_path / "a.h5", [made(count) for count in (2, 0, 3)])
    for part in (path, Path(f"{path}@second")):
        with Cache(part) as cache:
            assert read_header(part) == (cache.header, cache.frame_count)
    with h5py.File(path, "r+") as file:
        file["boxes"].resize(4, axis=0)  # damage that only the job on the cache need find
    assert read_header(path)[1] == 3
    with h5py.File(path, "r+") as file:
        file.attrs["pipeline"] = "other"
    with pytest.raises(CacheError, match="differ from their checksum"):
        read_header(path)


def test_a_half_is_not_halved_again(tmp_path):
    half = replace(HEADER, sequence="seq@second", first_frame=3)
    path = write(tmp_path / "seq@second.h5", [made()] * 4, half)
    with Cache(path) as cache:
        assert (cache.first_frame, cache.last_frame) == (3, 6)
    with pytest.raises(InputError, match="holds seq@second, which is a half already"):
        Cache(Path(f"{path}@first"))


def test_a_cache_without_a_first_frame_starts_at_1(tmp_path):
    path = write(tmp_path / "a.h5", [made()])
    with h5py.File(path, "r+") as file:
        del file.attrs["first_frame"], file.attrs["checksum"]  # as before the attribute was added
    with Cache(path) as cache:
        assert cache.first_frame == 1
