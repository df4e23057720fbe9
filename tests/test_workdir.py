import errno
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import OutputError, writing
from mottool.files import atomic_write, safe_name, user_cache_folder
from mottool.workdir import WorkDir


@given(st.text())
@settings(derandomize=True, deadline=None)
def test_no_name_leaves_its_folder(text):
    name = safe_name(text)
    assert name == Path(name).name
    assert name not in {"", ".", ".."}
    assert not name.startswith(".")
    assert safe_name(name) == name


def test_traversal_becomes_a_plain_name(tmp_path):
    work = WorkDir(tmp_path)
    for bad in ("../../etc/passwd", "/etc/passwd", "..", "a\\..\\b", "x\0y"):
        assert work.cache(bad, bad).resolve().is_relative_to(tmp_path.resolve())
        assert work.cache("p", bad).parent == tmp_path / "caches/p"


def test_only_complete_caches_and_result_folders_are_listed(tmp_path):
    work = WorkDir(tmp_path)
    for name in ("caches/p/a.h5", "caches/p/b.part/00000000.h5", "tracks/p.sort/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "tracks/p.sort.settings").mkdir()
    assert work.caches() == [tmp_path / "caches/p/a.h5"]
    assert work.results() == [tmp_path / "tracks/p.sort"]


def test_a_file_appears_complete_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with atomic_write(path) as part:
        part.write_text("half")
        assert not path.exists()
    assert path.read_text() == "half"

    def break_off():
        with atomic_write(path) as part:
            part.write_text("broken")
            raise KeyError

    with pytest.raises(KeyError):
        break_off()
    assert path.read_text() == "half"
    assert [entry.name for entry in path.parent.iterdir()] == ["a.txt"]


@pytest.mark.skipif(not os.access("/dev/shm", os.W_OK), reason="needs a second file system")
def test_a_scratch_folder_on_another_file_system_is_not_used(tmp_path):
    path = tmp_path / "a.txt"
    with tempfile.TemporaryDirectory(dir="/dev/shm") as scratch:
        with atomic_write(path, scratch=Path(scratch)) as part:
            part.write_text("rows")
        assert not list(Path(scratch).iterdir())
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert path.read_text() == "rows"


def test_the_scratch_folder_keeps_the_target_folder_clean(tmp_path):
    path = tmp_path / "results" / "a.txt"
    with atomic_write(path, scratch=tmp_path) as part:
        part.write_text("x")
        assert list(path.parent.iterdir()) == []
    assert path.read_text() == "x"


def test_a_full_disk_is_reported_with_a_fix(tmp_path):
    for error in (OSError(errno.ENOSPC, "x"), OSError("write failed (errno = 28, error message")):
        with pytest.raises(OutputError, match="no room left on the disk"), writing(tmp_path):
            raise error
    with pytest.raises(OutputError, match="cannot write"), writing(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")


def test_a_path_below_a_file_is_an_output_error(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file/a", tmp_path / "file/deep/a"):
        with pytest.raises(OutputError, match="should be its folder is a file"), atomic_write(path):
            pass


def test_temporary_files_of_killed_processes_are_removed(tmp_path):
    path = tmp_path / "training[1].pt"
    stale, writing_now, other = (
        tmp_path / name
        for name in (".training[1].7.part.pt", ".training[1].8.part.pt", ".state.7.part.pt")
    )
    for each in (stale, writing_now, other):
        each.write_text("half")
    long_ago = time.time() - 7200
    for each in (stale, other):
        os.utime(each, (long_ago, long_ago))
    with atomic_write(path) as part:
        part.write_text("whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, writing_now, other])


def test_two_writers_with_the_same_process_number_do_not_share_a_file(tmp_path):
    path = tmp_path / "a.txt"  # in a folder of two machines
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert [*tmp_path.iterdir()] == [path]


def test_a_refused_rename_is_tried_again(tmp_path, monkeypatch):
    attempts, replace = [], Path.replace

    def refuse_twice(temporary, target):
        attempts.append(target)
        if len(attempts) < 3:
            raise PermissionError(errno.EACCES, "a virus scanner has it open")
        return replace(temporary, target)

    monkeypatch.setattr(Path, "replace", refuse_twice)
    with atomic_write(tmp_path / "a.txt") as part:
        part.write_text("x")
    assert (tmp_path / "a.txt").read_text() == "x"
    assert len(attempts) == 3


def test_a_link_is_kept_and_its_target_replaced(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.txt").write_text("old")
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "disk" / "a.txt")
    with atomic_write(link) as temporary:
        temporary.write_text("new")
    assert link.is_symlink()
    assert (tmp_path / "disk" / "a.txt").read_text() == "new"


def test_a_user_without_a_home_folder_has_no_cache_folder(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)  # as without HOME and a password
    folder = user_cache_folder("runtimes", "MOTTOOL_NONE")
    assert folder.is_absolute()
    with pytest.raises(OutputError), atomic_write(folder / "file"):
        pass
