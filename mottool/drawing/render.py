"""Render tracks over the frames of a sequence: a video, or image strips of identity switches.

Imports no torch, numpy, cv2, h5py or av: the command line reads `RenderSettings` for `--help`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool._version import __version__
from mottool.errors import InputError, SettingError, ignore_warning
from mottool.files import file_digest
from mottool.motchallenge.rules import AUTO, RULES
from mottool.motchallenge.zip_files import file_on_disk
from mottool.settings import Settings, setting, to_json
from mottool.splits import Span, parse_span

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.cache.reader import Cache
    from mottool.drawing.detection_layers import DetectionLayers
    from mottool.drawing.overlay import Overlay
    from mottool.drawing.track_layer import TrackLayer
    from mottool.metrics.ground_truth_files import GroundTruthFile
    from mottool.pixel_range import PixelRange
    from mottool.sources.sequence import Frame, Sequence

__all__ = ["RenderSettings", "render_switches", "render_video", "video_inputs"]

Progress = Callable[[Iterable["Frame"]], Iterable["Frame"]]


@dataclass(frozen=True)
class RenderSettings(Settings):
    """Settings of what is drawn, on which frames, and of the video's size and quality."""

    frames: Span | None = setting(None, "Only these frames: 1-100, 50- or 7.", parse=parse_span)
    scale: float = setting(1.0, "Size of the video relative to the source.", low=0.05, high=8)
    trail: int = setting(
        30,
        "Length of the trail of foot points in frames; 0 draws none. Not with --gt or --beside.",
        low=0,
    )
    scores: bool = setting(False, "Write scores beside identities, unless all are equal.")
    detections: bool = setting(
        False, "Draw the cache's detections as thin white boxes with their scores."
    )
    occlusion: bool = setting(
        False,
        "Draw the cache's occlusion centres, and its heatmaps if detect-embed stored them "
        "(--occlusion-maps).",
    )
    refound: bool = setting(
        False,
        "Dash boxes that match no detection of the cache, and mark them as refound if they "
        "contain an occlusion centre.",
    )
    rules: str = setting(
        AUTO,
        "Benchmark rules for --gt; auto chooses by its columns and the sequence's name.",
        choices=RULES,
    )
    crf: int = setting(
        21, "x264's rate factor: lower is better quality and a larger file.", low=1, high=51
    )

    @property
    def span(self) -> Span:
        """First and last frame to draw; None: to the end."""
        return self.frames or (1, None)

    @property
    def needs_cache(self) -> bool:
        """Whether anything is drawn that result files do not contain."""
        return self.detections or self.occlusion or self.refound


def video_inputs(
    source_hash: str,
    tracks: Path,
    settings: RenderSettings,
    ground_truth: GroundTruthFile | None = None,
    beside: Path | None = None,
    cache: Path | None = None,
    hash_of: Callable[[Path], str] = file_digest,
    pixel_range: PixelRange | None = None,
) -> dict[str, Any]:
    """Return the inputs that determine a video, for its record: frames, rows and settings.

    `source_hash` is the fingerprint of the sequence, `pixel_range` that of the sequence, and
    `hash_of` computes the fingerprint of a file.
    """
    truth_path = ground_truth.path if ground_truth else None
    files = {"tracks": tracks, "beside": beside, "ground_truth": truth_path}
    digests = {name: hash_of(file_on_disk(file)) if file else None for name, file in files.items()}
    return {
        "source_hash": source_hash,
        "pixel_range": pixel_range.to_json()["pixel_range"] if pixel_range else None,
        **digests,
        "cache": hash_of(cache) if cache and settings.needs_cache else None,
        "settings": to_json(settings),
        "mottool": __version__,
    }


def render_video(
    sequence: Sequence,
    tracks: Path,
    out: Path,
    settings: RenderSettings,
    warn: Callable[[str], None] = ignore_warning,
    progress: Progress = lambda frames: frames,
    ground_truth: GroundTruthFile | None = None,
    beside: Path | None = None,
    cache: Path | None = None,
) -> Path:
    """Draw the rows of the result file `tracks` over a sequence and write the video `out`.

    With `ground_truth` boxes are coloured by outcome. With `beside`, another result file, both are
    drawn side by side. `cache` is required if the settings draw from it. Frames keep the times of
    the source; the first one is at 0. `warn` receives a message for anything the source lacks, and
    `progress` may wrap the frames. Raises `InputError` if the source or the rows cannot be read, or
    the span contains no frame.
    """
    from mottool.cache.reader import Cache
    from mottool.drawing.detection_layers import DetectionLayers
    from mottool.drawing.overlay import Overlay
    from mottool.drawing.video_writer import video_writer

    if settings.needs_cache and cache is None:
        fix = "give it, or omit --detections, --occlusion and --refound"
        raise SettingError(f"no cache of {sequence.name} is given", fix)
    files = [tracks, *([beside] if beside else [])]
    layers = _track_layers(sequence, files, ground_truth, settings, warn)
    first, last = settings.span
    size = _frame_size(sequence, settings)
    trail = 0 if ground_truth or beside else settings.trail
    titles = [file.resolve().parent.name if beside else "" for file in files]
    # The video halves the resolution of colours: where they mean something, a line needs 2 pixels.
    overlays = [Overlay(*size, trail, title, 2 if ground_truth else 1) for title in titles]
    for number in range(max(1, first - trail), first):
        for overlay, layer in zip(overlays, layers, strict=True):
            overlay.add_foot_points(number, *layer.at(number)[:2])
    with ExitStack() as stack:
        detection_layers = None
        if cache and settings.needs_cache:
            opened = stack.enter_context(Cache(cache))
            _check_cache(opened, sequence, warn)
            flags = settings.detections, settings.occlusion, settings.refound
            detection_layers = DetectionLayers(opened, settings.scale, first, *flags)
        video = stack.enter_context(video_writer(out, sequence.fps, settings.crf))
        number = 0
        for frame in _frames_until(progress(sequence.frames(first, warn)), last):
            number = frame.number
            image = _draw_frame(frame, size, overlays, layers, detection_layers)
            video.write(image, frame.seconds)
        if not number:
            fix = "choose --frames inside the sequence"
            raise InputError(f"{sequence.path} has no frame {first}", fix)
        for file, layer in zip(files, layers, strict=True):
            if layer.last > number and (last is None or number < last):
                warn(f"{file} has rows up to frame {layer.last}, {sequence.path} ends before")
    return out


