"""Stage `render`: frames and result files in, annotated H.264 video out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.batch import Batch
from mottool.cli import as_json, work_folder
from mottool.config import Settings, flags, knob
from mottool.errors import InputError, SettingError
from mottool.progress import progress
from mottool.work import Work

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.motchallenge import Rows
    from mottool.sources import Frame, Sequence

    Floats = npt.NDArray[np.floating[Any]]

__all__ = ["Config", "command", "run"]

Span = tuple[int, int | None]


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

    frames: Span | None = knob(None, "Only these frames: 1-100, 50- or 7.", parse=_span)
    scale: float = knob(1.0, "Size of the video as a share of the source's.", low=0.05, high=8)
    trail: int = knob(30, "Frames that a trail of foot points reaches back; 0: none.", low=0)
    scores: bool = knob(True, "Write scores beside identities, unless all are the same.")
    crf: int = knob(21, "x264's rate factor: lower is finer and larger.", low=1, high=51)


def run(
    sequence: Sequence,
    tracks: Path,
    out: Path,
    config: Config,
    warn: Callable[[str], None] = lambda told: None,
    watch: Callable[[Iterable[Frame]], Iterable[Frame]] = lambda frames: frames,
) -> Path:
    """Draw the rows of the result file `tracks` over a sequence and write the video `out`.

    The time between two frames is the source's own; the first one is at 0. `warn` is told what
    of the source is missing, and `watch` may follow the frames as they pass. An `InputError` if
    the source or the rows cannot be read, or there is no frame in the span.
    """
    import cv2
    import numpy as np

    from mottool.drawing.overlay import Overlay
    from mottool.drawing.video import video_writer
    from mottool.motchallenge import read_rows

    rows = _Table(read_rows(tracks, "result"), config)
    first, last = config.frames or (1, None)
    size = tuple(max(2, round(side * config.scale)) for side in (sequence.width, sequence.height))
    overlay = Overlay(size[0], size[1], config.trail)
    for number in range(max(1, first - config.trail), first):
        overlay.remember(number, *rows.at(number)[:2])
    drawn = 0
    with video_writer(out, sequence.fps, config.crf) as video:
        for frame in watch(sequence.frames(first, warn)):
            if last is not None and frame.number > last:
                break
            image = frame.image
            if size != (sequence.width, sequence.height):
                smaller = config.scale < 1
                method = cv2.INTER_AREA if smaller else cv2.INTER_CUBIC
                image = np.asarray(cv2.resize(image, size, interpolation=method), np.uint8)
            image = overlay.draw(image, frame.number, *rows.at(frame.number))
            video.write(image, frame.seconds)
            drawn += 1
        else:
            if drawn and rows.last > first + drawn - 1:
                warn(f"{tracks} has rows up to frame {rows.last}, {sequence.path} ends before")
        if not drawn:
            fix = "choose --frames inside the sequence"
            raise InputError(f"{sequence.path} has no frame {first}", fix)
    return out


class _Table:
    """The rows of a result file by frame, in pixels of the video."""

    def __init__(self, rows: Rows, config: Config) -> None:
        import numpy as np

        from mottool.boxes import xyxy_from_tlwh

        order = np.argsort(rows.frames, kind="stable")
        self.frames, self.ids = rows.frames[order], rows.ids[order]  # (n,), (n,)
        self.last = int(self.frames.max(initial=0))
        self.boxes: Floats = xyxy_from_tlwh(rows.tlwh[order] * config.scale)  # (n, 4)
        scores = rows.rest[order, 0] if rows.rest.shape[1] else None  # (n,)
        telling = scores is not None and len(scores) and np.ptp(scores) > 0
        self.scores = scores if config.scores and telling else None

    def at(self, number: int) -> tuple[npt.NDArray[np.int64], Floats, Floats | None]:
        """The identities (n,), boxes (n, 4) and scores (n,) or None of one frame."""
        begin, end = self.frames.searchsorted([number, number + 1])
        here = slice(begin, end)
        return self.ids[here], self.boxes[here], None if self.scores is None else self.scores[here]


@click.command("render")
@click.argument("sources", nargs=-1, metavar="[SOURCE]...")
@click.option(
    "--tracks",
    type=click.Path(path_type=Path),
    help="The folder of result files, <sequence>.txt each, or one result file.  "
    "[default: the one folder under WORK/tracks]",
)
@click.option(
    "--list",
    "listed",
    type=click.Path(path_type=Path),
    help="A text file that names a source a line, relative to itself.",
)
@flags(Config)
@work_folder
@as_json
def command(
    sources: tuple[str, ...],
    tracks: Path | None,
    listed: Path | None,
    config: Config,
    work: Path,
    as_json: bool,
) -> None:
    """Draw tracks over the frames of each SOURCE: boxes, identities, trails, scores.

    \b
        mottool render video.mp4
        mottool render MOT17/train --tracks results/mytracker --frames 1-100 --scale 0.5

    A SOURCE is a video, a folder of images, a MOTChallenge sequence folder, a folder above such,
    or a quoted glob pattern. Its rows come from the result file that bears its name,
    <sequence>.txt; the video goes to WORK/videos/<result folder>/<sequence>.mp4.

    The video is H.264 that browsers play. Its frames follow each other at the source's own
    times. An identity has the same colour in every frame and every video.
    """
    from mottool.sources import find_sequences

    batch = Batch(as_json)
    place = tracks or _only_results(Work(work))
    sequences = find_sequences(sources, listed, batch.fail)
    if place.is_file() and len(sequences) > 1:
        problem = f"{place} is one result file but there are {len(sequences)} sequences"
        raise SettingError(problem, "give --tracks the folder of their result files")
    folder = place.resolve().parent if place.is_file() else place.resolve()

    first, last = config.frames or (1, None)

    def job(sequence: Sequence) -> None:
        rows = place if place.is_file() else place / f"{sequence.name}.txt"
        if not rows.is_file():
            fix = f"run mottool associate on {sequence.name}, or name other results with --tracks"
            raise InputError(f"there is no result file {rows}", fix)
        out = run(
            sequence,
            rows,
            Work(work).video(folder.name, sequence.name),
            config,
            warn=batch.note,
            watch=lambda frames: progress(
                frames, sequence.name, last or sequence.length, first - 1
            ),
        )
        batch.report(sequence.name, out, "rendered")

    for sequence in sequences:
        batch.run(sequence.name, partial(job, sequence))
    batch.close()


def _only_results(work: Work) -> Path:
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
