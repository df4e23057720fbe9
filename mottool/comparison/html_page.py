"""Write the comparison as one HTML page that needs no network and, except videos, no other file."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from mottool.comparison.page_style import SCRIPT, STYLE
from mottool.comparison.results import FIGURES, HEAD, ComparisonRow, ranks
from mottool.files import atomic_write, safe_name
from mottool.metrics.registry import get_metric
from mottool.metrics.tables import format_metric
from mottool.records.record import read_record
from mottool.records.tracker_settings import settings_of
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.comparison.comparison import Comparison

__all__ = ["COLUMNS", "Page", "PageVideo", "find_videos", "write_page"]

MEGABYTE = 1e6
# DetA and AssA, of which HOTA is the mean, stand beside it.
COLUMNS = tuple(
    part for name in FIGURES for part in ((name, "DetA", "AssA") if name == "HOTA" else (name,))
)
# Meaning, colour and line of the boxes that render --gt draws.
OUTCOMES = (
    ("hit", "#009e73", "solid"),
    ("false (FP)", "#d55e00", "solid"),
    ("missed (FN)", "#56b4e9", "dashed"),
    ("switched (IDs)", "#f0e442", "double"),
)
MARKS = "", ' class="best"', ' class="second"'
MEANINGS = {
    "MOTA": "multi-object tracking accuracy, %",
    "IDF1": "F1 score of identities over the whole sequence, %",
    "HOTA": "higher order tracking accuracy, %",
    "DetA": "detection accuracy, a part of HOTA, %",
    "AssA": "association accuracy, a part of HOTA, %",
    "IDSW": "identity switches, lower is better",
    "AP": "average precision of detections at IoU 0.5, %",
    "TPR": "true positive rate of embeddings at a false accept rate of 0.1, %",
    "FPSD": "detection, frames per second",
    "FPSE": "embedding, frames per second",
    "FPSA": "association, frames per second",
    "FPS": "all three, frames per second",
}


@dataclass(frozen=True)
class PageVideo:
    """A video of the tracks `name` (a row of the table) on a sequence.

    `record` is what `render` stored of it.
    """

    name: str
    sequence: str
    path: Path
    record: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Page:
    """What the page shows beside the rows.

    `marks` are the `svg` elements of the rows' marks in the plots, `plots` those of the plots by
    caption. `facts` describe the run, and `pipelines` the caches of each pipeline.
    """

    marks: Sequence[str]
    plots: Mapping[str, str]
    notes: Sequence[str] = ()
    videos: Sequence[PageVideo] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    pipelines: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    columns: Sequence[str] = COLUMNS
    sort_by: str = "HOTA"


def find_videos(
    comparison: Comparison, rows: Sequence[ComparisonRow], warn: Callable[[str], None]
) -> list[PageVideo]:
    """Find the videos of the rows that `render` has written to the work folders of the caches.

    Those of tracks with other settings than the row are left out, with a message to `warn`.
    """
    videos, named = [], {row.name: row for row in rows}
    for pipeline, tracker in comparison.pairs:
        row = named.get(f"{pipeline.name}.{tracker}")
        if row is None:  # it could not be measured
            continue
        for sequence in comparison.sequences:
            work = WorkDir(pipeline.caches[sequence].resolve().parents[2])
            path = work.video(f"{pipeline.pipeline}.{tracker}", sequence)
            tracks = work.tracks(pipeline.pipeline, tracker) / f"{safe_name(sequence)}.txt"
            if not path.is_file():
                continue
            record = read_record(path)
            if _shows(record, read_record(tracks), row.settings[sequence]):
                videos.append(PageVideo(row.name, sequence, path, record))
            else:
                warn(f"{path} is left out: it may show tracks of other settings; render it again")
    return videos


def _shows(
    video: Mapping[str, Any], tracks: Mapping[str, Any], settings: Mapping[str, Any]
) -> bool:
    """Return whether a video shows tracks with `settings`, by the records of both."""
    recorded = settings_of(tracks)
    known = video.get("tracks") is not None and video["tracks"] == tracks.get("sha256")
    return known and {name: recorded.get(name) for name in settings} == dict(settings)


def write_page(rows: Sequence[ComparisonRow], page: Page, path: Path, embed: float) -> Path:
    """Write the page `path`: table, notes, plots, videos, and what the rows were made with.

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
        '<div class="wide">' + _table(rows, page) + "</div>",
        '<p class="small">Click a heading to sort, point at it for its meaning. <b>Bold</b> is '
        "best, <u>underlined</u> second best. The mark of a row is its mark in the plots.</p>",
    ]
    if page.notes:
        items = "".join(f"<li>{escape(note)}</li>" for note in page.notes)
        parts.append(f'<h2>Notes</h2><ul class="small">{items}</ul>')
    parts.append('<h2>Plots</h2><div class="grid">')
    for caption, plot in page.plots.items():
        parts.append(f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>")
    parts.append("</div>")
    if page.videos:
        parts.append('<h2>Videos</h2><div class="grid">')
        parts += [_video(video, path, embed) for video in page.videos]
        parts.append("</div>")
    parts.append("<h2>Made with</h2>")
    parts.append(_facts({**page.facts, **_pipeline_facts(page.pipelines), **_settings(rows)}))
    parts.append(f"<script>{SCRIPT}</script></body></html>")
    with atomic_write(path) as part:
        # Names of files need not be Unicode.
        part.write_text("\n".join(parts) + "\n", encoding="utf-8", errors="backslashreplace")
    return path


def _table(rows: Sequence[ComparisonRow], page: Page) -> str:
    """Return the table; the cells have unrounded values, for sorting.

    Metrics that no row has are left out. The first row has the best value of `page.sort_by`.
    """
    names = [name for name in page.columns if any(row.figures[name] is not None for row in rows)]
    head = ["<th></th>"] + [_heading(name, "", "text", "ascending") for name in HEAD]
    for name in names:
        first = "ascending" if get_metric(name).lower_is_better else "descending"
        order = first if name == page.sort_by else ""
        head.append(_heading(name, MEANINGS.get(name, ""), "number", first, order))
    columns = {name: ranks(rows, name) for name in names}
    lines = {}
    for index, row in enumerate(rows):
        cells = [f"<td>{page.marks[index]}</td>"]
        for text in (row.pipeline, row.kind, row.tracker):
            cells.append(f'<td class="text" data-value="{escape(text)}">{escape(text)}</td>')
        for name in names:
            value, mark = row.figures[name], MARKS[columns[name][index]]
            plain = "" if value is None else repr(round(value, 6))
            text = "–" if value is None else format_metric(name, value)
            cells.append(f'<td data-value="{plain}"{mark}>{text}</td>')
        lines[index] = f"<tr>{''.join(cells)}</tr>"
    indices = _order(rows, page.sort_by) if page.sort_by in names else list(lines)
    body = "\n".join(lines[index] for index in indices)
    return f'<table id="table"><thead><tr>{"".join(head)}</tr></thead><tbody>{body}</tbody></table>'


def _order(rows: Sequence[ComparisonRow], metric: str) -> list[int]:
    """Return the indices of the rows from the best value of a metric to the worst."""
    sign = 1 if get_metric(metric).lower_is_better else -1
    values = [row.figures[metric] for row in rows]
    keys = [(value is None, sign * (value or 0.0)) for value in values]
    return sorted(range(len(rows)), key=keys.__getitem__)


def _heading(name: str, meaning: str, kind: str, first: str, order: str = "") -> str:
    """Return a heading that sorts its column, by text or number, in the order `first` at first.

    `order` is the order by this column at the beginning, if any.
    """
    title = f' title="{escape(meaning)}"' if meaning else ""
    title += f' aria-sort="{order}"' if order else ""
    title += ' class="text"' if kind == "text" else ""
    return (
        f'<th scope="col" data-kind="{kind}" data-first="{first}"{title}>'
        f'<button type="button">{escape(name)}</button></th>'
    )


def _facts(facts: Mapping[str, str]) -> str:
    """Return a table of names and texts."""
    lines = [
        f'<tr><th scope="row">{escape(name)}</th><td><code>{escape(text)}</code></td></tr>'
        for name, text in facts.items()
    ]
    return f'<table class="facts small"><tbody>{"".join(lines)}</tbody></table>'


def _pipeline_facts(pipelines: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {
        name: ", ".join(f"{key} {value}" for key, value in settings.items())
        for name, settings in pipelines.items()
    }


def _settings(rows: Sequence[ComparisonRow]) -> dict[str, str]:
    """Describe the settings of each row; one that differs between sequences is given for each."""
    texts = {}
    for row in rows:
        parts = []
        for key in next(iter(row.settings.values()), {}):
            values = {name: settings[key] for name, settings in row.settings.items()}
            if len({repr(value) for value in values.values()}) == 1:
                parts.append(f"{key} {next(iter(values.values()))}")
            else:
                each = ", ".join(f"{name} {value}" for name, value in values.items())
                parts.append(f"{key} ({each})")
        if parts:
            texts[row.name] = ", ".join(parts)
    return texts


def _video(video: PageVideo, page: Path, embed: float) -> str:
    """Return a player with the video in it if it is small, else a link relative to the page."""
    name, legend = escape(f"{video.name}: {video.sequence}"), _legend(video.record)
    size = video.path.stat().st_size
    if size <= embed * MEGABYTE:
        data = base64.b64encode(video.path.read_bytes()).decode("ascii")
        return (
            f'<figure><video controls preload="metadata" src="data:video/mp4;base64,{data}">'
            f"</video><figcaption><b>{name}</b>. {legend}</figcaption></figure>"
        )
    link = os.path.relpath(video.path.resolve(), page.resolve().parent)
    text = f'<a href="{escape(quote(link))}">{name}</a> ({size / MEGABYTE:.1f} MB)'
    return f'<p>{text}<br><span class="small">{legend}</span></p>'


def _legend(record: Mapping[str, Any]) -> str:
    """Return what the colours and lines of a video mean, from what `render` stored of it."""
    if record.get("ground_truth"):
        swatches = "".join(
            f'<span class="key"><span class="swatch" style="border-color: {colour}; '
            f'border-style: {line}"></span>{text}</span> '
            for text, colour, line in OUTCOMES
        )
        return f"Boxes by outcome against the ground truth: {swatches}"
    trail = record.get("settings", {}).get("trail", 0)
    path = f" A line joins the feet of the last {trail} frames." if trail else ""
    return f"A box is a track, with the colour and number of its identity.{path}"