def render_switches(
    sequence: Sequence,
    tracks: Path,
    ground_truth: GroundTruthFile,
    out: Path,
    settings: RenderSettings,
    warn: Callable[[str], None] = ignore_warning,
    progress: Progress = lambda frames: frames,
) -> list[Path]:
    """Write an image strip for every identity switch of a result file into the folder `out`.

    The files are `<frame>_object<identity>.png`; those of an earlier run are replaced. Only
    `frames` and `rules` of the settings apply: the span of the switches and the rules of the score.
    `warn` and `progress` are as in `render_video`. Raises `InputError` for rows or frames that
    cannot be read.
    """
    from mottool.drawing.switch_strips import StripMaker
    from mottool.metrics.box_outcomes import classify_boxes
    from mottool.motchallenge.rows import read_rows
    from mottool.sources.images import write_image

    rows = read_rows(tracks, "result")
    objects, outcomes = classify_boxes(rows, ground_truth, settings.rules, sequence.name)
    first, last = settings.span
    switches = [
        switch
        for switch in outcomes.switches
        if first <= switch.frame and (last is None or switch.frame <= last)
    ]
    for path in out.glob("*_object*.png"):
        path.unlink()
    written = []
    maker = StripMaker(switches, objects, rows, sequence.fps)
    for switch, image in maker.strips(progress(sequence.frames(maker.first, warn))):
        written.append(out / f"{switch.frame:06d}_object{switch.object}.png")
        write_image(written[-1], image)
    return written


def _check_cache(cache: Cache, sequence: Sequence, warn: Callable[[str], None]) -> None:
    """Raise `InputError` for a cache of frames of another size; warn of another sequence's."""
    header, size = cache.header, (sequence.width, sequence.height)
    if (header.width, header.height) != size:
        problem = f"{cache.path} has frames of {header.width}x{header.height}"
        fix = "give the cache of this video with --cache"
        raise InputError(f"{problem}, {sequence.path} of {size[0]}x{size[1]}", fix)
    if header.sequence != sequence.cached.name:
        warn(f"{cache.path} is a cache of {header.sequence}, drawn over {sequence.name}")


def _frame_size(sequence: Sequence, settings: RenderSettings) -> tuple[int, int]:
    """Return width and height of one tracker's image in the video, in pixels."""
    width, height = (round(side * settings.scale) for side in (sequence.width, sequence.height))
    return max(2, width), max(2, height)


def _draw_frame(
    frame: Frame,
    size: tuple[int, int],
    overlays: list[Overlay],
    layers: list[TrackLayer],
    detection_layers: DetectionLayers | None,
) -> npt.NDArray[np.uint8]:
    """Draw one frame of the video: the images of the trackers side by side."""
    import cv2
    import numpy as np

    from mottool.drawing.overlay import side_by_side

    image = frame.image
    if size != image.shape[1::-1]:
        method = cv2.INTER_AREA if size[0] < image.shape[1] else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
    if detection_layers:
        image = detection_layers.draw(overlays[0], image, frame.number)
    images = []
    for overlay, layer in zip(overlays, layers, strict=True):
        visible, legend = layer.at(frame.number), layer.legend
        if detection_layers:
            visible = detection_layers.mark(visible)
            legend = [*legend, *detection_layers.legend]
        images.append(overlay.draw(image, frame.number, *visible))
    return overlays[0].add_legend(side_by_side(images), legend)


def _track_layers(
    sequence: Sequence,
    files: list[Path],
    ground_truth: GroundTruthFile | None,
    settings: RenderSettings,
    warn: Callable[[str], None],
) -> list[TrackLayer]:
    """Return the layer of each result file, styled by outcome, by difference or by identity."""
    from mottool.boxes import xyxy_from_tlwh
    from mottool.drawing import track_layer
    from mottool.metrics.box_outcomes import classify_boxes
    from mottool.metrics.tracker_differences import differences
    from mottool.motchallenge.frame_fit import describe_misfit
    from mottool.motchallenge.rows import read_rows

    results = [read_rows(file, "result") for file in files]
    for file, rows in zip(files, results, strict=True):
        boxes = xyxy_from_tlwh(rows.tlwh)
        if misfit := describe_misfit(boxes, sequence.width, sequence.height):
            warn(f"{file}: {misfit}")
    scale = settings.scale
    if ground_truth:
        layers = []
        for rows in results:
            classified = classify_boxes(rows, ground_truth, settings.rules, sequence.name)
            layers.append(track_layer.outcome_layer(rows, *classified, scale))
        return layers
    if len(results) == 2:
        first, second = results
        both = differences(first, second)
        return list(track_layer.difference_layers(first, second, both, scale))
    return [track_layer.identity_layer(results[0], scale, settings.scores)]


def _frames_until(frames: Iterable[Frame], last: int | None) -> Iterator[Frame]:
    """Return the frames up to frame `last`, or all for None."""
    return takewhile(lambda frame: last is None or frame.number <= last, frames)
