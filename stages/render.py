"""Stage `render`: frames and result files in; annotated H.264 video or strips of switches out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool._version import __version__
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, list_flag, settings_options, work_option
from mottool.errors import InputError, SettingError
from mottool.files import file_digest
from mottool.motchallenge.rules import AUTO, RULES
from mottool.progress import progress
from mottool.settings import Settings, setting, to_json
from mottool.workdir import WorkDir, write_record

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.drawing.detection_layers import DetectionLayers
    from mottool.drawing.overlay import Overlay
    from mottool.drawing.track_layer import TrackLayer
    from mottool.metrics.inputs import GroundTruthFile
    from mottool.sources.sequence import Frame, Sequence

__all__ = ["Config", "command", "inputs_of", "run"]

Span = tuple[int, int | None]
Watch = Callable[[Iterable["Frame"]], Iterable["Frame"]]


def _span(text: str) -> Span:
    """First and last frame of `1-100`, `50-` (to the end) or `7` (that one)."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    try:
        begin = int(first)
        end = int(last) if last else None if dash else begin
    except ValueError:
        begin, end = 0, None
    if begin < 1 or (end is not None and end < begin):
        raise SettingError(f"--frames {text!r} is no range of frames", "write 1-100, 50- or 7")
    return begin, end


@dataclass(frozen=True)
class Config(Settings):
    """What is drawn, on which frames, and how finely it is encoded."""

    frames: Span | None = setting(None, "Only these frames: 1-100, 50- or 7.", parse=_span)
    scale: float = setting(1.0, "Size of the video as a share of the source's.", low=0.05, high=8)
    trail: int = setting(
        30,
        "Frames that a trail of foot points reaches back; 0: none. Not with --gt or --beside.",
        low=0,
    )
    scores: bool = setting(True, "Write scores beside identities, unless all are the same.")
    detections: bool = setting(False, "Draw the cache's detections, thin in white, with scores.")
    occlusion: bool = setting(
        False,
        "Draw the cache's occlusion centres, and their heatmap where detect-embed kept it "
        "(--occlusion-maps).",
    )
    refound: bool = setting(
        False,
        "Dash every box that lies on no detection of the cache, and say refound where an "
        "occlusion centre lies in it.",
    )
    rules: str = setting(
        AUTO,
        "By which rules --gt judges; auto goes by its columns and the sequence's name.",
        choices=RULES,
    )
    crf: int = setting(21, "x264's rate factor: lower is finer and larger.", low=1, high=51)

    @property
    def needs_cache(self) -> bool:
        """Whether anything is drawn that result files do not hold."""
        return self.detections or self.occlusion or self.refound


