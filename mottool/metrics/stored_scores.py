"""Scores of one sequence as files: of tracks as JSON, of a cache's detections as arrays.

The sums are stored from which metrics are computed, so that scores of sequences can be combined
without the tracks and caches that they are of.
"""

import dataclasses
import json
import zlib
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from mottool.cache.reader import Cache
from mottool.errors import InputError, ignore_warning
from mottool.files import atomic_write
from mottool.metrics.cache_evaluation import score_cache
from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import GroundTruthFile, part_of_cache
from mottool.metrics.matches import CacheMatches, MatchBuilder
from mottool.metrics.result_file import read_result_file
from mottool.metrics.settings import RetrievalSettings
from mottool.metrics.tracking import TrackingScore, score

__all__ = ["read_detection_score", "read_score", "store_detection_score", "store_score"]

ARRAYS = ("scores", "correct", "sizes", "ground_truth_counts")  # of a cache without its embeddings
REMAKE_FIX = "delete it and run the same command again"


def store_score(
    tracks: Path,
    sequence: str,
    truth: GroundTruthFile,
    out: Path,
    rules: str,
    warn: Any = ignore_warning,
) -> Path:
    """Score the result file `tracks` by `rules` and write the sums of its metrics to `out`.

    `warn` is as in `read_result_file`. Raises `InputError` for files that cannot be scored.
    """
    ground_truth, scored = read_result_file(tracks, sequence, truth, rules, warn)
    sums = score(scored)
    parts = {
        name: {
            field.name: _plain(getattr(part, field.name))
            for field in dataclasses.fields(part)  # type: ignore[arg-type]  # metrics are dataclasses
        }
        for name, part in sums.parts.items()
    }
    content = {"rules": ground_truth.rules, "frames": sums.frames, "parts": parts}
    with atomic_write(out) as temporary:
        temporary.write_text(json.dumps(content) + "\n", encoding="utf-8")
    return out


def read_score(path: Path) -> TrackingScore:
    """Read what `store_score` wrote. Raises `InputError` for a damaged file."""
    empty = TrackingScore()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = {
            name: type(part)(
                **{key: _array(value) for key, value in content["parts"][name].items()}
            )
            for name, part in empty.parts.items()
        }
        return TrackingScore(parts, int(content["frames"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"the scores {path} are damaged ({error})", REMAKE_FIX) from error


def store_detection_score(
    cache: Path, truth: GroundTruthFile, out: Path, rules: str, warn: Any = ignore_warning
) -> Path:
    """Match the detections of a cache with ground truth and write the matches to `out`.

    Raises `InputError` or `CacheError` for files that cannot be read.
    """
    sequence = truth.sequence
    with Cache(part_of_cache(cache, cache.stem, truth)) as opened:
        ground_truth = load_ground_truth(truth, sequence, rules)
        matches = score_cache(opened, ground_truth, warn=warn)
    with atomic_write(out) as temporary, temporary.open("wb") as file:
        np.savez(file, **{name: getattr(matches, name) for name in ARRAYS})
    return out


def read_detection_score(path: Path) -> CacheMatches:
    """Read what `store_detection_score` wrote. Raises `InputError` for a damaged file."""
    empty = MatchBuilder().matches(RetrievalSettings(), 0)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            values = {name: arrays[name] for name in ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error) as error:
        raise InputError(f"the scores {path} are damaged ({error})", REMAKE_FIX) from error
    return dataclasses.replace(empty, **values)


def _plain(value: Any) -> Any:
    """Return a number or an array as JSON has it; every digit is kept."""
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _array(value: Any) -> Any:
    return np.asarray(value) if isinstance(value, list) else value
