"""Rows of a comparison with metrics that are given."""

import numpy as np

from mottool.comparison.results import FIGURES, ComparisonRow

__all__ = ["row"]


def row(name="p", kind="two-stage", by=(), **figures):
    nothing = dict.fromkeys(FIGURES)
    return ComparisonRow(
        name,
        kind,
        "sort",
        nothing | figures,
        {f"seq{place}": nothing | told for place, told in enumerate(by)},
        np.zeros(0, np.int64),
        np.zeros(0),
    )
