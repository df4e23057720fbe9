"""Offline postprocessing of tracks: remove short ones, interpolate gaps, smooth boxes.

Each function returns new rows of one sequence. An identity is one track, with at most one box per
frame.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from mottool.association.sequence_settings import PostprocessSettings
from mottool.motchallenge.rows import Rows

__all__ = [
    "interpolate_gaps",
    "postprocess",
    "smooth_gaussian",
    "smooth_rts",
    "remove_short_tracks",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

JITTER = 1e-10  # variance of the noise that StrongSORT's Gaussian process allows for
MEASUREMENT = 1 / 20  # standard deviation of a box's coordinates, in heights of the track
ACCELERATION = 1 / 500  # standard deviation of a coordinate's acceleration, in heights per frame²
FIRST_VELOCITY = 1 / 16  # standard deviation of an unknown velocity, heights per frame


def postprocess(rows: Rows, config: PostprocessSettings) -> Rows:
    """Remove short tracks, fill gaps and smooth, in this order, as set in `config`.

    The `rows` of one sequence come back in their order, or by frame and identity if any was added.
    """
    if config.min_track_length > 1:
        rows = remove_short_tracks(rows, config.min_track_length)
    if config.fill_gaps:
        rows = interpolate_gaps(rows, config.fill_gaps)
    if config.smooth == "gaussian":
        rows = smooth_gaussian(rows, config.smooth_tau)
    if config.smooth == "rts":
        rows = smooth_rts(rows)
    return rows


def remove_short_tracks(rows: Rows, min_length: int) -> Rows:
    """Remove tracks with fewer than `min_length` boxes."""
    _, track, count = np.unique(rows.ids, return_inverse=True, return_counts=True)
    return _take(rows, count[track] >= min_length)


def interpolate_gaps(rows: Rows, max_gap: int) -> Rows:
    """Add boxes on a straight line wherever a track misses 1 to `max_gap` frames in a row.

    All columns are interpolated, the score too; existing rows do not change. If any row is
    added, all are sorted by frame and identity. Linear interpolation as in StrongSORT (Du et al.,
    IEEE TMM 2023, GSI), whose interval of 20 is a `max_gap` of 18.
    """
    by_track = _take(rows, np.lexsort((rows.frames, rows.ids)))
    step = np.diff(by_track.frames)  # (n - 1,)
    missing = np.where(np.diff(by_track.ids) == 0, step - 1, 0)
    before = np.flatnonzero((missing > 0) & (missing <= max_gap))  # (g,) the row before each gap
    count = missing[before]
    row = np.repeat(before, count)  # (a,) for each added row the one before its gap
    position = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count) + 1
    share = (position / step[row])[:, None] if len(row) else np.zeros((0, 1))  # (a, 1) in (0, 1)

    def between(values: Floats) -> Floats:
        return np.concatenate((values, values[row] + share * (values[row + 1] - values[row])))

    if not len(row):
        return rows
    frames = np.concatenate((by_track.frames, by_track.frames[row] + position))
    ids = np.concatenate((by_track.ids, by_track.ids[row]))
    combined = Rows(frames, ids, between(by_track.tlwh), between(by_track.rest))
    return _take(combined, np.lexsort((combined.ids, combined.frames)))


def smooth_gaussian(rows: Rows, tau: float = 10.0) -> Rows:
    """Smooth left, top, width and height of each track by a Gaussian process over its frames.

    Du et al., "StrongSORT: Make DeepSORT Great Again", IEEE TMM 2023, Gaussian-smoothed
    interpolation: a zero-mean process whose radial-basis kernel has the length scale
    tau·log(tau³ / n) frames for a track of n boxes, kept within [1 / tau, tau²]. From n = tau³ on
    the scale is so short that nothing is smoothed. Fill gaps first.
    """
    tlwh = rows.tlwh.copy()
    for track in _tracks(rows):
        scale = float(np.clip(tau * np.log(tau**3 / len(track)), 1 / tau, tau**2))
        if scale > 1 / tau:
            tlwh[track] = _process(rows.frames[track], rows.tlwh[track], scale)
    return Rows(rows.frames, rows.ids, tlwh, rows.rest)


def _process(frames: Ints, values: Floats, scale: float) -> Floats:
    """Return the mean (n, c) of a Gaussian process at frames (n,), fitted to `values` (n, c)."""
    from scipy.linalg import solve

    distance = (frames[:, None] - frames) / scale  # (n, n)
    kernel = np.exp(-0.5 * distance**2)
    noisy = kernel + JITTER * np.eye(len(frames))
    mean: Floats = kernel @ solve(noisy, values, assume_a="pos", check_finite=False)
    return mean


def smooth_rts(rows: Rows) -> Rows:
    """Smooth centre, width and height of each track by a Kalman filter run forwards and backwards.

    Rauch, Tung and Striebel, "Maximum likelihood estimates of linear dynamic systems", AIAA J.
    1965: coordinates of constant velocity disturbed by white acceleration, all noise in proportion
    to the track's median height, so that one covariance serves the four of them. Frames that a
    track misses count as time without a measurement.
    """
    tlwh = rows.tlwh.copy()
    for track in _tracks(rows):
        if len(track) > 1:
            boxes = rows.tlwh[track]
            centred = np.column_stack([boxes[:, :2] + boxes[:, 2:] / 2, boxes[:, 2:]])  # (n, 4)
            smooth = _kalman_smooth(rows.frames[track], centred, float(np.median(boxes[:, 3])))
            tlwh[track] = np.column_stack([smooth[:, :2] - smooth[:, 2:] / 2, smooth[:, 2:]])
    return Rows(rows.frames, rows.ids, tlwh, rows.rest)


def _kalman_smooth(frames: Ints, measurements: Floats, height: float) -> Floats:
    """Smooth coordinates (n, 4) over all frames (n,)."""
    from filterpy.common import Q_discrete_white_noise
    from filterpy.kalman import rts_smoother

    steps = np.diff(frames, append=frames[-1] + 1)  # (n,) frames to the next row
    noise = {
        step: Q_discrete_white_noise(2, float(step), (ACCELERATION * height) ** 2)
        for step in set(steps.tolist())
    }
    moves = np.array([[[1.0, step], [0.0, 1.0]] for step in steps])  # (n, 2, 2)
    noises = np.array([noise[step] for step in steps.tolist()])  # (n, 2, 2)
    spread = (MEASUREMENT * height) ** 2
    states, covariances = np.zeros((len(frames), 2, 4)), np.zeros((len(frames), 2, 2))
    state = np.stack([measurements[0], np.zeros(4)])  # (2, 4) positions and velocities
    covariance = np.diag([spread, (FIRST_VELOCITY * height) ** 2])
    states[0], covariances[0] = state, covariance
    for row in range(1, len(frames)):
        move = moves[row - 1]
        state, covariance = move @ state, move @ covariance @ move.T + noises[row - 1]
        gain = covariance[:, :1] / (covariance[0, 0] + spread)  # (2, 1)
        state = state + gain * (measurements[row] - state[0])
        covariance = covariance - gain * covariance[0]
        states[row], covariances[row] = state, covariance
    smoothed, *_ = rts_smoother(states, covariances, moves, noises)
    positions: Floats = smoothed[:, 0]
    return positions


def _tracks(rows: Rows) -> Iterator[Ints]:
    """Yield the row indices of each track, sorted by frame."""
    order = np.lexsort((rows.frames, rows.ids))
    starts = np.flatnonzero(np.diff(rows.ids[order], prepend=rows.ids[order][:1] - 1))
    yield from (track for track in np.split(order, starts)[1:])


def _take(rows: Rows, which: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Rows:
    return Rows(rows.frames[which], rows.ids[which], rows.tlwh[which], rows.rest[which])
