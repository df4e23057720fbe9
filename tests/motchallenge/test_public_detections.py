import gzip

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import InputError
from mottool.motchallenge.public_detections import PublicDetections, holds_features, probabilities


def rows(count=6, features=0, seed=0):
    draw = np.random.default_rng(seed)
    table = np.full((count, 10 + features), -1.0)
    table[:, 0] = draw.integers(1, 4, count)
    table[:, 2:6] = draw.uniform(1, 200, (count, 4))
    table[:, 6] = draw.random(count)
    table[:, 10:] = draw.normal(size=(count, features))
    return table


def test_text_and_npy_are_equal_and_keep_their_order_inside_a_frame(tmp_path):
    table = rows(20)
    np.savetxt(tmp_path / "det.txt", table, delimiter=",", fmt="%.9g")
    np.save(tmp_path / "det.npy", table)
    (tmp_path / "det.txt.gz").write_bytes(gzip.compress((tmp_path / "det.txt").read_bytes()))
    for name in ("det.txt", "det.npy", "det.txt.gz"):
        public = PublicDetections.read(tmp_path / name)
        assert public.embeddings is None
        for frame in (1, 2, 3, 4):
            in_frame = table[table[:, 0] == frame]
            detections = public.on(frame)
            np.testing.assert_allclose(detections.boxes[:, :2], in_frame[:, 2:4], rtol=1e-6)
            np.testing.assert_allclose(
                detections.boxes[:, 2:] - detections.boxes[:, :2], in_frame[:, 4:6], 1e-5
            )
            np.testing.assert_allclose(detections.scores, in_frame[:, 6], rtol=1e-6)
            assert (detections.classes == 0).all()


def test_corners_are_added_up_in_single_precision(tmp_path):
    """The reference values are float32(x) + float32(w), which is not float32(x + w)."""
    np.save(tmp_path / "det.npy", rows(500))
    tlwh = rows(500)[:, 2:6].astype(np.float32)
    order = np.argsort(rows(500)[:, 0], kind="stable")
    expected = (tlwh[:, :2] + tlwh[:, 2:])[order]
    assert np.array_equal(PublicDetections.read(tmp_path / "det.npy").boxes[:, 2:], expected)


def test_features_become_unit_embeddings_but_rounded_unit_vectors_stay(tmp_path):
    table = rows(5, features=8)
    table[0, 10:] /= np.linalg.norm(table[0, 10:])
    table[0, 10:] = table[0, 10:].astype(np.float16)
    table[:, 0] = 1
    np.save(tmp_path / "a.npy", table)
    embeddings = PublicDetections.read(tmp_path / "a.npy").embeddings
    assert np.array_equal(embeddings[0], table[0, 10:].astype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30))
@settings(derandomize=True, deadline=None)
def test_any_scores_become_probabilities_in_the_same_order(raw):
    raw = np.array(raw)
    scores, margin = probabilities(raw)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    order = np.argsort(raw)
    assert (np.diff(scores[order]) >= 0).all()
    if margin is not None:
        assert ((scores >= 0.5) == (raw >= 0)).all() or np.abs(raw).min() < margin * 1e-6


def test_margins_centre_on_the_decision_boundary_and_the_median_magnitude():
    scores, margin = probabilities(np.array([-40.0, 0.0, 40.0, 80.0]))
    assert margin == 40
    np.testing.assert_allclose(scores, [0.26894, 0.5, 0.73106, 0.88080], atol=1e-5)
    scores, margin = probabilities(np.array([-1.0, -1.0]))
    assert margin is None
    assert scores.tolist() == [1, 1]


def test_boxes_without_area_are_skipped_and_counted(tmp_path):
    table = rows(3)
    table[1, 4] = 0
    np.save(tmp_path / "a.npy", table)
    public = PublicDetections.read(tmp_path / "a.npy")
    assert (len(public), public.dropped) == (2, 1)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 9)), r"holds float64 \(2, 9\)"),
        (np.zeros(12), "holds float64"),
        (np.array([["a"] * 12]), "holds <U1"),
        (np.pad(rows(2), ((0, 0), (0, 3)), constant_values=np.nan), "embedding with NaN"),
        (np.vstack([rows(2), np.full((1, 10), np.nan)]), "row 3 holds NaN"),
        (rows(2) * np.where(np.arange(10) == 0, 0, 1), "row 1 has a frame below 1"),
    ],
)
def test_an_invalid_array_is_an_error(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(InputError, match=message):
        PublicDetections.read(tmp_path / "a.npy")


def test_a_pickled_array_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    np.save(tmp_path / "a.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not a readable"):
        PublicDetections.read(tmp_path / "a.npy")
    assert not holds_features(tmp_path / "a.npy")
    assert not (tmp_path / "sprung").exists()


def test_features_are_detected_from_the_header(tmp_path):
    np.save(tmp_path / "with.npy", rows(2, features=4))
    assert holds_features(tmp_path / "with.npy")
    assert holds_features(tmp_path)
    np.save(tmp_path / "with.npy", rows(2))
    assert not holds_features(tmp_path / "with.npy")
    assert not holds_features(tmp_path / "det.txt")


@pytest.mark.parametrize(
    ("columns", "classes"),
    [
        (["0", "2"], (0, 2)),
        (["1", "1"], ()),
        (["2", "2"], (2,)),
        (["-1", "-1"], ()),
        (["1.5", "3"], ()),
    ],
)
def test_the_classes_of_detections_are_known(tmp_path, columns, classes):
    path = tmp_path / "det.txt"
    path.write_text("".join(f"1,-1,1,2,3,4,0.5,{column},-1,-1\n" for column in columns))
    assert PublicDetections.read(path).classes == classes
