import math

import torch
from torch import nn

from mottool.training.state import GROWTH, Average


def network(value):
    made = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.fill_(value)
    return made


def test_average_approaches_a_constant_network_and_copies_counters():
    average, other = Average(network(1.0), 0.9), network(1.0)
    other(torch.randn(4, 2))
    average.update(other)
    assert torch.equal(average.network[0].weight, other[0].weight)
    assert int(average.network[1].num_batches_tracked) == 1


def test_decay_of_the_average_increases():
    average = Average(network(0.0), 0.9)
    average.update(network(1.0))
    decay = 0.9 * (1 - math.exp(-1 / GROWTH))
    assert torch.allclose(average.network[0].weight, torch.tensor(1 - decay))
    average.steps.fill_(100 * GROWTH)
    average.update(network(0.0))
    assert torch.allclose(average.network[0].weight, torch.tensor(0.9 * (1 - decay)))


def test_average_has_no_gradients():
    average = Average(network(0.0), 0.9)
    assert not any(parameter.requires_grad for parameter in average.parameters())
    assert not average.network.training
