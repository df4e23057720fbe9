"""Every kind of plot as one function: what was found in a sequence in, one figure out.

They are the `run` functions of the stage `plot`, and as light to import as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError, SettingError
from mottool.networks.registry import DEFAULT
from mottool.pipelines.options import input_size
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.metrics.inputs import GroundTruthFile
    from mottool.motchallenge.rows import Rows
    from mottool.pipelines.one_shot import NetworkEmbedder
    from mottool.sources.sequence import Sequence

__all__ = [
    "EmbeddingConfig",
    "SimilarityConfig",
    "TrackletConfig",
    "run_embeddings",
    "run_frames",
    "run_hota",
    "run_similarity",
    "run_timelines",
    "run_tracklets",
]


def _person(text: str) -> tuple[float, ...]:
    """The box of `X,Y,W,H`: left, top, width, height in pixels."""
    try:
        box = tuple(float(part) for part in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(map(isfinite, box)) or min(box[2:]) <= 0:
        fix = "write left, top, width and height in pixels, as 310,120,40,110"
        raise SettingError(f"--person {text!r} is no box", fix)
    return box


@dataclass(frozen=True)
class EmbeddingConfig(Settings):
    """Whose embeddings are mapped, and how."""

    people: int = setting(10, "How many identities are shown: those seen most.", low=2)
    samples: int = setting(60, "At most so many embeddings of each, evenly over time.", low=2)
    perplexity: float = setting(30.0, "About how many neighbours each point keeps.", low=1)
    seed: int = setting(0, "What the map starts from.", low=0)


@dataclass(frozen=True)
class TrackletConfig(Settings):
    """Which tracklets are compared."""

    memory: int = setting(30, "Tracklets not seen for more frames are left out.", low=1)


@dataclass(frozen=True)
class SimilarityConfig(Settings):
    """Which network looks, and for whom."""

    pipeline: str = setting(DEFAULT, "The one-shot network, as detect-embed names it.")
    weights: Path | None = setting(None, "Its checkpoint, as its authors publish it.")
    input: tuple[int, int] | None = setting(
        None,
        "Its input in pixels, WxH, multiples of 32. Without it, the size it was published with.",
        parse=input_size,
    )
    device: str = setting("auto", "Where it runs: auto, cpu, cuda or cuda:N.")
    person: tuple[float, ...] | None = setting(
        None,
        "The person, by the box in FRAME: X,Y,W,H, its left, top, width and height in pixels.",
        parse=_person,
    )
    id: int | None = setting(None, "The person, by the identity that --gt or --tracks gives.")


def run_embeddings(
    cache: Path, rows: Rows, out: Path, config: EmbeddingConfig | None = None
) -> Path:
    """Map the embeddings of the people in a cache by t-SNE, as FairMOT's Fig. 3, into `out`.

    `rows`, ground truth or tracks, say who is who. An `InputError` with fewer than two people
    among the detections; a `SettingError` without scikit-learn; a `CacheError` without embeddings.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.embedding_plots import draw_map, flat
    from mottool.metrics.embedding_similarity import of_people

    config = config or EmbeddingConfig()
    with Cache(cache) as opened:
        embeddings, ids = of_people(opened, rows, config.people, config.samples)
        title = f"{opened.header.sequence}: {opened.header.pipeline}"
    return draw_map(flat(embeddings, config.seed, config.perplexity), ids, title, out)


