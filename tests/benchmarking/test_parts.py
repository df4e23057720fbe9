"""The clock of the parts, thresholds and memory."""

import time

import pytest

from mottool.benchmarking.memory import peak_memory
from mottool.benchmarking.part_clock import PartClock
from mottool.benchmarking.thresholds import threshold_for


def test_threshold_keeps_at_most_as_many_detections():
    scores = [0.5 + 1e-7 * i for i in range(100)]
    for people in (0, 1, 40, 100):
        threshold = threshold_for(lambda t: sum(score > t for score in scores), people)
        assert sum(score > threshold for score in scores) == people


def test_clock_divides_by_its_number_of_frames():
    clock = PartClock()
    clock.frame_count = 4
    clock.add({"network": 2.0, "heads": 1.0})
    with clock.part("write"):
        time.sleep(0.04)
    parts = clock.per_frame()
    assert (parts["network"], parts["heads"], parts["embed"]) == (0.5, 0.25, 0)
    assert 0.01 <= parts["write"] < 0.1


def test_peak_memory_reads_the_kernels_record_and_falls_back(tmp_path):
    status = tmp_path / "status"
    status.write_text("Name:\tpython\nVmHWM:\t  2048 kB\n")
    assert peak_memory(status) == 2048 * 1024
    assert peak_memory(tmp_path / "none") == pytest.approx(peak_memory(), rel=0.5)
