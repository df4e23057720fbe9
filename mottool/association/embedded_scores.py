"""Whether a tracker reads embeddings of boxes that `detect-embed --embed-min-score` left out."""

from collections.abc import Mapping
from typing import Any

from mottool.association.sequence_settings import InputSettings
from mottool.cache.layout import EMBED_MIN_SCORE
from mottool.settings import Settings

__all__ = ["missing_embeddings"]


def missing_embeddings(
    tracker: str, settings: Settings, inputs: InputSettings, made_with: Mapping[str, Any]
) -> tuple[str, str] | None:
    """Return the problem and the fix if a tracker reads embeddings that were not made.

    `made_with` are the settings of the pipeline, as in the header of a cache; `inputs` select the
    detections. The lowest score of detections whose embeddings a tracker reads is
    `lowest_embedded` of its settings, absent if it reads none. None if all of them exist.
    """
    embedded_from = made_with.get(EMBED_MIN_SCORE, 0.0)
    lowest = max(getattr(settings, "lowest_embedded", 1.0), inputs.min_score)
    if lowest >= embedded_from:
        return None
    problem = (
        f"only boxes that score at least {embedded_from:g} have embeddings, but {tracker} matches "
        f"those above {lowest:g}"
    )
    fix = (
        f"give --min-score {embedded_from:g}, or run detect-embed with --embed-min-score "
        f"{lowest:g} --overwrite"
    )
    return problem, fix
