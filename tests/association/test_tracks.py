import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mottool.association.motion import HeightFilter
from mottool.association.tracks import Tracklets, l2_normalise, update_embedding

vectors = arrays(np.float32, (5, 8), elements=st.floats(-1, 1, width=32))


def begin(pool, count, frame=1, size=4):
    boxes = np.arange(count)[:, None] * 10 + np.array([0.0, 0, 20, 50])
    embeddings = np.eye(size, dtype=np.float32)[np.arange(count) % size]
    measured = HeightFilter.measurements(boxes)
    return pool.create(frame, measured, np.full(count, 0.5), embeddings), boxes


def test_tracklets_begin_at_rest_where_they_were_seen():
    pool = Tracklets(HeightFilter(), capacity=4)
    slots, boxes = begin(pool, 3, frame=7)
    np.testing.assert_allclose(pool.boxes(slots), boxes)
    pool.predict(slots)
    np.testing.assert_allclose(pool.boxes(slots), boxes)
    assert pool.ids[slots].tolist() == [1, 2, 3]
    assert pool.first[slots].tolist() == pool.last[slots].tolist() == [7, 7, 7]
    np.testing.assert_array_equal(pool.embeddings[slots], np.eye(4, dtype=np.float32)[:3])


def test_arrays_double_and_keep_what_they_hold():
    pool = Tracklets(HeightFilter(), capacity=2)
    first, boxes = begin(pool, 2)
    second, _ = begin(pool, 3)
    assert pool.capacity == 8
    assert len(pool) == 5
    np.testing.assert_allclose(pool.boxes(first), boxes)
    assert pool.ids[np.concatenate((first, second))].tolist() == [1, 2, 3, 4, 5]
    assert pool.embeddings.shape == (8, 4)
    assert pool.motion.shape == (5, 4, 8)


def test_slots_of_the_dead_are_used_again_and_identities_are_not():
    pool = Tracklets(HeightFilter(), capacity=4)
    alive, _ = begin(pool, 2)
    for generation in range(50):
        pool.is_removed[alive] = pool.is_confirmed[alive] = True
        pool.hits[alive] = 9
        pool.keep(alive[:1])
        alive, _ = begin(pool, 2, frame=generation)
        for left in (pool.is_removed, pool.is_confirmed, pool.hits):
            assert not left[alive].any()
    assert pool.capacity == 4
    assert pool.ids[alive].tolist() == [101, 102]


def test_an_update_moves_a_tracklet_towards_its_detection():
    pool = Tracklets(HeightFilter())
    slots, boxes = begin(pool, 2)
    pool.predict(slots)
    pool.update(slots[1:], 2, HeightFilter.measurements(boxes[1:] + 4))
    moved = pool.boxes(slots) - boxes
    np.testing.assert_allclose(moved[0], 0, atol=1e-9)
    assert (moved[1] > 2).all()
    assert (moved[1] < 4).all()
    assert pool.last[slots].tolist() == [1, 2]


@given(vectors)
@settings(derandomize=True, deadline=None)
def test_embeddings_become_of_length_one_unless_they_are_nothing(embeddings):
    lengths = np.linalg.norm(l2_normalise(embeddings), axis=1)
    nothing = np.linalg.norm(embeddings, axis=1) < 1e-15
    np.testing.assert_allclose(lengths[~nothing], 1, rtol=1e-5)
    assert not l2_normalise(np.zeros((2, 8), np.float32)).any()


def test_the_running_mean_leans_to_what_it_remembers():
    old, new = np.eye(2, dtype=np.float32)[:1], np.eye(2, dtype=np.float32)[1:]
    mixed = update_embedding(old, new)
    np.testing.assert_allclose(mixed, [[0.9, 0.1] / np.hypot(0.9, 0.1)], rtol=1e-6)
    assert mixed.dtype == np.float32
