"""Detections to associate: the reference streams, and synthetic crowds."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from goldens import HERE, read_npz, seeded

from mottool.association.tracks import SequenceInfo
from mottool.detections import Detections

__all__ = ["Stream", "crowd", "moving", "reference", "walkers", "wanted"]

FOLDER = HERE / "association"
SIZE = 128  # dimension of the synthetic embeddings


@dataclass(frozen=True)
class Stream:
    """The detections of each frame of a sequence, with its frame rate and size."""

    frames: list[Detections]
    video: SequenceInfo


def reference(sequence: str, folder: Path = FOLDER) -> Stream:
    """Return public detections of a MOT15 sequence with the references' synthetic embeddings."""
    stored = read_npz(folder / sequence / "stream.npz")
    tlwh = stored["tlwh"]  # (n, 4) float32
    boxes = np.concatenate((tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]), axis=1)
    embeddings = _embeddings(sequence, stored["chain"])
    frames = []
    for number in range(1, int(stored["n_frames"]) + 1):
        rows, hidden = stored["frame"] == number, stored["occ_frame"] == number
        centres = np.column_stack((stored["occ_xy"][hidden], stored["occ_score"][hidden]))
        result = _detections(boxes[rows], stored["score"][rows], embeddings[rows])
        frames.append(replace(result, occlusion_centres=centres))
    facts = (float(stored[name]) for name in ("fps", "width", "height"))
    return Stream(frames, SequenceInfo(*facts))


def moving(frames: list[Detections]) -> list[Detections]:
    """Return frames as a camera sees them that pans, rolls and zooms, with its motion."""
    number = np.arange(len(frames))
    turn, zoom = 0.01 * np.sin(number / 10), 1 + 0.02 * np.sin(number / 7)
    views = np.zeros((len(frames), 3, 3))
    views[:, 0, 0] = views[:, 1, 1] = zoom * np.cos(turn)
    views[:, 1, 0] = zoom * np.sin(turn)
    views[:, 0, 1] = -views[:, 1, 0]
    views[:, 0, 2], views[:, 1, 2] = 40 * np.sin(number / 8), 15 * np.sin(number / 5)
    views[:, 2, 2] = 1
    warps = np.concatenate((np.eye(3)[None], views[1:] @ np.linalg.inv(views[:-1])))[:, :2]
    seen = []
    for frame, view, warp in zip(frames, views, warps, strict=True):
        corners = frame.boxes.reshape(-1, 2, 2) @ view[:2, :2].T + view[:2, 2]
        boxes = corners.reshape(-1, 4).astype(np.float32)
        seen.append(replace(frame, boxes=boxes, camera_motion=warp))
    return seen


def wanted(sequence: str, name: str) -> np.ndarray:
    """Return the authors' result rows: frame, identity, left, top, width, height, score."""
    path = FOLDER / sequence / f"{name}.txt.xz"
    return np.loadtxt(path, delimiter=",", usecols=range(7))


def _embeddings(sequence: str, chains: np.ndarray) -> np.ndarray:
    """Return embeddings (n, 128) float16: a direction of each chain, a common one, and noise."""
    common = _unit(seeded(f"emb:{sequence}:common").standard_normal(SIZE))
    expected = {
        chain: _unit(
            _unit(seeded(f"emb:{sequence}:chain:{chain}").standard_normal(SIZE)) + 0.8 * common
        )
        for chain in np.unique(chains)
    }
    draw = seeded(f"emb:{sequence}:noise")
    deviation = 0.2 + draw.random(len(chains))
    noise = draw.standard_normal((len(chains), SIZE)) / np.sqrt(SIZE)
    seen = np.array([expected[chain] for chain in chains]) + deviation[:, None] * noise
    return _unit(seen).astype(np.float16)


