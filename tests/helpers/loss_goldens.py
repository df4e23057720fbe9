"""The authors' training targets, losses and gradients (tests/golden/losses), as tensors."""

import numpy as np
import torch
from goldens import HERE, read_npz
from torch import Tensor

from mottool.data.targets.labels import Labels
from mottool.data.targets.otrack import OTrackTargets

PEOPLE = torch.tensor([[40.0, 30, 72, 130], [90, 40, 130, 150], [200, 20, 230, 100]])


def figures(name: str) -> dict[str, Tensor]:
    """Read the arrays of one file, by name."""
    stored = read_npz(HERE / "losses" / f"{name}.npz")
    return {key: torch.from_numpy(np.asarray(value)) for key, value in stored.items()}


def labels(rows: Tensor, size: tuple[int, int]) -> Labels:
    """Convert the authors' rows: class or image, identity, centre and size relative to the image.

    Corners are rounded to 2^-14 pixel, so that a side of exactly four anchors in the authors'
    form has the same length in ours.
    """
    rows, scale = rows.double(), torch.tensor(size)
    centre, half = rows[:, 2:4] * scale, rows[:, 4:] * scale / 2
    boxes = torch.cat((centre - half, centre + half), 1)
    return Labels((boxes * 2**14).round().div(2**14).float(), rows[:, 1].long())


def people(*identities: int) -> Labels:
    """Return the first of three people in an image of at least 240x160, with these identities."""
    return Labels(PEOPLE[: len(identities)].clone(), torch.tensor(identities, dtype=torch.int64))


def leaves(heads: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copy heads as leaves that collect gradients."""
    return {name: head.detach().clone().requires_grad_() for name, head in heads.items()}


def drawn(values: Tensor, cells: Tensor, valid: Tensor, h: int, w: int) -> Tensor:
    """Make a head (B, C, h, w) with `values` (B, k, C) at the valid `cells` (B, k), else zero."""
    head = torch.zeros(len(values), values.shape[2], h * w)
    for image, there in enumerate(valid):
        head[image][:, cells[image][there]] = values[image][there].T
    return head.view(len(values), -1, h, w)


def otrack_heads(targets: OTrackTargets, sure: float = 9.0) -> dict[str, Tensor]:
    """Make heads of OTrack that predict the targets exactly."""
    people, hidden = targets.people, targets.occlusions
    assert hidden is not None
    h, w = people.heatmap.shape[2:]
    at = people.cells, people.valid, h, w
    return {
        "heatmap": torch.where(people.heatmap == 1, sure, -sure),
        "offset": drawn(people.offset, *at),
        "size": drawn(people.size, *at),
        "displacement": drawn(targets.displacement, *at),
        "amodal": drawn(targets.amodal, *at),
        "occlusion": torch.where(hidden.heatmap == 1, sure, -sure),
        "occlusion_offset": drawn(hidden.offset, hidden.cells, hidden.valid, h, w),
    }
