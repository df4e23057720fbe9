"""Why the result of a tracker has no rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from mottool.association.sequence_settings import InputSettings, PostprocessSettings
from mottool.settings import Settings

__all__ = ["EmptyResult", "describe_empty", "explain_empty"]

ABOVE, AT_LEAST = "above", "at least"
# The scores without which a detection starts no track: setting, attribute, and how it is compared.
START_SCORES = (
    ("conf_thres", "conf_thres", ABOVE),
    ("score_filter", "score_filter", ABOVE),
    ("min_confidence", "min_confidence", AT_LEAST),
    ("track_thresh", "track_thresh", ABOVE),
    ("track_high_thresh", "track_high_thresh", ABOVE),
    ("det_thresh", "creation_threshold", AT_LEAST),
    ("new_track_thresh", "creation_threshold", AT_LEAST),
    ("new_thresh", "creation_threshold", ABOVE),
)
LIMITS = ("n_init", "min_hits", "min_box_area", "max_w_over_h")  # of what is written
SHOWN = 3  # names of sequences in a message


class EmptyResult(NamedTuple):
    """A sequence whose result has no rows, and the likely reason.

    `highest` is the highest score of its detections if that is the reason, else None.
    """

    sequence: str
    reason: str
    highest: float | None = None


def explain_empty(
    sequence: str,
    cache: Path,
    settings: Settings,
    inputs: InputSettings,
    postprocessing: PostprocessSettings,
) -> EmptyResult:
    """Explain a result without rows by the detections of its cache and the tracker's settings."""
    from mottool.association.run_tracker import select_detections
    from mottool.cache.reader import Cache

    with Cache(cache) as opened:
        every = list[float]()
        for detections in opened.frames(embeddings=False):
            kept = select_detections(detections, InputSettings(classes=inputs.classes))
            every += [float(kept.scores.max())] if len(kept) else []
        count = opened.detection_count
    if not count:
        return EmptyResult(sequence, "the cache has no detections")
    if not every:
        classes = ", ".join(map(str, inputs.classes or ()))
        return EmptyResult(sequence, f"no detection is of class {classes}")
    highest = max(every)
    for name, value, compared in _start_scores(settings, inputs):
        if highest < value or (highest == value and compared == ABOVE):
            reason = f"no detection scores {compared} {name} {value:g}"
            return EmptyResult(sequence, reason, highest)
    limits = [name for name in LIMITS if hasattr(settings, name)]
    limits += ["min_track_length"] if postprocessing.min_track_length > 1 else []
    reason = f"no detection became a track that is written; see {', '.join(limits)}"
    return EmptyResult(sequence, reason)


def _start_scores(settings: Settings, inputs: InputSettings) -> Iterator[tuple[str, float, str]]:
    """Yield the name and the value of each score that a detection needs to start a track."""
    yield "min_score", inputs.min_score, AT_LEAST
    for name, attribute, compared in START_SCORES:
        value = getattr(settings, attribute) if hasattr(settings, name) else None
        if value is not None:
            yield name, value, compared


def describe_empty(results: Iterable[EmptyResult]) -> list[str]:
    """Return a message for each reason, with the sequences that it concerns."""
    by_reason = dict[str, list[EmptyResult]]()
    for result in results:
        by_reason.setdefault(result.reason, []).append(result)
    messages = []
    for reason, alike in by_reason.items():
        names = [result.sequence for result in alike]
        shown = ", ".join(names[:SHOWN])
        shown += f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        subject = "the result has" if len(names) == 1 else f"{len(names)} results have"
        scores = [result.highest for result in alike if result.highest is not None]
        highest = f"; the highest score is {max(scores):.3g}" if scores else ""
        messages.append(f"{shown}: {subject} no rows, as {reason}{highest}")
    return messages
