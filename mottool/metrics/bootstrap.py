"""Confidence intervals of metrics by the bootstrap over sequences.

Efron & Tibshirani, "An introduction to the bootstrap", 1993, chapter 13: sequences are drawn with
replacement, as many as there are, and the metrics of each draw are ranked.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

__all__ = ["CONFIDENCE", "intervals"]

CONFIDENCE = 0.95


def intervals(
    metrics: Callable[[npt.NDArray[np.int64]], Mapping[str, float]],
    sequences: int,
    draws: int,
    seed: int = 0,
) -> dict[str, tuple[float, float]]:
    """Return the range, low and high, of the middle 95 % of each metric's values over `draws`.

    `metrics` computes them from how often each sequence is drawn, (sequences,) int64. Empty without
    draws, or with fewer than two sequences, which say nothing about others.
    """
    if sequences < 2 or not draws:
        return {}
    rng = np.random.default_rng(seed)
    samples = rng.multinomial(sequences, np.full(sequences, 1 / sequences), draws)
    values: dict[str, list[float]] = {}
    for repeats in samples:
        for name, value in metrics(repeats).items():
            values.setdefault(name, []).append(value)
    tails = (1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2
    ranges = {name: np.quantile(drawn, tails).tolist() for name, drawn in values.items()}
    return {name: (low, high) for name, (low, high) in ranges.items()}
