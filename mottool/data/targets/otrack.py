"""Targets of OTrack: CenterTrack's, and OUTrack's occlusion centres.

Zhou, Koltun & Krähenbühl, "Tracking objects as points", ECCV 2020, §3 and §4.2; the amodal boxes
are its code's for MOT17, where people are annotated whole.
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
    """What the heads should say of B images, the most crowded of which shows k people.

    `people`: centres and sizes (width, height) of what the image shows of them. In the same cells,
    `amodal` (B, k, 4) x1 y1 x2 y2 of the whole box and `displacement` (B, k, 2) x y to where the
    centre was in the previous image, both in cells from the cell's corner; `known` (B, k) bool,
    who was in that image, so that there is a displacement. `occlusions` is None where nobody is
    to learn them.
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
    """The targets of a batch of images of `size` (width, height) network pixels.

    `previous` are the images before; who is in both has one identity there. Centres are those of
    what an image shows of a box, so nobody is learned of whom it shows nothing. `threshold` is
    that of `occlusion_targets`, None for no such targets. (In the authors' code, who is left out
    of the prior heatmap is also displaced to where its error put them; here as to all others, to
    where they were.)
    """
    now, before = ([_shown(image, size, stride) for image in each] for each in (labels, previous))
    people = centre_targets(now, size, stride, ltrb=False)
    width = size[0] // stride
    corners = torch.stack((people.cells % width, people.cells // width), 2)  # (B, k, 2)
    whole = [
        image.boxes[shown.with_area] / stride for image, shown in zip(labels, now, strict=True)
    ]
    places = [_places(*images, stride) for images in zip(now, before, strict=True)]
    return OTrackTargets(
        people=people,
        amodal=pad_sequence(whole, batch_first=True) - corners.repeat(1, 1, 2),
        displacement=pad_sequence([place for place, _ in places], batch_first=True) - corners,
        known=pad_sequence([known for _, known in places], batch_first=True),
        occlusions=(
            None if threshold is None else occlusion_targets(labels, size, stride, threshold)
        ),
    )


def _shown(image: Labels, size: tuple[int, int], stride: int) -> Labels:
    """The people with what the image shows of their boxes, up to its last cells."""
    last = image.boxes.new_tensor([size[0] - stride, size[1] - stride] * 2)
    return replace(image, boxes=torch.minimum(image.boxes.clamp(min=0), last))


def _places(image: Labels, before: Labels, stride: int) -> tuple[Tensor, Tensor]:
    """Where the image's n people were before, (n, 2) x y in cells, and who was, (n,) bool."""
    boxes = before.boxes[before.with_area] / stride  # (m, 4)
    centres = torch.cat(((boxes[:, :2] + boxes[:, 2:]) / 2, boxes.new_zeros(1, 2)))  # (m + 1, 2)
    who, earlier = image.identities[image.with_area], before.identities[before.with_area]
    same = (who[:, None] == earlier) & (who >= 0)[:, None]  # (n, m)
    nobody = same.new_ones(len(who), 1)
    first = torch.cat((same, nobody), 1).int().argmax(1)  # (n,) rows of centres
    return centres[first], same.any(1)
