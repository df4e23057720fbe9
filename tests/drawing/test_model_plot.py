"""`mottool plot models`: maps of several models side by side, FairMOT's Fig. 3 and 4."""

import dataclasses
from functools import partial

import cv2
import matplotlib.image
import numpy as np
import pytest
from caches import HEADER, write
from click.testing import CliRunner

from mottool.boxes import tlwh_from_xyxy
from mottool.detections import Detections
from mottool.drawing import model_maps
from mottool.drawing.model_plot import ModelPlotSettings, caches_by_model, plot_models
from mottool.errors import InputError, SettingError
from mottool.metrics.identity_matching import find_identity_rows
from mottool.settings import build_settings
from mottool.sources.discovery import find_sequences
from mottool.stages.plot import command

PEOPLE = {"a": 5, "b": 3}  # of each sequence
FRAMES = 6
SIZE = 640, 240  # of frames


def frame_of(people, index, draw, size=8):
    """Return people side by side; of five, the last is in the first half of the frames only."""
    count = people - (people == 5 and index >= FRAMES // 2)
    left = 20.0 + 100 * np.arange(count)
    boxes = np.stack([left, left * 0 + 50, left + 40, left * 0 + 150], axis=1) + index
    embeddings = np.eye(count, size) + draw.normal(0, 0.05, (count, size))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    return Detections(boxes.astype(np.float32), np.full(count, 0.9, np.float32),
                      np.zeros(count, np.uint16), embeddings.astype(np.float32))  # fmt: skip


@pytest.fixture
def work(tmp_path):
    """A folder with caches of two models, ground truth, and the frames of sequence a."""
    draw = np.random.default_rng(3)
    (tmp_path / "gt").mkdir()
    for name, people in PEOPLE.items():
        frames = [frame_of(people, index, draw) for index in range(FRAMES)]
        for pipeline in ("one", "two"):
            header = dataclasses.replace(HEADER, sequence=name, pipeline=pipeline)
            write(tmp_path / f"work/caches/{pipeline}/{name}.h5", frames, header)
        rows = [
            f"{index + 1},{person + 1},{','.join(map(str, box))},1"
            for index, frame in enumerate(frames)
            for person, box in enumerate(tlwh_from_xyxy(frame.boxes).tolist())
        ]
        (tmp_path / f"gt/{name}.txt").write_text("\n".join(rows))
    (tmp_path / "frames/a").mkdir(parents=True)
    for index in range(FRAMES):
        image = np.full((*SIZE[::-1], 3), 40 * index, np.uint8)
        cv2.imwrite(str(tmp_path / f"frames/a/{index + 1:06}.png"), image)
    return tmp_path


def caught(work, monkeypatch, **settings):
    """Return the maps, highlighted people and pictures that would be drawn."""
    calls = []
    monkeypatch.setattr(
        model_maps, "draw_models", lambda maps, people, pictures, path: calls.append(
            (maps, people, pictures)) or path
    )  # fmt: skip
    models = caches_by_model([work / "work/caches/one", work / "work/caches/two"])
    rows_of = partial(find_identity_rows, ground_truth_files={}, tracks=work / "gt")
    sequences = find_sequences([str(work / "frames/a")])
    config = build_settings(ModelPlotSettings, {"perplexity": "3", **settings}, "models")
    plot_models(models, rows_of, work / "out.png", config, sequences)
    return calls[0]


def test_people_of_two_sequences_are_kept_apart_and_the_same_in_all_maps(work, monkeypatch):
    maps, highlighted, pictures = caught(work, monkeypatch)
    assert [model.name for model in maps] == ["one", "two"]
    # Sequence a: four people in 6 frames, one in 3. Sequence b: three people in 6.
    for model in maps:
        assert np.bincount(model.people).tolist() == [6, 6, 6, 6, 3, 6, 6, 6]
        assert model.points.shape == (4 * 6 + 3 + 3 * 6, 2)
    assert highlighted == [0, 1, 2, 3]  # the four of sequence a with most detections
    # All four are in every frame, with boxes of equal size: the first frame shows all.
    (picture,) = pictures
    assert picture.title == "a, frame 1"
    assert picture.image.mean() == 0
    assert [rank for rank, _ in picture.boxes] == [0, 1, 2, 3]
    assert picture.boxes[1][1].tolist() == [120, 50, 160, 150]


def test_the_chosen_people_are_highlighted_and_samples_limited(work, monkeypatch):
    maps, highlighted, _ = caught(work, monkeypatch, highlight="a:5,b:2", samples="2", people="6")
    # Two of each person: the six with most, of equal ones the first, and the highlighted b:2.
    assert np.bincount(maps[0].people).tolist() == [2] * 7
    assert highlighted == [4, 6]


def test_the_plot_has_red_arrows_and_the_people(work):
    words = ["models", "--gt", work / "gt", "--frames", work / "frames", "--perplexity", 3]
    words += ["--label", "First", "--label", "Second", "--work", work / "work"]
    done = CliRunner().invoke(command, list(map(str, words)))
    assert done.exit_code == 0, (done.output, done.exception)
    image = matplotlib.image.imread(work / "work/plots/models.png")[..., :3]
    red = np.abs(image - np.array([0xD0, 0, 0]) / 255).max(axis=2) < 0.02
    assert red.sum() > 200
    height, width = image.shape[:2]
    assert width > height  # two maps side by side, the picture below
    assert (image[int(0.8 * height)].max(axis=1) < 0.01).sum() > width / 4  # the black first frame


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        (["--label", "one"], "1 --label are given for 2 folders"),
        (["--label", "x", "--label", "x"], "two models are called x"),
        (["--highlight", "5"], "highlight cannot be '5'"),
    ],
)
def test_labels_and_people_that_do_not_fit_are_refused(more, problem, work):
    words = ["models", "--gt", work / "gt", "--work", work / "work", *more]
    done = CliRunner().invoke(command, list(map(str, words)))
    assert isinstance(done.exception, SettingError)
    assert problem in done.exception.problem


def test_missing_inputs_are_reported(work):
    done = CliRunner().invoke(command, ["models", "--work", str(work / "work")])
    assert isinstance(done.exception, SettingError)
    assert "--gt or --tracks" in done.exception.fix
    words = ["models", "--gt", work / "gt", "--work", work / "none"]
    done = CliRunner().invoke(command, list(map(str, words)))
    assert isinstance(done.exception, InputError)
    words = ["models", "--gt", work / "gt", "--work", work / "work", "--highlight", "b:9"]
    done = CliRunner().invoke(command, list(map(str, words)))
    assert done.exit_code == 1
    assert "no model has embeddings of b:9" in done.stderr


def test_the_first_people_are_those_of_outracks_figure(work, monkeypatch):
    """Fig. 6 has the first 30 identities, without arrows."""
    maps, highlighted, pictures = caught(work, monkeypatch, first="6")
    # All five of sequence a, though its last has fewest detections, and the first of sequence b.
    assert np.bincount(maps[0].people).tolist() == [6, 6, 6, 6, 3, 6]
    assert not highlighted
    assert not pictures
    with pytest.raises(SettingError, match="both choose the identities"):
        caught(work, monkeypatch, first="6", people="3")


def test_people_who_are_close_in_a_map_differ_in_colour():
    points = np.array([[0.0, 0], [0, 1], [9, 9], [9, 8]])
    maps = [model_maps.ModelMap(name, points, [1, 11, 21, 31]) for name in "ab"]
    colours = model_maps._colours_of(maps)  # their numbers are equal modulo 10
    assert colours[1] != colours[11]
    assert colours[21] != colours[31]
