"""The five weightings of tasks: their totals, and that MGDA's step increases no loss."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mottool.losses.weighting import WEIGHTINGS, Normalisation, min_norm, weighting

LOSSES = torch.tensor([0.5, 2.0, 4.0])
INITIAL, WEIGHTS = (-1.0, 0.0, 2.0), (1.0, 2.0, 0.5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uncertainty", (0.5 * math.e - 1 + 2 + 4 / math.e**2 + 2) / 2),
        ("uniform", 6.5),
        ("fixed", 0.5 + 4 + 2),
        ("normalisation", 3.0),
    ],
)
def test_totals(name, expected):
    total = weighting(name, INITIAL, WEIGHTS)(LOSSES)
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_uncertainty_converges_to_weight_times_loss_equal_to_one():
    combine = weighting("uncertainty", INITIAL, WEIGHTS)
    optimiser = torch.optim.SGD(combine.parameters(), lr=0.5)
    for _ in range(300):
        optimiser.zero_grad()
        combine(LOSSES).backward()
        optimiser.step()
    torch.testing.assert_close(combine.s.detach(), LOSSES.log(), atol=1e-3, rtol=0)


def test_normalisation_updates_and_saves_the_mean():
    combine = Normalisation(2)
    for _ in range(60):
        combine(torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(combine(torch.tensor([3.0, 5.0])).item(), 1 + 10.0, atol=0.1, rtol=0)
    restored = Normalisation(2)
    restored.load_state_dict(combine.state_dict())
    combine.eval()
    restored.eval()
    losses = torch.tensor([6.0, 1.0])
    # Evaluation does not update the mean.
    assert combine(losses) == restored(losses) == combine(losses)


vectors = npst.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.just(4)),
    elements=st.integers(-5, 5).map(float),
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(vectors)
def test_min_norm_satisfies_the_optimality_condition(rows):
    table = torch.from_numpy(rows)
    weights = min_norm(table @ table.T).double()
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    present = table.abs().sum(1) > 0
    if not present.any():
        return
    assert (weights[~present] == 0).all()
    shortest = weights @ table
    projections = (table @ shortest)[present]
    # Every vector's inner product with the sum is at least that of the sum with itself.
    assert projections.min() >= shortest @ shortest - 1e-4


def test_an_mgda_step_increases_no_loss():
    features = torch.tensor([1.0, 1.0], requires_grad=True)
    losses = torch.stack(
        ((features[0] - 3) ** 2, (features[1] + features[0]) ** 2, features[0] * 0)
    )
    weighting("mgda", INITIAL, WEIGHTS)(losses, [features]).backward()
    step = -1e-3 * features.grad
    with torch.no_grad():
        after = features + step
        assert (after[0] - 3) ** 2 <= losses[0]
        assert (after[1] + after[0]) ** 2 <= losses[1]
    assert step.abs().max() > 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_mgda_returns_a_loss_that_is_not_finite(bad):
    """The trainer reports which term it was."""
    features = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = torch.stack((features[0] ** 2, bad * features[1], features.sum()))
    assert not weighting("mgda", INITIAL, WEIGHTS)(losses, [features]).isfinite()


def test_min_norm_ignores_a_gradient_that_overflows():
    lengths = torch.tensor([1.0, math.inf, 4.0])
    torch.testing.assert_close(min_norm(lengths.diag()), torch.tensor([0.8, 0.0, 0.2]))


def test_every_weighting_can_be_created():
    for name in WEIGHTINGS:
        assert callable(weighting(name, INITIAL, WEIGHTS))
