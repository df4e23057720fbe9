"""Rows of a comparison with metrics that are given."""

import numpy as np

from mottool.comparison.results import FIGURES, MORE, ComparisonRow

__all__ = ["row"]


def row(name="p", kind="two-stage", by=(), **metrics):
    """Return a row with the given metrics, and with those of each sequence in `by`."""
    undefined = dict.fromkeys(FIGURES + MORE)
    return ComparisonRow(
        name,
        kind,
        "sort",
        undefined | metrics,
        {f"seq{index}": undefined | values for index, values in enumerate(by)},
        np.zeros(0, np.int64),
        np.zeros((3, 0)),
    )
