"""One colour for each identity of a sequence."""

import numpy as np

from mottool.drawing.style import BGR, IDENTITY_COLOURS, preferred_colour
from mottool.motchallenge.rows import Rows

__all__ = ["identity_colours"]

WINDOW = 15  # frames; an identity is compared with those in its window and the ones beside it
NEAR = 0.5  # heights of a person, added to distances: closer ones are equally near


def identity_colours(rows: Rows) -> dict[int, BGR]:
    """Choose colours so that identities near each other at about the same time differ.

    The identities are coloured in order of first frame. Each takes the colour least used nearby:
    a use at a distance of d heights weighs 1 / (d + 0.5)² for every window of frames. Among equal
    ones it takes that of its number (`style.colour_of`), so that equal rows have equal colours.
    """
    order = np.lexsort((rows.ids, rows.frames))
    names, numbers = np.unique(rows.ids[order], return_inverse=True)  # (k,), (n,)
    windows = rows.frames[order] // WINDOW
    _, first = np.unique(windows * len(names) + numbers, return_index=True)  # one row per window
    windows, numbers, tlwh = windows[first], numbers[first], rows.tlwh[order[first]]
    by_identity = np.split(
        np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers, minlength=len(names)))
    )
    feet = tlwh[:, :2] + tlwh[:, 2:] * [0.5, 1]  # (m, 2)
    chosen = np.full(len(names), -1)
    for number in dict.fromkeys(numbers[np.argsort(windows, kind="stable")].tolist()):
        uses = np.zeros(len(IDENTITY_COLOURS))
        for row in by_identity[number]:
            ends = windows.searchsorted([windows[row] - 1, windows[row] + 2])
            near = slice(*ends)
            heights = (tlwh[near, 3] + tlwh[row, 3]) / 2
            distances = np.hypot(*(feet[near] - feet[row]).T) / np.maximum(heights, 1.0)
            coloured = chosen[numbers[near]]
            weights = np.where(coloured < 0, 0.0, 1 / (distances + NEAR) ** 2)
            uses += np.bincount(coloured.clip(0), weights, len(uses))
        start = preferred_colour(int(names[number]))
        chosen[number] = (start + int(np.roll(uses, -start).argmin())) % len(uses)
    return {
        name: IDENTITY_COLOURS[colour]
        for name, colour in zip(names.tolist(), chosen.tolist(), strict=True)
    }
