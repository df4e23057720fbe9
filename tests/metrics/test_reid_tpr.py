import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.metrics import reid
from mottool.metrics.reid import true_positive_rate


def unit(rows):
    rows = np.asarray(rows, np.float64)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def roc(embeddings, identities, level):
    """Compute the rate from all pairs, sorted, with straight lines between the points."""
    first, second = np.triu_indices(len(identities), 1)
    similarity = (embeddings[first] * embeddings[second]).sum(1)
    same = identities[first] == identities[second]
    points = [(0.0, 0.0)]
    for threshold in np.unique(similarity)[::-1]:
        over = similarity >= threshold
        points.append((over[~same].mean(), over[same].mean()))
    before = [point for point in points if point[0] <= level][-1]
    after = next(point for point in points if point[0] > level)
    share = (level - before[0]) / (after[0] - before[0])
    return before[1] + share * (after[1] - before[1])


def test_separable_people_are_all_accepted():
    embeddings = unit([[1, 0], [1, 0.1], [0, 1], [0.1, 1]])
    assert true_positive_rate(embeddings, np.array([0, 0, 1, 1])) == 1
    # People who look like others and not like themselves.
    assert true_positive_rate(embeddings, np.array([0, 1, 0, 1])) == 0


def test_without_pairs_the_rate_is_nan():
    embeddings = unit([[1, 0], [0, 1], [1, 1]])
    assert np.isnan(true_positive_rate(embeddings, np.array([0, 1, 2])))
    assert np.isnan(true_positive_rate(embeddings, np.array([0, 0, 0])))
    assert np.isnan(true_positive_rate(embeddings, np.array([0, -1, -1])))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(st.integers(0, 10**6), st.sampled_from([0.1, 0.01, 0.5]))
def test_the_rate_equals_that_of_all_pairs(seed, level):
    draw = np.random.default_rng(seed)
    identities = draw.integers(0, 4, 24)
    people = draw.normal(size=(4, 3))
    embeddings = unit(people[identities] + draw.normal(size=(24, 3)))
    rate = true_positive_rate(embeddings, identities, level)
    # Pairs within one level of similarity are not separated.
    assert rate == pytest.approx(roc(embeddings, identities, level), abs=0.02)


def test_blocks_do_not_change_the_rate(monkeypatch):
    draw = np.random.default_rng(0)
    identities = draw.integers(-1, 5, 50)
    embeddings = unit(draw.normal(size=(50, 8)))
    expected = true_positive_rate(embeddings, identities)
    monkeypatch.setattr(reid, "BLOCK", 7)
    assert true_positive_rate(embeddings, identities) == expected
