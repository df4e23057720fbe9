"""A video with results in a work folder, and the command that draws them."""

from pathlib import Path

from click.testing import CliRunner
from footage import video

from mottool.stages.render import command

__all__ = ["ROWS", "called", "make_film"]

ROWS = "".join(
    f"{frame},{identity},{left + 2 * frame},60,40,90,0.{frame:02d},-1,-1,-1\n"
    for frame in range(1, 25)
    for identity, left in ((3, 20), (8, 160))
)


def make_film(folder: Path) -> Path:
    """Write a video of 24 frames and its result file in the work folder."""
    results = folder / "work" / "tracks" / "public.sort"
    results.mkdir(parents=True)
    (results / "film.txt").write_text(ROWS)
    ticks = [index + (20 if index > 11 else 0) for index in range(24)]
    return video(folder / "film.mp4", size=(320, 240), ticks=ticks)


def called(tmp_path, *arguments):
    """Run `mottool render` in this process and return its result."""
    words = [str(word) for word in arguments]
    return CliRunner().invoke(command, ["--work", str(tmp_path / "work"), *words])
