"""Shards: killed writers, merges, damaged shards, locks, and full disks."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import pytest
from benchmarks import kill_cache
from caches import HEADER, made, write

from mottool.cache import shards
from mottool.cache.hdf5 import open_file, shard_folder
from mottool.cache.layout import LAYOUT
from mottool.cache.reader import Cache
from mottool.cache.shards import Shards, open_shards, read_progress, shard_files
from mottool.cache.writer import CacheWriter
from mottool.errors import CacheError, OutputError

FRAMES = 200
KILLED = """
import os, sys
from pathlib import Path
from benchmarks import kill_cache
from mottool.cache import shards
from mottool.cache.shards import Shards

point, path, overwrite = sys.argv[1], Path(sys.argv[2]), len(sys.argv) > 3
replace, unlink, counts = shards.replace_file, Path.unlink, {}

def reached(name, count):
    counts[name] = counts.get(name, 0) + 1
    if name == point and counts[name] == count:
        os._exit(7)

def replace_file(temporary, target):
    merged = target == path
    reached("merging" if merged else "writing a shard", 1 if merged else 3)
    replace(temporary, target)
    reached("merged" if merged else "shard written", 1 if merged else 2)

def unlink_file(self, *args, **more):
    if self.parent.suffix == ".part" and self.suffix == ".h5":
        reached("emptying" if overwrite else "removing shards", 3)
    unlink(self, *args, **more)