def run(
    sequence: Sequence,
    tracks: Path,
    out: Path,
    config: Config,
    warn: Callable[[str], None] = lambda told: None,
    watch: Watch = lambda frames: frames,
    truth: GroundTruthFile | None = None,
    beside: Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Draw the rows of the result file `tracks` over a sequence and write the video `out`.

    With `truth` boxes are coloured by what they are worth; with `beside`, another result file,
    both are drawn side by side; `cache` is needed for what the settings draw of it. The time
    between two frames is the source's own; the first one is at 0. `warn` is told what of the
    source is missing, and `watch` may follow the frames as they pass. An `InputError` if the
    source or the rows cannot be read, or there is no frame in the span.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.detection_layers import DetectionLayers
    from mottool.drawing.overlay import Overlay
    from mottool.drawing.video_writer import video_writer

    if config.needs_cache and cache is None:
        fix = "give it, or leave --detections, --occlusion and --refound out"
        raise SettingError(f"no cache of {sequence.name} is given", fix)
    files = [tracks, *([beside] if beside else [])]
    panels = _panels(sequence, files, truth, config)
    first, last = config.frames or (1, None)
    size = _size(sequence, config)
    trail = 0 if truth or beside else config.trail
    titles = [file.resolve().parent.name if beside else "" for file in files]
    # A video halves its colours' resolution: lines whose colour tells need two pixels.
    overlays = [Overlay(*size, trail, title, 2 if truth else 1) for title in titles]
    for number in range(max(1, first - trail), first):
        for overlay, panel in zip(overlays, panels, strict=True):
            overlay.remember(number, *panel.at(number)[:2])
    with ExitStack() as opened:
        layers = None
        if cache and config.needs_cache:
            found = opened.enter_context(Cache(cache))
            shown = config.detections, config.occlusion, config.refound
            layers = DetectionLayers(found, config.scale, first, *shown)
        video = opened.enter_context(video_writer(out, sequence.fps, config.crf))
        number = 0
        for frame in _within(watch(sequence.frames(first, warn)), config):
            number = frame.number
            video.write(_drawn(frame, size, overlays, panels, layers), frame.seconds)
        if not number:
            fix = "choose --frames inside the sequence"
            raise InputError(f"{sequence.path} has no frame {first}", fix)
        for file, panel in zip(files, panels, strict=True):
            if panel.last > number and (last is None or number < last):
                warn(f"{file} has rows up to frame {panel.last}, {sequence.path} ends before")
    return out


def inputs_of(
    sequence: Sequence,
    tracks: Path,
    config: Config,
    truth: GroundTruthFile | None = None,
    beside: Path | None = None,
    cache: Path | None = None,
) -> dict[str, Any]:
    """Return what decides a video, as its record keeps it: frames, rows and settings."""
    files = {"tracks": tracks, "beside": beside, "ground_truth": truth.path if truth else None}
    digests = {name: file_digest(file) if file else None for name, file in files.items()}
    return {
        "source_hash": sequence.fingerprint(),
        **digests,
        "cache": file_digest(cache) if cache and config.needs_cache else None,
        "settings": to_json(config),
        "mottool": __version__,
    }


def _size(sequence: Sequence, config: Config) -> tuple[int, int]:
    """Width and height of the video's picture of one tracker, in pixels."""
    width, height = (round(side * config.scale) for side in (sequence.width, sequence.height))
    return max(2, width), max(2, height)


def _drawn(
    frame: Frame,
    size: tuple[int, int],
    overlays: list[Overlay],
    panels: list[TrackLayer],
    layers: DetectionLayers | None,
) -> npt.NDArray[np.uint8]:
    """One frame of the video: the pictures of the trackers side by side."""
    import cv2
    import numpy as np

    from mottool.drawing.overlay import beside_each_other

    image = frame.image
    if size != image.shape[1::-1]:
        method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    if layers:
        image = layers.under(overlays[0], image, frame.number)
    pictures = []
    for overlay, panel in zip(overlays, panels, strict=True):
        shown = panel.at(frame.number)
        ids, boxes, looks = layers.marked(shown) if layers else shown
        picture = overlay.draw(image, frame.number, ids, boxes, looks=looks)
        overlay.legend(picture, [*panel.legend, *(layers.legend if layers else [])])
        pictures.append(picture)
    return beside_each_other(pictures)


def _panels(
    sequence: Sequence, files: list[Path], truth: GroundTruthFile | None, config: Config
) -> list[TrackLayer]:
    """What is drawn of each result file: by verdict, by difference, or by identity."""
    from mottool.drawing import track_layer
    from mottool.metrics.box_outcomes import classify_boxes
    from mottool.metrics.tracker_differences import differences
    from mottool.motchallenge.rows import read_rows

    results = [read_rows(file, "result") for file in files]
    if truth:
        judged = [
            (rows, *classify_boxes(rows, truth, config.rules, sequence.name)) for rows in results
        ]
        return [track_layer.judged(*each, config.scale) for each in judged]
    if len(results) == 2:
        one, other = results
        return list(track_layer.compared(one, other, differences(one, other), config.scale))
    return [track_layer.plain(results[0], config.scale, config.scores)]


def _within(frames: Iterable[Frame], config: Config) -> Iterator[Frame]:
    """The frames up to the last one that is wanted."""
    last = config.frames[1] if config.frames else None
    return takewhile(lambda frame: last is None or frame.number <= last, frames)


@click.command("render")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--tracks",
    type=click.Path(path_type=Path),
    help="The folder of result files, <sequence>.txt each, or one result file.  "
    "[default: the one folder under WORK/tracks]",
)
@click.option(
    "--beside",
    type=click.Path(path_type=Path),
    help="Other results of the same sequences, drawn beside, with what differs in heavy lines.",
)
@click.option(
    "--gt",
    "truths",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Ground truth as mottool evaluate takes it: boxes are coloured as hit, false, missed or "
    "switched. May be given several times.",
)
@click.option(
    "--switches",
    is_flag=True,
    help="Instead of a video, a strip of pictures for every identity switch against --gt.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    help="The cache of what --detections, --occlusion and --refound draw, or a folder of "
    "<sequence>.h5.  [default: WORK/caches/PIPELINE of the results PIPELINE.TRACKER]",
)
@list_flag
@settings_options(Config)
@work_option
@as_json
def command(
    sources: tuple[str, ...],
    tracks: Path | None,
    beside: Path | None,
    truths: tuple[Path, ...],
    switches: bool,
    cache: Path | None,
    listed: Path | None,
    config: Config,
    work: Path,
    as_json: bool,
) -> None:
    """Draw tracks over the frames of each SOURCE: boxes, identities, trails, scores.

    \b
        mottool render video.mp4
        mottool render MOT17/train --tracks results/mytracker --frames 1-100 --scale 0.5
        mottool render video.mp4 --detections --occlusion --refound
        mottool render MOT17/train --gt MOT17/train
        mottool render MOT17/train --gt MOT17/train --switches
        mottool render video.mp4 --tracks results/mine --beside results/theirs

    A SOURCE is a video, a folder of images, a MOTChallenge sequence folder, a folder above such,
    or a quoted glob pattern. Its rows come from the result file that bears its name,
    <sequence>.txt; the video goes to WORK/videos/<result folder>/<sequence>.mp4, and with
    --beside to WORK/videos/<result folder>_vs_<other>.

    The video is H.264 that browsers play. Its frames follow each other at the source's own
    times. An identity has the same colour in every frame and every video.

    With --gt a hit is green, a false box vermilion, a missed person dashed in blue, and a hit
    whose identity has switched heavy and yellow, labelled OLD>NEW. With --beside a person has one
    colour in both pictures; a heavy line means that the other tracker gives another identity, a
    heavy dashed one that it has no box there. --beside with --gt judges both.

    --switches writes WORK/videos/<result folder>/<sequence>.switches/<frame>_object<id>.png: the
    person, whose true box is dashed in white, before, at and after each switch.
    """
    from mottool.drawing.reel import reel
    from mottool.metrics.inputs import find_truth, truth_of
    from mottool.sources.discovery import find_sequences

    if switches and (not truths or beside or config.needs_cache):
        problem = "--switches goes by --gt, and shows neither --beside nor what caches hold"
        raise SettingError(problem, "give --gt and --tracks only")
    batch = Jobs(as_json)
    place = tracks or _only_results(WorkDir(work))
    known = find_truth(truths)
    sequences = find_sequences(sources, listed, batch.fail)
    if len(sequences) == len(known) == 1 and truths[0].is_file():
        known = dict(zip([sequences[0].name], known.values(), strict=True))
    for each in (place, *([beside] if beside else [])):
        if each.is_file() and len(sequences) > 1:
            problem = f"{each} is one result file but there are {len(sequences)} sequences"
            raise SettingError(problem, "give the folder of their result files")
    folder = _folder(place)
    name = f"{folder}_vs_{_folder(beside)}" if beside else folder

    first, last = config.frames or (1, None)

    def job(sequence: Sequence) -> None:
        rows = _rows_of(place, sequence, "--tracks")
        truth = truth_of(sequence.name, known) if known else None
        out = WorkDir(work).video(name, sequence.name)

        def watch(frames: Iterable[Frame]) -> Iterable[Frame]:
            return progress(frames, sequence.name, last or sequence.length, first - 1)

        if switches and truth:
            out = out.with_suffix(".switches")
            span = config.frames or (1, None)
            made = reel(sequence, rows, truth, out, config.rules, span, batch.note, watch)
            batch.report(sequence.name, out, f"{len(made)} switches", switches=len(made))
            return
        other = _rows_of(beside, sequence, "--beside") if beside else None
        holder = _cache_of(sequence, cache, WorkDir(work), folder) if config.needs_cache else None
        run(sequence, rows, out, config, batch.note, watch, truth, other, holder)
        write_record(out, inputs_of(sequence, rows, config, truth, other, holder))
        batch.report(sequence.name, out, "rendered")

    for sequence in sequences:
        batch.run(sequence.name, partial(job, sequence))
    batch.close()