def run_frames(cache: Path, rows: Rows | None, pair: tuple[int, int], out: Path) -> Path:
    """Draw the cosines between the detections of two frames, as CSTrack's Fig. 6, into `out`.

    `rows`, ground truth or tracks, name the people; without them nobody is named. An `InputError`
    if one of the frames has no detections.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.embedding_plots import draw_cosines
    from mottool.metrics.embedding_similarity import between_frames

    with Cache(cache) as opened:
        found = between_frames(opened, rows, pair)
        title = f"{opened.header.sequence}: {opened.header.pipeline}"
    return draw_cosines(found, f"frame {pair[0]}", f"frame {pair[1]}", title, out)


def run_tracklets(
    cache: Path, rows: Rows, frame: int, out: Path, config: TrackletConfig | None = None
) -> Path:
    """Draw the cosines between tracklets and a frame's detections, as OUTrack's Fig. 7.

    `rows`, tracks or ground truth, say which detections are whose. An `InputError` if there is no
    tracklet or no detection.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.embedding_plots import draw_cosines
    from mottool.metrics.embedding_similarity import of_tracklets

    with Cache(cache) as opened:
        found = of_tracklets(opened, rows, frame, (config or TrackletConfig()).memory)
        title = f"{opened.header.sequence}: {opened.header.pipeline}"
    return draw_cosines(found, f"tracklets before frame {frame}", f"frame {frame}", title, out)


def run_similarity(
    sequence: Sequence,
    embedder: NetworkEmbedder,
    pair: tuple[int, int],
    box: npt.NDArray[np.floating[Any]],
    out: Path,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Draw where in a later frame a network sees somebody like a person, as JDE's Fig. 4.

    `pair` are the two frames, `box` (4,) x1 y1 x2 y2 is the person in the first; `warn` hears what
    the source lacks. An `InputError` if a frame is not there, or nothing of the box in it, and a
    `SettingError` if the network embeds boxes only.
    """
    from mottool.drawing.similarity_plot import cut, draw_similarity
    from mottool.pipelines.similarity_map import similarity

    images = {}
    for frame in sequence.frames(min(pair), warn):
        if frame.number in pair:
            images[frame.number] = frame.image
        if frame.number >= max(pair):
            break
    for number in pair:
        if number not in images:
            fix = "choose --at inside the sequence"
            raise InputError(f"{sequence.path} has no frame {number}", fix)
    query, later = (images[number] for number in pair)
    crop = cut(query, box)
    cosines = similarity(embedder, query, box, later)  # (H, W)
    names = f"frame {pair[0]}", f"frame {pair[1]}"
    return draw_similarity(crop, later, cosines, names, f"{sequence.name}: {embedder.name}", out)


def run_hota(
    trackers: dict[str, dict[str, Path]],
    truths: list[GroundTruthFile],
    out: Path,
    rules: str = "auto",
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Draw HOTA, DetA and AssA over the localisation threshold, a line for each tracker.

    `trackers` have result files by sequence, and one for each of `truths`; several sequences are
    joined as TrackEval does. `rules` are a benchmark's or `auto`; `warn` hears what a score costs.
    """
    from mottool.drawing.curves import draw_alphas
    from mottool.metrics.evaluate import TrackEvaluation

    curves = {}
    for tracker, files in trackers.items():
        evaluation = TrackEvaluation(tracker)
        for truth in truths:
            evaluation.add(truth.sequence, files[truth.sequence], truth, rules, warn)
        curves[tracker] = evaluation.rows()[-1].curves
    several = f"{len(truths)} sequences combined"
    return draw_alphas(curves, truths[0].sequence if len(truths) == 1 else several, out)


def run_timelines(
    tracks: Path,
    out: Path,
    truth: GroundTruthFile | None = None,
    rules: str = "auto",
    name: str = "",
) -> Path:
    """Draw a lane for each identity, or with `truth` for each person and who hits them.

    `rules` are a benchmark's or `auto`; `name` is the sequence's, by default the file's. An
    `InputError` if there are no rows to draw.
    """
    from mottool.drawing.timelines import draw_objects, draw_tracks
    from mottool.metrics.box_outcomes import classify_boxes
    from mottool.motchallenge.rows import read_rows

    rows = read_rows(tracks, "result")
    name = name or tracks.name.removesuffix(".gz").removesuffix(".txt")
    title = f"{name}: {tracks.resolve().parent.name}"
    if truth is not None:
        objects, found = classify_boxes(rows, truth, rules, name)
        if len(objects):
            return draw_objects(objects, found, title, out)
    if not len(rows) or truth is not None:
        raise InputError(f"there is nothing to draw for {tracks}", "give files that hold rows")
    return draw_tracks(rows, title, out)
