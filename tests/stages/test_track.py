"""`mottool track`: detection, association and rendering in one command; existing files are kept."""

import json
import shutil

import pytest
from click.testing import CliRunner
from drawn import scene
from footage import video

from mottool.cli.main import cli
from mottool.errors import SettingError


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """Draw a video of six frames, with public detections and ground truth."""
    return scene(tmp_path_factory.mktemp("films") / "street", frames=6)


def track(work, *arguments):
    return CliRunner().invoke(cli, ["track", "--work", str(work), *map(str, arguments)])


def times(work):
    """Return the modification time of each file of a work folder, by name."""
    files = (path for path in work.rglob("*") if path.is_file())
    return {path.relative_to(work).as_posix(): path.stat().st_mtime_ns for path in files}


def test_files_are_those_of_the_three_commands(film, tmp_path):
    done = track(tmp_path, film / "scene.mp4", "--render", "--json")
    assert done.exit_code == 0, done.output
    assert sorted(times(tmp_path)) == [
        "caches/mottool-s.settings/scene.json",
        "caches/mottool-s/scene.h5",
        "tracks/mottool-s.outrack.settings/scene.json",
        "tracks/mottool-s.outrack/scene.txt",
        "videos/mottool-s.outrack.settings/scene.json",
        "videos/mottool-s.outrack/scene.mp4",
    ]
    (entry,) = json.loads(done.stdout)["done"]
    assert entry["rows"] > 6
    assert entry["video"].endswith("scene.mp4")


def test_second_run_makes_only_missing_or_outdated_files(film, tmp_path):
    assert track(tmp_path, film, "--render").exit_code == 0
    first = times(tmp_path)
    assert track(tmp_path, film, "--render").exit_code == 0
    assert times(tmp_path) == first
    (tmp_path / "videos/mottool-s.outrack/street.mp4").unlink()
    assert track(tmp_path, film, "--render").exit_code == 0
    second = times(tmp_path)
    assert {name for name in first if first[name] != second[name]} == {
        "videos/mottool-s.outrack.settings/street.json",
        "videos/mottool-s.outrack/street.mp4",
    }
    assert track(tmp_path, film, "--render", "--conf-thres", 0.3).exit_code == 0
    third = times(tmp_path)
    assert third["caches/mottool-s/street.h5"] == first["caches/mottool-s/street.h5"]
    assert all(third[name] != second[name] for name in second if not name.startswith("caches"))
    assert track(tmp_path, film, "--overwrite").exit_code == 0
    assert times(tmp_path)["caches/mottool-s/street.h5"] != first["caches/mottool-s/street.h5"]


def test_pipeline_and_tracker_are_chosen_by_flags(film, tmp_path):
    arguments = [
        "--pipeline",
        "public",
        "--tracker",
        "sort",
        "--max-age",
        3,
        "--min-track-length",
        2,
    ]
    done = track(tmp_path, film, *arguments)
    assert done.exit_code == 0, done.output
    record = tmp_path / "tracks/public+histogram.sort.settings/street.json"
    content = json.loads(record.read_text())
    assert content["settings"]["max_age"] == 3
    assert content["finishing"]["min_track_length"] == 2


def test_results_of_other_settings_are_kept_apart_or_reported(film, tmp_path):
    sort = "--pipeline", "public", "--tracker", "sort"
    shutil.copytree(film, tmp_path / "other")
    info = tmp_path / "other/seqinfo.ini"
    info.write_text(info.read_text().replace("street", "other"))
    for source in (film, tmp_path / "other"):
        assert track(tmp_path / "work", source, *sort).exit_code == 0
    done = track(tmp_path / "work", film, *sort, "--max-age", 7)
    folder = tmp_path / "work/tracks/public+histogram.sort"
    replaced, mixed = done.stderr.splitlines()[-2:]
    assert replaced == (
        f"mottool: {folder}: replaces street of other settings (max_age 1, now 7); to keep both, "
        "give another --work, or --settings NAME.toml, whose results go to TRACKER@NAME"
    )
    assert mixed == (
        f"mottool: {folder} mixes results of different settings: max_age is 1 of other and 7 of "
        "street"
    )