def _folder(place: Path) -> str:
    """The name of the folder of results, which may be one of its files."""
    return (place.resolve().parent if place.is_file() else place.resolve()).name


def _rows_of(place: Path, sequence: Sequence, flag: str) -> Path:
    """The result file of a sequence."""
    rows = place if place.is_file() else place / f"{sequence.name}.txt"
    if not rows.is_file():
        fix = f"run mottool associate on {sequence.name}, or name other results with {flag}"
        raise InputError(f"there is no result file {rows}", fix)
    return rows


def _cache_of(sequence: Sequence, given: Path | None, work: WorkDir, results: str) -> Path:
    """The cache of a sequence: given, or that of the pipeline whose name the results bear."""
    path = given or work.cache(results.rpartition(".")[0], sequence.name)
    path = path / f"{sequence.name}.h5" if path.is_dir() else path
    if not path.is_file():
        fix = "run mottool detect-embed, or name the cache with --cache"
        raise InputError(f"there is no cache {path}", fix)
    return path


def _only_results(work: WorkDir) -> Path:
    """The only folder of results under the work folder."""
    results = work.results()
    if not results:
        fix = "run mottool associate first, or name result files with --tracks"
        raise InputError(f"there are no results under {work.root / 'tracks'}", fix)
    if len(results) > 1:
        names = ", ".join(result.name for result in results)
        fix = f"choose one with --tracks {results[0]}"
        raise SettingError(f"there are several folders of results: {names}", fix)
    return results[0]
