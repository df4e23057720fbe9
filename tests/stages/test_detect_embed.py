"""`mottool detect-embed`: caches of public detections and networks, resuming, refused inputs."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from footage import video

from mottool.cache.reader import Cache
from mottool.errors import SettingError
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import FairMOT
from mottool.networks.registry import NETWORKS
from mottool.records.record import read_record
from mottool.sources.discovery import find_sequences
from mottool.stages.detect_embed import command

FRAMES = 6
PUBLIC = ("--pipeline", "public")


@pytest.fixture
def sequence(tmp_path):
    """Write a MOTChallenge folder of six frames with two detections in each but the fourth."""
    folder = tmp_path / "SEQ-01"
    for name in ("img1", "det"):
        (folder / name).mkdir(parents=True)
    draw = np.random.default_rng(0)
    rows = []
    for frame in range(1, FRAMES + 1):
        image = draw.integers(90, 140, (96, 128, 3), dtype=np.uint8)
        image[20:80, 10 + frame : 34 + frame] = (30, 30, 200)
        image[20:80, 80 - frame : 104 - frame] = (200, 60, 30)
        cv2.imwrite(str(folder / f"img1/{frame:06d}.png"), image)
        if frame != 4:
            rows.append(f"{frame},-1,{10 + frame},20,24,60,0.9,-1,-1,-1")
            rows.append(f"{frame},-1,{80 - frame},20,24,60,0.8,-1,-1,-1")
    (folder / "det/det.txt").write_text("\n".join(rows) + "\n")
    (folder / "seqinfo.ini").write_text(
        "[Sequence]\nname=SEQ-01\nimDir=img1\nframeRate=10\nseqLength=6\nimWidth=128\nimHeight=96\n"
    )
    return folder


def detect_embed(*arguments, code=0):
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_the_bundled_network_runs_by_default_and_reports_unused_detections(sequence, tmp_path):
    result = detect_embed(sequence, "--work", tmp_path / "work")
    assert "SEQ-01 has public detections (det/det.txt)" in result.stderr
    assert str(tmp_path / "work/caches/mottool-s/SEQ-01.h5") in result.stdout


def test_public_detections_are_embedded_and_stored(sequence, tmp_path):
    work = tmp_path / "work"
    result = detect_embed(sequence, *PUBLIC, "--work", work)
    path = work / "caches/public+histogram/SEQ-01.h5"
    assert str(path) in result.output
    assert "6 frames, 10 detections, 144-d embeddings" in result.output
    with Cache(path) as cache:
        frames = list(cache.frames())
        assert cache.header.pipeline == "public+histogram"
        assert (cache.header.width, cache.header.height, cache.header.fps) == (128, 96, 10)
        np.testing.assert_allclose(cache.pts, np.arange(FRAMES) / 10)
    assert [len(frame) for frame in frames] == [2, 2, 2, 0, 2, 2]
    np.testing.assert_array_equal(frames[0].boxes, [[11, 20, 35, 80], [79, 20, 103, 80]])
    red, blue = (np.array([frame.embeddings[i] for frame in frames if len(frame)]) for i in (0, 1))
    assert (red @ red.T).min() > 0.8 > (red @ blue.T).max()


def test_several_pipelines_write_a_cache_each_and_fail_alone(sequence, tmp_path):
    work = tmp_path / "work"
    both = ["--pipeline", "mottool-s", *PUBLIC, "--embedder", "none", "--work", work]
    result = detect_embed(sequence, *both, "--score-scale", "2", "--input", "128x96", "--json")
    rows = json.loads(result.stdout)["done"]
    paths = [work / f"caches/{name}/SEQ-01.h5" for name in ("mottool-s", "public")]
    assert [row["path"] for row in rows] == [str(path) for path in paths]
    with Cache(paths[0]) as network, Cache(paths[1]) as public:
        assert network.header.settings["input"] == "128x96"
        assert public.header.settings["score_scale"] == 2
        assert network.frame_count == public.frame_count == FRAMES
    (sequence / "det/det.txt").write_text("1,-1,5,5,nan,5,1,-1,-1,-1\n")
    result = detect_embed(sequence, *both, "--overwrite", code=1)
    assert "SEQ-01 (public): " in result.stderr
    assert "line 1 holds NaN" in result.stderr
    assert str(paths[0]) in result.stdout


def test_processes_write_the_same_caches_as_one(sequence, tmp_path):
    shutil.copytree(sequence, tmp_path / "SEQ-02")
    seqinfo = tmp_path / "SEQ-02/seqinfo.ini"
    seqinfo.write_text(seqinfo.read_text().replace("SEQ-01", "SEQ-02"))
    shutil.copytree(sequence, tmp_path / "SEQ-03")
    (tmp_path / "SEQ-03/det/det.txt").write_text("1,-1,5,5,nan,5,1,-1,-1,-1\n")
    sources = [tmp_path / f"SEQ-0{number}" for number in (1, 2, 3)]
    for jobs in (1, 2):
        work = "--work", tmp_path / f"{jobs}"
        result = detect_embed(*sources, *PUBLIC, "--jobs", jobs, *work, code=1)
        assert "line 1 holds NaN" in result.stderr
        assert "2 done, 1 failed: SEQ-03" in result.stderr
    for name in ("SEQ-01", "SEQ-02"):
        paths = [tmp_path / f"{jobs}/caches/public+histogram/{name}.h5" for jobs in (1, 2)]
        assert read_record(paths[0]) == read_record(paths[1])
        with Cache(paths[0]) as one, Cache(paths[1]) as two:
            assert one.header == two.header
            for a, b in zip(one.frames(), two.frames(), strict=True):
                np.testing.assert_array_equal(a.boxes, b.boxes)
                np.testing.assert_array_equal(a.embeddings, b.embeddings)
    result = detect_embed(*sources[:2], *PUBLIC, *work, "--jobs", 2)
    assert result.stderr.count("is complete already") == 2


@pytest.mark.parametrize(("network_jobs", "processes"), [(1, 1), (2, 2)])
def test_networks_run_in_as_many_processes_as_asked(
    sequence, tmp_path, monkeypatch, network_jobs, processes
):
    given = []

    def local(jobs, networks, timeout):
        given.append((jobs, networks))
        raise SettingError("stop", "here")

    monkeypatch.setattr("mottool.engines.local.local_engine", local)
    monkeypatch.setattr("mottool.cli.engine_options.cores", lambda: 8)
    shutil.copytree(sequence, tmp_path / "SEQ-02")
    with pytest.raises(SettingError):
        detect_embed(sequence, tmp_path / "SEQ-02", "--network-jobs", network_jobs)
    assert given == [(processes, network_jobs)]


def test_a_complete_cache_is_kept_and_other_settings_are_refused(sequence, tmp_path):
    work = tmp_path / "work"
    detect_embed(sequence, *PUBLIC, "--work", work)
    path = work / "caches/public+histogram/SEQ-01.h5"
    written = path.stat().st_mtime_ns
    assert "is complete already" in detect_embed(sequence, *PUBLIC, "--work", work).output
    assert path.stat().st_mtime_ns == written
    result = detect_embed(sequence, *PUBLIC, "--work", work, "--score-scale", "2", code=1)
    assert "--overwrite" in result.output
    detect_embed(sequence, *PUBLIC, "--work", work, "--score-scale", "2", "--overwrite")
    with Cache(path) as cache:
        assert cache.header.settings["score_scale"] == 2


def test_features_from_a_file_need_no_images(sequence, tmp_path):
    shutil.rmtree(sequence / "img1")
    result = detect_embed(sequence, *PUBLIC, "--work", tmp_path / "a", code=1)
    assert "no images to embed boxes from" in result.output
    draw = np.random.default_rng(1)
    table = np.full((3, 10 + 8), -1.0)
    table[:, 0], table[:, 2:6], table[:, 6] = [1, 1, 5], draw.uniform(5, 50, (3, 4)), 0.5
    table[:, 10:] = draw.normal(size=(3, 8))
    np.save(tmp_path / "SEQ-01.npy", table)
    for given in (tmp_path / "SEQ-01.npy", tmp_path):
        work = tmp_path / f"work {given.name}"
        result = detect_embed(sequence, "--detections", given, "--work", work, "--json")
        done = json.loads(result.stdout)["done"][0]
        assert (done["frames"], done["detections"], done["embedding_size"]) == (6, 3, 8)
        with Cache(work / "caches/public+file/SEQ-01.h5") as cache:
            frames = list(cache.frames())
        unit = table[2, 10:] / np.linalg.norm(table[2, 10:])
        np.testing.assert_allclose(frames[4].embeddings[0], unit, atol=1e-3)
    detect_embed(sequence, *PUBLIC, "--embedder", "none", "--work", tmp_path / "n")
    with Cache(tmp_path / "n/caches/public/SEQ-01.h5") as cache:
        assert not cache.has_embeddings
        assert cache.frame_count == FRAMES


def test_shards_cover_all_sequences_once(sequence, tmp_path):
    shutil.copytree(sequence, tmp_path / "SEQ-02")
    shards = []
    for number in (1, 2, 3):
        words = [*PUBLIC, "--work", tmp_path / "work", "--shard", f"{number}/3", "--json"]
        done = json.loads(detect_embed(sequence, tmp_path / "SEQ-02", *words).stdout)["done"]
        shards.append([row["sequence"] for row in done])
    assert shards == [["SEQ-01"], ["SEQ-02"], []]


def test_failed_sequence_does_not_stop_the_others(sequence, tmp_path):
    broken = tmp_path / "SEQ-02"
    shutil.copytree(sequence, broken)
    (broken / "det/det.txt").write_text("1,-1,5,5,nan,5,1,-1,-1,-1\n")
    result = detect_embed(tmp_path, *PUBLIC, "--work", tmp_path / "work", "--json", code=1)
    document = json.loads(result.stdout)
    assert [entry["sequence"] for entry in document["done"]] == ["SEQ-01"]
    assert "line 1 holds NaN" in document["failed"][0]["error"]
    assert not list((tmp_path / "work").rglob("SEQ-02*"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0,-1,5,5,5,5,1,-1,-1,-1\n", "line 1 has a frame below 1"),
        ("1,-1,5,5,5\n", "line 1 has 5 columns"),
    ],
)
def test_invalid_detections_leave_no_cache(sequence, tmp_path, text, message):
    (sequence / "det/det.txt").write_text(text)
    output = detect_embed(sequence, *PUBLIC, "--work", tmp_path / "work", code=1).output
    assert message in output
    assert output.count("\n") == 1
    assert not list((tmp_path / "work").rglob("*.h5"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--pipeline", "fairmot"], "did you mean 'fairmot-dla34'"),
        (["--pipeline", "fairmot-dla34"], "needs its weights"),
        (["--weights", "x.pth"], "there is no file or folder x.pth"),
    ],
)
def test_missing_or_misspelled_arguments_are_usage_errors(sequence, tmp_path, arguments, message):
    result = CliRunner().invoke(command, [str(sequence), "--work", str(tmp_path), *arguments])
    assert message in str(result.exception)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """Write a checkpoint of FairMOT with random weights in the authors' layout."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "fairmot.pth"
    network = FairMOT(DLA34(), embedding_size=64)
    torch.nn.init.constant_(network.heatmap[-1].bias, 0.0)  # so that something is detected
    torch.save({"epoch": 1, "state_dict": network.state_dict()}, path)
    return path


