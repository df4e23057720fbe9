"""How far figures could move with other sequences: confidence intervals by the bootstrap.

Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13: sequences are drawn with
replacement, as many as there are, and the figures of each draw are ranked.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["COVERED", "intervals"]

COVERED = 0.95


def intervals(
    figures: Callable[[npt.NDArray[np.int64]], Mapping[str, float]],
    sequences: int,
    draws: int,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """The range, low and high, that holds the middle 95 % of each figure's values over `draws`.

    `figures` makes them of how often each sequence counts, (sequences,) int64. Empty without
    draws, or with fewer than two sequences: one alone says nothing about others.
    """
    if sequences < 2 or not draws:
        return {}
    draw = np.random.default_rng(seed)
    times = draw.multinomial(sequences, np.full(sequences, 1 / sequences), draws)
    found: dict[str, list[float]] = {}
    for each in times:
        for name, value in figures(each).items():
            found.setdefault(name, []).append(value)
    tails = (1 - COVERED) / 2, (1 + COVERED) / 2
    ranges = {name: np.quantile(values, tails).tolist() for name, values in found.items()}
    return {name: (low, high) for name, (low, high) in ranges.items()}
