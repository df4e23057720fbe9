"""The identity objectives: values by hand, unknown identities, order and precision."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mottool.losses.identity import (
    cross_entropy,
    embedding_scale,
    triplet,
    triplet_upper_bound,
)

CLASSES = 4
OBJECTIVES = {
    "cross-entropy": lambda e, i: cross_entropy(e, i, classifier()),
    "triplet": triplet,
    "upper-bound": triplet_upper_bound,
}
crowds = st.lists(st.integers(-1, CLASSES - 1), max_size=9).map(
    lambda identities: torch.tensor(identities, dtype=torch.int64)
)


def classifier():
    layer = nn.Linear(8, CLASSES)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        layer.reset_parameters()
    return layer


def random(count, seed=0):
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


def test_scale_is_adacos():
    assert embedding_scale(50) == pytest.approx(math.sqrt(2) * math.log(49))
    assert embedding_scale(2) == embedding_scale(1) == 1


def test_cross_entropy_of_one_person_by_hand():
    layer = classifier()
    embedding, person = random(1), torch.tensor([2])
    logits = layer(math.sqrt(2) * math.log(CLASSES - 1) * embedding / embedding.norm())[0]
    expected = logits.exp().sum().log() - logits[2]
    torch.testing.assert_close(cross_entropy(embedding, person, layer), expected)


def pointing(*degrees, lengths=None):
    """Embeddings (n, 2) in these directions."""
    angles = torch.deg2rad(torch.tensor(degrees))
    embeddings = torch.stack((angles.cos(), angles.sin()), 1)
    return embeddings if lengths is None else embeddings * torch.tensor(lengths)[:, None]


# One identity at 0, 60 and 90 degrees, two others at 120 and 300 degrees, which have no positive.
# f        hardest f⁺        f⁻: 120, 300      terms of Eq. 1 above 0
# 0        cos 90 = 0        -0.5, 0.5         0.5
# 60       cos 60 = 0.5      0.5, -0.5         none (0.5 - 0.5 = 0)
# 90       cos 90 = 0        0.866, -0.866     0.866
DIRECTIONS, PEOPLE = (0.0, 60.0, 90.0, 120.0, 300.0), torch.tensor([0, 0, 0, 1, 2])


def test_triplet_is_the_paper_s_equation_1():
    lengths = [1.0, 5.0, 2.0, 3.0, 0.5]
    loss = triplet(pointing(*DIRECTIONS, lengths=lengths), PEOPLE).item()
    assert loss == pytest.approx((0.5 + 0.8660254) / 3, rel=1e-5)


def test_triplet_sums_over_all_negatives():
    # Anchors at 0 and 90 degrees have f⁺ = 0; the negatives at 30 and 60 have cosines 0.866 and 0.5
    # with each of them. With the hardest negative alone the loss would be 0.866.
    embeddings, identities = pointing(0.0, 90.0, 30.0, 60.0), torch.tensor([0, 0, 1, 2])
    assert triplet(embeddings, identities).item() == pytest.approx(0.8660254 + 0.5, rel=1e-5)


def test_the_margin_is_added_to_each_negative():
    # With margin 0.25: 0 degrees 0.75; 60 degrees 0.25; 90 degrees 1.116; others stay below 0.
    loss = triplet(pointing(*DIRECTIONS), PEOPLE, margin=0.25).item()
    assert loss == pytest.approx((0.75 + 0.25 + 1.1160254) / 3, rel=1e-5)


def test_the_upper_bound_is_the_paper_s_equations_2_and_3():
    loss = triplet_upper_bound(pointing(*DIRECTIONS), PEOPLE).item()
    positives, negatives = [0, 0.5, 0], [(-0.5, 0.5), (0.5, -0.5), (0.8660254, -0.8660254)]
    second = [
        math.log(1 + sum(math.exp(negative - positive) for negative in row))
        for positive, row in zip(positives, negatives, strict=True)
    ]
    third = [
        -math.log(math.exp(positive) / (math.exp(positive) + sum(map(math.exp, row))))
        for positive, row in zip(positives, negatives, strict=True)
    ]
    assert loss == pytest.approx(sum(second) / 3, rel=1e-5)
    assert loss == pytest.approx(sum(third) / 3, rel=1e-5)


def test_a_scale_multiplies_the_similarities_of_the_upper_bound():
    embeddings, identities = torch.eye(3)[[0, 0, 1, 2]], torch.tensor([0, 0, 1, 2])
    # Two anchors have a positive, at similarity 1, and two negatives, at 0.
    expected = math.log(1 + 2 * math.exp(-5))
    assert triplet_upper_bound(embeddings, identities, 5.0).item() == pytest.approx(
        expected, rel=1e-4
    )


@settings(derandomize=True, deadline=None, max_examples=50)
@given(crowds, st.integers(0, 5))
def test_the_upper_bound_is_at_least_the_mean_term_of_the_triplet_loss(identities, seed):
    embeddings = random(len(identities), seed)
    negatives = max(len(identities) - 1, 1)  # of one anchor, at most
    mean_term = triplet(embeddings, identities) / negatives
    assert mean_term <= triplet_upper_bound(embeddings, identities) + 1e-6


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
@settings(derandomize=True, deadline=None, max_examples=30)
@given(identities=crowds, seed=st.integers(0, 5))
def test_order_length_and_unknown_identities_do_not_matter(objective, identities, seed):
    embeddings = random(len(identities), seed).requires_grad_()
    loss = objective(embeddings, identities)
    loss.backward()
    assert loss.isfinite()
    assert (embeddings.grad[identities < 0] == 0).all()
    assert embeddings.grad.isfinite().all()
    order = torch.randperm(len(identities), generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(objective(embeddings[order], identities[order]), loss)
    known = identities >= 0
    torch.testing.assert_close(objective(embeddings[known], identities[known]), loss)
    scaled = objective(embeddings * torch.arange(1.0, len(identities) + 1)[:, None], identities)
    torch.testing.assert_close(scaled, loss)


@pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES)
def test_training_separates_the_identities(objective):
    identities = torch.arange(CLASSES).repeat(4)
    embeddings = random(len(identities)).requires_grad_()
    optimiser = torch.optim.Adam([embeddings], lr=0.1)
    before = triplet(embeddings, identities).item()
    for _ in range(150):
        optimiser.zero_grad()
        objective(embeddings, identities).backward()
        optimiser.step()
    assert before > 3
    assert triplet(embeddings, identities).item() < 0.02


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("scale", [0.0, 12.0])
def test_lower_precisions_have_the_same_gradients(precision, scale):
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(30, 64, generator=generator)
    identities = torch.arange(30) % 7 - 1
    gradients = []
    for lower in (False, True):
        embeddings = values.clone().requires_grad_()
        with torch.autocast("cpu", precision, enabled=lower):
            if scale:
                loss = triplet_upper_bound(embeddings, identities, scale)
            else:
                loss = triplet(embeddings, identities)
        loss.backward()
        gradients.append(embeddings.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)
