"""`mottool render`: which results are drawn, and those that are refused or reported."""

import pytest
from archives import archive
from click.testing import CliRunner
from footage import video
from rendered import ROWS, called, make_film

from mottool.errors import InputError, SettingError
from mottool.files import file_digest
from mottool.records.record import write_record
from mottool.sources.discovery import find_sequences
from mottool.stages.render import command


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path)


@pytest.mark.parametrize(
    ("recorded", "drawn", "noted"),
    [("film", "film", 0), ("film@first", "film@first", 0), ("film", "film@first", 0), ("x", "", 1)],
)
def test_results_of_another_source_are_named(tmp_path, film, recorded, drawn, noted):
    drawn = drawn or film.stem
    path = tmp_path / "work/tracks/public.sort" / f"{drawn}.txt"
    path.write_text(ROWS)
    source = f"{film.parent / recorded}".replace("film", "film.mp4")
    content = "0" * 64 if noted else find_sequences([source])[0].fingerprint()
    write_record(path, {"source_hash": content, "sha256": file_digest(path)})
    done = called(tmp_path, f"{film.parent / drawn}".replace("film", "film.mp4"), "--frames", "1-2")
    assert done.exit_code == 0, done.output
    assert done.stderr.count(f"{drawn}: {path} was made from a source of other content") == noted


def test_one_result_file_for_two_sequences_is_refused(tmp_path, film):
    rows = tmp_path / "work" / "tracks" / "public.sort" / "film.txt"
    other = video(tmp_path / "other.mp4", 3)
    assert called(tmp_path, other, "--tracks", rows).exit_code == 0
    assert (tmp_path / "work" / "videos" / "public.sort" / "other.mp4").is_file()
    failed = called(tmp_path, other, film, "--tracks", rows).exception
    assert isinstance(failed, SettingError)
    assert "is one result file but there are 2 sequences" in str(failed)


def test_results_in_a_zip_file_are_drawn_as_those_of_a_folder(tmp_path, film):
    rows = tmp_path / "work" / "tracks" / "public.sort" / "film.txt"
    upload = archive(tmp_path / "upload.zip", {"film.txt": rows.read_text(), "b.txt": ""})
    for results in (upload, rows.parent):
        assert called(tmp_path, film, "--tracks", results, "--frames", "1-3").exit_code == 0
    zipped, plain = sorted((tmp_path / "work" / "videos").glob("*/film.mp4"), reverse=True)
    assert (zipped.parent.name, plain.parent.name) == ("upload", "public.sort")
    assert zipped.read_bytes() == plain.read_bytes()


def test_ambiguous_or_missing_results_are_an_error(tmp_path, film):
    other = tmp_path / "work" / "tracks" / "public.fairmot" / "film.txt"
    other.parent.mkdir()
    other.write_text("1,1,1,1,9,9,1,-1,-1,-1\n")
    several = called(tmp_path, film).exception
    assert isinstance(several, SettingError)
    assert "public.fairmot, public.sort" in str(several)
    assert "--tracks" in several.fix
    none = CliRunner().invoke(command, ["--work", str(tmp_path / "new"), str(film)]).exception
    assert isinstance(none, InputError)
    assert "mottool associate" in none.fix


def test_results_are_those_of_the_folder_that_has_the_sequence(film, tmp_path):
    tracks, others = tmp_path / "work/tracks", ("a.sort", "b.sort", "public.jde")
    for name in others:
        (tracks / name).mkdir()
        (tracks / name / "other.txt").write_text(ROWS)
    done = called(tmp_path, film, "--frames", "1-2")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "work/videos/public.sort/film.mp4").is_file()
    (tracks / "public.jde/film.txt").write_text(ROWS)
    error = called(tmp_path, film).exception
    assert isinstance(error, SettingError)
    assert error.problem == "there are several folders of results of film: public.jde, public.sort"
    assert error.fix == f"choose one with --tracks {tracks / 'public.jde'}"


def test_folder_with_most_sequences_is_proposed(film, tmp_path):
    video(tmp_path / "more.mp4", frames=3)
    tracks = tmp_path / "work/tracks"
    (tracks / "a.sort").mkdir()
    (tracks / "a.sort/film.txt").write_text(ROWS)
    (tracks / "public.sort/more.txt").write_text(ROWS)
    error = called(tmp_path, film, tmp_path / "more.mp4").exception
    assert isinstance(error, SettingError)
    assert error.fix == f"choose one with --tracks {tracks / 'public.sort'}"


def test_folders_without_the_sequence_are_not_proposed(film, tmp_path):
    (tmp_path / "work/tracks/a.sort").mkdir()
    (tmp_path / "work/tracks/a.sort/film.txt").write_text(ROWS)
    error = called(tmp_path, video(tmp_path / "new.mp4", frames=3)).exception
    assert isinstance(error, InputError)
    assert error.problem == f"none of the 2 folders under {tmp_path}/work/tracks has results of new"
    assert error.fix.startswith("run mottool associate first")
