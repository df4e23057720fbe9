import base64
from html.parser import HTMLParser

import pytest
from results import row

from mottool.comparison.html_page import PageVideo, write_page

VOID = {"meta", "use", "path", "br"}


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
    two = row("yolox+<b>reid", "two-stage", [{}], MOTA=0.6, FPS=5.0, FPSD=30.0)
    return [one, two]


def test_the_page_has_all_parts_and_refers_to_no_other_file(rows, tmp_path):
    svg = '<svg xmlns="http://www.w3.org/2000/svg"><path d="M0 0"/></svg>'
    plots = {"MOTA against FPS": svg}
    out = write_page(rows, plots, ["5 < 6 sequences"], [], tmp_path / "page.html", 1.0)
    text = out.read_text()
    assert text.startswith("<!DOCTYPE html>")
    page = Outline(text)
    assert not page.all("link")
    assert not page.all("img")
    assert not [script for script in page.all("script") if "src" in script]
    assert len(page.all("svg")) == 1
    assert "5 < 6 sequences" in page.words
    assert "yolox+<b>reid" in page.words
    assert not page.all("b")[1:]  # the legend's only: names are text


def test_the_table_is_sorted_by_unrounded_values(rows, tmp_path):
    page = Outline(write_page(rows, {}, [], [], tmp_path / "page.html", 1.0).read_text())
    heads, cells = page.all("th"), page.all("td")
    assert len(heads) == 14
    assert len(cells) == 28
    assert len(page.all("button")) == 14
    assert [head["data-kind"] for head in heads] == ["number"] + ["text"] * 3 + ["number"] * 10
    assert [cell["data-value"] for cell in cells[4::14]] == ["0.7", "0.6"]
    assert [cell.get("class") for cell in cells[4::14]] == ["best", "second"]
    assert [cell["data-value"] for cell in cells[5::14]] == ["", ""]


def test_small_videos_are_embedded_and_large_ones_linked(rows, tmp_path):
    small, large = tmp_path / "small.mp4", tmp_path / "videos & more" / "large.mp4"
    large.parent.mkdir()
    small.write_bytes(b"x" * 1000)
    large.write_bytes(b"y" * 1001)
    videos = [PageVideo("a.sort", "one", small), PageVideo("a.sort", "two", large)]
    out = tmp_path / "report" / "page.html"
    page = Outline(write_page(rows, {}, [], videos, out, 0.001).read_text())
    (player,) = page.all("video")
    kind, _, data = player["src"].partition(",")
    assert kind == "data:video/mp4;base64"
    assert base64.b64decode(data) == small.read_bytes()
    (link,) = page.all("a")
    assert link["href"] == "../videos%20%26%20more/large.mp4"
