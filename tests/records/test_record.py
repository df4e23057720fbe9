"""Records of results."""

import pytest

import mottool.records.record
from mottool.files import file_digest
from mottool.records.record import read_checked_record, write_record


@pytest.fixture
def result(tmp_path):
    """A result whose record describes other content."""
    path = tmp_path / "tracks" / "a.txt"
    path.parent.mkdir()
    path.write_text("new")
    write_record(path, {"sha256": "0" * 64, "rows": 1})
    return path


def test_a_record_of_other_content_is_not_returned(result, monkeypatch):
    monkeypatch.setattr(mottool.records.record.time, "sleep", lambda seconds: None)
    messages = []
    assert read_checked_record(result, messages.append) == {}
    assert "it was edited, or copied in part" in messages[0]


def test_a_record_that_is_replaced_after_its_result_is_awaited(result, monkeypatch):
    def replace_record(seconds):
        write_record(result, {"sha256": file_digest(result), "rows": 2})

    monkeypatch.setattr(mottool.records.record.time, "sleep", replace_record)
    assert read_checked_record(result, pytest.fail)["rows"] == 2
