"""Stage `detect-embed`: frames in, one cache of detections and embeddings per sequence out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import click

from mottool.batch import Batch
from mottool.cli import as_json, work_folder
from mottool.config import Settings, flags, knob
from mottool.errors import SettingError
from mottool.work import Work

if TYPE_CHECKING:
    from mottool.pipelines.pipeline import Pipeline
    from mottool.sources import Sequence

__all__ = ["Config", "command", "run"]

T = TypeVar("T")
AHEAD = 4  # batches of frames decoded before the network wants them


@dataclass(frozen=True)
class Config(Settings):
    """Which pipeline, and what it reads beside the frames."""

    pipeline: str = knob(
        "public", "What detects: public (boxes from a file), or a network: fairmot-dla34."
    )
    weights: Path | None = knob(None, "The network's checkpoint, as its authors publish it.")
    detections: Path | None = knob(
        None,
        "Public detections: MOTChallenge's det.txt or DeepSORT's .npy (10 columns, then the "
        "embedding) of the one sequence, or a folder of <sequence>.txt or .npy. Without it, each "
        "sequence's own det/det.txt.",
    )
    embedder: str | None = knob(
        None,
        "What describes public boxes: histogram (colours of the body's bands, no weights needed), "
        "file (the embeddings in the .npy), none. Without it, file where there are embeddings, "
        "else histogram.",
        choices=("histogram", "file", "none"),
    )
    score_scale: float | None = knob(
        None,
        "Public scores become 1/(1+exp(-score/SCALE)). Without it, that is done only where they "
        "are raw margins outside [0, 1], SCALE being the median magnitude in the file.",
        low=1e-9,
    )
    min_score: float = knob(0.1, "A network's detections must score above it.", low=0, high=1)
    device: str = knob("auto", "Where a network runs: auto, cpu, cuda or cuda:N.")
    batch: int = knob(1, "Frames in one call of a network.", low=1)


def run(
    sequence: Sequence,
    out: Path,
    pipeline: Pipeline,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Run `pipeline` over `sequence` and write its cache to `out`.

    An interrupted run goes on after the last frame it committed; a finished cache of the same
    source, weights and settings is left as it is. Raises `CacheError` where `out` holds another
    run's, unless `overwrite`, and `InputError` for what the sequence lacks.
    """
    from mottool.ahead import ahead
    from mottool.cache import CacheWriter, Header
    from mottool.progress import progress

    begun = pipeline.start(sequence, warn)
    header = Header(
        sequence=sequence.name,
        pipeline=pipeline.name,
        source=str(sequence.path),
        source_hash=sequence.fingerprint(),
        width=sequence.width,
        height=sequence.height,
        fps=sequence.fps,
        weights=pipeline.weights,
        settings=begun.settings,
    )
    with CacheWriter(out, header, overwrite) as cache:
        if cache.already_complete:
            warn(f"{out} is complete already; --overwrite makes it anew")
            return out
        done = cache.committed
        frames = sequence.frames(done + 1, warn, begun.needs_pixels)
        decoded = ahead(frames, AHEAD * pipeline.batch)
        for batch in _batches(
            progress(decoded, sequence.name, sequence.length, done), pipeline.batch
        ):
            found = begun.detect([frame for frame, _ in batch])
            for (frame, decode), (detections, times) in zip(batch, found, strict=True):
                cache.append(detections, frame.seconds, (decode, *times))
        return cache.finish()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _pipeline(config: Config) -> Pipeline:
    """The pipeline that the settings name; flags of another one are a `SettingError`."""
    from mottool.pipelines import registry

    boxes_given = config.detections or config.embedder or config.score_scale
    if config.pipeline == registry.PUBLIC:
        if config.weights:
            fix = "name the network they are for, for example --pipeline fairmot-dla34"
            raise SettingError("--weights mean nothing to public detections", fix)
        return registry.public(config.embedder, config.detections, config.score_scale)
    if boxes_given:
        fix = f"leave them out, or leave out --pipeline {config.pipeline}"
        raise SettingError("--detections, --embedder and --score-scale go with public boxes", fix)
    return registry.one_shot(
        config.pipeline, config.weights, config.device, config.min_score, config.batch
    )


@click.command("detect-embed")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    help="A text file with one source a line, relative to its folder.",
)
@flags(Config)
@click.option("--overwrite", is_flag=True, help="Start again where another run's cache lies.")
@work_folder
@as_json
def command(
    sources: tuple[str, ...],
    listed: Path | None,
    config: Config,
    overwrite: bool,
    work: Path,
    as_json: bool,
) -> None:
    """Detect and embed people in every SOURCE, one cache each.

    A SOURCE is a video file, a folder of images, a MOTChallenge sequence folder (seqinfo.ini with
    img1/ or a video), a folder with such sequences anywhere below it, or a quoted glob pattern.

    \b
        mottool detect-embed MOT17/train
        mottool detect-embed video.mp4 --detections det.txt
        mottool detect-embed seq --detections seq.npy --embedder file
        mottool detect-embed video.mp4 --pipeline fairmot-dla34 --weights fairmot_dla34.pth

    Without any option the boxes are MOTChallenge's public detections (det/det.txt), described by
    their colours: no weights are needed. Each cache is WORK/caches/PIPELINE/SEQUENCE.h5. A run
    that was stopped goes on where it was when the same command is given again.
    """
    from mottool.sources import find_sequences

    batch = Batch(as_json)
    sequences = find_sequences(sources, listed, batch.fail)
    if config.detections and not config.detections.is_dir() and len(sequences) > 1:
        fix = "give a folder of <sequence>.txt or .npy"
        raise SettingError(f"{config.detections} is one file for {len(sequences)} sequences", fix)
    pipeline = _pipeline(config)
    for sequence in sequences:
        out = Work(work).cache(pipeline.name, sequence.name)

        def job(sequence: Sequence = sequence, out: Path = out) -> tuple[Path, float]:
            begun = perf_counter()
            path = run(sequence, out, pipeline, overwrite, batch.note)
            return path, perf_counter() - begun

        made = batch.run(sequence.name, job)
        if made:
            _report(batch, sequence.name, *made)
    batch.close()


def _report(batch: Batch, sequence: str, path: Path, seconds: float) -> None:
    from mottool.cache import Cache

    with Cache(path) as cache:
        frames, boxes, size = cache.frame_count, cache.detection_count, cache.embedding_size
    told = f"{frames} frames, {boxes} detections, "
    told += f"{size}-d embeddings, " if size else "no embeddings, "
    batch.report(
        sequence,
        path,
        f"{told}{seconds:.1f} s",
        frames=frames,
        detections=boxes,
        embedding_size=size,
        seconds=round(seconds, 3),
    )
