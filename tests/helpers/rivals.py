"""A made dataset and caches of made pipelines on it, whose figures can be worked out by hand."""

from pathlib import Path

import numpy as np

from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections

__all__ = ["FRAMES", "PEOPLE", "box", "cached", "dataset"]

FRAMES, PEOPLE = 12, 4


def box(frame, person):
    """Left, top, width, height of a person: they walk side by side, two pixels a frame."""
    return 20 + 80 * person + 2 * frame, 40, 36, 90


def dataset(folder: Path, *sequences: str) -> Path:
    """MOTChallenge folders with ground truth in MOT17's columns, and no images."""
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
    """The cache of a pipeline that finds exactly the people who are not `missed`.

    Embeddings are one axis for each person. `times` are seconds of the network, of decoding its
    heads and of the embedder, in every frame but the first, which takes ten more.
    """
    path = work / "caches" / pipeline / f"{sequence}.h5"
    path.parent.mkdir(parents=True, exist_ok=True)
    seen = [person for person in range(PEOPLE) if person not in missed]
    told = Header(sequence, pipeline, sequence, "ab", 640, 480, 25.0, **header)
    with CacheWriter(path, told) as cache:
        for frame in range(1, FRAMES + 1):
            left, top, width, height = np.array([box(frame, person) for person in seen]).T
            found = Detections(
                np.stack([left, top, left + width, top + height], axis=1).astype(np.float32),
                np.linspace(0.9, 0.95, len(seen), dtype=np.float32),
                np.zeros(len(seen), np.uint16),
                np.eye(PEOPLE, dtype=np.float32)[seen] if embeds else None,
                np.zeros((0, 3), np.float32),
            )
            slow = 10.0 if frame == 1 else 0.0
            cache.append(found, frame / 25, (7.0, *(each and each + slow for each in times)))
        cache.finish()
    return path
