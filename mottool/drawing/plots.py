"""One function per kind of plot: caches, result files or frames in, one image file out.

Imports no torch, numpy, cv2 or h5py: the command line reads the settings classes for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError, SettingError, ignore_warning
from mottool.metrics.settings import MIN_SCORE
from mottool.motchallenge.rules import AUTO
from mottool.networks.registry import DEFAULT
from mottool.pipelines.options import device_setting, input_size
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.metrics.ground_truth_files import GroundTruthFile
    from mottool.motchallenge.rows import Rows
    from mottool.pipelines.one_shot import NetworkEmbedder
    from mottool.sources.sequence import Sequence

__all__ = [
    "DetectionPlotSettings",
    "EmbeddingPlotSettings",
    "SimilarityPlotSettings",
    "TrackletPlotSettings",
    "plot_embeddings",
    "plot_frames",
    "hota_curves",
    "plot_hota",
    "plot_similarity",
    "plot_templates",
    "plot_timelines",
    "plot_tracklets",
]


def _parse_box(text: str) -> tuple[float, ...]:
    """Parse the box `X,Y,W,H`: left, top, width, height in pixels."""
    try:
        box = tuple(float(part) for part in text.split(","))
    except ValueError:
        box = ()
    if len(box) != 4 or not all(map(isfinite, box)) or min(box[2:]) <= 0:
        fix = "write left, top, width and height in pixels, as 310,120,40,110"
        raise SettingError(f"--person {text!r} is not a box", fix)
    return box


@dataclass(frozen=True)
class EmbeddingPlotSettings(Settings):
    """Settings of the t-SNE map: the selection of embeddings and the projection."""

    people: int = setting(10, "Number of identities: those with most detections.", low=2)
    samples: int = setting(60, "Maximum of embeddings per identity, evenly over time.", low=2)
    perplexity: float = setting(
        30.0, "Approximate number of neighbours that each point keeps.", low=1
    )
    seed: int = setting(0, "Random seed of the map.", low=0)


@dataclass(frozen=True)
class DetectionPlotSettings(Settings):
    """The detections that a plot shows."""

    min_score: float = setting(
        MIN_SCORE, "Detections with a lower score are left out.", low=0, high=1
    )


@dataclass(frozen=True)
class TrackletPlotSettings(DetectionPlotSettings):
    """Settings of the tracklets that are compared."""

    memory: int = setting(30, "Skip tracklets without a detection for more frames.", low=1)


@dataclass(frozen=True)
class SimilarityPlotSettings(Settings):
    """Settings of the similarity map: the network and the person."""

    pipeline: str = setting(DEFAULT, "The one-shot network, as detect-embed names it.")
    weights: Path | None = setting(None, "Its checkpoint, as its authors publish it.")
    input: tuple[int, int] | None = setting(
        None,
        "Its input in pixels, WxH, multiples of 32. Without it, the published size.",
        parse=input_size,
    )
    device: str = device_setting()
    person: tuple[float, ...] | None = setting(
        None,
        "The person's box in FRAME as X,Y,W,H: left, top, width and height in pixels.",
        parse=_parse_box,
    )
    id: int | None = setting(None, "The person's identity in --gt or --tracks.")
    features: str = setting(
        "both",
        "What is compared: the dense embeddings, the features from which the network detects "
        "people, or both, in two maps.",
        choices=("both", "embedding", "detection"),
    )


def plot_embeddings(
    cache: Path, rows: Rows, out: Path, settings: EmbeddingPlotSettings | None = None
) -> Path:
    """Plot a t-SNE map of a cache's embeddings, as FairMOT's Fig. 3, into `out`.

    `rows`, ground truth or tracks, give the identities of detections. Raises `InputError` if they
    match fewer than two people, `SettingError` without scikit-learn, and `CacheError` without
    embeddings.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.embedding_plots import draw_map, project_tsne
    from mottool.metrics.embedding_similarity import count_people, of_people

    settings = settings or EmbeddingPlotSettings()
    with Cache(cache) as opened:
        embeddings, ids = of_people(opened, rows, settings.people, settings.samples)
        total = count_people(opened, rows)
        title = _title(opened.header.sequence, opened.header.pipeline)
    points = project_tsne(embeddings, settings.seed, settings.perplexity)
    return draw_map(points, ids, title, out, total)


def plot_frames(
    cache: Path,
    rows: Rows | None,
    out: Path,
    pair: tuple[int, int],
    settings: DetectionPlotSettings | None = None,
) -> Path:
    """Plot the cosines between the detections of two frames into `out`.

    `rows`, ground truth or tracks, give the identities; without them, identities are unknown.
    Raises `InputError` if one of the frames has no detections.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.embedding_plots import draw_cosines
    from mottool.metrics.embedding_similarity import between_frames

    with Cache(cache) as opened:
        settings = settings or DetectionPlotSettings()
        matrix = between_frames(opened, rows, pair, settings.min_score)
        title = _title(opened.header.sequence, opened.header.pipeline)
    return draw_cosines(matrix, f"frame {pair[0]}", f"frame {pair[1]}", title, out)


def plot_tracklets(
    cache: Path, rows: Rows, out: Path, frame: int, settings: TrackletPlotSettings | None = None
) -> Path:
    """Plot the cosines between tracklets and a frame's detections.

    `rows`, tracks or ground truth, give the identities of detections. Raises `InputError` if there
    is no tracklet or no detection.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.embedding_plots import draw_cosines
    from mottool.metrics.embedding_similarity import of_tracklets

    with Cache(cache) as opened:
        settings = settings or TrackletPlotSettings()
        matrix = of_tracklets(opened, rows, frame, settings.memory, settings.min_score)
        title = _title(opened.header.sequence, opened.header.pipeline)
    return draw_cosines(matrix, f"tracklets before frame {frame}", f"frame {frame}", title, out)


