"""Transfers from Google Drive by a scripted gdown, and the interface of the real one."""

import errno
import importlib
import inspect
import os
import re
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from websites import CONTENT, Handler, listing, ranges, refused

from mottool.checkpoints import transfer
from mottool.checkpoints.download import fetch
from mottool.errors import OutputError, SettingError

pytestmark = pytest.mark.usefixtures("quick")

DRIVE = "https://drive.google.com/file/d/1iqRQjsG9BawIl8SlFomMg5iwkb6nqSpi/view"


class Drive:
    """A gdown whose responses the test scripts, with the arguments of the real one."""

    def __init__(self, monkeypatch):
        self.script, self.calls = [], []
        self.exceptions = SimpleNamespace(DownloadError=GdownError, FileURLRetrievalError=PageError)
        monkeypatch.setitem(sys.modules, "gdown", self)

    def download(self, url, output, **settings):
        self.calls.append((url, settings))
        (self.script.pop(0) if self.script else self.complete)(output, **settings)
        return output

    def complete(self, output, progress, **settings):
        Path(output).write_bytes(CONTENT)
        progress(200_000, len(CONTENT))
        progress(len(CONTENT), len(CONTENT))

    def broken(self, output, progress, **settings):
        Path(f"{output}abcdefgh.part").write_bytes(CONTENT[:1000])
        progress(1000, len(CONTENT))
        raise requests.ConnectionError


class GdownError(Exception):
    pass


class PageError(GdownError):
    pass


@pytest.fixture
def drive(monkeypatch):
    return Drive(monkeypatch)


def test_a_file_on_google_drive(drive, out, monkeypatch, capsys):
    monkeypatch.setattr("mottool.progress.REPORT_SECONDS", -1)
    fetch(listing(DRIVE), out)
    assert out.read_bytes() == CONTENT
    ((url, settings),) = drive.calls
    assert url == DRIVE
    assert not settings["use_cookies"]
    assert settings["resume"]
    assert settings["quiet"]
    lines = re.sub(r", \d:\d\d:\d\d left", "", capsys.readouterr().err)
    assert lines == "made.bin: 0.2 of 0.3 MB\nmade.bin: 0.3 of 0.3 MB\n"
    assert list(out.parent.iterdir()) == [out]


def test_google_drive_is_resumed(drive, out):
    partial_file = out.parent / ".made.bin.download/made.binabcdefgh.part"

    def rest(output, **settings):
        assert partial_file.read_bytes() == CONTENT[:1000]
        partial_file.unlink()
        drive.complete(output, **settings)

    drive.script = [drive.broken] * transfer.TRIES
    assert "cannot reach drive.google.com" in refused(listing(DRIVE), out)
    drive.script = [rest]
    fetch(listing(DRIVE), out)
    assert out.read_bytes() == CONTENT


def test_google_drive_starts_over_if_it_cannot_resume(drive, out):
    parts = []

    def unable(output, **settings):
        raise GdownError("Server did not honor the requested byte range")

    def again(output, **settings):
        parts.extend(out.parent.glob(".made.bin.download/*.part"))
        drive.complete(output, **settings)

    drive.script = [drive.broken, unable, again]
    fetch(listing(DRIVE), out)
    assert not parts
    assert out.read_bytes() == CONTENT

    def longer(output, progress, **settings):
        progress(2000, len(CONTENT) + 1)

    drive.script = [drive.broken, longer, again]
    fetch(listing(DRIVE), out, overwrite=True)
    assert not parts


def test_a_refusal_of_google_drive_is_one_line(drive, out, monkeypatch):
    def quota(output, **settings):
        try:
            raise PageError("Too many users have viewed\nthis file recently.")
        except PageError:
            raise PageError("Failed to retrieve file url:\n\nand much more") from None

    def odd(output, **settings):
        raise KeyError("Content-Type")

    def missing(output, **settings):
        answer = requests.Response()
        answer.status_code, answer.reason = 404, "Not Found"
        raise requests.HTTPError(response=answer)

    def full(output, **settings):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    drive.script = [quota, odd, missing]
    page = "Google Drive answers with a web page: Too many users have viewed this file recently"
    assert page in refused(listing(DRIVE), out)
    assert "gdown does not know" in refused(listing(DRIVE), out)
    assert "drive.google.com answers 404 Not Found" in refused(listing(DRIVE), out)
    drive.script = [full]
    with pytest.raises(OutputError, match="no room left"):
        fetch(listing(DRIVE), out)
    assert not list(out.parent.iterdir())
    monkeypatch.setitem(sys.modules, "gdown", None)
    with pytest.raises(SettingError, match="needs the package gdown"):
        fetch(listing(DRIVE), out)


def test_gdown_has_the_interface_that_is_used(site, out, monkeypatch):
    """The package itself against the local server, in the role of Google Drive."""
    gdown = pytest.importorskip("gdown")
    used = {"url", "output", "quiet", "use_cookies", "resume", "timeout", "progress"}
    assert used <= set(inspect.signature(gdown.download).parameters)
    for name in ("DownloadError", "FileURLRetrievalError"):
        assert hasattr(importlib.import_module("gdown.exceptions"), name)
    plain, addresses = requests.Session.get, []

    def get(session, url, **settings):
        addresses.append(url)
        return plain(session, url.replace("https://drive.google.com", site.url), **settings)

    monkeypatch.setattr(requests.Session, "get", get)
    named = partial(Handler.send, Content_Disposition='attachment; filename="theirs.pth"')
    site.content = CONTENT * 3  # more than one of its chunks
    site.script = [partial(named, stop=600_000), named, named]
    fetch(listing(DRIVE), out)
    assert out.read_bytes() == CONTENT * 3
    assert ranges(site) == [None, None, f"bytes={1 << 19}-"]
    assert addresses[0] == "https://drive.google.com/uc?id=1iqRQjsG9BawIl8SlFomMg5iwkb6nqSpi"
    assert list(out.parent.iterdir()) == [out]
    site.content = b'<html>\n<p class="uc-error-subcaption">Too many users</p>\n</html>'
    site.script = [partial(Handler.send, kind="text/html")]
    assert "a web page: Too many users" in refused(listing(DRIVE), out, True)
