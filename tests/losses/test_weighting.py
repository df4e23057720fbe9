"""The five weightings of tasks: their sums, and MGDA's promise to harm no task."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from mottool.losses.weighting import WEIGHTINGS, Normalisation, min_norm, weighting

LOSSES = torch.tensor([0.5, 2.0, 4.0])
START, WEIGHTS = (-1.0, 0.0, 2.0), (1.0, 2.0, 0.5)


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
    total = weighting(name, START, WEIGHTS)(LOSSES)
    assert total.item() == pytest.approx(expected, rel=1e-5)


def test_uncertainty_settles_where_weight_times_loss_is_one():
    chosen = weighting("uncertainty", START, WEIGHTS)
    optimiser = torch.optim.SGD(chosen.parameters(), lr=0.5)
    for _ in range(300):
        optimiser.zero_grad()
        chosen(LOSSES).backward()
        optimiser.step()
    torch.testing.assert_close(chosen.s.detach(), LOSSES.log(), atol=1e-3, rtol=0)


def test_normalisation_follows_the_mean_and_takes_it_along():
    chosen = Normalisation(2)
    for _ in range(60):
        chosen(torch.tensor([3.0, 0.0]))
    torch.testing.assert_close(chosen(torch.tensor([3.0, 5.0])).item(), 1 + 10.0, atol=0.1, rtol=0)
    again = Normalisation(2)
    again.load_state_dict(chosen.state_dict())
    chosen.eval()
    again.eval()
    losses = torch.tensor([6.0, 1.0])
    assert chosen(losses) == again(losses) == chosen(losses)  # evaluation moves nothing


vectors = npst.arrays(
    np.float64,
    st.tuples(st.integers(1, 6), st.just(4)),
    elements=st.integers(-5, 5).map(float),
)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(vectors)
def test_no_vector_opposes_the_shortest_sum(rows):
    table = torch.from_numpy(rows)
    weights = min_norm(table @ table.T).double()
    assert weights.min() >= 0
    assert weights.sum().item() == pytest.approx(1, abs=1e-6)
    present = table.abs().sum(1) > 0
    if not present.any():
        return
    assert (weights[~present] == 0).all()
    shortest = weights @ table
    along = (table @ shortest)[present]
    # The condition of optimality: every vector reaches at least as far along the sum as itself.
    assert along.min() >= shortest @ shortest - 1e-4


def test_mgda_steps_harm_no_task():
    features = torch.tensor([1.0, 1.0], requires_grad=True)
    losses = torch.stack(
        ((features[0] - 3) ** 2, (features[1] + features[0]) ** 2, features[0] * 0)
    )
    weighting("mgda", START, WEIGHTS)(losses, [features]).backward()
    step = -1e-3 * features.grad
    with torch.no_grad():
        after = features + step
        assert (after[0] - 3) ** 2 <= losses[0]
        assert (after[1] + after[0]) ** 2 <= losses[1]
    assert step.abs().max() > 0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_mgda_passes_a_loss_on_that_is_no_number(bad):
    """It is for the training to say which one it was."""
    features = torch.tensor([1.0, 2.0], requires_grad=True)
    losses = torch.stack((features[0] ** 2, bad * features[1], features.sum()))
    assert not weighting("mgda", START, WEIGHTS)(losses, [features]).isfinite()


def test_mgda_gives_a_task_none_of_the_weight_whose_gradient_overflows():
    lengths = torch.tensor([1.0, math.inf, 4.0])
    torch.testing.assert_close(min_norm(lengths.diag()), torch.tensor([0.8, 0.0, 0.2]))


def test_every_weighting_has_a_maker():
    for name in WEIGHTINGS:
        assert callable(weighting(name, START, WEIGHTS))
