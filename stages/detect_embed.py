"""Stage `detect-embed`: frames in, one cache of detections and embeddings per sequence out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    list_flag,
    settings_options,
    shard_flag,
    shard_of,
    work_option,
)
from mottool.errors import SettingError
from mottool.networks.registry import DEFAULT
from mottool.pipelines.options import Options
from mottool.pipelines.registry import PUBLIC
from mottool.settings import Settings, setting
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Sequence

__all__ = ["Config", "command", "pipeline_of", "run", "unused_detections"]

T = TypeVar("T")
AHEAD = 4  # batches of frames decoded before the network wants them


@dataclass(frozen=True)
class Choice(Settings):
    """Which pipeline."""

    pipeline: str | None = setting(
        None,
        "What makes detections and embeddings: a network, a detector, or DETECTOR+EMBEDDER; "
        f"public stands for boxes from a file. Without it, {DEFAULT}, or public with --detections.",
    )
    embedder: str = setting(
        "",
        "What describes the boxes of a detector, short for +EMBEDDER after its name; none for "
        "nothing. Without it, boxes from a file are described by the embeddings in the file where "
        "there are some, else by histogram.",
    )
    boxes: str = setting(
        "",
        "Boxes to embed at instead of the pipeline's own: gt, each sequence's gt/gt.txt, or what "
        "--detections takes.",
    )


@dataclass(frozen=True)
class Config(Options, Choice):
    """Which pipeline, and what its parts are told."""


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
    from mottool.cache.writer import CacheWriter, Header
    from mottool.progress import progress
    from mottool.sources.prefetch import ahead

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
        start = 1 if begun.needs_all_frames else done + 1
        frames = sequence.frames(start, warn, begun.needs_pixels)
        decoded = ahead(frames, AHEAD * pipeline.batch)
        for batch in _batches(
            progress(decoded, sequence.name, sequence.length, start - 1), pipeline.batch
        ):
            found = begun.detect([frame for frame, _ in batch])
            for (frame, decode), (detections, times) in zip(batch, found, strict=True):
                if frame.number > done:
                    cache.append(detections, frame.seconds, (decode, *times))
        return cache.finish()


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def pipeline_of(config: Config, sequences: int, warn: Callable[[str], None]) -> Pipeline:
    """The pipeline that the settings name, for so many sequences."""
    from mottool.pipelines.build import build_pipeline, full_name

    chosen = config.pipeline or (PUBLIC if config.detections else DEFAULT)
    name, options = full_name(chosen, config.embedder, config.boxes, config)
    if options.detections and not options.detections.is_dir() and sequences > 1:
        fix = "give a folder of <sequence>.txt or .npy"
        raise SettingError(f"{options.detections} is one file for {sequences} sequences", fix)
    return build_pipeline(name, options, warn)


def unused_detections(config: Config, sequences: Iterable[Sequence]) -> str:
    """Say which sequences come with public detections that nobody asked for; "" for none."""
    if config.pipeline or config.detections or config.boxes:
        return ""
    names = [sequence.name for sequence in sequences if sequence.detections]
    if not names:
        return ""
    some = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
    told = "comes" if len(names) == 1 else "come"
    return (
        f"{some} {told} with public detections (det/det.txt); {DEFAULT} detects people itself, "
        f"--pipeline {PUBLIC} uses them"
    )


@click.command("detect-embed")
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@list_flag
@settings_options(Config)
@click.option("--overwrite", is_flag=True, help="Start again where another run's cache lies.")
@shard_flag
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    listed: Path | None,
    config: Config,
    overwrite: bool,
    shard: tuple[int, int] | None,
    work: Path,
    as_json: bool,
) -> None:
    """Detect and embed people in every SOURCE, one cache each.

    A SOURCE is a video file, a folder of images, a MOTChallenge sequence folder (seqinfo.ini with
    img1/ or a video), a folder with such sequences anywhere below it, or a quoted glob pattern.

    \b
        mottool detect-embed video.mp4
        mottool detect-embed MOT17/train --pipeline public
        mottool detect-embed video.mp4 --detections det.txt
        mottool detect-embed seq --detections seq.npy --embedder file
        mottool detect-embed video.mp4 --pipeline fairmot-dla34 --weights fairmot_dla34.pth
        mottool detect-embed seq --pipeline yolox+reid --weights y.onnx --embedder-weights r.onnx
        mottool detect-embed MOT17/train --pipeline cstrack --weights cstrack.pt --boxes gt
        parallel mottool detect-embed MOT17/train --shard {}/4 ::: 1 2 3 4

    \b
    A PIPELINE is one of
        NETWORK             detects and embeds in one pass over the frame
        DETECTOR            detects only, which sort and bytetrack are content with
        DETECTOR+EMBEDDER   in two stages; a network may take either part

    \b
    Networks    mottool-s (in the box, needs no weights),
                fairmot-dla34 -resnet34 -resnet34-fpn -resnet50 -hrnet18 -hrnet32 -yolov5s,
                fairmot-dla34-stride2 -stride8 -anchors4 -anchors8 -64d -256d -512d,
                jde-1088x608 -864x480 -576x320, cstrack, cstrack-s, outrack,
                otrack (no embeddings), tdt-r34 -r50 -mobilenet -mobilenet-nofpn
    Detectors   public and gt (boxes from files), torchvision's fasterrcnn, retinanet,
                fcos and ssdlite, and from .onnx or OpenVINO's .xml: yolox, onnx, openvino
    Embedders   histogram (colours, no weights), file (as public's .npy has them), reid
                (from .onnx or .xml), osnet_x1_0 _x0_75 _x0_5 _x0_25 _ibn_x1_0 _ain_x1_0

    Without any option mottool-s detects and embeds people; its weights come with mottool, for
    non-commercial use. Each cache is WORK/caches/PIPELINE/SEQUENCE.h5. A run that was stopped
    resumes when the same command is given again.
    """
    from mottool.sources.discovery import find_sequences

    batch = Jobs(as_json)
    sequences = find_sequences(sources, listed, batch.fail)
    pipeline = pipeline_of(config, len(sequences), batch.note)
    if note := unused_detections(config, sequences):
        batch.note(note)
    for sequence in shard_of(sequences, shard):
        out = WorkDir(work).cache(pipeline.name, sequence.name)

        def job(sequence: Sequence = sequence, out: Path = out) -> tuple[Path, float]:
            begun = perf_counter()
            path = run(sequence, out, pipeline, overwrite, batch.note)
            return path, perf_counter() - begun

        made = batch.run(sequence.name, job)
        if made:
            _report(batch, sequence.name, *made)
    batch.close()


def _report(batch: Jobs, sequence: str, path: Path, seconds: float) -> None:
    from mottool.cache.reader import Cache

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
