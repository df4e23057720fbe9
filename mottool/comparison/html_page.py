"""The comparison as one HTML page that needs no other file and no network, videos aside."""

import base64
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

from mottool._version import __version__
from mottool.comparison.results import FIGURES, HEAD, ComparisonRow, ranks
from mottool.files import atomic_write
from mottool.metrics.registry import get_metric
from mottool.metrics.tables import format_metric

__all__ = ["PageVideo", "write_page"]

MEGABYTE = 1e6
MARKS = "", ' class="best"', ' class="second"'
MEANINGS = {
    "MOTA": "multi-object tracking accuracy, %",
    "IDF1": "how long people keep their identity, F1, %",
    "HOTA": "higher order tracking accuracy, %",
    "IDSW": "identity switches, the fewer the better",
    "AP": "average precision of detections at IoU 0.5, %",
    "TPR": "true positive rate of embeddings at a false accept rate of 0.1, %",
    "FPSD": "detection, frames a second",
    "FPSE": "embedding, frames a second",
    "FPSA": "association, frames a second",
    "FPS": "all three, frames a second",
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
    const other = head.getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    const order = head.hasAttribute("aria-sort") ? other : head.dataset.first;
    for (const each of head.parentNode.children) each.removeAttribute("aria-sort");
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


def write_page(
    standings: Sequence[ComparisonRow],
    pictures: Mapping[str, str],
    notes: Sequence[str],
    videos: Sequence[PageVideo],
    path: Path,
    embed: float,
) -> Path:
    """Write the page `path`: table, notes, `pictures` (caption to `svg` element), videos.

    Videos of up to `embed` megabytes are put into the page; it links to larger ones.
    """
    sequences = list(standings[0].by_sequence)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Comparison of trackers</title><style>{STYLE}</style></head><body>",
        "<h1>Comparison of trackers</h1>",
        f"<p>{len(standings)} rows on {len(sequences)} sequence{'s'[: len(sequences) > 1]}: "
        f"{escape(', '.join(sequences))}.</p>",
        '<div class="wide">' + _table(standings) + "</div>",
        '<p class="small">A click on a heading sorts. <b>Bold</b> is best, <u>underlined</u> '
        "second best.</p>",
    ]
    if notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in notes)
        parts.append(f'<h2>Notes</h2><ul class="small">{items}</ul>')
    parts.append("<h2>Plots</h2>")
    for caption, picture in pictures.items():
        parts.append(f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>")
    if videos:
        parts.append("<h2>Videos</h2>")
        parts += [_video(video, path, embed) for video in videos]
    parts.append(f'<p class="small">Made by mottool {escape(__version__)}.</p>')
    parts.append(f"<script>{SCRIPT}</script></body></html>")
    with atomic_write(path) as part:
        part.write_text("\n".join(parts) + "\n", encoding="utf-8")
    return path


def _table(standings: Sequence[ComparisonRow]) -> str:
    head = [_heading("#", "the number in the plots", "number", "ascending")]
    head += [_heading(name, "", "text", "ascending") for name in HEAD]
    for name in FIGURES:
        first = "ascending" if get_metric(name).lower_is_better else "descending"
        head.append(_heading(name, MEANINGS.get(name, ""), "number", first))
    columns = {name: ranks(standings, name) for name in FIGURES}
    rows = []
    for place, each in enumerate(standings):
        cells = [f'<td data-value="{place + 1}">{place + 1}</td>']
        for text in (each.pipeline, each.kind, each.tracker):
            cells.append(f'<td data-value="{escape(text)}">{escape(text)}</td>')
        for name in FIGURES:
            value, mark = each.figures[name], MARKS[columns[name][place]]
            plain = "" if value is None else repr(round(value, 6))
            text = "–" if value is None else format_metric(name, value)
            cells.append(f'<td data-value="{plain}"{mark}>{text}</td>')
        rows.append(f"<tr>{''.join(cells)}</tr>")
    body = "\n".join(rows)
    return f'<table id="table"><thead><tr>{"".join(head)}</tr></thead><tbody>{body}</tbody></table>'


def _heading(name: str, meaning: str, kind: str, first: str) -> str:
    told = f' title="{escape(meaning)}"' if meaning else ""
    return (
        f'<th scope="col" data-kind="{kind}" data-first="{first}"{told}>'
        f'<button type="button">{escape(name)}</button></th>'
    )


def _video(video: PageVideo, page: Path, embed: float) -> str:
    """A player of the video itself if it is small, else a link to where it lies from the page."""
    name = escape(f"{video.name}: {video.sequence}")
    size = video.path.stat().st_size
    if size <= embed * MEGABYTE:
        data = base64.b64encode(video.path.read_bytes()).decode("ascii")
        return (
            f'<figure><video controls preload="metadata" src="data:video/mp4;base64,{data}">'
            f"</video><figcaption>{name}</figcaption></figure>"
        )
    place = os.path.relpath(video.path.resolve(), page.resolve().parent)
    return f'<p><a href="{escape(quote(place))}">{name}</a> ({size / MEGABYTE:.1f} MB)</p>'
