"""What is known of files."""

import mottool.provenance
from mottool.files import file_digest
from mottool.provenance import KnownFiles, signature


def test_what_another_version_knew_of_files_is_not_used(tmp_path, monkeypatch):
    file, path = tmp_path / "a", tmp_path / "known.json"
    file.write_text("a")
    known = KnownFiles(path)
    known.put(file, "sha256", signature(file), "old")
    known.save()
    assert KnownFiles(path).digest(file) == "old"
    monkeypatch.setattr(mottool.provenance, "__version__", "9.9")
    assert KnownFiles(path).digest(file) == file_digest(file)
    path.write_text("[1]")
    assert KnownFiles(path).digest(file) == file_digest(file)
