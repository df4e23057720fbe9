"""Folding of batch norms: equal results, and what stays as it is."""

import torch
from torch import nn

from mottool.models.folding import fold_batch_norms


class Layers(nn.Module):
    """A network with layers that can and cannot be folded."""

    def __init__(self):
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4))
        self.shared, self.two = nn.Conv2d(4, 4, 1), nn.ModuleList(nn.BatchNorm2d(4) for _ in "ab")
        self.used = nn.Conv2d(4, 4, 1)
        self.norm_of_used = nn.BatchNorm2d(4)
        self.last = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU())

    def forward(self, x, maps=False):
        x = self.first(x)
        x = self.two[0](self.shared(x)) + self.two[1](self.shared(x))
        used = self.used(x)
        x = self.norm_of_used(used) + used
        return x if maps else self.last(x.mean((2, 3)))


def test_folded_network_computes_the_same_and_keeps_the_original():
    torch.manual_seed(0)
    network = Layers()
    for _ in range(3):
        network(torch.randn(8, 3, 9, 9))  # the norms take statistics
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = fold_batch_norms(network)
    images = torch.randn(2, 3, 9, 9)
    torch.testing.assert_close(folded(images), network(images), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(folded(images, True), network(images, True), atol=1e-5, rtol=1e-5)
    kinds = {name: type(module).__name__ for name, module in folded.named_modules()}
    assert kinds["first.1"] == kinds["last.1"] == "Identity"
    assert kinds["two.0"] == kinds["two.1"] == kinds["norm_of_used"] == "BatchNorm2d"
    assert {name: value.tolist() for name, value in network.state_dict().items()} == {
        name: value.tolist() for name, value in before.items()
    }
