import signal
from multiprocessing import Pipe

import numpy as np
import pytest
from footage import video

from mottool.benchmarking import measurement
from mottool.benchmarking.case import PARTS, Case
from mottool.benchmarking.measurement import Measurement
from mottool.benchmarking.processes import CaseProcess, _serve
from mottool.benchmarking.scene import draw_scene
from mottool.errors import InputError, SettingError
from mottool.motchallenge.public_detections import PublicDetections
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences

SMALL = Options(input=(96, 64))


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return video(tmp_path_factory.mktemp("source") / "made.mp4", 6)


@pytest.fixture
def make(source, tmp_path):
    """Return a function that makes a case of the video."""

    def case(pipeline, **changed):
        boxes = tmp_path / "det.txt"
        boxes.write_text("".join(f"{i},-1,{x},5,10,20,1\n" for i in (1, 2, 3) for x in (4, 20, 40)))
        arguments = {"boxes": boxes, "frames": 3, "people": (0, 2, 5), "options": SMALL}
        return Case(pipeline, "torch", source=source, folder=tmp_path, **arguments | changed)

    return case


def test_a_second_stage_embeds_the_given_boxes(make):
    measured = Measurement(make("mottool-s+histogram"))
    sample = measured.sample()
    assert sample.people == 3
    assert tuple(sample.parts) == PARTS
    assert all(sample.parts[part] > 0 for part in PARTS)
    assert sample.whole > 0
    assert [cost.people for cost in measured.crowd()] == [0, 2, 5]
    assert measured.usage().memory > 50e6


def test_a_one_shot_network_detects_at_most_as_many_people_as_are_asked_for(make):
    measured = Measurement(make("tdt-mobilenet-nofpn", boxes=None, people=(0, 30, 10**6)))
    assert "random weights" in " ".join(measured.usage().notes)
    none, thirty, most = measured.crowd()
    message = f"the cost of 1000000 people is of {most.people} detections"
    assert [note for note in measured.usage().notes if note.startswith("the cost")] == [message]
    assert none.people == 0
    assert 15 < thirty.people <= 30
    sample = measured.sample()
    assert 0 < sample.people < 2.5 * measurement.PEOPLE
    assert sample.parts["embed"] == 0


def test_frames_are_as_many_as_take_a_few_seconds(make, monkeypatch):
    monkeypatch.setattr(measurement, "FRAMES", (2, 5))
    monkeypatch.setattr(measurement, "SECONDS", 0.0)
    assert Measurement(make("mottool-s", frames=None)).sequence.length == 2
    monkeypatch.setattr(measurement, "SECONDS", 1000.0)
    assert Measurement(make("mottool-s", frames=None)).sequence.length == 5


def test_a_process_answers_with_results_and_errors(make, monkeypatch):
    monkeypatch.setenv("MOTTOOL_RUNTIME", "torch")  # restored afterwards: the process sets it
    case = make("mottool-s")
    before = signal.getsignal(signal.SIGINT)
    here, there = Pipe()
    for request in ("crowd", None):
        here.send(request)
    _serve(case, there)
    there.close()
    process = CaseProcess(case, here)
    assert process.answer().memory > 0
    assert [cost.people for cost in process.answer()] == [0, 2, 5]
    with pytest.raises(InputError, match="mottool-s with torch ended"):
        process.answer()
    here, there = Pipe()
    here.send(None)
    _serve(make("yolox"), there)
    with pytest.raises(SettingError, match="yolox needs its weights"):
        CaseProcess(case, here).answer()
    signal.signal(signal.SIGINT, before)


def test_the_boxes_of_the_drawn_people_are_where_they_are_drawn(tmp_path):
    path, boxes = draw_scene(tmp_path, 2, 3)
    (sequence,) = find_sequences([path])
    first, second = (frame.image.astype(int) for frame in sequence.frames())
    assert first.shape == (1080, 1920, 3)
    detections = PublicDetections.read(boxes)
    changed = np.abs(first - second).sum(axis=2) > 90
    inside = np.zeros_like(changed)
    for number in (1, 2):
        assert len(detections.on(number)) == 3
        for box in detections.on(number).boxes:
            left, top, right, bottom = box.clip(0).astype(int)
            inside[top : bottom + 1, left : right + 1] = True
    assert changed.any()
    assert changed[inside].sum() > 0.98 * changed.sum()
