"""Results whose rows mean something else than MOTChallenge's columns are recognised."""

from dataclasses import replace

import numpy as np
import pytest
from scenes import SCENES, make

from mottool.boxes import xyxy_from_tlwh
from mottool.metrics.ground_truth import GroundTruth, preprocess_tracks
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.result_file import warn_of_mismatch, warn_of_missing_frames
from mottool.motchallenge.rows import Rows

SCENE = make("plain-17")


def walk(people: int = 3, frames: int = 60) -> Rows:
    """Return people who walk two pixels a frame, as ground truth of MOT17."""
    number = np.repeat(np.arange(1, frames + 1), people)
    person = np.tile(np.arange(people), frames)
    tlwh = np.column_stack(
        [60.0 + 150 * person + 2 * number, 40.0 + 60 * person, 20 + 0 * number, 60 + 0 * number]
    )
    return Rows(number, person + 1, tlwh, np.ones((len(number), 3)))


def messages(tracks: Rows, truth: Rows, tmp_path) -> list[str]:
    """Return the warnings about the tracks of one sequence."""
    files = [tmp_path / "a.txt", tmp_path / "gt" / "b.txt"]
    rules = "mot17" if truth.rest.shape[1] == 3 else "mot15"
    loaded = GroundTruth("a", truth, rules, 1000)
    file, warned = GroundTruthFile("a", files[1], 1000), []
    tracks = replace(tracks, rest=tracks.rest[:, :1])
    scored = preprocess_tracks(tracks, loaded)
    warn_of_mismatch("a", files[0], file, loaded, tracks, scored, warned.append)
    assert not any("\n" in message for message in warned)
    return warned


def with_boxes(rows: Rows, tlwh) -> Rows:
    return replace(rows, tlwh=np.asarray(tlwh, float))


@pytest.mark.parametrize("name", SCENES)
def test_results_that_are_right_are_not_misread(tmp_path, name):
    scene = make(name)
    assert not [m for m in messages(scene.results, scene.truth, tmp_path) if "would" in m]


def test_results_of_a_part_of_the_frames_are_named(tmp_path):
    rows = walk()
    truth, last = GroundTruth("a", rows, "mot17", 1000), int(rows.frames.max())
    for first, end, is_part in ((1, last // 2, True), (last // 2, last, True), (1, last, False)):
        warned, path = list[str](), tmp_path / "a.txt"
        within = (rows.frames >= first) & (rows.frames <= end)
        tracks = rows.select(within)
        tracks = replace(tracks, rest=tracks.rest[:, :1])
        scored = preprocess_tracks(tracks, truth)
        warn_of_missing_frames("a", path, truth, tracks, scored, warned.append)
        assert len(warned) == is_part
        for message in warned:
            outside = len(rows) - int(within.sum())
            assert f"frames {first} to {end} only: {outside} of {len(rows)} boxes" in message
            assert f"--frames {first}-{end}" in message


READINGS = {
    "x1, y1, x2, y2": xyxy_from_tlwh,
    "x and y were the centre": lambda b: np.hstack([b[:, :2] + b[:, 2:] / 2, b[:, 2:]]),
    "width and height were swapped": lambda b: b[:, [0, 1, 3, 2]],
    "x and y were swapped": lambda b: b[:, [1, 0, 3, 2]],
    "x were multiplied by 2 and y by 2": lambda b: b / 2,
}


@pytest.mark.parametrize("meaning", READINGS)
def test_other_columns_and_pixels_are_named(tmp_path, meaning):
    rows = walk()
    (message,) = messages(with_boxes(rows, READINGS[meaning](rows.tlwh)), rows, tmp_path)
    assert meaning in message
    assert "100% if" in message
    assert "left, top, width, height" in message


@pytest.mark.parametrize("offset", [1, -1, 40])
def test_frames_counted_from_elsewhere_are_named(tmp_path, offset):
    """Of people who walk, boxes of the next frame match too, but overlap less."""
    rows = walk()
    first = max(1, 1 - offset)
    shifted = rows.select(rows.frames >= first)
    (message,) = messages(replace(shifted, frames=shifted.frames + offset), rows, tmp_path)
    assert f"if frame {first + offset} were frame {first}" in message


def test_results_of_another_video_are_named(tmp_path):
    rows = walk(frames=60)
    away = with_boxes(rows, rows.tlwh + [2000, 0, 0, 0])
    assert "no box of" in messages(away, rows, tmp_path)[0]
    near = rows.tlwh.copy()
    near[2:] += [2000, 0, 0, 0]
    (message,) = messages(with_boxes(rows, near), rows, tmp_path)
    assert "1.1% of the boxes of" in message
    assert "check that both are of the same video" in message
