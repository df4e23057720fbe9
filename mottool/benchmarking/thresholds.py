"""Score thresholds at which a network detects a number of people."""

from collections.abc import Callable, Iterable
from functools import cache

import torch

from mottool.errors import ignore_warning
from mottool.pipelines.one_shot import OneShotPipeline
from mottool.sources.sequence import Frame, Sequence

__all__ = ["network_thresholds", "threshold_for"]

STEPS = 28  # of the bisection: the resolution of float32 scores near 0.5


def network_thresholds(
    pipeline: OneShotPipeline, sequence: Sequence, frame: Frame, counts: Iterable[int]
) -> dict[int, float]:
    """Return the threshold at which a network detects each of some numbers of people in a frame.

    The network runs once; its heads are decoded at every threshold that is tried.
    """
    network = pipeline.start(sequence, ignore_warning).network
    pixels = torch.from_numpy(pipeline.preprocessor.image(frame.image)[None])
    with torch.inference_mode(), pipeline.compute.autocast():
        heads = network.forward(pixels.to(pipeline.compute.device))

        @cache
        def count_above(threshold: float) -> int:
            (decoded,) = network.decode(heads, threshold)
            return len(decoded.boxes)

        return {count: threshold_for(count_above, count) for count in counts}


def threshold_for(count_above: Callable[[float], int], people: int) -> float:
    """Return the lowest threshold in [0, 1] above which there are at most `people` detections.

    `count_above` returns the number of detections that score above a threshold, which falls as the
    threshold rises. Networks with random weights give many cells nearly the same score.
    """
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        middle = (low + high) / 2
        if count_above(middle) > people:
            low = middle
        else:
            high = middle
    return high
