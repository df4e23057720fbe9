"""Writing caches: resumed runs, kills, full disks, invalid frames and second writers."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from benchmarks import kill_cache
from caches import COST, HEADER, made, write
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.cache.reader import Cache
from mottool.cache.shards import shard_files
from mottool.cache.writer import CacheWriter
from mottool.errors import CacheError, InputError, OutputError


def assert_equal(actual, expected):
    for name in ("boxes", "scores", "classes", "occlusion_centres"):
        np.testing.assert_array_equal(getattr(actual, name), getattr(expected, name), strict=True)
    for name in ("centres", "offsets"):
        points = getattr(expected, name)
        if points is None or len(expected):
            np.testing.assert_array_equal(getattr(actual, name), points)
    if expected.embeddings is None or actual.embeddings is None:
        assert actual.embeddings is None
    elif len(expected):
        half = expected.embeddings.astype(np.float16).astype(np.float32)
        np.testing.assert_array_equal(actual.embeddings, half, strict=True)


@settings(derandomize=True, deadline=None, max_examples=40)
@given(
    counts=st.lists(st.integers(0, 5), max_size=150),
    stops=st.lists(st.integers(0, 150), max_size=3),
    size=st.sampled_from([None, 1, 128]),
    window=st.tuples(st.integers(0, 160), st.none() | st.integers(0, 160)),
    tracks=st.booleans(),
)
def test_frames_written_in_several_runs_are_read(
    tmp_path_factory, counts, stops, size, window, tracks
):
    path = tmp_path_factory.mktemp("cache") / "a.h5"
    frames = [made(count, size, seed, seed % 3, tracks) for seed, count in enumerate(counts)]
    for stop in stops:
        write(path, frames[:stop], finish=False)
    write(path, frames)
    assert [file.name for file in path.parent.iterdir()] == ["a.h5"]
    with Cache(path) as cache:
        assert cache.header == HEADER
        assert cache.frame_count == len(frames)
        assert cache.detection_count == sum(counts)
        np.testing.assert_array_equal(cache.pts, np.arange(len(frames)) / 25)
        np.testing.assert_array_equal(cache.timing, np.tile(np.float32(COST), (len(frames), 1)))
        assert cache.has_embeddings == (size is not None and len(frames) > 0)
        assert cache.has_offsets == (tracks and sum(counts) > 0)
        start, stop = window
        detections = list(cache.frames(start, stop))
        assert len(detections) == len(frames[start:stop])
        for one, other in zip(detections, frames[start:stop], strict=True):
            assert_equal(one, other)


def test_crowds_are_read_in_blocks_of_bounded_size(tmp_path):
    frames = [made(6000, 2, seed) for seed in range(7)]
    with Cache(write(tmp_path / "a.h5", frames)) as cache:
        detections = list(cache.frames())
    for one, other in zip(detections, frames, strict=True):
        assert_equal(one, other)
    assert max(len(one.boxes.base) for one in detections) <= 16384


def test_the_first_frames_need_not_know_the_embedding_size(tmp_path):
    empty, sized = made(0, None), made(0, 4)
    with Cache(write(tmp_path / "a.h5", [empty] * 70 + [made(2)] + [empty])) as cache:
        assert cache.embedding_size == 4
    with Cache(write(tmp_path / "b.h5", [sized])) as cache:
        assert cache.embedding_size == 4
        assert next(cache.frames()).embeddings.shape == (0, 4)
    with Cache(write(tmp_path / "c.h5", [empty, made(1, None)])) as cache:
        assert not cache.has_embeddings


def test_a_complete_cache_is_kept_unless_overwritten(tmp_path):
    path = write(tmp_path / "a.h5", [made()] * 3)
    before = path.read_bytes()
    with CacheWriter(path, replace(HEADER, source="/moved.mp4")) as cache:
        assert cache.already_complete
        assert cache.committed == 3
        assert cache.finish() == path
    assert path.read_bytes() == before
    with CacheWriter(path, HEADER, overwrite=True) as cache:
        assert (cache.already_complete, cache.committed) == (False, 0)
        assert path.read_bytes() == before
        cache.append(made(5), 0.0, COST)
        cache.finish()
    with Cache(path) as cache:
        assert cache.detection_count == 5


def read_all(path):
    """The bytes of a cache, complete or not."""
    files = path.iterdir() if path.is_dir() else [path]
    return {file.name: file.read_bytes() for file in files}


@pytest.mark.parametrize("finish", [True, False])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"source_hash": "cd34"}, "frames (/video.mp4 has changed)"),
        ({"pipeline": "other"}, "pipeline ('pipe', now 'other')"),
        ({"weights": "ff"}, "weights (none)"),
        ({"weights": "ff", "weights_file": "a.pth"}, "weights (none, now a.pth)"),
        ({"fps": 30.0}, "fps (25.0, now 30.0)"),
        ({"settings": {"low": 0.4, "by": (1, 2)}}, "low (0.5, now 0.4)"),
        ({"settings": {"low": 0.5}}, "by ([1, 2], now None)"),
    ],
)
def test_other_inputs_are_refused(tmp_path, finish, change, message):
    path = tmp_path / "a.h5"
    kept = write(path, [made()] * 3, finish=finish)
    before = read_all(kept)
    with pytest.raises(CacheError) as refused:
        CacheWriter(path, replace(HEADER, **change))
    assert f"was made with other {message}. Fix:" in str(refused.value)
    assert "--overwrite" in refused.value.fix
    assert read_all(kept) == before
    assert write(path, [made()], replace(HEADER, **change), overwrite=True) == path


OLD_WEIGHTS = {"weights": "aa", "weights_file": "old.pth"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "ff", "weights_file": "new.pth"}, "weights (old.pth, now new.pth)"),
        ({"weights": "ff"}, "weights (old.pth has changed)"),
        ({"weights": "", "weights_file": ""}, "weights (old.pth, now none)"),
    ],
)
def test_a_refusal_names_the_old_weights_file(tmp_path, change, message):
    header = replace(HEADER, **OLD_WEIGHTS)
    write(tmp_path / "a.h5", [made()], header)
    with pytest.raises(CacheError, match="was made with other") as refused:
        CacheWriter(tmp_path / "a.h5", replace(header, **change))
    assert message in str(refused.value)


def test_a_renamed_weights_file_is_the_same_weights(tmp_path):
    write(tmp_path / "a.h5", [made()], replace(HEADER, **OLD_WEIGHTS))
    renamed = replace(HEADER, weights="aa", weights_file="new.pth")
    with CacheWriter(tmp_path / "a.h5", renamed) as cache:
        assert cache.already_complete
    with Cache(tmp_path / "a.h5") as cache:
        assert cache.header.weights_file == "old.pth"


def test_a_refusal_names_the_old_weights_file_of_an_embedder(tmp_path):
    header = replace(HEADER, settings={"embedder_weights": "aa"}, embedder_weights_file="a.xml")
    write(tmp_path / "a.h5", [made()], header)
    other = replace(header, settings={"embedder_weights": "bb"}, embedder_weights_file="b.xml")
    with pytest.raises(CacheError, match=r"embedder_weights \(a.xml, now b.xml\)"):
        CacheWriter(tmp_path / "a.h5", other)


BAD = {
    "a NaN box": ({"boxes": np.float32([[0, 0, np.nan, 1]])}, "its boxes hold a NaN"),
    "an infinite score": ({"scores": np.float32([np.inf])}, "its scores hold a NaN or an inf"),
    "a margin as score": ({"scores": np.float32([1.5])}, r"its scores are not in \[0, 1\]"),
    "too few scores": ({"scores": np.float32([])}, r"its scores are of shape \(0,\), not \(1,\)"),
    "no embedding": ({"embeddings": None}, "its embeddings are 0-d, those before 4-d"),
    "another size": ({"embeddings": np.ones((1, 8), "f4")}, "are 8-d, those before 4-d"),
    "too large for half": ({"embeddings": np.full((1, 4), 1e5, "f4")}, "its embeddings hold"),
    "flat centres": ({"occlusion_centres": np.ones((1, 2), "f4")}, "its occlusion centres are"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_invalid_frames_are_refused_before_they_are_written(tmp_path, change, message):
    path = tmp_path / "a.h5"
    with CacheWriter(path, HEADER) as cache:
        cache.append(made(2), 0.0, COST)
        with pytest.raises(InputError, match=f"frame 2 cannot be kept in .*{message}"):
            cache.append(replace(made(1), **change), 0.1, COST)
        cache.finish()
    with Cache(path) as cache:
        assert cache.frame_count == 1


def test_invalid_times_are_refused(tmp_path):
    with CacheWriter(tmp_path / "a.h5", HEADER) as cache:
        with pytest.raises(InputError, match="its presentation time hold"):
            cache.append(made(), np.nan, COST)
        with pytest.raises(InputError, match="its timing are of shape"):
            cache.append(made(), 0.0, (1.0,))


def test_an_error_in_between_keeps_the_appended_frames(tmp_path):
    path = tmp_path / "a.h5"

    def interrupted():
        with CacheWriter(path, HEADER) as cache:
            cache.append(made(), 0.0, COST)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with CacheWriter(path, HEADER) as cache:
        assert cache.committed == 1


def test_a_failed_rename_is_repeated_by_the_next_writer(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"

    def refuse(temporary, target):
        if target == path:
            raise PermissionError(13, "Permission denied")
        os.replace(temporary, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        with pytest.raises(OutputError, match="Permission denied"):
            write(path, [made()])
    assert not path.exists()
    with CacheWriter(path, HEADER) as cache:
        assert cache.already_complete
    with Cache(path) as cache:
        assert cache.frame_count == 1


def test_an_unfinished_cache_is_refused(tmp_path):
    path = tmp_path / "a.h5"
    part = write(path, [made()] * 3, finish=False)
    with pytest.raises(CacheError, match=r"a.h5 is unfinished, only a.part .*Fix: run the same"):
        Cache(path)
    with pytest.raises(CacheError, match=r"a.part is unfinished. Fix: run the same"):
        Cache(part)
    incomplete = write(tmp_path / "b.h5", [made()] * 3)
    with h5py.File(incomplete, "r+") as file:
        file.attrs["complete"] = False
    with pytest.raises(CacheError, match=r"b.h5 is unfinished \(3 frames committed\). Fix: name"):
        Cache(incomplete)


def test_two_writers_are_refused(tmp_path):
    path = tmp_path / "a.h5"
    with CacheWriter(path, HEADER) as cache:
        cache.append(made(), 0.0, COST)
        with pytest.raises(CacheError, match="is being written by another process"):
            CacheWriter(path, HEADER)
        with pytest.raises(CacheError, match="is unfinished"):
            Cache(path)


@pytest.mark.parametrize("content", [b"", b"<html>", b"\x89HDF\r\n\x1a\n" + bytes(500)])
def test_files_that_are_not_hdf5_are_refused(tmp_path, content):
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(CacheError, match="is truncated or not an HDF5 file.*Fix: run detect-embed"):
        Cache(tmp_path / "a.h5")
    with pytest.raises(CacheError, match=r"b.h5 does not exist. Fix: make it"):
        Cache(tmp_path / "b.h5")
    with pytest.raises(CacheError, match="cannot be read: Is a directory. Fix: name a"):
        Cache(tmp_path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path):
    path = write(tmp_path / "a.h5", [made(), made()])
    content = path.read_bytes()
    for size in np.linspace(1, len(content) - 1, 25).astype(int):
        path.write_bytes(content[:size])
        with pytest.raises(CacheError, match="truncated|damaged|not a mottool"):
            Cache(path)


def test_a_damaged_shard_is_not_continued(tmp_path):
    path = tmp_path / "a.h5"
    (shard,) = shard_files(write(path, [made()], finish=False))
    shard.write_bytes(shard.read_bytes()[:3000])
    with pytest.raises(CacheError, match=r"is truncated .*Fix: .*--overwrite"):
        CacheWriter(path, HEADER)
    assert write(path, [made()], overwrite=True).exists()


def test_kills_lose_no_committed_frame(tmp_path):
    report = kill_cache.run(tmp_path, kills=12, seed=1, frames=1000, longest=0.1)
    assert report.wrong == []
    assert report.kills == 12
    assert report.finished > 0


FULL = """
import resource, sys
from pathlib import Path
from benchmarks.kill_cache import write
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)
write(Path(sys.argv[1]), 1500, lambda committed: print(committed, flush=True))
"""


@pytest.mark.parametrize(("room", "committed"), [(1000, 0), (300_000, 1500)])
def test_a_full_disk_stops_the_writer_and_the_next_resumes(tmp_path, room, committed):
    path = tmp_path / "a.h5"
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(path), str(room)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert child.returncode == 1
    assert "OutputError: no room left on the disk to write" in child.stderr
    assert "Exception ignored" not in child.stderr
    assert not path.exists()
    assert not list(tmp_path.glob("a.part/*.tmp"))
    with CacheWriter(path, kill_cache.header(1500)) as cache:
        assert cache.committed == committed
    for name in ("a.h5", "complete.h5"):
        kill_cache.write(tmp_path / name, 1500, lambda committed: None)
    assert kill_cache.content(path) == kill_cache.content(tmp_path / "complete.h5")


def maps(frame):
    """An occlusion map with one strong and one faint cell, which move with the frame."""
    heat = np.zeros((6, 8), np.uint8)
    heat[frame % 6, frame % 8], heat[0, 7 - frame % 7] = 200, 12
    return heat


def test_occlusion_maps_are_stored_without_low_scores(tmp_path):
    header = replace(HEADER, settings={"occlusion_stride": 4})
    frames = [replace(made(1, seed=i), occlusion_map=maps(i)) for i in range(70)]
    path = tmp_path / "a.h5"
    write(path, frames[:66], header, finish=False)
    write(path, frames, header)
    with Cache(path) as cache:
        assert cache.has_occlusion_maps
        assert cache.occlusion_stride == 4
        for i, frame in enumerate(frames):
            heat = frame.occlusion_map.copy()
            heat[heat < 13] = 0
            np.testing.assert_array_equal(cache.occlusion_map(i), heat)
    with Cache(write(tmp_path / "b.h5", frames[:0])) as cache:
        assert not cache.has_occlusion_maps
        assert cache.occlusion_stride == 0


@pytest.mark.parametrize(
    ("stride", "heat", "message"),
    [
        (4, None, "it has no occlusion map"),
        (0, maps(0), "it has an occlusion map"),
        (4, maps(0)[:3], r"uint8 \(3, 8\), not uint8 \(6, 8\)"),
        (4, maps(0).astype(np.float32), r"float32 \(6, 8\), not"),
    ],
)
def test_occlusion_maps_that_do_not_fit_are_refused(tmp_path, stride, heat, message):
    header = replace(HEADER, settings={"occlusion_stride": stride} if stride else {})
    with CacheWriter(tmp_path / "a.h5", header) as cache:
        if stride:
            cache.append(replace(made(1), occlusion_map=maps(0)), 0.0, COST)
        with pytest.raises(InputError, match=message):
            cache.append(replace(made(1), occlusion_map=heat), 1.0, COST)


@pytest.mark.parametrize(("first", "message"), [(False, "has offsets"), (True, "has no offsets")])
def test_all_frames_have_offsets_or_none(tmp_path, first, message):
    frames = [made(), made(0, tracks=not first), made(tracks=not first)]
    frames[0] = made(tracks=first)
    with pytest.raises(InputError, match=f"frame 3 .*{message}"):
        write(tmp_path / "a.h5", frames)


def test_offsets_belong_to_points(tmp_path):
    frame = made(tracks=True)
    with pytest.raises(InputError, match="offsets are of shape"):
        write(tmp_path / "a.h5", [replace(frame, offsets=frame.offsets[:1])])
