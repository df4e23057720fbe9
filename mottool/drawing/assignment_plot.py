"""The plot of the assignment between two frames: a cache in, one image file out.

Imports no torch, numpy, cv2 or h5py: the command line reads the settings class for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mottool.drawing.plots import DetectionPlotSettings
from mottool.errors import InputError, ignore_warning
from mottool.networks.learning import PLACEHOLDERS, TEMPERATURE_HELP
from mottool.settings import setting

if TYPE_CHECKING:
    from mottool.cache.reader import Cache
    from mottool.drawing.assignment_figure import FramePeople
    from mottool.motchallenge.rows import Rows

__all__ = ["AssignmentPlotSettings", "plot_assignment"]


@dataclass(frozen=True)
class AssignmentPlotSettings(DetectionPlotSettings):
    """Settings of the matrix: the detections, and the softmax over their similarities."""

    placeholder: str = setting(
        "mean", "Similarity of the placeholder column, as in training.", choices=PLACEHOLDERS
    )
    temperature: float | None = setting(None, TEMPERATURE_HELP)


def plot_assignment(
    cache: Path,
    rows: Rows | None,
    out: Path,
    pair: tuple[int, int],
    settings: AssignmentPlotSettings | None = None,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Plot two frames and the assignment matrix M' of their detections, as OUTrack's Fig. 7.

    Liu et al., Neurocomputing 2022, Eq. 1 and 2 with the placeholder. `rows`, ground truth or
    tracks, give the identities; without them, all are unknown. `warn` receives a message for
    anything that the source lacks. Raises `InputError` if a frame has no detections or is missing.
    """
    import torch
    import torch.nn.functional as F

    from mottool.cache.reader import Cache
    from mottool.drawing.assignment_figure import draw_assignment
    from mottool.losses.unsupervised import Assignment
    from mottool.pixel_range import recorded_range
    from mottool.sources.discovery import find_sequences

    settings = settings or AssignmentPlotSettings()
    with Cache(cache) as opened:
        header = opened.header
        first, second = _people(opened, rows, pair, settings.min_score)
    embeddings = torch.cat([torch.from_numpy(each.embeddings).float() for each in (first, second)])
    assignment = Assignment(settings.placeholder, settings.temperature)
    matrix, _ = assignment.matrix(F.normalize(embeddings, dim=1))
    pixels = recorded_range(header.settings)
    (sequence,) = find_sequences([header.source], pixel_range=pixels)
    images = sequence.images_at(pair, warn)
    title = f"{header.sequence}, {header.pipeline}"
    shown = [(images[each.frame], each) for each in (first, second)]
    return draw_assignment(shown, matrix.numpy(), title, out)


def _people(
    cache: Cache, rows: Rows | None, pair: tuple[int, int], min_score: float
) -> list[FramePeople]:
    """Return the embedded detections of two frames that score at least `min_score`, by identity."""
    import numpy as np

    from mottool.drawing.assignment_figure import FramePeople
    from mottool.metrics.identity_matching import identify_detections, lowest_embedded

    min_score = max(min_score, lowest_embedded(cache))
    identified = {
        frame.frame: frame for frame in identify_detections(cache, rows) if frame.frame in pair
    }
    people = dict[int, FramePeople]()
    for number, detections in enumerate(cache.frames(), cache.first_frame):
        if number in identified:
            ids = identified[number].ids
            order = np.argsort(np.where(ids < 0, np.inf, ids), kind="stable")
            order = order[detections.scores[order] >= min_score]
            embeddings = identified[number].embeddings[order]
            people[number] = FramePeople(number, detections.boxes[order], ids[order], embeddings)
    for number in pair:
        if number not in people or not len(people[number].ids):
            problem = f"{cache.path} has no detection above {min_score} in frame {number}"
            raise InputError(problem, "choose another frame, or a lower --min-score")
    return [people[number] for number in pair]
