"""Galleries: the nearest of the latest embeddings, whatever slots and budgets."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.association.gallery import Gallery
from mottool.association.tracks import l2_normalise

always = settings(derandomize=True, deadline=None, max_examples=50)


@given(st.integers(1, 5), st.integers(0, 2**32 - 1))
@always
def test_distances_are_those_to_the_nearest_of_the_latest(budget, seed):
    draw = np.random.default_rng(seed)

    def looks(count):
        return l2_normalise(draw.standard_normal((count, 6)).astype(np.float32))

    gallery, kept = Gallery(budget), {}
    for capacity in (4, 8):
        slots = np.arange(capacity - 4, capacity)
        first = looks(4)
        gallery.begin(slots, first, capacity)
        kept |= {slot: [one] for slot, one in zip(slots, first, strict=True)}
        for _ in range(draw.integers(0, 8)):
            some = draw.permutation(list(kept))[: draw.integers(1, 4)]
            seen = looks(len(some))
            gallery.add(some, seen)
            for slot, one in zip(some, seen, strict=True):
                kept[slot] = [*kept[slot], one][-budget:]
    asked = draw.permutation(list(kept))
    rows = np.sort(draw.integers(0, len(asked), 9))
    result = looks(9)
    wanted = [
        min(1 - sample @ one for sample in kept[asked[row]])
        for row, one in zip(rows, result, strict=True)
    ]
    np.testing.assert_allclose(gallery.distances(asked, rows, result), wanted, atol=1e-6)


def test_memory_follows_what_is_kept_not_what_may_be():
    draw = np.random.default_rng(0)
    gallery, slot = Gallery(10**9), np.array([0])
    looks = l2_normalise(draw.standard_normal((40, 6)).astype(np.float32))
    gallery.begin(slot, looks[:1], 2)
    for number in range(1, 40):
        gallery.add(slot, looks[number : number + 1])
    for look in looks:
        assert gallery.distances(slot, slot, look[None])[0] < 1e-6


def test_a_slot_that_is_given_to_another_forgets():
    gallery, axes = Gallery(3), np.eye(4, dtype=np.float32)
    slot, row = np.array([0]), np.array([0])
    gallery.begin(slot, axes[:1], 2)
    gallery.add(slot, axes[1:2])
    assert gallery.distances(slot, row, axes[1:2]) == 0
    gallery.begin(slot, axes[2:3], 2)
    assert gallery.distances(slot, row, axes[1:2]) == 1


def test_no_pairs_have_no_distances():
    gallery = Gallery(3)
    none = np.zeros(0, np.intp)
    assert gallery.distances(none, none, np.zeros((0, 4), np.float32)).shape == (0,)
