import base64
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from results import row

from mottool.comparison.html_page import Page, PageVideo, write_page

VOID = {"meta", "use", "path", "br"}
SVG = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'


class Outline(HTMLParser):
    """A parser that checks that elements close in order, and keeps their attributes."""

    def __init__(self, text):
        super().__init__()
        self.open, self.elements, self.words = [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]


@pytest.fixture
def rows():
    one = row("fairmot-dla34", "one-shot", [{}], MOTA=0.7, FPS=20.0, FPSD=21.0)
    two = row("yolox+<b>reid", "two-stage", [{}], MOTA=0.6, HOTA=0.5, FPS=5.0, FPSD=30.0)
    settings = {
        "seq0": {"max_age": 30, "min_score": 0.4},
        "seq1": {"max_age": 30, "min_score": 0.5},
    }
    return [replace(one, settings=settings), two]


def test_names_of_files_need_not_be_unicode(rows, tmp_path):
    shown = Page([SVG] * 2, {}, [], (), {"Command": "mottool compare --plots \udcff"}, {})
    text = write_page(rows, shown, tmp_path / "page.html", 1.0).read_text()
    assert r"--plots \udcff" in text


def test_the_page_has_all_parts_and_refers_to_no_other_file(rows, tmp_path):
    plots = {"MOTA against FPS": SVG}
    facts = {"Command": "mottool compare --gt 'a <b>'"}
    shown = Page([SVG] * 2, plots, ["5 < 6 sequences"], (), facts, {"jde": {"input": "64x32"}})
    out = write_page(rows, shown, tmp_path / "page.html", 1.0)
    text = out.read_text()
    assert text.startswith("<!DOCTYPE html>")
    page = Outline(text)
    assert not page.all("link")
    assert not page.all("img")
    assert not [script for script in page.all("script") if "src" in script]
    assert len(page.all("svg")) == 3
    assert {"mottool compare --gt 'a <b>'", "input 64x32"} <= set(page.words)
    assert "max_age 30, min_score (seq0 0.4, seq1 0.5)" in page.words
    assert "5 < 6 sequences" in page.words
    assert "yolox+<b>reid" in page.words
    assert not page.all("b")[1:]  # the legend's only: names are text


def test_the_table_is_sorted_by_unrounded_values(rows, tmp_path):
    out = write_page(rows, Page([SVG] * 2, {}), tmp_path / "page.html", 1.0)
    page = Outline(out.read_text())
    heads = [head for head in page.all("th") if "data-kind" in head]
    cells = [cell for cell in page.all("td") if "data-value" in cell]
    # Pipeline, kind, tracker, MOTA, HOTA, FPSD and FPS; no row has the other metrics.
    assert [head["data-kind"] for head in heads] == ["text"] * 3 + ["number"] * 4
    assert len(page.all("button")) == 7
    assert [head.get("aria-sort") for head in heads] == [None] * 4 + ["descending", None, None]
    # The row with a HOTA is first.
    assert [cell["data-value"] for cell in cells[3::7]] == ["0.6", "0.7"]
    assert [cell.get("class") for cell in cells[3::7]] == ["second", "best"]
    assert [cell["data-value"] for cell in cells[4::7]] == ["0.5", ""]


def test_small_videos_are_embedded_and_large_ones_linked(rows, tmp_path):
    small, large = tmp_path / "small.mp4", tmp_path / "videos & more" / "large.mp4"
    large.parent.mkdir()
    small.write_bytes(b"x" * 1000)
    large.write_bytes(b"y" * 1001)
    videos = [
        PageVideo("a.sort", "one", small, {"settings": {"trail": 30}}),
        PageVideo("a.sort", "two", large, {"ground_truth": "digest"}),
    ]
    out = tmp_path / "report" / "page.html"
    shown = Page([SVG] * 2, {}, videos=videos)
    page = Outline(write_page(rows, shown, out, 0.001).read_text())
    assert any("feet of the last 30 frames" in words for words in page.words)
    assert any("switched (IDs)" in words for words in page.words)
    (player,) = page.all("video")
    kind, _, data = player["src"].partition(",")
    assert kind == "data:video/mp4;base64"
    assert base64.b64decode(data) == small.read_bytes()
    (link,) = page.all("a")
    assert link["href"] == "../videos%20%26%20more/large.mp4"