shards.replace_file, Path.unlink = replace_file, unlink_file
kill_cache.write(path, 200, lambda committed: None, overwrite)
"""


def killed(point, path, *more):
    """Run a writer that exits without clean-up at a named point."""
    command = [sys.executable, "-c", KILLED, point, str(path), *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests"), str(ROOT)])}
    assert subprocess.run(command, env=environment).returncode == 7


ROOT = Path(__file__).parents[2]
NAMES = ["00000000.h5", "00000064.h5", "00000128.h5", "00000192.h5"]
# Point: what is in the folder then, and whether the final file exists.
POINTS = {
    "writing a shard": ([*NAMES[:2], "00000128.h5.tmp", "lock"], False),
    "shard written": ([*NAMES[:2], "lock"], False),
    "merging": ([*NAMES, "a.h5.tmp", "finished", "lock"], False),
    "merged": ([*NAMES, "finished", "lock"], True),
    "removing shards": ([*NAMES[:2], "lock"], True),
}


def contents(folder):
    return sorted(file.name for file in folder.iterdir())


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    path = tmp_path_factory.mktemp("uninterrupted") / "a.h5"
    kill_cache.write(path, FRAMES, lambda committed: None)
    return kill_cache.content(path)


@pytest.mark.parametrize("point", POINTS)
def test_a_writer_killed_at_any_point_is_resumed(tmp_path, uninterrupted, point):
    path = tmp_path / "a.h5"
    killed(point, path)
    files, complete = POINTS[point]
    assert contents(shard_folder(path)) == files
    assert path.exists() == complete
    with CacheWriter(path, kill_cache.header(FRAMES)) as cache:
        assert cache.already_complete == (complete or point == "merging")
        assert cache.committed == (FRAMES if cache.already_complete else 128)
    kill_cache.write(path, FRAMES, lambda committed: None)
    assert contents(tmp_path) == ["a.h5"]
    assert kill_cache.content(path) == uninterrupted


def test_writer_killed_while_overwriting_leaves_the_first_old_shards(tmp_path, uninterrupted):
    path = tmp_path / "a.h5"
    killed("merging", path)
    killed("emptying", path, "--overwrite")
    assert contents(shard_folder(path)) == [*NAMES[:2], "a.h5.tmp", "lock"]
    with pytest.raises(CacheError, match=r"a.part was made with other frames"):
        CacheWriter(path, kill_cache.header(FRAMES + 1))
    with CacheWriter(path, kill_cache.header(FRAMES)) as cache:
        assert cache.committed == 128
    kill_cache.write(path, FRAMES, lambda committed: None)
    assert contents(tmp_path) == ["a.h5"]
    assert kill_cache.content(path) == uninterrupted


def test_shards_of_a_killed_merge_can_be_resumed_without_the_final_file(tmp_path, uninterrupted):
    path = tmp_path / "a.h5"
    killed("removing shards", path)
    path.unlink()
    kill_cache.write(path, FRAMES, lambda committed: None)
    assert kill_cache.content(path) == uninterrupted


def test_a_shard_is_a_file_of_the_same_layout(tmp_path):
    part = write(tmp_path / "a.h5", [made(count) for count in range(70)], finish=False)
    first, second = shard_files(part)
    assert contents(part) == [first.name, second.name, "lock"]
    for path, frames, detections in ((first, 64, 2016), (second, 6, 399)):
        file, header, lengths = open_file(path, LAYOUT, shard=True)
        file.close()
        assert header == HEADER
        assert (lengths["frames"], lengths["detections"]) == (frames, detections)
        with pytest.raises(CacheError, match=rf"unfinished \({frames} frames committed\). Fix"):
            Cache(path)
    assert read_progress(part, LAYOUT) == (HEADER, 70)


def test_damaged_shards_are_refused_and_can_be_overwritten(tmp_path):
    def damaged(change, message):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.h5"
        frames = [made()] * 150
        change(shard_files(write(path, frames, finish=False)))
        with pytest.raises(CacheError, match=message) as refused:
            write(path, frames)
        assert "--overwrite" in refused.value.fix
        assert not path.exists()
        write(path, frames, overwrite=True)
        assert not shard_folder(path).exists()

    def resized(files):
        with h5py.File(files[1], "r+") as file:
            values = file["embeddings"][:, :2]
            del file["embeddings"]
            file["embeddings"] = values

    def without(files):
        with h5py.File(files[2], "r+") as file:
            del file["embeddings"]

    damaged(lambda files: files[1].unlink(), "00000128.h5 is damaged or a shard before it")
    damaged(lambda files: files[0].unlink(), "00000064.h5 is damaged or a shard before it")
    damaged(lambda files: files[1].write_bytes(b""), "is truncated or not an HDF5 file")
    damaged(resized, "/embeddings differs from earlier shards")
    damaged(without, "a shard has no /embeddings")


def test_second_writer_is_refused_until_the_first_closes(tmp_path):
    path = tmp_path / "a.h5"
    first = open_shards(path, LAYOUT, HEADER)
    with pytest.raises(CacheError, match=r"a.h5 is being written by another process. Fix: wait"):
        open_shards(path, LAYOUT, HEADER)
    first.close()
    open_shards(path, LAYOUT, HEADER).close()


def test_a_lock_of_a_removed_folder_is_not_trusted(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    first, lock = Shards(path, LAYOUT, HEADER), shards.lock

    def meanwhile(descriptor):
        """Let the first writer remove its folder between the opening and the locking."""
        first.remove()
        lock(descriptor)

    monkeypatch.setattr(shards, "lock", meanwhile)
    with pytest.raises(CacheError, match="is being written by another process"):
        Shards(path, LAYOUT, HEADER)


def test_a_writer_that_waited_for_a_merge_does_not_start_over(tmp_path, monkeypatch):
    path, lock = tmp_path / "a.h5", shards.lock

    def meanwhile(descriptor):
        path.write_bytes(b"merged by another process")
        lock(descriptor)

    monkeypatch.setattr(shards, "lock", meanwhile)
    assert open_shards(path, LAYOUT, HEADER) is None
    assert contents(tmp_path) == ["a.h5"]


def test_file_systems_without_locks_are_supported(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def refuse(*args):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert write(tmp_path / "a.h5", [made()]).exists()


def test_a_complete_file_is_kept_while_another_process_overwrites_it(tmp_path):
    path = write(tmp_path / "a.h5", [made()])
    with CacheWriter(path, HEADER, overwrite=True), CacheWriter(path, HEADER) as cache:
        assert cache.already_complete
    assert shard_folder(path).exists()


def test_a_full_disk_is_reported_and_leaves_no_temporary_file(tmp_path, monkeypatch):
    path = tmp_path / "a.h5"
    part = write(path, [made()] * 150, finish=False)

    def full(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        with pytest.raises(OutputError, match=r"no room left .*00000150.h5. Fix: free some room"):
            write(path, [made()] * 300, finish=False)
    before = [*NAMES[:3], "lock"]
    assert contents(part) == before
    with monkeypatch.context() as patch:
        patch.setattr(shards.os, "fsync", lambda descriptor: full(None, None))
        with pytest.raises(OutputError, match=r"no room left .*a.h5. Fix: free some room"):
            write(path, [made()] * 150)
    assert contents(part) == [*NAMES[:3], "finished", "lock"]
    assert not path.exists()
    write(path, [made()] * 150)
    with Cache(path) as cache:
        assert cache.frame_count == 150


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        open_shards(tmp_path / "file" / "a.h5", LAYOUT, HEADER)
    (tmp_path / "b.part").touch()
    with pytest.raises(OutputError, match="should be its folder is a file"):
        open_shards(tmp_path / "b.h5", LAYOUT, HEADER)


def test_an_unfinished_file_of_earlier_versions_is_ignored(tmp_path):
    (tmp_path / "a.part.h5").write_bytes(b"journalled")
    with Cache(write(tmp_path / "a.h5", [made()])) as cache:
        assert cache.frame_count == 1
    assert contents(tmp_path) == ["a.h5", "a.part.h5"]


def test_a_try_without_a_frame_does_not_refuse_other_settings(tmp_path):
    path = tmp_path / "a.h5"
    writer = CacheWriter(path, kill_cache.header(1))
    writer._commit()  # a shard of no frames
    writer._shards.close()
    with CacheWriter(path, kill_cache.header(2)) as cache:
        assert cache.committed == 0
