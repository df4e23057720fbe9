"""Results in a work folder are converted with the sizes of the frames that their caches hold."""

import json
from dataclasses import replace

import pytest
from caches import HEADER, write
from click.testing import CliRunner
from streams import walkers

from mottool.association.associate import associate
from mottool.association.sequence_settings import InputSettings
from mottool.formats.cached_sizes import add_cached_sizes
from mottool.formats.registry import read
from mottool.records.record import record_of
from mottool.stages.convert import command

PAIR = walkers([[(50 + x, 100), (350 - x, 300)] for x in range(0, 60, 4)], [[0, 1]] * 15)
OF_CACHES = "size, frame rate and length are those of the caches in "


@pytest.fixture
def work(tmp_path):
    """A work folder with the caches and results of two sequences."""
    for name in ("a", "b"):
        header = replace(HEADER, sequence=name, pipeline="pipe", width=640, height=480, fps=12.5)
        cache = write(tmp_path / f"work/caches/pipe/{name}.h5", PAIR, header)
        associate(cache, tmp_path / f"work/tracks/pipe.sort/{name}.txt", "sort")
    return tmp_path / "work"


def convert(work, form, out, *arguments):
    words = [work / "tracks/pipe.sort", "--to", form, "--out", out, *arguments]
    return CliRunner().invoke(command, list(map(str, words)))


def infos(source):
    """Return the metadata of the sequences of a folder, by name, and the messages."""
    messages = []
    sequences = add_cached_sizes(read(source, messages.append), messages.append)
    return {sequence.name: sequence.info for sequence in sequences}, messages


def test_yolo_labels_are_fractions_of_the_frames_of_the_caches(work, tmp_path):
    done = convert(work, "yolo", tmp_path / "labels")
    assert done.exit_code == 0, done.output
    assert done.stderr == f"mottool: a, b: {OF_CACHES}{work / 'caches/pipe'}\n"
    ini = (tmp_path / "labels/a/seqinfo.ini").read_text()
    assert "imWidth=640\nimHeight=480" in ini
    first = (work / "tracks/pipe.sort/a.txt").read_text().split(",")
    left, width = float(first[2]), float(first[4])
    labels = (tmp_path / f"labels/a/labels/a_{first[0]}.txt").read_text().splitlines()
    (label,) = (line.split() for line in labels if line.endswith(f" {first[1]}"))
    assert float(label[1]) == pytest.approx((left + width / 2) / 640)


def test_coco_images_have_the_size_and_number_of_the_frames_of_the_caches(work, tmp_path):
    done = convert(work, "coco", tmp_path / "a.json")
    assert "written as 0" not in done.stderr
    content = json.loads((tmp_path / "a.json").read_text())
    assert {(image["width"], image["height"]) for image in content["images"]} == {(640, 480)}
    assert len(content["images"]) == 2 * len(PAIR)
    assert {video["fps"] for video in content["videos"]} == {12.5}


def test_formats_without_sizes_read_no_caches(work, tmp_path):
    assert convert(work, "server", tmp_path / "up.zip").stderr == ""


def test_results_elsewhere_have_the_cache_of_their_record(work, tmp_path):
    cache = work / "caches/pipe/a.h5"
    associate(cache, tmp_path / "out/a.txt", "sort", inputs=InputSettings(fixed_rate=True))
    found, messages = infos(tmp_path / "out")
    assert (found["a"].width, found["a"].height, found["a"].length) == (640, 480, len(PAIR))
    assert messages == [f"a: {OF_CACHES}{work / 'caches/pipe'}"]


def test_results_of_a_work_folder_without_records_have_the_caches_of_its_pipeline(work):
    for name in ("a", "b"):
        record_of(work / f"tracks/pipe.sort/{name}.txt").unlink()
    found, _ = infos(work / "tracks/pipe.sort")
    assert {info.width for info in found.values()} == {640}


def test_cache_that_was_made_again_or_is_damaged_is_not_used(work):
    again = replace(HEADER, sequence="a", pipeline="pipe", width=320, height=240)
    (work / "caches/pipe/a.h5").unlink()
    write(work / "caches/pipe/a.h5", PAIR, again)
    (work / "caches/pipe/b.h5").write_bytes(b"no cache")
    found, messages = infos(work / "tracks/pipe.sort")
    assert found == {"a": None, "b": None}
    assert messages == []