def plot_templates(
    caches: list[Path],
    rows: Rows,
    out: Path,
    frame: int,
    settings: TrackletPlotSettings | None = None,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Plot a frame's embeddings, its templates and their cosines, as CSTrack's Fig. 6.

    `caches` are those of one sequence by several pipelines, a row of panels each; `rows`, ground
    truth or tracks, give the identities and the boxes that are drawn. `warn` receives a message for
    anything the source lacks. Raises `InputError` if a cache has no tracklet or no detection, or
    the source has no such frame.
    """
    from mottool.boxes import xyxy_from_tlwh
    from mottool.cache.reader import Cache
    from mottool.drawing.template_plot import draw_templates
    from mottool.metrics.embedding_similarity import templates_of
    from mottool.pixel_range import recorded_range
    from mottool.sources.discovery import find_sequences

    settings, networks = settings or TrackletPlotSettings(), {}
    for path in caches:
        with Cache(path) as cache:
            header = cache.header
            networks[header.pipeline] = templates_of(
                cache, rows, frame, settings.memory, settings.min_score
            )
    pixels = recorded_range(header.settings)
    (sequence,) = find_sequences([header.source], pixel_range=pixels)
    images = (each.image for each in sequence.frames(frame, warn) if each.number == frame)
    image = next(images, None)
    if image is None:
        raise InputError(f"{header.source} has no frame {frame}", "choose --at inside the sequence")
    people = rows.select(rows.frames == frame)
    titles = header.sequence, f"frame {frame}"
    return draw_templates(image, xyxy_from_tlwh(people.tlwh), people.ids, networks, titles, out)


def plot_similarity(
    sequence: Sequence,
    embedder: NetworkEmbedder,
    pair: tuple[int, int],
    box: npt.NDArray[np.floating[Any]],
    out: Path,
    warn: Callable[[str], None] = ignore_warning,
    features: str = "both",
) -> Path:
    """Plot the similarity of every cell of a later frame with a person, as JDE's Fig. 4.

    `pair` are the numbers of the two frames and `box` (4,) x1 y1 x2 y2 is the person in the first.
    `features` is as in `SimilarityPlotSettings`. `warn` receives a message for anything the source
    lacks. Raises `InputError` if a frame does not exist or does not contain the box, and
    `SettingError` if the network embeds boxes only.
    """
    from mottool.drawing.similarity_plot import crop, draw_similarity
    from mottool.pipelines.similarity_map import detection_similarity, similarity

    images = sequence.images_at(pair, warn)
    query, later = (images[number] for number in pair)
    person = crop(query, box)
    maps = {}
    if features != "embedding":
        maps["detection features"] = detection_similarity(embedder, query, box, later)  # (H, W)
    if features != "detection":
        maps["dense embeddings"] = similarity(embedder, query, box, later)  # (H, W)
    names = f"frame {pair[0]}", f"frame {pair[1]}"
    return draw_similarity(person, later, maps, names, _title(sequence.name, embedder.name), out)


def hota_curves(
    tracker: str,
    files: Mapping[str, Path],
    ground_truth: list[GroundTruthFile],
    rules: str = AUTO,
    warn: Callable[[str], None] = ignore_warning,
) -> Mapping[str, Any]:
    """Return the curves of a tracker by metric, HOTA, DetA and AssA among them: (19,) in [0, 1].

    `files` are its results by sequence, one for each of `ground_truth`; several sequences are
    combined as in TrackEval. `rules` are a benchmark's or `auto`. `warn` receives a message for
    anything that lowers a score. Raises `InputError` for a file that is no result.
    """
    from mottool.metrics.track_evaluation import TrackEvaluation

    evaluation = TrackEvaluation(tracker)
    for truth in ground_truth:
        evaluation.add(truth.sequence, files[truth.sequence], truth, rules, warn)
    return evaluation.rows()[-1].curves


def plot_hota(curves: Mapping[str, Mapping[str, Any]], sequences: list[str], out: Path) -> Path:
    """Plot HOTA, DetA and AssA over the localisation threshold, a line per tracker.

    `curves` are those of `hota_curves` by tracker, of the same `sequences`.
    """
    from mottool.drawing.curves import draw_hota_curves

    title = sequences[0] if len(sequences) == 1 else f"{len(sequences)} sequences combined"
    return draw_hota_curves(curves, title, out)


def plot_timelines(
    tracks: Path,
    out: Path,
    ground_truth: GroundTruthFile | None = None,
    rules: str = AUTO,
    name: str = "",
) -> Path:
    """Plot a lane per identity, or with `ground_truth` a lane per person and its matches.

    `rules` are a benchmark's or `auto`; `name` is the sequence's, by default the file's. Raises
    `InputError` if there are no rows to draw.
    """
    from mottool.drawing.timelines import draw_objects, draw_tracks
    from mottool.metrics.box_outcomes import classify_boxes
    from mottool.motchallenge.rows import read_rows
    from mottool.motchallenge.text_files import stem_of

    rows = read_rows(tracks, "result")
    name = name or stem_of(tracks)
    title = _title(name, tracks.resolve().parent.name)
    if ground_truth is not None:
        objects, outcomes = classify_boxes(rows, ground_truth, rules, name)
        if len(objects):
            return draw_objects(rows, objects, outcomes, title, out)
    elif len(rows):
        return draw_tracks(rows, title, out)
    raise InputError(f"there is nothing to draw for {tracks}", "give files that contain rows")


def _title(sequence: str, maker: str) -> str:
    return f"{sequence}: {maker}"