def test_invalid_settings_are_refused_before_detection(film, tmp_path):
    done = track(tmp_path, film, "--tracker", "sort", "--conf-thres", 0.3)
    assert done.exit_code != 0
    assert not (tmp_path / "caches").exists()


@pytest.mark.parametrize(
    ("pipeline", "tracker", "problem", "fix"),
    [
        (
            ["--pipeline", "onnx", "--weights", "net.onnx"],
            [],
            "onnx makes no embeddings, which fairmot matches by",
            "use a --tracker that needs none, which are sort, bytetrack, botsort, ocsort, or "
            "--pipeline onnx+osnet_x0_25",
        ),
        (
            ["--pipeline", "fcos"],
            ["--tracker", "botsort-reid"],
            "fcos makes no embeddings, which botsort-reid matches by",
            "--pipeline fcos+osnet_x0_25",
        ),
        (
            ["--pipeline", "public", "--embedder", "none"],
            ["--tracker", "jde"],
            "public makes no embeddings, which jde matches by",
            "--pipeline public+osnet_x0_25",
        ),
        (
            ["--pipeline", "public"],
            ["--tracker", "otrack"],
            "public+histogram makes no offsets, which otrack matches by",
            "--pipeline otrack",
        ),
    ],
)
def test_tracker_that_needs_more_than_the_pipeline_makes_is_refused_before_loading(
    film, tmp_path, monkeypatch, pipeline, tracker, problem, fix
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").touch()  # never read
    done = track(tmp_path / "work", film, *pipeline, *tracker)
    assert isinstance(done.exception, SettingError)
    assert f"{problem}. Fix: " in str(done.exception)
    assert fix in str(done.exception)
    assert not (tmp_path / "work").exists()


def test_detections_without_embeddings_are_tracked_by_position(film, tmp_path):
    done = track(tmp_path, film, "--pipeline", "public", "--embedder", "none", "--tracker", "sort")
    assert done.exit_code == 0, done.output


def test_result_without_rows_is_explained_also_if_it_is_kept(film, tmp_path):
    reason = "no detection scores above conf_thres 1; the highest score is "
    for _ in range(2):
        done = track(tmp_path, film, "--pipeline", "public", "--conf-thres", 1)
        assert done.exit_code == 0, done.output
        assert f"street: the result has no rows, as {reason}" in done.stderr


def test_unused_public_detections_give_a_hint(film, tmp_path):
    assert "use --pipeline public for" in track(tmp_path, film).stderr


def test_video_without_people_gives_an_empty_result(tmp_path):
    done = track(tmp_path / "work", video(tmp_path / "empty.mp4", frames=3), "--render")
    assert done.exit_code == 0, done.output
    assert (tmp_path / "work/tracks/mottool-s.outrack/empty.txt").read_text() == ""
    assert (
        "mottool: empty: the result has no rows, as no detection scores above conf_thres"
        in done.stderr
    )
    assert (tmp_path / "work/videos/mottool-s.outrack/empty.mp4").stat().st_size > 0


def test_damaged_video_does_not_stop_the_others(film, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    done = track(tmp_path / "work", broken, film)
    assert done.exit_code == 1
    assert "broken.mp4" in done.stderr
    assert (tmp_path / "work/tracks/mottool-s.outrack/street.txt").is_file()


def test_camera_motion_is_estimated_for_trackers_that_compensate_for_it(film, tmp_path):
    arguments = [film, "--pipeline", "public", "--tracker", "botsort"]
    assert track(tmp_path, *arguments, "--no-camera-motion").exit_code == 0
    assert not (tmp_path / "camera-motion").exists()
    assert track(tmp_path, *arguments).exit_code == 0
    first = times(tmp_path)
    assert "camera-motion/street.h5" in first
    record = tmp_path / "tracks/public+histogram.botsort.settings/street.json"
    assert json.loads(record.read_text())["camera_motion"]["method"] == "sparse-flow"
    assert track(tmp_path, *arguments).exit_code == 0
    assert times(tmp_path) == first
