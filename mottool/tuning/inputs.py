"""What a search starts from: sequences with ground truth, and the space around the defaults."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.association.fitted_settings import fitted_settings
from mottool.association.registry import TRACKERS, drop_comments
from mottool.association.sequence_settings import SequenceSettings, settings_classes_of
from mottool.errors import InputError, SettingError
from mottool.files import file_digest
from mottool.splits import without_half
from mottool.tuning.search_space import Point, SearchSpace, parse_axes, parse_value
from mottool.workdir import find_camera_motion

if TYPE_CHECKING:
    from mottool.cache.layout import Header
    from mottool.metrics.ground_truth_files import GroundTruthFile

__all__ = ["pair_with_ground_truth", "parse_fixed", "search_contents", "space_around_defaults"]

Sequences = tuple[tuple[Path, str, "GroundTruthFile"], ...]


def pair_with_ground_truth(
    caches: Iterable[Path], truth: Iterable[Path]
) -> tuple[Sequences, dict[str, Header]]:
    """Return the `sequences` of an `Objective`, and the header of each cache by sequence.

    `truth` are paths of ground truth, which every cache's sequence must have. The sequences with
    the most frames are first: their scores tell most about a trial. Raises `InputError` and
    `CacheError` for files that cannot be used or do not belong together.
    """
    from mottool.cache.reader import Cache
    from mottool.metrics.ground_truth_files import (
        find_ground_truth,
        get_ground_truth,
        part_of_cache,
    )

    ground_truth_files = find_ground_truth(truth)
    sequences: dict[str, tuple[Path, str, GroundTruthFile]] = {}
    headers: dict[str, Header] = {}
    lengths: dict[str, int] = {}
    for path in caches:
        with Cache(path) as cache:
            sequence = cache.header.sequence
        file = get_ground_truth(sequence, ground_truth_files)
        path = part_of_cache(path, sequence, file)
        with Cache(path) as cache:
            header, length = cache.header, cache.frame_count
        if header.sequence in headers:
            fix = "name the caches of one pipeline only"
            raise InputError(f"two caches are of the sequence {header.sequence}", fix)
        headers[header.sequence], lengths[header.sequence] = header, length
        sequences[header.sequence] = path, header.sequence, file
    longest_first = sorted(sequences, key=lambda name: (-lengths[name], name))
    return tuple(sequences[name] for name in longest_first), headers


def search_contents(
    sequences: Sequences, headers: Mapping[str, Header]
) -> dict[str, dict[str, Any]]:
    """Return what the caches, the ground truth and the camera motion are, by sequence."""
    return {
        "caches": {name: dataclasses.asdict(header) for name, header in headers.items()},
        "ground_truth": {name: _content_of(file) for _, name, file in sequences},
        "camera_motion": _camera_motion(sequences),
    }


def _content_of(file: GroundTruthFile) -> list[Any]:
    """Return what determines the ground truth of a sequence."""
    from mottool.layouts.registry import digest_of_labels

    return [digest_of_labels(file.path), file.length, file.span]


def _camera_motion(sequences: Sequences) -> dict[str, str]:
    """Return the SHA-256 of the camera-motion file of each sequence that has one."""
    names = {name: (path, without_half(name)[0]) for path, name, _ in sequences}
    files = {name: find_camera_motion(*place) for name, place in names.items()}
    return {name: file_digest(file) for name, file in files.items() if file}


def parse_fixed(tracker: str, fixed: Mapping[str, str]) -> Point:
    """Parse the settings that all points have."""
    texts = {key.replace("-", "_"): value for key, value in fixed.items()}
    texts = drop_comments(texts, TRACKERS[tracker].settings)
    settings_classes = settings_classes_of(tracker)
    return {key: parse_value(settings_classes, key, value) for key, value in texts.items()}


def space_around_defaults(
    tracker: str, search: Iterable[str], fixed: Point, headers: Mapping[str, Header]
) -> SearchSpace:
    """Return the space around the settings that the tracker has by default on the caches.

    `search` are texts as `parse_axes` reads them, `fixed` the settings that all points have, and
    `headers` those of the caches. Raises `SettingError` for a setting that is fixed and searched,
    or that differs by default between the caches.
    """
    settings_classes, search = settings_classes_of(tracker), tuple(search)
    starts: list[Point] = []
    for header in headers.values():
        fitted = fitted_settings(header.settings, tracker)
        made = SequenceSettings().of("", settings_classes, fixed, fitted)
        starts.append({key: value for settings in made for key, value in vars(settings).items()})
    axes = parse_axes(settings_classes, search, starts[0])
    for axis in axes:
        if search and axis.name in fixed:
            raise SettingError(f"{axis.name} is set and searched", "leave one of them out")
        if any(start[axis.name] != starts[0][axis.name] for start in starts):
            fix = "tune on caches of one pipeline, or give the value with --set"
            raise SettingError(f"the caches have different defaults of {axis.name}", fix)
    axes = tuple(axis for axis in axes if axis.name not in fixed)
    if not axes:
        raise SettingError("every setting is set, none is searched", "omit a --set")
    return SearchSpace(axes, settings_classes, starts[0])
