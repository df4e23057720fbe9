import subprocess
import sys

import numpy as np
import pytest
from caches import HEADER, write
from footage import images
from scenes import make

import mottool
from mottool.association.registry import TRACKERS
from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.detections import Detections
from mottool.errors import InputError, SettingError
from mottool.formats.folders import rows_as_text
from mottool.formats.sequence_rows import ground_truth_rows
from mottool.settings import build_settings
from mottool.stages import associate, evaluate

LENGTH = 20


@pytest.fixture
def cache(tmp_path):
    """A cache of two people side by side."""
    frames = []
    for time in range(LENGTH):
        boxes = np.array([[10 + time, 10, 30 + time, 60], [60, 10, 80, 60]], np.float32)
        ones = np.ones(2, np.float32)
        frames.append(Detections(boxes, ones, np.zeros(2, np.uint16), np.eye(2, dtype=np.float32)))
    with mottool.open_cache(write(tmp_path / "seq.h5", frames, HEADER)) as opened:
        yield opened


@pytest.fixture
def truth(tmp_path, cache):
    path = tmp_path / "truth" / "seq" / "gt" / "gt.txt"
    path.parent.mkdir(parents=True)
    rows = "".join(
        f"{time + 1},1,{10 + time},10,20,50,1,1,1\n{time + 1},2,60,10,20,50,1,1,1\n"
        for time in range(LENGTH)
    )
    path.write_text(rows)
    return path


def test_track_score_and_draw(cache, truth, tmp_path):
    tracks = mottool.track(cache, "sort", min_hits=1)
    assert len(tracks) == 2 * LENGTH
    assert mottool.score(tracks, truth.parents[1])["IDF1"] > 0.95
    assert mottool.score(tracks, truth)["MOTA"] == mottool.score(tracks, truth.parents[2])["MOTA"]
    assert mottool.score(cache, truth)["AP"] == 1
    source = images(tmp_path / "seq", LENGTH)
    out = mottool.draw(tracks, source, tmp_path / "seq.mp4", trail=3)
    assert out.stat().st_size > 1000


def test_tracks_are_finished_as_by_associate(cache, tmp_path):
    """Settings of every tracker are keywords, too."""
    settings = {"min_hits": 1, "classes": (0,), "min_score": 0.5, "min_track_length": 3}
    path = associate.run(
        cache.path,
        tmp_path / "mine" / "seq.txt",
        "sort",
        build_settings(TRACKERS["sort"].settings, {"min_hits": 1}, "sort"),
        PostprocessSettings(min_track_length=3),
        inputs=InputSettings(classes=(0,), min_score=0.5),
    )
    tracks = mottool.track(cache, "sort", **settings)
    assert tracks.save(tmp_path / "seq.txt").read_bytes() == path.read_bytes()
    assert len(mottool.track(cache, "sort", classes=(3,))) == 0


