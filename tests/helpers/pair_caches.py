"""Caches of two people who walk past each other, and `mottool associate` on them."""

from dataclasses import replace

from caches import HEADER, write
from click.testing import CliRunner
from streams import walkers

from mottool.stages.associate import command

__all__ = ["BARE", "EMPTY", "PAIR", "STEPS", "header", "invoke", "save_cache"]

STEPS = range(0, 60, 4)
PAIR = walkers([[(50 + x, 100), (350 - x, 300)] for x in STEPS], [[0, 1] for _ in STEPS])
BARE = [replace(frame, embeddings=None) for frame in PAIR]
EMPTY = walkers([[]] * 3, [[]] * 3)


def header(sequence="seq", pipeline="pipe", fps=30.0):
    """Return the header of a cache."""
    return replace(HEADER, sequence=sequence, pipeline=pipeline, fps=fps)


def save_cache(tmp_path, frames=PAIR, sequence="seq", pipeline="pipe"):
    """Write a cache into the work folder."""
    path = tmp_path / "work" / "caches" / pipeline / f"{sequence}.h5"
    return write(path, frames, header(sequence, pipeline))


def invoke(tmp_path, *arguments):
    """Run `mottool associate` in the work folder."""
    words = ["--work", str(tmp_path / "work"), *map(str, arguments)]
    return CliRunner().invoke(command, words)