def test_a_network_runs_and_an_interrupted_run_resumes(sequence, tmp_path, checkpoint, monkeypatch):
    """Two runs, one of them interrupted after four frames, give the same cache."""
    flags = ["--pipeline", "fairmot-dla34", "--weights", checkpoint, "--device", "cpu"]
    small = replace(NETWORKS["fairmot-dla34"], input_size=(128, 96))
    monkeypatch.setitem(NETWORKS, "fairmot-dla34", small)
    detect_embed(sequence, *flags, "--work", tmp_path / "whole")
    whole = find_sequences([sequence])[0]
    image = sequence / "img1/000005.png"
    kept = image.read_bytes()
    image.write_bytes(b"no image")
    # The fingerprint depends on the content, so it is fixed for the interrupted run.
    fingerprint = whole.fingerprint()
    monkeypatch.setattr("mottool.sources.sequence.Sequence.fingerprint", lambda self: fingerprint)
    result = detect_embed(sequence, *flags, "--work", tmp_path / "stopped", code=1)
    assert "000005.png cannot be read as an image" in result.output
    image.write_bytes(kept)
    detect_embed(sequence, *flags, "--work", tmp_path / "stopped")
    with (
        Cache(tmp_path / "stopped/caches/fairmot-dla34/SEQ-01.h5") as stopped,
        Cache(tmp_path / "whole/caches/fairmot-dla34/SEQ-01.h5") as uninterrupted,
    ):
        assert uninterrupted.embedding_size == 64
        assert uninterrupted.detection_count > FRAMES
        assert len(uninterrupted.header.weights) == 64
        for one, other in zip(stopped.frames(), uninterrupted.frames(), strict=True):
            np.testing.assert_array_equal(one.boxes, other.boxes)
            np.testing.assert_array_equal(one.embeddings, other.embeddings)


def test_a_file_without_detections_is_a_warning(sequence, tmp_path):
    (sequence / "det/det.txt").write_text("")
    result = detect_embed(sequence, *PUBLIC, "--work", tmp_path / "work")
    assert "det.txt has no detections" in result.output
    assert "6 frames, 0 detections" in result.output


def test_frames_that_a_damaged_video_lost_have_no_detections(tmp_path):
    path = video(tmp_path / "a.ts", 120)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 1500] = bytes(1500)
    path.write_bytes(data)
    rows = "".join(f"{frame},-1,5,5,20,30,1\n" for frame in range(1, 121))
    (tmp_path / "det.txt").write_text(rows)
    options = ("--embedder", "histogram", "--work", tmp_path)
    result = detect_embed(path, "--detections", tmp_path / "det.txt", *options)
    counts = [len(frame) for frame in Cache(next((tmp_path / "caches").rglob("a.h5"))).frames()]
    assert len(counts) == 120
    missing = counts.count(0)
    assert 0 < missing < 30
    assert counts == [1] * counts.index(0) + [0] * missing + [1] * (120 - counts.index(0) - missing)
    assert f"{missing} frames are missing after frame {counts.index(0)}, " in result.stderr
