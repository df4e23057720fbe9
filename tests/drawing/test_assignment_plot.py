"""`mottool plot assignment`: two frames and their assignment matrix, OUTrack's Fig. 7."""

import dataclasses
import math

import cv2
import numpy as np
import pytest
from caches import HEADER, write
from click.testing import CliRunner

from mottool.boxes import tlwh_from_xyxy
from mottool.detections import Detections
from mottool.drawing import assignment_figure
from mottool.drawing.assignment_plot import AssignmentPlotSettings, plot_assignment
from mottool.drawing.frame_panel import colours_of_people
from mottool.drawing.overlay import identity_styles
from mottool.errors import InputError
from mottool.metrics.identity_matching import find_identity_rows
from mottool.stages.plot import command

LEFT = np.array([20.0, 120, 220])


def of(people, scores):
    """Return people side by side, each with the embedding of its own axis."""
    left = LEFT[people]
    boxes = np.stack([left, 0 * left + 50, left + 40, 0 * left + 150], 1).astype(np.float32)
    embeddings = np.eye(3, dtype=np.float32)[people]
    count = len(people)
    return Detections(boxes, np.array(scores, np.float32), np.zeros(count, np.uint16), embeddings)


@pytest.fixture
def cache(tmp_path):
    """Two frames: people 1 and 2, then 3 and 1; a second detection scores too little."""
    source = tmp_path / "seq"
    source.mkdir()
    for number in (1, 2):
        cv2.imwrite(str(source / f"{number:06d}.png"), np.full((200, 320, 3), 90, np.uint8))
    frames = [of([1, 0, 2], [0.9, 0.8, 0.3]), of([2, 0], [0.9, 0.9])]
    header = dataclasses.replace(HEADER, sequence="seq", pipeline="one", source=str(source))
    (tmp_path / "gt").mkdir()
    boxes = [tlwh_from_xyxy(frame.boxes).tolist() for frame in frames]
    people = [(1, 1, 0), (1, 0, 1), (1, 2, 2), (2, 2, 0), (2, 0, 1)]  # frame, person, row
    rows = [
        f"{frame},{person + 1},{','.join(map(str, boxes[frame - 1][row]))},1"
        for frame, person, row in people
    ]
    (tmp_path / "gt/seq.txt").write_text("\n".join(rows))
    return write(tmp_path / "work/caches/one/seq.h5", frames, header)


def caught(cache, monkeypatch, **settings):
    """Return the frames and the matrix that would be drawn."""
    calls = []
    monkeypatch.setattr(
        assignment_figure, "draw_assignment", lambda *given: calls.append(given) or given[-1]
    )
    rows = find_identity_rows("seq", {}, cache.parents[3] / "gt")
    plot_assignment(
        cache, rows, cache.parent / "out.png", (1, 2), AssignmentPlotSettings(**settings)
    )
    return calls[0][:2]


def test_the_matrix_is_the_softmax_of_equations_1_and_2(cache, monkeypatch):
    frames, matrix = caught(cache, monkeypatch, placeholder="zero", temperature=1.0)
    assert [people.ids.tolist() for _, people in frames] == [[1, 2], [1, 3]]
    # Rows 1, 2 of the first frame and 1, 3 of the second. Cosines are 1 for the same person, else
    # 0, and 0 for the placeholder: the row of 1 is e / (e + 3) and thrice 1 / (e + 3), the row of
    # 2 four times 1 / 4. The diagonal is 0 (the similarity is -∞).
    high, low = math.e / (math.e + 3), 1 / (math.e + 3)
    expected = [
        [0, low, high, low, low],
        [1 / 4, 0, 1 / 4, 1 / 4, 1 / 4],
        [high, low, 0, low, low],
        [1 / 4, 1 / 4, 1 / 4, 0, 1 / 4],
    ]
    np.testing.assert_allclose(matrix, expected, atol=1e-3)
    # By default T = 2log(C + 1), with C = 5 columns.
    _, adaptive = caught(cache, monkeypatch, placeholder="zero")
    sharp = math.exp(2 * math.log(6))
    assert adaptive[0, 2] == pytest.approx(sharp / (sharp + 3), abs=1e-3)
    _, without = caught(cache, monkeypatch, placeholder="none")
    assert without.shape == (4, 4)


def test_detections_of_low_scores_are_left_out(cache, monkeypatch):
    frames, _ = caught(cache, monkeypatch, min_score=0.2)
    assert frames[0][1].ids.tolist() == [1, 2, 3]
    with pytest.raises(InputError, match="no detection above 0.95"):
        caught(cache, monkeypatch, min_score=0.95)


def test_the_plot_is_drawn(cache):
    root = cache.parents[3]
    words = ["assignment", "--at", "1", "2", "--gt", root / "gt", "--work", root / "work"]
    done = CliRunner().invoke(command, list(map(str, words)), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    image = cv2.imread(str(root / "work/plots/one/seq.assignment.png"))
    vermilion = np.abs(image.astype(int) - [0, 0x5E, 0xD5]).max(axis=2) < 6
    assert vermilion.sum() > 300  # the framed cells of person 1


def test_an_identity_has_one_colour_in_both_frames_and_its_neighbours_others():
    boxes = np.array([[0.0, 0, 20, 60], [22, 0, 42, 60]])
    first, second = (boxes, np.array([1, 11])), (boxes, np.array([11, 21]))  # equal modulo 10
    unknown = boxes, np.array([-1, 1])
    colours = colours_of_people([first, second])
    assert set(colours) == {1, 11, 21}
    assert len({colours[1], colours[11], colours[21]}) == 3
    assert colours_of_people([second, first, unknown]).keys() == colours.keys()
    known, question = identity_styles(np.array([1, -1]), colours)
    assert (known.caption, question.caption) == ("1", "?")
    assert question.colour not in colours.values()
