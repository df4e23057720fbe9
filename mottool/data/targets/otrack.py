"""Targets of OTrack: CenterTrack's, and OUTrack's occlusion centres.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §3 and §4.2; the amodal boxes
are those of its code for MOT17, where whole people are annotated.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mottool.data.targets.centre import (
    CentreTargets,
    OcclusionTargets,
    centre_targets,
    occlusion_targets,
)
from mottool.data.targets.labels import Labels, Targets

__all__ = ["OTrackTargets", "otrack_targets"]


@dataclass(frozen=True)
class OTrackTargets(Targets):
    """Targets of the heads for B images with at most k people each.

    `people` are centres and sizes (width, height) of the visible parts of the boxes. In the same
    cells, `amodal` (B, k, 4) is x1 y1 x2 y2 of the full box, and `displacement` (B, k, 2) is x y of
    the centre in the previous image, both in cells from the cell's corner. `known` (B, k) bool is
    True if the person is in the previous image, so that there is a displacement. `occlusions` is
    None if they are not trained.
    """

    people: CentreTargets
    amodal: Tensor
    displacement: Tensor
    known: Tensor
    occlusions: OcclusionTargets | None = None


def otrack_targets(
    labels: Sequence[Labels],
    previous: Sequence[Labels],
    size: tuple[int, int],
    stride: int = 4,
    threshold: float | None = 0.7,
) -> OTrackTargets:
    """Return the targets of a batch of images of `size` (width, height) network pixels.

    `previous` are the labels of the previous images; a person in both has the same identity.
    Centres are those of the visible parts of boxes, so a box outside the image has no target.
    `threshold` is that of `occlusion_targets`, None for no such targets. (In the authors' code, the
    displacement of a person missing in the prior heatmap includes the simulated error; here it
    never does.)
    """
    now, before = ([_visible(image, size, stride) for image in each] for each in (labels, previous))
    people = centre_targets(now, size, stride, ltrb=False)
    width = size[0] // stride
    corners = torch.stack((people.cells % width, people.cells // width), 2)  # (B, k, 2)
    whole = [
        image.boxes[visible.with_area] / stride for image, visible in zip(labels, now, strict=True)
    ]
    centres = [
        _previous_centres(image, earlier, stride)
        for image, earlier in zip(now, before, strict=True)
    ]
    return OTrackTargets(
        people=people,
        amodal=pad_sequence(whole, batch_first=True) - corners.repeat(1, 1, 2),
        displacement=pad_sequence([centre for centre, _ in centres], batch_first=True) - corners,
        known=pad_sequence([known for _, known in centres], batch_first=True),
        occlusions=(
            None if threshold is None else occlusion_targets(labels, size, stride, threshold)
        ),
    )


def _visible(image: Labels, size: tuple[int, int], stride: int) -> Labels:
    """Clip the boxes to the image, up to its last cells."""
    last = image.boxes.new_tensor([size[0] - stride, size[1] - stride] * 2)
    return replace(image, boxes=torch.minimum(image.boxes.clamp(min=0), last))


def _previous_centres(image: Labels, before: Labels, stride: int) -> tuple[Tensor, Tensor]:
    """Return the previous centres of the image's n people, (n, 2) x y in cells, and a mask (n,).

    The mask is True for people in the previous image.
    """
    boxes = before.boxes[before.with_area] / stride  # (m, 4)
    centres = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes.new_zeros(1, 2)))  # (m + 1, 2)
    identities = image.identities[image.with_area]  # (n,)
    earlier = before.identities[before.with_area]  # (m,)
    same = (identities[:, None] == earlier) & (identities >= 0)[:, None]  # (n, m)
    unmatched = same.new_ones(len(identities), 1)
    first = torch.cat((same, unmatched), 1).int().argmax(1)  # (n,) rows of centres
    return centres[first], same.any(1)
