"""Output formats of exported detectors, on hand-made arrays."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import CheckpointError
from mottool.pipelines.detectors import output_formats
from mottool.pipelines.detectors.output_formats import OutputFormat, ScoredBoxes
from mottool.pipelines.detectors.output_reader import OutputReader
from mottool.pipelines.options import DETECTOR_FORMATS

SIZE = 64, 96  # width, height
CELLS = [
    (x, y, stride)
    for stride in (8, 16, 32)
    for y in range(96 // stride)
    for x in range(64 // stride)
]
BOXES = np.array([[10, 20, 30, 80], [35, 5, 60, 90], [1, 2, 3, 4]], np.float32)


def read_people(outputs, size, min_score, person=None):
    return OutputReader(size, min_score, person).people(outputs)


def yolox(boxes, scores, classes=3, decoded=False):
    """Encode boxes as a YOLOX output, box i in the i-th cell of stride 16."""
    rows = np.zeros((len(CELLS), 5 + classes), np.float32)
    if decoded:
        corner = np.array([(x, y) for x, y, _ in CELLS])
        stride = np.array([[stride] for *_, stride in CELLS])
        rows[:, :2], rows[:, 2:4] = (corner + 0.5) * stride, stride
    first = next(i for i, cell in enumerate(CELLS) if cell[2] == 16)
    for i, (box, score) in enumerate(zip(boxes, scores, strict=True)):
        x, y, stride = CELLS[first + i]
        centre, sides = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
        if not decoded:
            centre, sides = centre / stride - (x, y), np.log(sides / stride)
        rows[first + i, :4] = *centre, *sides
        rows[first + i, 4], rows[first + i, 5:] = 0.9, score
    return {"output": rows[None]}


@pytest.mark.parametrize("decoded", [False, True])
def test_yolox_output_is_read_raw_and_decoded(decoded):
    scores = [(0.5, 0, 0), (1.0, 0, 0.2), (0, 1.0, 0)]
    detections = read_people(yolox(BOXES, scores, decoded=decoded), SIZE, 0.1, None)
    np.testing.assert_allclose(detections.boxes, BOXES[[1, 0]], rtol=1e-4)
    np.testing.assert_allclose(detections.scores, [0.9, 0.45], rtol=1e-5)
    second = read_people(yolox(BOXES, scores, decoded=decoded), SIZE, 0.1, 1)
    np.testing.assert_allclose(second.boxes, BOXES[[2]], rtol=1e-4)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.floats(0, 60), st.floats(0, 90), st.floats(1, 64), st.floats(1, 96)),
        max_size=6,
    )
)
def test_encoded_yolox_boxes_are_decoded_to_the_same_boxes(sides):
    boxes = np.array([(x, y, x + w, y + h) for x, y, w, h in sides], np.float32).reshape(-1, 4)
    scores = [(0.9 - 0.1 * i,) for i in range(len(boxes))]
    detections = read_people(yolox(boxes, scores, classes=1), SIZE, 0.1, None)
    assert (np.diff(detections.scores) <= 0).all()
    for box, score in zip(detections.boxes, detections.scores, strict=True):
        i = round((0.9 - score / 0.9) * 10)
        np.testing.assert_allclose(box, boxes[i], atol=1e-3)


def test_overlapping_boxes_are_suppressed():
    twins = np.array([[10, 20, 30, 80], [10, 20, 30, 79]], np.float32)
    detections = read_people(yolox(twins, [(0.5,), (0.8,)], classes=1), SIZE, 0.1, None)
    np.testing.assert_allclose(detections.boxes, twins[1:], rtol=1e-4)


def test_ssd_rows_are_relative_and_end_at_image_minus_one():
    rows = np.array(
        [
            [0, 1, 0.6, 0.25, 0.5, 0.5, 1.0],
            [0, 2, 0.9, 0, 0, 1, 1],
            [0, 1, 0.7, 0, 0, 0.5, 0.5],
            [-1, 0, 0, 0, 0, 0, 0],
            [0, 1, 0.9, 0, 0, 1, 1],
        ],
        np.float32,
    )
    detections = read_people({"detection_out": rows[None, None]}, SIZE, 0.1, None)
    np.testing.assert_allclose(detections.boxes, [[0, 0, 32, 48], [16, 48, 32, 96]])
    np.testing.assert_allclose(detections.scores, [0.7, 0.6])
    other = read_people({"detection_out": rows[None, None]}, SIZE, 0.1, 2)
    np.testing.assert_allclose(other.scores, [0.9])


@pytest.mark.parametrize("batched", [False, True])
def test_boxes_labels_and_scores_are_read_in_every_arrangement(batched):
    scores = np.array([0.3, 0.9, 0.05], np.float32)
    both = np.stack((scores, 1 - scores), axis=1)
    arrangements = [
        ({"boxes": np.c_[BOXES, scores], "labels": np.array([0, 0, 0])}, None),
        ({"boxes": np.c_[BOXES, scores], "labels": np.array([7, 7, 7])}, 7),
        ({"boxes": BOXES, "labels": np.array([1, 1, 1]), "scores": scores}, None),
        ({"scores": scores, "boxes": BOXES, "labels": np.array([3, 3, 3])}, 3),
        ({"boxes": BOXES, "scores": scores}, None),
        ({"scores": both, "pred_boxes": BOXES}, None),
        ({"scores": 1 - both, "pred_boxes": BOXES}, 1),
    ]
    for outputs, person in arrangements:
        arrays = {name: value[None] if batched else value for name, value in outputs.items()}
        detections = read_people(arrays, SIZE, 0.1, person)
        np.testing.assert_allclose(detections.boxes, BOXES[[1, 0]])
        np.testing.assert_allclose(detections.scores, [0.9, 0.3], rtol=1e-6)


def test_other_classes_are_omitted():
    boxes = np.c_[BOXES, [0.9, 0.9, 0.9]].astype(np.float32)
    detections = read_people({"boxes": boxes, "labels": np.array([1, 0, 2])}, SIZE, 0.1, None)
    np.testing.assert_allclose(detections.boxes, BOXES[[1]])
    none = read_people({"boxes": boxes[:0], "labels": np.zeros(0, int)}, SIZE, 0.1, None)
    assert none.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    "outputs",
    [
        {"output": np.zeros((1, 1000), np.float32)},
        {"output": np.zeros((1, len(CELLS) + 2, 8), np.float32)},
        {"a": np.zeros((5, 3)), "b": np.zeros(5)},
        {"a": np.zeros((5, 4)), "b": np.zeros(4)},
        {"a": np.zeros((1, 5, 4)), "b": np.zeros((1, 5, 4))},
        {"boxes": np.zeros((5, 4)), "b": np.zeros(5), "c": np.zeros(5), "d": np.zeros(5)},
        {
            "detection_boxes": np.full((1, 5, 4), 0.5, np.float32),
            "detection_classes": np.ones((1, 5), np.float32),
            "detection_scores": np.full((1, 5), 0.9, np.float32),
            "num_detections": np.array([5], np.float32),
        },
    ],
)
def test_outputs_of_an_unknown_format_are_listed(outputs):
    with pytest.raises(CheckpointError, match="have no known format") as caught:
        read_people(outputs, SIZE, 0.1, None)
    assert all(name in caught.value.problem for name in outputs)


def test_new_output_format_needs_one_entry(monkeypatch):
    """A toy entry reads DETR's output: centre and size relative to the image."""
    detr = OutputFormat(
        "toy: boxes (n, 4) in [0, 1], logits (n, 2)",
        lambda outputs, size: set(outputs) == {"pred_boxes", "logits"},
        lambda outputs, size, person: ScoredBoxes(
            np.c_[
                (outputs["pred_boxes"][:, :2] - outputs["pred_boxes"][:, 2:] / 2) * size,
                (outputs["pred_boxes"][:, :2] + outputs["pred_boxes"][:, 2:] / 2) * size,
            ].astype(np.float32),
            1 / (1 + np.exp(-outputs["logits"][:, person])),
        ),
    )
    formats = (detr, *output_formats.OUTPUT_FORMATS)
    monkeypatch.setattr(output_formats, "OUTPUT_FORMATS", formats)
    outputs = {"pred_boxes": np.array([[0.5, 0.5, 0.5, 0.5]]), "logits": np.array([[0.0, 1.0]])}
    people = read_people(outputs, SIZE, 0.1)
    np.testing.assert_allclose(people.boxes, [[16, 24, 48, 72]])
    assert people.scores == pytest.approx([0.5])
    with pytest.raises(CheckpointError, match="export the detector with one of: toy:"):
        read_people({"output": np.zeros((1, 1000), np.float32)}, SIZE, 0.1)


