"""The strips of a sequence: one PNG file for every identity switch of a result file."""

from collections.abc import Callable, Iterable
from pathlib import Path

from mottool.drawing.switch_strips import StripMaker
from mottool.metrics.box_outcomes import classify_boxes
from mottool.metrics.inputs import GroundTruthFile
from mottool.motchallenge.rows import read_rows
from mottool.sources.images import write_image
from mottool.sources.sequence import Frame, Sequence

__all__ = ["reel"]


def reel(
    sequence: Sequence,
    tracks: Path,
    truth: GroundTruthFile,
    out: Path,
    rules: str,
    span: tuple[int, int | None],
    warn: Callable[[str], None] = lambda told: None,
    watch: Callable[[Iterable[Frame]], Iterable[Frame]] = lambda frames: frames,
) -> list[Path]:
    """Write one PNG file for every identity switch of a result file into the folder `out`.

    They are `<frame>_object<identity>.png`; those of an earlier run are replaced. `rules` are those
    of the score. Switches outside `span`, the first and the last frame (None for no end), are left
    out. `warn` receives what the source reports and `watch` sees the frames pass. Raises
    `InputError` for rows or frames that cannot be read.
    """
    rows = read_rows(tracks, "result")
    objects, found = classify_boxes(rows, truth, rules, sequence.name)
    first, last = span
    switches = [
        switch
        for switch in found.switches
        if first <= switch.frame and (last is None or switch.frame <= last)
    ]
    for old in out.glob("*_object*.png"):
        old.unlink()
    made = []
    maker = StripMaker(switches, objects, rows, sequence.fps)
    for switch, image in maker.strips(watch(sequence.frames(maker.first, warn))):
        made.append(out / f"{switch.frame:06d}_object{switch.object}.png")
        write_image(made[-1], image)
    return made
