"""Synthetic scenes for the metrics: ground truth and results generated from a name.

People walk through a small image and cross. The tracker has false negatives, false positives,
identity switches, duplicate boxes and empty frames. The random generator is seeded with the scene's
name, so that only the official scorer's metrics need to be stored.
"""

from dataclasses import dataclass

import numpy as np
from goldens import seeded

from mottool.motchallenge.rows import Rows

__all__ = ["SCENES", "Scene", "crowd", "make"]


@dataclass(frozen=True)
class Scene:
    """One sequence: its rules, its number of frames, and the rows of both files."""

    rules: str
    length: int
    truth: Rows
    results: Rows


# Name: rules, people, frames, rounding of boxes in pixels (coarse boxes tie), missing part.
SCENES = {
    "plain-15": ("mot15", 6, 40, 0.01, ""),
    "plain-16": ("mot16", 12, 40, 0.01, ""),
    "plain-17": ("mot17", 12, 60, 0.01, ""),
    "plain-20": ("mot20", 25, 30, 0.01, ""),
    "ties-15": ("mot15", 8, 40, 20.0, ""),
    "ties-17": ("mot17", 14, 60, 20.0, ""),
    "ties-20": ("mot20", 20, 30, 40.0, ""),
    "gaps-17": ("mot17", 8, 60, 1.0, "frames"),
    "lonely-15": ("mot15", 1, 20, 1.0, "frames"),
    "no-results-17": ("mot17", 5, 15, 1.0, "results"),
    "no-truth-17": ("mot17", 5, 15, 1.0, "truth"),
    "no-pedestrians-20": ("mot20", 5, 15, 1.0, "pedestrians"),
    "nothing-15": ("mot15", 3, 10, 1.0, "both"),
}


def make(name: str) -> Scene:
    """Generate the scene NAME of `SCENES`; a suffix `#...` gives another seed."""
    stem = name.split("#")[0]
    rules, people, length, grain, missing = SCENES[stem]
    draw = seeded(name)
    truth = _walk(draw, people, length, grain, (240.0, 160.0), (36.0, 80.0))
    columns = 3 if rules != "mot15" else 4
    rest = np.full((len(truth), columns), -1.0)
    rest[:, 0] = draw.random(len(truth)) > 0.05
    if rules != "mot15":
        kinds = np.where(draw.random(people) < 0.6, 1, draw.integers(1, 14, people))
        kinds = np.where(kinds == 1, 2 if missing == "pedestrians" else 1, kinds)
        rest[:, 1], rest[:, 2] = kinds[truth[:, 1].astype(int) - 1], draw.random(len(truth))
    results = _track(draw, truth, length, grain)
    if missing == "frames":
        missing_truth, missing_results = draw.random((2, length + 1)) < 0.25
        keep = ~missing_truth[truth[:, 0].astype(int)]
        truth, rest = truth[keep], rest[keep]
        results = results[~missing_results[results[:, 0].astype(int)]]
    if missing in ("truth", "both"):
        truth, rest = truth[:0], rest[:0]
    if missing in ("results", "both"):
        results = results[:0]
    unused = np.column_stack([np.ones(len(results)), np.full((len(results), 3), -1.0)])
    return Scene(rules, length, _rows(truth, rest), _rows(results, unused))


def crowd(people: int, length: int) -> Scene:
    """Generate a crowd in Full HD with MOT17 rules, 8 % false negatives and 5 % false positives."""
    draw = seeded(f"crowd {people} {length}")
    truth = _walk(draw, people, length, 0.01, (1920.0, 1080.0), (50.0, 130.0), stay=True)
    results = _track(draw, truth, length, 0.01, swap=0.002, double=0.0)
    rest = np.tile([1.0, 1.0, 1.0], (len(truth), 1))
    unused = np.column_stack([np.ones(len(results)), np.full((len(results), 3), -1.0)])
    by_frame = np.argsort(results[:, 0], kind="stable")  # the order of trackers' files
    return Scene("mot17", length, _rows(truth, rest), _rows(results[by_frame], unused))


def _walk(draw, people, length, grain, picture, size, stay=False):
    """Return rows frame, id, left, top, width, height of people who turn at the border."""
    time = np.arange(1, length + 1)[:, None]  # (F, 1)
    start, speed = draw.random((2, people, 2))
    position = (start * 2 + (speed - 0.5) * 0.02 * time[..., None]) % 2  # (F, people, 2)
    centre = np.abs(1 - position) * picture
    shape = np.array(size) * (0.7 + 0.6 * draw.random((people, 1)))
    first = np.zeros(people) if stay else draw.random(people) * length * 0.4
    last = np.full(people, length) if stay else length * (0.6 + 0.4 * draw.random(people))
    present = (time > first) & (time <= last)  # (F, people)
    frame, person = np.nonzero(present)
    boxes = np.column_stack([centre[frame, person] - shape[person] / 2, shape[person]])
    return np.column_stack([frame + 1, person + 1, np.round(boxes / grain) * grain])


def _track(draw, truth, length, grain, swap=0.02, double=0.05):
    """Return rows with noise, false negatives, swapped identities, duplicates, false positives."""
    rows = truth[draw.random(len(truth)) > 0.08].copy()
    rows[:, 2:] += draw.normal(0, 1, (len(rows), 4)) * [3, 5, 3, 5]
    people = int(truth[:, 1].max())
    current = np.arange(people + 1)
    ids = np.empty((length + 1, people + 1), int)
    for frame in range(length + 1):
        for person in np.flatnonzero(draw.random(people + 1) < swap):
            other = draw.integers(0, people + 1)
            current[[person, other]] = current[[other, person]]
        ids[frame] = current
    rows[:, 1] = ids[rows[:, 0].astype(int), rows[:, 1].astype(int)]
    doubled = rows[draw.random(len(rows)) < double]
    doubled[:, 1] += 1000
    false = rows[draw.random(len(rows)) < 0.05]
    false[:, 1] += 2000
    false[:, 2:4] += draw.normal(0, 40, (len(false), 2))
    rows = np.concatenate([rows, doubled, false])
    rows[:, 2:] = np.round(rows[:, 2:] / grain) * grain
    rows[:, 4:] = np.maximum(rows[:, 4:], grain)
    return rows[draw.permutation(len(rows))]


def _rows(table, rest):
    frames, ids = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Rows(frames, ids, table[:, 2:6], rest)
