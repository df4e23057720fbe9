"""Zip files of results: names, prose, damage and size."""

import zipfile

import numpy as np
import pytest
from archives import archive, no_warning
from scenes import make

from mottool.errors import InputError
from mottool.formats.folders import rows_as_text
from mottool.formats.registry import read
from mottool.formats.sequence_rows import result_rows
from mottool.metrics.ground_truth_files import find_ground_truth
from mottool.metrics.inputs import find_results
from mottool.stages.convert import Config, run

RESULT = "1,1,15,20,30,80,0.5,-1,-1,-1\n"


def test_prose_beside_results_is_left_out(tmp_path):
    texts = {"s1.txt": RESULT, "README.txt": "our tracker\n", "__MACOSX/._s1.txt": "\xb0"}
    messages = []
    (result,) = read(archive(tmp_path / "up.zip", texts), messages.append)
    assert (result.name, result.is_ground_truth) == ("s1", False)
    assert messages == [
        f"{tmp_path}/up.zip: README.txt is left out, as it does not begin with a number"
    ]


def test_two_results_of_one_sequence_in_a_zip_are_refused(tmp_path):
    path = archive(tmp_path / "up.zip", {"a/x.txt": RESULT, "b/x.txt": RESULT})
    with pytest.raises(InputError, match="holds a/x.txt and b/x.txt, two sequences x"):
        read(path, no_warning)


@pytest.mark.parametrize("name", ["...txt", "../../x.txt", "a/\n.txt", "a\tb.txt", "\u2028.txt"])
def test_names_in_a_zip_are_never_paths(tmp_path, name):
    path = archive(tmp_path / "up.zip", {name: RESULT.replace("0.5,-1,-1,-1", "1,1,1")})
    out = run([path], tmp_path / "in" / "out", Config(to="motchallenge"))
    files = {file for file in tmp_path.rglob("*") if file.is_file()} - {path}
    assert len(files) == 2
    assert all(file.relative_to(out).parts[0] not in {"gt", ".."} for file in files)
    assert all(file.as_posix().isprintable() for file in files)
    (seqinfo,) = [file for file in files if file.name == "seqinfo.ini"]
    assert seqinfo.read_text().splitlines()[1] == f"name={seqinfo.parent.name}"


def test_a_zip_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("s1.txt", b"0" * 40_000_000)
    assert path.stat().st_size < 50_000
    with pytest.raises(InputError, match="unpacks to more than 19 MiB of text.*--unpack-limit 10"):
        read(path, no_warning)
    monkeypatch.setenv("MOTTOOL_UNPACK_LIMIT", "3")
    with pytest.raises(InputError, match="columns"):
        read(path, no_warning)


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_damaged_zip_files_are_refused_in_one_line(tmp_path, method):
    path = tmp_path / "up.zip"
    with zipfile.ZipFile(path, "w", method) as file:
        file.writestr("s1.txt", rows_as_text(result_rows("s1", make("plain-17").results)))
    whole = path.read_bytes()
    draw, refused = np.random.default_rng(0), 0
    for position in draw.integers(0, len(whole), 150):
        damaged = bytearray(whole)
        damaged[position] ^= 1 << int(draw.integers(8))
        path.write_bytes(damaged)
        try:
            read(path, lambda message: None)
        except InputError:  # and nothing else
            refused += 1
    assert refused > 50


def test_a_zip_is_known_by_its_suffix_in_capitals_and_texts_of_windows_are_read(tmp_path):
    rows = "1,1,10,20,30,40,1,1,1\n2,1,12,20,30,40,1,1,1\n"
    path = tmp_path / "TASK.ZIP"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("gt/gt.txt", rows.encode("utf-16"))
        file.writestr("gt/labels.txt", "Fußgänger\n".encode("latin-1"))
        file.writestr("desktop.ini", b"\xff[.ShellClassInfo]\r\n")
    for source in (path, tmp_path):
        (sequence,) = read(source, no_warning)
        assert (sequence.name, len(sequence.rows)) == ("TASK", 2)
        assert sequence.extra_classes == ("Fußgänger",)
    results = tmp_path / "up.ZIP"
    with zipfile.ZipFile(results, "w") as file:
        file.writestr("s1.txt", "1,1,10,20,30,40,0.5,-1,-1,-1\n")
        file.writestr("README.txt", "r\xe9sultats\n".encode("latin-1"))
    messages = []
    assert list(find_results([results], messages.append)["up"]) == ["s1"]
    assert messages == [f"{results}: README.txt is left out, as it does not begin with a number"]


def test_a_zip_of_ground_truth_is_to_be_converted_first(tmp_path):
    path = archive(tmp_path / "a.zip", {"gt/gt.txt": "1,1,10,20,30,40,1,1,1\n"})
    with pytest.raises(InputError, match="run mottool convert on it"):
        find_ground_truth([path])
