"""The redo journal: a commit has happened or it has not, whatever stops it."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.cache import shards
from mottool.cache.shards import PAGE, JournalledFile, recover
from mottool.errors import CacheError, OutputError

writes = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.integers(0, 3 * PAGE), st.integers(1, 2 * PAGE)),
        st.tuples(st.just("truncate"), st.integers(0, 3 * PAGE), st.just(0)),
        st.just(("commit", 0, 0)),
        st.just(("reopen", 0, 0)),
    ),
    max_size=20,
)


@settings(derandomize=True, deadline=None, max_examples=150)
@given(writes)
def test_it_behaves_like_a_file_and_keeps_exactly_what_was_committed(tmp_path_factory, steps):
    path = tmp_path_factory.mktemp("journal") / "a"
    file = JournalledFile(path)
    model, kept = bytearray(), b""
    for turn, (step, at, size) in enumerate(steps, 1):
        if step == "write":
            data = bytes([turn]) * size
            file.seek(at)
            assert file.write(data) == size
            model.extend(bytes(max(0, at + size - len(model))))
            model[at : at + size] = data
        elif step == "truncate" and at >= len(model):
            file.truncate(at)
            model.extend(bytes(at - len(model)))
        elif step == "commit":
            file.commit()
            kept = bytes(model)
            assert path.read_bytes() == kept
        elif step == "reopen":
            file.close()
            assert path.read_bytes()[: len(kept)] == kept
            file = JournalledFile(path)
            os.truncate(path, len(kept))  # what hung over the last commit counts for nothing
            file.close()
            file, model = JournalledFile(path), bytearray(kept)
        file.seek(0)
        assert file.read(len(model)) == model
    file.close()
    assert not shards.journal_of(path).exists()


class Killed(BaseException):
    pass


def stopped_after(monkeypatch, calls):
    """Let the process die, as it were, after so many system calls that write."""
    left = iter(range(calls))

    def counted(call):
        def wrapper(*args):
            if next(left, None) is None:
                raise Killed
            return call(*args)

        return wrapper

    monkeypatch.setattr(os, "pwrite", counted(os.pwrite))
    monkeypatch.setattr(os, "ftruncate", counted(os.ftruncate))


@pytest.mark.parametrize("fresh", [True, False], ids=["first commit", "second commit"])
def test_a_commit_stopped_after_any_system_call_has_happened_or_has_not(tmp_path, fresh):
    old, new = b"" if fresh else b"a" * (2 * PAGE + 5), b"b" * (4 * PAGE + 7)
    outcomes = []
    for calls in range(40):
        path = tmp_path / str(calls)
        if not fresh:
            file = JournalledFile(path)
            file.write(old)
            file.commit()
            file.close()
        file = JournalledFile(path)
        with pytest.MonkeyPatch.context() as patch:
            stopped_after(patch, calls)
            file.write(new)
            try:
                file.commit()
                died = False
            except Killed:
                died = True
        # What a dead process leaves to the next: its files, and no lock.
        os.close(file._file)
        os.close(file._journal)
        recover(path)
        found = path.read_bytes()
        assert found == new or found[: len(old)] == old
        outcomes.append(found == new)
        if not died:
            break
    assert not died
    assert outcomes == sorted(outcomes)  # once it has happened it stays so
    assert outcomes.count(False) >= 1
    assert outcomes.count(True) > 5  # a whole journal is enough


def test_a_journal_cut_short_or_altered_counts_for_nothing(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"whole")
    record = shards.MAGIC + shards.HEAD.pack(3, 0)
    for broken in (b"", record, record + bytes(8), b"noise" * 100):
        shards.journal_of(path).write_bytes(broken)
        recover(path)
        assert path.read_bytes() == b"whole"


def test_a_second_writer_is_refused_and_a_third_may_follow(tmp_path):
    first = JournalledFile(tmp_path / "a")
    with pytest.raises(CacheError, match="is being written by another process. Fix: wait"):
        JournalledFile(tmp_path / "a")
    first.close()
    JournalledFile(tmp_path / "a").close()


def test_a_full_disk_is_told_by_commit_and_changes_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a"
    file = JournalledFile(path)
    file.write(b"first")
    file.commit()

    def full(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        file.write(b"x" * 2 * PAGE)
    file.write(b"more")
    with pytest.raises(OSError, match="No space left"):
        file.commit()
    file.close()
    assert path.read_bytes() == b"first"


def test_a_place_that_cannot_be_written_is_told(tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        JournalledFile(tmp_path / "missing" / "a")
