"""`mottool camera-motion`: its file, resuming, and how trackers find it."""

import json
import os

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from mottool.association.camera_motion import frames_with_motion, motion_of, required_motion
from mottool.association.camera_settings import BotSortSettings
from mottool.cache.camera_motion import CameraMotion, CameraMotionHeader, CameraMotionWriter
from mottool.cache.hdf5 import shard_folder
from mottool.cache.reader import Cache
from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections
from mottool.errors import CacheError
from mottool.sources.discovery import find_sequences
from mottool.stages import camera_motion, inspect

FRAMES = 9
SHIFT = 4  # pixels a frame


@pytest.fixture
def panning(tmp_path):
    """Write a folder of images from a camera that pans to the left."""
    noise = np.random.default_rng(1).integers(0, 256, (16, 40, 3), dtype=np.uint8)
    wide = cv2.resize(noise, (320, 128), interpolation=cv2.INTER_CUBIC)
    folder = tmp_path / "pan"
    folder.mkdir()
    for number in range(FRAMES):
        left = 100 - SHIFT * number
        cv2.imwrite(str(folder / f"{number + 1:03d}.png"), wide[:, left : left + 160])
    return folder


def cache_of(sequence, path):
    header = Header(
        sequence.name, "public", str(sequence.path), sequence.fingerprint(), 160, 128, 25.0
    )
    box = np.array([[40, 20, 80, 120]], np.float32)
    one = Detections(box, np.ones(1, np.float32), np.zeros(1, np.uint16))
    with CacheWriter(path, header) as writer:
        for number in range(FRAMES):
            writer.append(one, number / 25, (0, 0, 0, 0))
        writer.finish()
    return path


def test_command_writes_the_motion_of_every_frame(panning, tmp_path):
    arguments = [str(panning), "--work", str(tmp_path / "w"), "--json"]
    done = CliRunner().invoke(camera_motion.command, arguments)
    assert done.exit_code == 0, done.output
    (report,) = json.loads(done.stdout)["done"]
    assert report["frames"] == FRAMES
    assert abs(report["median_shift"] - SHIFT) < 0.2
    path = tmp_path / "w/camera-motion/pan.h5"
    warps = CameraMotion(path).warps
    np.testing.assert_array_equal(warps[0], np.eye(2, 3))
    assert abs(warps[1:] - [[1, 0, SHIFT], [0, 1, 0]]).max() < 0.2
    assert inspect.run(path)["kind"] == "camera motion"
    changed = os.stat(path).st_mtime_ns
    assert CliRunner().invoke(camera_motion.command, arguments).exit_code == 0
    assert os.stat(path).st_mtime_ns == changed
    other = CliRunner().invoke(camera_motion.command, [*arguments, "--method", "ecc"])
    assert other.exit_code == 1
    assert "method ('sparse-flow', now 'ecc')" in other.stderr


def test_interrupted_run_resumes_with_the_same_result(panning, tmp_path, monkeypatch):
    (sequence,) = find_sequences([panning])
    whole = camera_motion.run(sequence, tmp_path / "whole.h5")
    out = tmp_path / "out.h5"
    monkeypatch.setattr("mottool.pipelines.camera_motion.BLOCK", 4)
    append = CameraMotionWriter.append

    def interrupted(self, warps):
        append(self, warps)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(CameraMotionWriter, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            camera_motion.run(sequence, out)
    assert inspect.run(shard_folder(out))["frames"] == 4
    camera_motion.run(sequence, out)
    np.testing.assert_array_equal(CameraMotion(out).warps, CameraMotion(whole).warps)


@pytest.mark.parametrize("half", ["", "@second"])
def test_trackers_find_the_motion_of_a_cache(panning, tmp_path, half):
    (sequence,) = find_sequences([panning])
    path = cache_of(sequence, tmp_path / "w/caches/public/pan.h5")
    camera_motion.run(sequence, tmp_path / "w/camera-motion/pan.h5")
    expected = CameraMotion(tmp_path / "w/camera-motion/pan.h5").warps
    with Cache(type(path)(f"{path}{half}")) as cache:
        motion = required_motion(cache, "botsort", BotSortSettings())
        frames = list(frames_with_motion(cache, motion))
    warps = [frame.take(np.zeros(0, int)).camera_motion for frame in frames]
    np.testing.assert_array_equal(warps, expected[4:] if half else expected)


def test_missing_motion_and_that_of_another_source_name_the_command(panning, tmp_path):
    (sequence,) = find_sequences([panning])
    with Cache(cache_of(sequence, tmp_path / "w/caches/public/pan.h5")) as cache:
        command = f"mottool camera-motion {panning} --work {tmp_path}/w"
        with pytest.raises(CacheError, match=f"no camera motion .* run {command}"):
            motion_of(cache, "botsort")
        other = CameraMotionHeader("pan", "elsewhere", "ab12", 160, 128)
        with CameraMotionWriter(tmp_path / "w/camera-motion/pan.h5", other) as writer:
            writer.append([np.eye(2, 3)] * FRAMES)
            writer.finish()
        with pytest.raises(CacheError, match="not of the frames .* --overwrite"):
            motion_of(cache, "botsort")
