"""How several tasks' losses become one: the five weightings of JDE's Table 3.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, "Automatic loss
balancing". Each takes the tasks' losses (T,) and the shared features that the tasks are computed
from, of which only MGDA-UB makes use, to a scalar.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor, nn

__all__ = [
    "MGDA",
    "WEIGHTINGS",
    "Fixed",
    "Normalisation",
    "Uncertainty",
    "Weighting",
    "min_norm",
    "weighting",
]

WEIGHTINGS = ("uncertainty", "uniform", "fixed", "normalisation", "mgda")
MOMENTUM = 0.9  # of the mean magnitude in `Normalisation`


class Weighting(Protocol):
    """A way to weight tasks against each other."""

    def __call__(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """The total, a scalar, of the tasks' `losses` (T,)."""
        ...


class Uncertainty(nn.Module):
    """½ Σ (e^-s L + s) with an s learned for every task: JDE Eq. 5, FairMOT's L_total.

    Kendall, Gal & Cipolla, "Multi-task learning using uncertainty to weigh losses", CVPR 2018:
    s is the logarithm of the task's variance.
    """

    def __init__(self, start: Sequence[float]) -> None:
        """`start` holds where each task's s begins."""
        super().__init__()
        self.s = nn.Parameter(torch.tensor(start))

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """The total, a scalar, of the tasks' `losses` (T,)."""
        return (torch.exp(-self.s) * losses + self.s).sum() / 2


class Fixed(nn.Module):
    """Σ w L with given weights: "uniform" if all are 1, else somebody's optimum."""

    weights: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        """`weights` holds one for every task."""
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """The total, a scalar, of the tasks' `losses` (T,)."""
        return (self.weights * losses).sum()


class Normalisation(nn.Module):
    """Σ L / |L| with the running mean |L| of each task's loss: JDE's loss normalisation.

    The mean is a buffer, so that training resumes with it; it moves in training mode only.
    """

    mean: Tensor
    steps: Tensor

    def __init__(self, tasks: int) -> None:
        """`tasks` T."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(tasks))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """The total, a scalar, of the tasks' `losses` (T,)."""
        if self.training:
            self.mean.lerp_(losses.detach().to(self.mean), 1 - MOMENTUM)
            self.steps += 1
        unbiased = self.mean / (1 - MOMENTUM**self.steps).clamp(min=1e-6)
        seen = unbiased > 0  # a task that has had nothing to learn from yet
        weights = torch.where(seen, 1 / torch.where(seen, unbiased, 1), 1)
        return (weights * losses).sum()


class MGDA(nn.Module):
    """Σ w L with the w ≥ 0, Σ w = 1, that make the common gradient smallest: MGDA-UB.

    Sener & Koltun, "Multi-task learning as multi-objective optimization", NeurIPS 2018, Eq. 3
    with the gradients taken at the shared features: a step along the result harms no task.
    """

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """The total, a scalar, of the tasks' `losses` (T,) on the features `shared`."""
        gradients = []
        for loss in losses:
            parts = torch.autograd.grad(
                loss, list(shared), retain_graph=True, materialize_grads=True
            )
            gradients.append(torch.cat([part.flatten().float() for part in parts]))
        stacked = torch.stack(gradients)  # (T, every value of `shared`)
        weights = min_norm(stacked @ stacked.T).to(losses)
        return (weights * losses).sum()


def min_norm(products: Tensor) -> Tensor:
    """Weights (T,) ≥ 0 of sum 1 of the shortest weighted sum of T vectors.

    `products` (T, T) are the vectors' inner products. Sener & Koltun, Eq. 3, solved exactly
    instead of by their Frank-Wolfe steps: the u ≥ 0 that minimises |Σ u g|² + (Σ u - 1)² is a
    multiple of it. A vector of length 0, a task with nothing to learn from this time, would take
    all the weight and gets none, unless all are; nor does one that is no longer finite: the longer
    a vector, the less weight it has.
    """
    table = products.double().cpu().numpy()
    lengths = table.diagonal()
    present = np.flatnonzero((lengths > 0) & np.isfinite(lengths))
    if not len(present):
        return torch.full((len(table),), 1 / len(table), device=products.device)
    own = table[np.ix_(present, present)]
    values, vectors = np.linalg.eigh(own / own.diagonal().max())
    root = np.sqrt(values.clip(0))[:, None] * vectors.T  # rootᵀ · root are the products
    system = np.vstack((root, np.ones(len(present))))
    found, _ = nnls(system, np.append(np.zeros(len(present)), 1.0))
    weights = np.zeros(len(table), np.float32)
    weights[present] = found / found.sum()
    return torch.from_numpy(weights).to(products.device)


def weighting(name: str, start: Sequence[float], fixed: Sequence[float]) -> Weighting:
    """The one of `WEIGHTINGS` called `name`, for as many tasks as `start` has.

    `start` are the s that uncertainty begins with, `fixed` the weights of that name.
    """
    makers: dict[str, Callable[[], Weighting]] = {
        "uncertainty": lambda: Uncertainty(start),
        "uniform": lambda: Fixed([1.0] * len(start)),
        "fixed": lambda: Fixed(fixed),
        "normalisation": lambda: Normalisation(len(start)),
        "mgda": MGDA,
    }
    return makers[name]()
