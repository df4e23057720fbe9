"""The five weightings of JDE's Table 3, which combine the losses of several tasks.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020, "Automatic loss
balancing". Each maps the tasks' losses (T,) to a scalar. MGDA-UB also uses the shared features
that the tasks are computed from.
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
MOMENTUM = 0.9  # of the running mean in `Normalisation`


class Weighting(Protocol):
    """A way to weight tasks against each other."""

    def __call__(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """Return the total, a scalar, of the tasks' `losses` (T,)."""
        ...


class Uncertainty(nn.Module):
    """½ Σ (e^-s L + s) with a learned s per task: JDE Eq. 6, FairMOT's L_total.

    Kendall, Gal & Cipolla, "Multi-task learning using uncertainty to weigh losses", CVPR 2018:
    s is the logarithm of the task's variance.
    """

    def __init__(self, initial: Sequence[float]) -> None:
        """Set each task's s to its value in `initial`."""
        super().__init__()
        self.s = nn.Parameter(torch.tensor(initial))

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """Return the total, a scalar, of the tasks' `losses` (T,)."""
        return (torch.exp(-self.s) * losses + self.s).sum() / 2


class Fixed(nn.Module):
    """Σ w L with given weights: "uniform" if all are 1, else known good ones."""

    weights: Tensor

    def __init__(self, weights: Sequence[float]) -> None:
        """Store one weight per task."""
        super().__init__()
        self.register_buffer("weights", torch.tensor(weights))

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """Return the total, a scalar, of the tasks' `losses` (T,)."""
        return (self.weights * losses).sum()


class Normalisation(nn.Module):
    """Σ L / |L| with the running mean |L| of each task's loss: JDE's loss normalisation.

    The mean is a buffer, so that a resumed training continues with it. It is updated in training
    mode only.
    """

    mean: Tensor
    steps: Tensor

    def __init__(self, tasks: int) -> None:
        """Create the running means of a number of `tasks`."""
        super().__init__()
        self.register_buffer("mean", torch.zeros(tasks))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """Return the total, a scalar, of the tasks' `losses` (T,)."""
        if self.training:
            self.mean.lerp_(losses.detach().to(self.mean), 1 - MOMENTUM)
            self.steps += 1
        unbiased = self.mean / (1 - MOMENTUM**self.steps).clamp(min=1e-6)
        nonzero = unbiased > 0  # a mean is 0 as long as the task has had no loss
        weights = torch.where(nonzero, 1 / torch.where(nonzero, unbiased, 1), 1)
        return (weights * losses).sum()


class MGDA(nn.Module):
    """Σ w L with the w ≥ 0, Σ w = 1, that minimise the norm of the total gradient: MGDA-UB.

    Sener & Koltun, "Multi-task learning as multi-objective optimization", NeurIPS 2018, Eq. 3
    with the gradients taken at the shared features. A small step along the resulting gradient
    increases no task's loss.
    """

    def forward(self, losses: Tensor, shared: Sequence[Tensor] = ()) -> Tensor:
        """Return the total, a scalar, of the tasks' `losses` (T,) on the features `shared`."""
        gradients = []
        for loss in losses:
            parts = torch.autograd.grad(
                loss, list(shared), retain_graph=True, materialize_grads=True
            )
            gradients.append(torch.cat([part.flatten().float() for part in parts]))
        stacked = torch.stack(gradients)  # (T, total size of `shared`)
        weights = min_norm(stacked @ stacked.T).to(losses)
        return (weights * losses).sum()


def min_norm(products: Tensor) -> Tensor:
    """Return the weights (T,) ≥ 0 of sum 1 that give the shortest weighted sum of T vectors.

    `products` (T, T) are the vectors' inner products. Sener & Koltun, Eq. 3, solved exactly
    instead of by their Frank-Wolfe steps: the u ≥ 0 that minimises |Σ u g|² + (Σ u - 1)² is a
    multiple of the solution.

    A vector of length 0 (a task without loss in this batch) would take all the weight; it gets
    none. Vectors that are not finite get none either: the longer a vector, the smaller its weight.
    If no vector remains, all weights are equal.
    """
    gram = products.double().cpu().numpy()
    squared_lengths = gram.diagonal()
    rows = np.flatnonzero((squared_lengths > 0) & np.isfinite(squared_lengths))
    if not len(rows):
        return torch.full((len(gram),), 1 / len(gram), device=products.device)
    remaining = gram[np.ix_(rows, rows)]
    values, vectors = np.linalg.eigh(remaining / remaining.diagonal().max())
    root = np.sqrt(values.clip(0))[:, None] * vectors.T  # rootᵀ · root are the products
    system = np.vstack((root, np.ones(len(rows))))
    solution, _ = nnls(system, np.append(np.zeros(len(rows)), 1.0))
    weights = np.zeros(len(gram), np.float32)
    weights[rows] = solution / solution.sum()
    return torch.from_numpy(weights).to(products.device)


def weighting(name: str, initial: Sequence[float], fixed: Sequence[float]) -> Weighting:
    """Create the weighting of `WEIGHTINGS` called `name`, for as many tasks as `initial` has.

    `initial` are the first s of "uncertainty", `fixed` the weights of "fixed".
    """
    factories: dict[str, Callable[[], Weighting]] = {
        "uncertainty": lambda: Uncertainty(initial),
        "uniform": lambda: Fixed([1.0] * len(initial)),
        "fixed": lambda: Fixed(fixed),
        "normalisation": lambda: Normalisation(len(initial)),
        "mgda": MGDA,
    }
    return factories[name]()