def test_halves_are_tracked_and_scored(cache, truth):
    (truth.parents[1] / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={LENGTH}\n")
    half = f"{truth.parents[1]}@second"
    assert mottool.score(cache, half)["AP"] == 1
    metrics = mottool.score(mottool.track(cache, "sort", min_hits=1), half)
    assert (metrics["TP"], metrics["FN"]) == (LENGTH, 0)  # two people in half of the frames
    with mottool.open_cache(f"{cache.path}@second") as second:
        tracks = mottool.track(second, "sort", min_hits=1)
        assert (tracks.sequence, tracks.rows.frames.min()) == ("seq@second", LENGTH // 2 + 1)
        assert mottool.score(tracks, truth.parents[1]) == mottool.score(tracks, half)
        assert mottool.score(second, f"{truth}@second")["AP"] == 1


def test_results_equal_those_of_the_commands(cache, truth, tmp_path):
    tracks = mottool.track(cache)
    path = associate.run(cache.path, tmp_path / "mine" / "seq.txt")
    assert tracks.save(tmp_path / "seq.txt").read_bytes() == path.read_bytes()
    again = mottool.read_tracks(path)
    assert again.sequence == "seq"
    assert mottool.score(again, truth) == mottool.score(tracks, truth)
    table = evaluate.run([path], [truth.parents[1]], tmp_path / "scores.csv").read_text()
    header, first, *_ = (line.split(",") for line in table.splitlines())
    values = dict(zip(header, first, strict=True))
    figures = mottool.score(tracks, truth)
    assert len(figures) > 20
    for name, figure in figures.items():
        assert float(values[name]) == pytest.approx(figure, abs=1e-6), name


def test_tracks_are_converted_to_a_data_frame(cache):
    tracks = mottool.track(cache, "sort", min_hits=1)
    table = mottool.to_pandas(tracks)
    assert list(table) == ["frame", "id", "left", "top", "width", "height", "score"]
    assert table.groupby("id")["frame"].count().tolist() == [LENGTH, LENGTH]
    assert table["frame"].dtype == np.int64


def test_a_frame_is_converted_to_supervision(cache):
    tracks = mottool.track(cache, "sort", min_hits=1)
    converted = mottool.to_supervision(tracks, frame=7)
    assert sorted(converted.tracker_id.tolist()) == [1, 2]
    assert converted.xyxy[:, 0].min() == pytest.approx(16, abs=1)
    (first, *_) = cache.frames()
    detections = mottool.to_supervision(first)
    np.testing.assert_array_equal(detections.xyxy, first.boxes)
    assert detections.tracker_id is None
    assert len(mottool.to_supervision(tracks, frame=99)) == 0
    with pytest.raises(SettingError, match="frame=1"):
        mottool.to_supervision(tracks)


@pytest.mark.parametrize("package", ["pandas", "supervision"])
def test_a_missing_package_is_named(cache, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    convert = getattr(mottool, f"to_{package}")
    with pytest.raises(SettingError, match=r"is not installed.*pip install pandas supervision"):
        convert(mottool.track(cache, "sort"))


def test_mistakes_are_reported(cache, truth, tmp_path):
    with pytest.raises(SettingError, match="did you mean 'sort'"):
        mottool.track(cache, "sorted")
    with pytest.raises(SettingError, match="did you mean 'max_age'"):
        mottool.track(cache, "sort", maxage=3)
    truth.parents[1].rename(truth.parents[2] / "other")
    with pytest.raises(InputError, match="no ground truth for 'seq'"):
        mottool.score(mottool.track(cache), truth.parents[2])
    for name in ("a", "b"):
        images(tmp_path / "both" / name, 2)
    with pytest.raises(InputError, match="several sequences: a, b"):
        mottool.draw(mottool.track(cache), tmp_path / "both", tmp_path / "out.mp4")


def test_benchmark_rules_apply(tmp_path):
    scene = make("plain-17")
    path = tmp_path / "MOT17-a.txt"
    path.write_text(rows_as_text(ground_truth_rows("MOT17-a", scene.truth)))
    tracks = mottool.TrackTable("MOT17-a", scene.length, scene.results)
    assert mottool.score(tracks, path) == mottool.score(tracks, path, "mot17")
    assert mottool.score(tracks, path) != mottool.score(tracks, path, "mot15")


def test_importing_mottool_imports_nothing_heavy():
    script = (
        "import sys; before = set(sys.modules); import mottool; mottool.__version__;"
        "print(sorted(set(sys.modules) - before)); dir(mottool)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "numpy" not in done.stdout
    assert "mottool.api" not in done.stdout
    with pytest.raises(AttributeError, match="tracks"):
        _ = mottool.tracks
    assert set(dir(mottool)) == set(mottool.__all__)


def test_drawing_refuses_a_suffix_of_another_format(tmp_path):
    with pytest.raises(SettingError, match="a.gif is not a file name for an H.264 video"):
        mottool.draw(None, tmp_path, tmp_path / "a.gif")