PEOPLE = np.array([[8, 20, 30, 80], [35, 5, 60, 90]], np.float32)
CENTRES = np.array([[19, 50, 22, 60], [47.5, 47.5, 25, 85]], np.float32)
SCORES = np.array([0.9, 0.8], np.float32)


def table(rows, columns, boxes, *others):
    """A table of zeros whose first two rows are boxes and other columns."""
    values = np.zeros((rows, columns), np.float32)
    values[:2, : 4 + len(others)] = np.c_[boxes, *others]
    return values


def padded(values):
    """Fill all rows but the first two with -1."""
    values[2:] = -1
    return values


RELATIVE = CENTRES / np.array([64, 96, 64, 96], np.float32)
LOGITS = np.full((9, 80), -6, np.float32)
LOGITS[:2, 0] = np.log(SCORES / (1 - SCORES))
QUERIES = table(9, 4, RELATIVE)
QUERIES[2:] = 0.5
EXPORTS = {
    "yolov8": {"output0": table(len(CELLS), 5, CENTRES, SCORES).T},
    "yolov8-rows": {"output0": table(len(CELLS), 6, CENTRES, SCORES)},
    "yolov5": {"output0": table(3 * len(CELLS), 6, CENTRES, [1, 1], SCORES)},
    "end-to-end": {"output0": table(300, 6, PEOPLE, SCORES)},
    "end-to-end of every cell": {"output0": table(len(CELLS), 6, PEOPLE, SCORES)},
    "detr": {"logits": LOGITS, "pred_boxes": QUERIES},
    "detr of 91 classes": {"dets": QUERIES, "labels": np.full((9, 91), -6, np.float32)},
    "efficient-nms": {
        "num_dets": np.array([2], np.int32),
        "det_boxes": table(100, 4, PEOPLE),
        "det_scores": np.pad(SCORES, (0, 98)),
        "det_classes": np.zeros(100, np.int32),
    },
    "float classes": {"boxes": PEOPLE, "scores": SCORES, "labels": np.ones(2, np.float32)},
    "unnamed float classes": {"a": PEOPLE, "b": np.ones(2, np.float32), "c": SCORES},
    "boxes in [0, 1]": {"boxes": PEOPLE / np.array([64, 96, 64, 96], np.float32), "scores": SCORES},
}
RELATIVE_ROWS = np.full((300, 84), 0.01, np.float32)
RELATIVE_ROWS[:2, :5] = np.c_[RELATIVE, SCORES]
EXPORTS |= {
    "rows of RT-DETR": {"output0": RELATIVE_ROWS},
    "masks": {
        "output0": table(len(CELLS), 4 + 80 + 32, CENTRES, SCORES).T,
        "output1": np.ones((1, 32, 24, 16), np.float32),
    },
    "end-to-end with masks": {
        "output0": np.c_[table(300, 6, PEOPLE, SCORES), np.full((300, 32), 0.3, np.float32)],
        "output1": np.ones((1, 32, 24, 16), np.float32),
    },
    "end-to-end with points": {"output0": table(300, 57, PEOPLE, SCORES)},
    "end-to-end with empty rows of -1": {"output0": padded(table(300, 6, PEOPLE, SCORES))},
    "yolov7 with NMS": {"output": np.c_[[0, 0], PEOPLE, [0, 0], SCORES].astype(np.float32)},
    "yolo-nas with NMS": {"output": np.c_[[0, 0], PEOPLE, SCORES, [0, 0]].astype(np.float32)},
    "classes from 0": {
        "boxes": PEOPLE[[0, 1, 0]],
        "labels": np.array([0, 0, 1]),
        "scores": np.array([*SCORES, 0.7], np.float32),
    },
    "columns of DeepStream": {
        "boxes": table(len(CELLS), 4, PEOPLE),
        "scores": np.pad(SCORES, (0, len(CELLS) - 2))[:, None],
        "classes": np.zeros((len(CELLS), 1), np.float32),
    },
    "four levels": {"output0": table(len(CELLS) + 1, 84, CENTRES, SCORES)},
}
EXPORTS["detr of 91 classes"]["labels"][:, 1:81] = LOGITS


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("name", EXPORTS)
def test_exports_of_other_packages_are_recognised(name, batched):
    outputs = {key: value[None] if batched else value for key, value in EXPORTS[name].items()}
    people = read_people(outputs, SIZE, 0.1)
    np.testing.assert_allclose(people.boxes, PEOPLE, rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(people.scores, SCORES, rtol=1e-5)


def test_choice_between_formats_is_kept_and_reported():
    notes = []
    reader = OutputReader(SIZE, 0.1, note=notes.append)
    weak = table(len(CELLS), 6, CENTRES, [0.3, 0.2])
    assert not len(reader.people({"output0": weak}).boxes)  # could be YOLOX's
    assert len(reader.people(EXPORTS["yolov8-rows"]).boxes) == 2
    assert len(reader.people({"output0": weak}).boxes) == 2
    assert notes == [
        "the outputs are read as transposed YOLOv8: (N, 4 + classes); see --detector-format"
    ]
    given = OutputReader(SIZE, 0.1, key="yolox")
    assert not len(given.people(EXPORTS["yolov8-rows"]).boxes)


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"boxes": PEOPLE, "scores": 5 * SCORES}, "have scores up to 4.5"),
        ({"boxes": PEOPLE[:, [0, 1, 0, 3]], "scores": SCORES}, "have boxes smaller than a pixel"),
    ],
)
def test_impossible_people_are_refused(outputs, problem):
    with pytest.raises(CheckpointError, match=problem):
        read_people(outputs, SIZE, 0.1)


