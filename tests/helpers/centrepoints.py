"""Compare a centre-point network's heads and detections with the authors' figures."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from precision import Figure, head_figure, hold, reach, undecided

from mottool.models.centre_heads import peaks
from mottool.models.fairmot import FairMOT
from mottool.models.interfaces import Decoded
from mottool.models.preprocessing import Letterbox

__all__ = ["Comparison", "check", "compare"]


@dataclass(frozen=True)
class Comparison:
    """The results of our network for one input, paired with the authors' figures."""

    figures: list[Figure]
    heads: dict[str, torch.Tensor]
    found: Decoded  # all detections
    lost: list[int]  # cells of the authors' detections that are not peaks of our heatmap
    counts: dict[float, tuple[int, int]]  # numbers of our and their detections above a score


def compare(
    network: FairMOT,
    names: Mapping[str, str],
    image: np.ndarray,
    size: tuple[int, int],
    golden: Mapping[str, np.ndarray],
) -> Comparison:
    """Pair our heads and detections for a (3, H, W) input with the authors'.

    `size` is the frame's (width, height). `names` maps the authors' names of heads to ours. The
    network may be in float32 or float64.
    """
    np.testing.assert_allclose(image[None, :, ::32, ::32], golden["input/sub32"], atol=1e-6)
    with torch.inference_mode():
        heads = network(torch.from_numpy(image[None]).to(network.heatmap[0].weight))
        (detections,) = network.decode(heads, min_score=0.0)
    # The order of nearly equal scores may differ, so rows are matched by their cells.
    cells = peaks(heads["heatmap"], 500).cells[0, : len(detections.scores)].tolist()
    pairs = [(i, cells.index(cell)) for i, cell in enumerate(golden["inds"]) if cell in cells]
    theirs, ours = np.array(pairs).T  # rows of their detections, and of ours
    embedded = theirs < len(golden["id"])  # the authors stored embeddings of the first rows only
    grid, boxes = golden["decode_grid"][theirs], detections.boxes.numpy()[ours]
    np.testing.assert_array_equal(detections.classes.numpy()[ours], grid[:, 5])
    placed = Letterbox(image.shape[2], image.shape[1]).to_frame(boxes, *size)
    # A grid cell is this many pixels of the frame.
    cell = network.stride * max(size[0] / image.shape[2], size[1] / image.shape[1])
    figures = [
        *(head_figure(heads[names[name]], name, golden) for name in names),
        Figure("boxes", boxes / network.stride, grid[:, :4]),
        Figure("scores", detections.scores.numpy()[ours], grid[:, 4]),
        Figure(
            "embeddings",
            detections.embeddings.numpy()[ours[embedded]],
            golden["id"][theirs[embedded]],
        ),
        Figure("boxes in the frame", placed, golden["dets_image"][theirs, :4], atol=2e-3 * cell),
    ]
    counts = {0.0: (len(detections.scores), int(golden["n_pos"]))}
    if "n_over_0.4" in golden:
        counts[0.4] = int((detections.scores > 0.4).sum()), int(golden["n_over_0.4"])
    lost = [int(cell) for cell in golden["inds"] if cell not in cells]
    return Comparison(figures, heads, detections, lost, counts)


def check(comparison: Comparison, folder: str, image: str) -> None:
    """Check float32 results; detections may differ only where rounding decides about a peak.

    A detection is a peak of the heatmap. Rounding decides whether a cell is a peak if a neighbour
    has the same value within the heatmap's tolerance.
    """
    hold(comparison.figures, folder, image)
    heatmap = comparison.heads["heatmap"][0, 0].numpy()  # (h, w)
    off = reach(heatmap, folder, image, "hm")
    assert set(comparison.lost) <= set(np.flatnonzero(undecided(heatmap, off)))
    for score, (ours, theirs) in comparison.counts.items():
        lowest = np.log(score / (1 - score)) if score else -np.inf  # logit
        assert abs(ours - theirs) <= undecided(heatmap, off, lowest).sum(), score