def crowd(
    frames: int = 600, people: int = 150, missed: float = 0.08, false: float = 0.05, seed: int = 0
) -> Iterator[Detections]:
    """Yield detections of people who walk inside 1920x1080, in random order in each frame."""
    draw = np.random.default_rng(seed)
    size = np.array([[1920.0], [1080.0]])
    height, aspect = draw.uniform(60, 200, people), draw.uniform(0.33, 0.45, people)
    place, velocity = draw.uniform(0, size, (2, people)), draw.normal(0, 2.5, (2, people))
    looks = _unit(draw.standard_normal((people, SIZE)))
    for _ in range(frames):
        # Damped towards zero, so that the mean speed is the same in every frame.
        velocity = 0.998 * velocity + draw.normal(0, 0.15, velocity.shape)
        velocity[(place + velocity < 0) | (place + velocity > size)] *= -1
        place = np.clip(place + velocity, 0, size)
        seen = np.flatnonzero(draw.random(people) >= missed)
        ghosts = draw.poisson(false * people)
        tall = np.concatenate((height[seen], draw.uniform(60, 200, ghosts)))
        tall *= draw.normal(1, 0.02, len(tall))
        wide = tall * np.concatenate((aspect[seen], np.full(ghosts, 0.4)))
        jitter = draw.normal(0, 0.015, (2, len(seen))) * height[seen]
        centre = np.concatenate((place[:, seen] + jitter, draw.uniform(0, size, (2, ghosts))), 1)
        moved = np.concatenate((velocity[:, seen], np.zeros((2, ghosts))), 1).T  # (n, 2)
        clean = np.concatenate((looks[seen], np.zeros((ghosts, SIZE))))
        noisy = _unit(clean + 0.5 * draw.standard_normal(clean.shape) / np.sqrt(SIZE))
        half = np.array([wide, tall]) / 2
        boxes = np.concatenate((centre - half, centre + half)).T  # (n, 4)
        order = draw.permutation(len(boxes))
        detections = _detections(boxes[order], draw.uniform(0.65, 1, len(boxes)), noisy[order])
        yield replace(
            detections,
            occlusion_centres=_overlaps(detections.boxes),
            centres=centre.T[order].astype(np.float32),
            offsets=-moved[order].astype(np.float32),
        )


def _overlaps(boxes: np.ndarray) -> np.ndarray:
    """Return occlusion centres (k, 3): centres of overlaps above 0.4 of the smaller box."""
    low = np.maximum(boxes[:, None, :2], boxes[:, :2])  # (n, n, 2)
    high = np.minimum(boxes[:, None, 2:], boxes[:, 2:])
    shared, areas = np.maximum(high - low, 0).prod(2), (boxes[:, 2:] - boxes[:, :2]).prod(1)
    first, second = np.nonzero(np.triu(shared > 0.4 * np.minimum(areas[:, None], areas), 1))
    middles = (low[first, second] + high[first, second]) / 2
    return np.column_stack((middles, np.full(len(middles), 0.9))).astype(np.float32)


def walkers(places: list[list[tuple[float, float]]], looks: list[list[int]]) -> list[Detections]:
    """Make frames of people of 40x100 px, centred at `places`; embeddings are the axes `looks`.

    Offsets point to the previous centre with the same axis, and are zero without one.
    """
    result, before = [], {}
    for centres, axes in zip(places, looks, strict=True):
        centre = np.array(centres, np.float32).reshape(-1, 2)
        boxes = np.concatenate((centre - [20, 50], centre + [20, 50]), axis=1)
        past = [before.get(axis, here) for axis, here in zip(axes, centre, strict=True)]
        before = dict(zip(axes, centre, strict=True))
        offsets = np.array(past, np.float32).reshape(-1, 2) - centre
        one = _detections(boxes, np.full(len(boxes), 0.9), np.eye(8)[axes])
        result.append(replace(one, centres=centre, offsets=offsets))
    return result


def _detections(boxes: np.ndarray, scores: np.ndarray, embeddings: np.ndarray) -> Detections:
    return Detections(
        boxes.astype(np.float32),
        scores.astype(np.float32),
        np.zeros(len(boxes), np.uint16),
        embeddings.astype(np.float32),
    )


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