def test_classes_that_count_from_0_are_not_read_as_those_that_count_from_1():
    notes = []
    of_class = {"boxes": PEOPLE, "scores": SCORES}
    reader = OutputReader(SIZE, 0.1, note=notes.append)
    assert len(reader.people({**of_class, "labels": np.array([1, 3])}).boxes) == 1
    assert notes == ["class 1 is read as people, as there is no class 0; see --person-class"]
    with pytest.raises(CheckpointError, match="class 0 occurs") as caught:
        reader.people({**of_class, "labels": np.array([0, 1])})
    assert caught.value.fix == "give --person-class 0 and --overwrite"
    reader = OutputReader(SIZE, 0.1, note=notes.append)
    assert len(reader.people({**of_class, "labels": np.array([0, 0])}).boxes) == 2
    assert len(reader.people({**of_class, "labels": np.array([1, 0])}).boxes) == 1
    assert not len(reader.people({**of_class, "labels": np.array([1, 1])}).boxes)
    assert len(notes) == 1


def test_a_number_beside_the_outputs_of_other_names_is_refused():
    outputs = {"a": PEOPLE[None], "b": SCORES[None], "c": np.ones((1, 2)), "d": np.array([2.0])}
    with pytest.raises(CheckpointError, match="have no known format"):
        read_people(outputs, SIZE, 0.1)


def test_every_format_can_be_named_on_the_command_line():
    assert sorted(DETECTOR_FORMATS) == sorted(each.key for each in output_formats.OUTPUT_FORMATS)
