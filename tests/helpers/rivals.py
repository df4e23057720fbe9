"""A synthetic dataset, and caches of pipelines on it whose metrics can be computed by hand."""

from pathlib import Path

import numpy as np

from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections

__all__ = ["FRAMES", "PEOPLE", "box", "cached", "dataset"]

FRAMES, PEOPLE = 12, 4


def box(frame, person):
    """Return left, top, width, height of a person: they walk side by side, two pixels a frame."""
    return 20 + 80 * person + 2 * frame, 40, 36, 90


def dataset(folder: Path, *sequences: str) -> Path:
    """Write MOTChallenge folders with ground truth in MOT17's columns, without images."""
    for name in sequences:
        (folder / name / "gt").mkdir(parents=True)
        rows = [
            f"{frame},{person + 1},{','.join(map(str, box(frame, person)))},1,1,1\n"
            for frame in range(1, FRAMES + 1)
            for person in range(PEOPLE)
        ]
        (folder / name / "gt" / "gt.txt").write_text("".join(rows))
        (folder / name / "seqinfo.ini").write_text(f"[Sequence]\nseqLength={FRAMES}\n")
    return folder


def cached(
    work: Path,
    pipeline: str,
    sequence: str,
    missed: tuple[int, ...] = (),
    embeds: bool = True,
    times: tuple[float, float, float] = (0.0, 0.0, 0.0),
    **header: object,
) -> Path:
    """Write the cache of a pipeline that detects exactly the people that are not `missed`.

    Embeddings are one-hot, one axis per person. `times` are seconds of the network, of decoding its
    heads and of the embedder, in every frame but the first, which takes ten more.
    """
    path = work / "caches" / pipeline / f"{sequence}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    detected = [person for person in range(PEOPLE) if person not in missed]
    header_of_cache = Header(sequence, pipeline, sequence, "ab", 640, 480, 25.0, **header)
    with CacheWriter(path, header_of_cache) as cache:
        for frame in range(1, FRAMES + 1):
            left, top, width, height = np.array([box(frame, person) for person in detected]).T
            detections = Detections(
                np.stack([left, top, left + width, top + height], axis=1).astype(np.float32),
                np.linspace(0.9, 0.95, len(detected), dtype=np.float32),
                np.zeros(len(detected), np.uint16),
                np.eye(PEOPLE, dtype=np.float32)[detected] if embeds else None,
                np.zeros((0, 3), np.float32),
            )
            slow = 10.0 if frame == 1 else 0.0
            seconds = (value and value + slow for value in times)
            cache.append(detections, frame / 25, (7.0, *seconds))
        cache.finish()
    return path
