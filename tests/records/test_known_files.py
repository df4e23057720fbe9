"""What is known of files."""

import mottool.records.known_files
from mottool.files import file_digest
from mottool.records.known_files import KnownFiles, signature


def test_what_another_version_knew_of_files_is_not_used(tmp_path, monkeypatch):
    file, path = tmp_path / "a", tmp_path / "known.json"
    file.write_text("a")
    known = KnownFiles(path)
    known.put(file, "sha256", signature(file), "old")
    known.save()
    assert KnownFiles(path).digest(file) == "old"
    monkeypatch.setattr(mottool.records.known_files, "__version__", "9.9")
    assert KnownFiles(path).digest(file) == file_digest(file)
    path.write_text("[1]")
    assert KnownFiles(path).digest(file) == file_digest(file)
