"""Write the comparison as one HTML page that needs no network and, except videos, no other file."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from mottool._version import __version__
from mottool.comparison.results import FIGURES, HEAD, ComparisonRow, ranks
from mottool.files import atomic_write
from mottool.metrics.registry import get_metric
from mottool.metrics.tables import format_metric
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.comparison.comparison import Comparison

__all__ = ["PageVideo", "find_videos", "write_page"]

MEGABYTE = 1e6
MARKS = "", ' class="best"', ' class="second"'
MEANINGS = {
    "MOTA": "multi-object tracking accuracy, %",
    "IDF1": "F1 score of identities over the whole sequence, %",
    "HOTA": "higher order tracking accuracy, %",
    "IDSW": "identity switches, lower is better",
    "AP": "average precision of detections at IoU 0.5, %",
    "TPR": "true positive rate of embeddings at a false accept rate of 0.1, %",
    "FPSD": "detection, frames per second",
    "FPSE": "embedding, frames per second",
    "FPSA": "association, frames per second",
    "FPS": "all three, frames per second",
}
STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 84rem; margin: 2rem auto;
  padding: 0 1rem; }
h1, h2 { line-height: 1.2; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .5rem; text-align: right; white-space: nowrap; }
th:nth-child(-n+4), td:nth-child(-n+4) { text-align: left; }
thead { border-bottom: 2px solid #222; }
tbody tr { border-bottom: 1px solid #ddd; }
th button { font: inherit; font-weight: 600; background: none; border: 0; padding: 0;
  color: inherit; cursor: pointer; }
th button::after { content: " \\2195"; color: #999; }
th[aria-sort=ascending] button::after { content: " \\2191"; color: #222; }
th[aria-sort=descending] button::after { content: " \\2193"; color: #222; }
.best { font-weight: 700; }
.second { text-decoration: underline; }
figure { margin: 1.5rem 0; }
figure svg { max-width: 100%; height: auto; }
figcaption, .small { color: #555; font-size: .9rem; }
video { width: 100%; max-width: 40rem; background: #000; }
@media print { th button::after { content: ""; } video { display: none; } }
"""
SCRIPT = """
for (const [column, head] of document.querySelectorAll("#table th").entries()) {
  head.firstChild.addEventListener("click", () => {
    const next = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    const order = head.hasAttribute("aria-sort") ? next : head.dataset.first;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const key = row => row.cells[column].dataset.value;
    const body = document.querySelector("#table tbody");
    const compare = (a, b) => head.dataset.kind === "text"
      ? sign * key(a).localeCompare(key(b))
      : key(a) === "" ? 1 : key(b) === "" ? -1 : sign * (key(a) - key(b));
    body.append(...[...body.rows].sort(compare));
  });
}
"""


@dataclass(frozen=True)
class PageVideo:
    """A video of the tracks `name` (a row of the table) on a sequence."""

    name: str
    sequence: str
    path: Path


def find_videos(comparison: Comparison) -> list[PageVideo]:
    """Find the videos of the rows that `render` has written to the work folders of the caches."""
    videos = []
    for pipeline, tracker in comparison.pairs:
        for sequence in comparison.sequences:
            folder = pipeline.caches[sequence].resolve().parents[2]
            path = WorkDir(folder).video(f"{pipeline.pipeline}.{tracker}", sequence)
            if path.is_file():
                videos.append(PageVideo(f"{pipeline.name}.{tracker}", sequence, path))
    return videos


def write_page(
    rows: Sequence[ComparisonRow],
    plots: Mapping[str, str],
    notes: Sequence[str],
    videos: Sequence[PageVideo],
    path: Path,
    embed: float,
) -> Path:
    """Write the page `path`: table, notes, `plots` (caption to `svg` element), videos.

    Videos of up to `embed` megabytes are embedded in the page; larger ones are linked.
    """
    sequences = list(rows[0].by_sequence)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Comparison of trackers</title><style>{STYLE}</style></head><body>",
        "<h1>Comparison of trackers</h1>",
        f"<p>{len(rows)} rows on {len(sequences)} sequence{'s'[: len(sequences) > 1]}: "
        f"{escape(', '.join(sequences))}.</p>",
        '<div class="wide">' + _table(rows) + "</div>",
        '<p class="small">Click a heading to sort. <b>Bold</b> is best, <u>underlined</u> '
        "second best.</p>",
    ]
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts.append(f'<h2>Notes</h2><ul class="small">{items}</ul>')
    parts.append("<h2>Plots</h2>")
    for caption, plot in plots.items():
        parts.append(f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>")
    if videos:
        parts.append("<h2>Videos</h2>")
        parts += [_video(video, path, embed) for video in videos]
    parts.append(f'<p class="small">Made by mottool {escape(__version__)}.</p>')
    parts.append(f"<script>{SCRIPT}</script></body></html>")
    with atomic_write(path) as part:
        part.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return path


def _table(rows: Sequence[ComparisonRow]) -> str:
    """Return the table; the cells have unrounded values, for sorting."""
    head = [_heading("#", "the number in the plots", "number", "ascending")]
    head += [_heading(name, "", "text", "ascending") for name in HEAD]
    for name in FIGURES:
        first = "ascending" if get_metric(name).lower_is_better else "descending"
        head.append(_heading(name, MEANINGS.get(name, ""), "number", first))
    columns = {name: ranks(rows, name) for name in FIGURES}
    lines = []
    for index, row in enumerate(rows):
        cells = [f'<td data-value="{index + 1}">{index + 1}</td>']
        for text in (row.pipeline, row.kind, row.tracker):
            cells.append(f'<td data-value="{escape(text)}">{escape(text)}</td>')
        for name in FIGURES:
            value, mark = row.figures[name], MARKS[columns[name][index]]
            plain = "" if value is None else repr(round(value, 6))
            text = "–" if value is None else format_metric(name, value)
            cells.append(f'<td data-value="{plain}"{mark}>{text}</td>')
        lines.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(lines)
    return f'<table id="table"><thead><tr>{"".join(head)}</tr></thead><tbody>{body}</tbody></table>'


def _heading(name: str, meaning: str, kind: str, first: str) -> str:
    """Return a heading that sorts its column, by text or number, in the order `first` at first."""
    title = f' title="{escape(meaning)}"' if meaning else ""
    return (
        f'<th scope="col" data-kind="{kind}" data-first="{first}"{title}>'
        f'<button type="button">{escape(name)}</button></th>'
    )


def _video(video: PageVideo, page: Path, embed: float) -> str:
    """Return a player with the video in it if it is small, else a link relative to the page."""
    name = escape(f"{video.name}: {video.sequence}")
    size = video.path.stat().st_size
    if size <= embed * MEGABYTE:
        data = base64.b64encode(video.path.read_bytes()).decode("ascii")
        return (
            f'<figure><video controls preload="metadata" src="data:video/mp4;base64,{data}">'
            f"</video><figcaption>{name}</figcaption></figure>"
        )
    link = os.path.relpath(video.path.resolve(), page.resolve().parent)
    return f'<p><a href="{escape(quote(link))}">{name}</a> ({size / MEGABYTE:.1f} MB)</p>'
