"""Stage `detect-embed`: frames in, one cache of detections and embeddings per sequence out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.cli.engine_options import EngineSettings, open_engine
from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    as_json,
    list_option,
    pixel_range_option,
    select_shard,
    settings_options,
    shard_option,
    work_option,
)
from mottool.engines.base import InProcess
from mottool.engines.task import Task
from mottool.errors import MottoolError
from mottool.files import file_digest
from mottool.networks.registry import NETWORKS, names_help
from mottool.pipelines.cache_record import pipeline_inputs
from mottool.pipelines.choice import (
    PIPELINE_HELP,
    PipelineConfig,
    full_name_of,
    pipeline_of,
    unused_detections,
)
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.make_caches import load_pipelines, make_caches
from mottool.pipelines.names import runs_network
from mottool.pipelines.several import configs_of_each
from mottool.progress import progress
from mottool.sources.video_decoders import CPU, DECODERS
from mottool.splits import splits_help
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.pixel_range import PixelRange

__all__ = ["Config", "command", "pipeline_of", "run"]

run = detect_embed
Config = PipelineConfig


EPILOG = "\b\nNetworks for --pipeline:\n" + names_help(NETWORKS.values()) + "\n\n" + splits_help()


@click.command("detect-embed", epilog=EPILOG)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@list_option
@click.option(
    "--pipeline",
    "names",
    multiple=True,
    help=f"{PIPELINE_HELP} May be given several times, as NAME or NAME=WEIGHTS: the frames are "
    "decoded once, each pipeline writes its own cache, and other options go to the pipelines that "
    "they apply to.",
)
@pixel_range_option
@click.option(
    "--decoder",
    type=click.Choice(DECODERS),
    default=CPU,
    show_default=True,
    help="What decodes videos: the cpu, or an NVIDIA gpu, whose first frames must be those of the "
    "cpu; auto is the gpu where it can, and else the cpu.",
)
@settings_options(Config, without={"pipeline"})
@click.option("--overwrite", is_flag=True, help="Replace existing caches.")
@settings_options(EngineSettings, "engine")
@shard_option
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    listed: Path | None,
    names: tuple[str, ...],
    pixel_range: PixelRange | None,
    decoder: str,
    config: Config,
    overwrite: bool,
    engine: EngineSettings,
    shard: tuple[int, int] | None,
    work: Path,
    as_json: bool,
) -> None:
    """Detect and embed people in every SOURCE, one cache each.

    A SOURCE is a video file, a folder of images, a MOTChallenge sequence folder (seqinfo.ini with
    img1/ or a video), a folder with such sequences at any depth, or a quoted glob pattern. Splits
    of MOTChallenge, DanceTrack, SportsMOT, KITTI tracking, VisDrone-MOT and BDD100K MOT are read
    in their published layout.
    SOURCE@SPLIT is a part of its sequences, such as MOT17/train@second (see below).

    \b
        mottool detect-embed video.mp4
        mottool detect-embed MOT17/train --pipeline public
        mottool detect-embed video.mp4 --detections det.txt
        mottool detect-embed seq --detections seq.npy --embedder file
        mottool detect-embed video.mp4 --pipeline fairmot-dla34 --weights fairmot_dla34.pth
        mottool detect-embed seq --pipeline yolox+reid --weights y.onnx --embedder-weights r.onnx
        mottool detect-embed MOT17/train --pipeline cstrack --weights cstrack.pt --boxes gt
        mottool detect-embed video.mp4 --pipeline mottool-s --pipeline jde-1088x608=jde.pt
        parallel mottool detect-embed MOT17/train --shard {}/4 ::: 1 2 3 4

    \b
    A PIPELINE is one of
        NETWORK             detects and embeds in one pass over the frame
        DETECTOR            detects only, enough for sort, bytetrack, ocsort and botsort
        DETECTOR+EMBEDDER   in two stages; a network may be either part

    \b
    Networks    mottool-s (bundled, needs no weights),
                fairmot-dla34 -resnet34 -resnet34-fpn -resnet50 -hrnet18 -hrnet32 -yolov5s,
                fairmot-dla34-stride2 -stride8 -anchors4 -anchors8 -64d -256d -512d,
                jde-1088x608 -864x480 -576x320, cstrack, cstrack-s, outrack,
                otrack (no embeddings), tdt-r34 -r50 -mobilenet -mobilenet-nofpn
                -mobilenet-v2
    Detectors   public and gt (boxes from files), torchvision's fasterrcnn, retinanet,
                fcos and ssdlite, and from .onnx or OpenVINO's .xml: yolox, onnx, openvino
    Embedders   histogram (colours, no weights), file (from public's .npy), reid
                (from .onnx or .xml), osnet_x1_0 _x0_75 _x0_5 _x0_25 _ibn_x1_0 _ain_x1_0,
                resnet50

    Without any option mottool-s detects and embeds people; its weights come with mottool, for
    non-commercial use. Each cache is WORK/caches/PIPELINE/SEQUENCE.h5. To resume an interrupted
    run, run the same command again.

    A network runs in one process, which uses all cores or one GPU; where that leaves some of the
    machine idle, --network-jobs 2 processes two sequences at the same time. Pipelines without a
    network, such as public, have --jobs processes. --engine dask spreads the sequences over the
    machines of a Dask cluster, in a work folder that they share.
    """
    from mottool.sources.discovery import find_sequences

    jobs, configs = Jobs(as_json), tuple(configs_of_each(config, names))
    sequences = find_sequences(sources, listed, jobs.fail, jobs.note, pixel_range, decoder)
    if not sequences:
        jobs.close()  # before the network is loaded
    if not names and (note := unused_detections(config, sequences)):
        jobs.note(note)
    selected = select_shard(sequences, shard)
    networks = any(runs_network(full_name_of(each)[0]) for each in configs)
    useful = min(engine.network_jobs, len(selected)) if networks else len(selected)
    inputs = [pipeline_inputs(each, file_digest) for each in configs]
    arguments: tuple[Any, ...] = configs, inputs, len(sequences), WorkDir(work), overwrite
    with open_engine(engine, useful, networks, jobs.note) as opened:
        if isinstance(opened, InProcess):  # else each worker loads them
            arguments += load_pipelines(configs, len(sequences), jobs.note), jobs.note
        needs = "network" if networks else "cpu"
        tasks = [Task(each.name, make_caches, (each, *arguments), needs=needs) for each in selected]
        outcomes = opened.run(tasks)
        if not isinstance(opened, InProcess):  # else each sequence has a progress bar of its frames
            outcomes = progress(outcomes, "detect-embed", len(tasks), unit="sequences")
        for outcome in outcomes:
            made = jobs.run(outcome.task.name, outcome.result)
            if made is not None:
                for note in made.notes:
                    jobs.note(note)
                _report_all(jobs, outcome.task.name, made.errors, outcome.seconds)
    jobs.close()


def _report_all(
    jobs: Jobs, sequence: str, errors: Mapping[Path, MottoolError | None], seconds: float
) -> None:
    """Report the caches of one sequence, and the pipelines that failed."""
    for path, error in errors.items():
        if error:
            name = f"{sequence} ({path.parent.name})" if len(errors) > 1 else sequence
            jobs.fail(name, error)
        else:
            _report(jobs, sequence, path, seconds)


def _report(jobs: Jobs, sequence: str, path: Path, seconds: float) -> None:
    """Report the cache of one sequence."""
    from mottool.cache.reader import Cache

    with Cache(path) as cache:
        frames, boxes, size = cache.frame_count, cache.detection_count, cache.embedding_size
    embeddings = f"{size}-d embeddings" if size else "no embeddings"
    jobs.report(
        sequence,
        path,
        f"{frames} frames, {boxes} detections, {embeddings}, {seconds:.1f} s",
        frames=frames,
        detections=boxes,
        embedding_size=size,
        seconds=round(seconds, 3),
    )
