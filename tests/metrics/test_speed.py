import sys

import numpy as np
import pytest

from mottool.metrics.speed import (
    FrameTimer,
    SystemTime,
    detection_and_embedding,
    has_given_boxes,
    rates_of,
    timing_notes,
)


def test_the_first_frame_and_the_decoding_of_the_video_are_left_out():
    # decode, network, heads, embed
    timing = np.array([[9, 9, 9, 9], [5, 0.1, 0.05, 0.2], [5, 0.2, 0.05, 0.2]], np.float32)
    detection, embedding = detection_and_embedding(timing)
    time = SystemTime.of(detection, embedding, np.array([9, 0.1, 0.1]))
    assert time.frames == 2
    assert (time.detection, time.embedding, time.association) == pytest.approx((0.4, 0.4, 0.2))
    rates = time.rates()
    # 2 frames in 0.4, 0.4 and 0.2 s, together 1 s.
    assert rates == pytest.approx({"FPSD": 5, "FPSE": 5, "FPSA": 10, "FPS": 2})


def test_sequences_are_added_and_a_single_frame_counts():
    one = SystemTime.of(np.array([0.5]), np.array([0.0]), np.array([0.5]))
    two = SystemTime(3, 1.0, 0.0, 0.0)
    assert one + two == SystemTime(4, 1.5, 0.0, 0.5)
    assert (one + two).rates() == {"FPSD": 4 / 1.5, "FPSE": None, "FPSA": 8.0, "FPS": 2.0}


def test_boxes_from_files_take_no_time():
    assert has_given_boxes("public+histogram")
    assert has_given_boxes("gt+cstrack")
    assert not has_given_boxes("cstrack")
    parts = np.array([1.0, 1.0])
    rates = SystemTime.of(parts, parts, parts, boxes_given=True).rates()
    assert (rates["FPSD"], rates["FPS"]) == (None, 0.5)


def test_a_record_keeps_the_time():
    time = SystemTime(2, 0.5, 0.25, 0.125)
    assert SystemTime.read({"seconds": time.to_json()}) == time
    for record in ({}, {"seconds": 3}, {"seconds": {"frames": 2}}, {"seconds": {"frames": "2"}}):
        assert SystemTime.read(record) is None


def test_results_without_recorded_times_leave_the_rates_of_all_undefined():
    record = {"seconds": SystemTime(2, 0.5, 0.0, 0.5).to_json()}
    assert rates_of([record, record]) == {"FPSD": 4, "FPSA": 4, "FPS": 2}
    assert rates_of([record, {}]) == {}


def test_what_times_leave_out_and_what_ran_meanwhile_is_named_once_for_all_trackers():
    record = {"seconds": SystemTime(2, 0.5, 0.0, 0.5).to_json()}
    beside, given = record | {"processes": 4}, record | {"processes": 1, "boxes_given": True}
    records = {
        "a": [beside, record | {"processes": 2}],
        "b": [record | {"processes": 1}, record, {"processes": 4}],
        "c": [given, given],
        "d": [given | beside],
    }
    assert timing_notes(records) == [
        "c, d: boxes come from files, so FPS includes no detection",
        "a, d: association was timed while up to 4 processes worked, which can lower FPSA and FPS; "
        "mottool associate --jobs 1 times it alone",
    ]
    assert timing_notes({"b": records["b"]}) == []


def test_reading_a_frame_is_not_timed(monkeypatch):
    clock = iter([0.0, 1.5, 2.0, 2.25])
    monkeypatch.setattr("mottool.metrics.speed.perf_counter", lambda: next(clock))
    timer = FrameTimer()
    assert list(timer("ab")) == ["a", "b"]
    assert timer.array.tolist() == [1.5, 0.25]


def test_importing_a_library_is_not_timed(monkeypatch):
    clock = iter([0.0, 0.5, 1.0, 9.0, 10.0, 10.25])
    monkeypatch.setattr("mottool.metrics.speed.perf_counter", lambda: next(clock))
    timer = FrameTimer()
    for frame in timer("abc"):
        if frame == "b":
            monkeypatch.setitem(sys.modules, "library_of_frame_b", None)
    assert timer.array.tolist() == [0.5, 0.375, 0.25]
