"""Downloads: whole, resumed, refused; one at a time; and what the cache folder holds."""

import errno
import hashlib
import importlib
import inspect
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import requests
from websites import Handler, Website

from mottool.errors import CheckpointError, OutputError, SettingError
from mottool.models import download, transfer
from mottool.models.download import cache_folder, fetch, fetched, remedy
from mottool.models.manifest import Listing
from mottool.models.transfer import DownloadError

CONTENT = np.random.default_rng(0).bytes(300_000)
DRIVE = "https://drive.google.com/file/d/1iqRQjsG9BawIl8SlFomMg5iwkb6nqSpi/view"
# What a subprocess runs: download ADDRESS to FILE.
PROGRAM = """
import sys
from functools import partial
from pathlib import Path
from mottool.models.download import fetch
from mottool.models.manifest import Listing
listing = Listing("made", "https://page", "MIT", "", "made.bin", sys.argv[1])
fetch(listing, Path(sys.argv[2]), warn=partial(print, flush=True))
"""


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(transfer, "BACKOFF", 0)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site():
    with Website(CONTENT) as server:
        yield server


@pytest.fixture
def out(tmp_path):
    return tmp_path / "made.bin"


def listing(url, **more):
    return Listing("made", "https://page", "MIT", "", "made.bin", url, **more)


def refused(entry, out, *arguments, **named):
    """The problem of a download that fails, whose fix says what to do by hand."""
    with pytest.raises(DownloadError) as caught:
        fetch(entry, out, *arguments, **named)
    assert str(caught.value).count("\n") == 0
    assert f"open https://page in a browser and save the file as {out}" in caught.value.fix
    return caught.value.problem


def ranges(site):
    return [headers.get("Range") for headers in site.requests]


# HTTP


def test_a_whole_download_is_checked_before_it_gets_its_name(site, out):
    seen = []

    def check(path):
        seen.append((path.name, path.read_bytes() == CONTENT, out.exists()))

    sha256 = hashlib.sha256(CONTENT).hexdigest()
    for digits in (64, 8):
        assert fetch(listing(site.url, sha256=sha256[:digits]), out, True, check=check) == out
        assert out.read_bytes() == CONTENT
    assert seen == [("made.bin", True, False), ("made.bin", True, True)]
    assert list(out.parent.iterdir()) == [out]


def test_what_is_there_is_downloaded_again_only_if_asked(site, out):
    out.write_bytes(b"mine")
    messages = []
    fetch(listing(site.url), out, warn=messages.append)
    assert out.read_bytes() == b"mine"
    assert messages == [f"{out} is there already; --overwrite downloads it again"]
    assert not site.requests
    fetch(listing(site.url), out, overwrite=True)
    assert out.read_bytes() == CONTENT
    with pytest.raises(OutputError, match="is no regular file"):
        fetch(listing(site.url), out.parent)


def test_progress_is_reported_in_bytes(site, out, monkeypatch, capsys):
    monkeypatch.setattr("mottool.progress.QUIET", -1)
    fetch(listing(site.url), out)
    assert capsys.readouterr().err.splitlines()[-1] == "made.bin: 0.3 of 0.3 MB"


def test_a_connection_that_breaks_off_is_resumed(site, out):
    site.script = [partial(Handler.send, stop=100_000), partial(Handler.send, stop=70_000)]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    assert ranges(site) == [None, "bytes=65536-", "bytes=131072-"]  # whole chunks count
    assert site.requests[1]["If-Range"] == '"1"'


def test_a_server_without_ranges_is_asked_for_everything_again(site, out):
    site.ranges = False
    site.script = [partial(Handler.send, stop=100_000)]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    assert len(site.requests) == 2


@pytest.mark.parametrize("tag", ['"2"', "", 'W/"1"'])
def test_a_file_that_has_changed_is_downloaded_from_its_start(site, out, tag):
    site.tag = '"1"' if tag == '"2"' else tag

    def change(handler):
        handler.send(stop=100_000)
        site.content, site.tag = CONTENT[::-1] + b"more", tag

    site.script = [change]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT[::-1] + b"more"


def test_a_file_that_only_its_tag_tells_apart_is_not_mixed(site, out):
    def careless(handler):
        del handler.headers["If-Range"]  # as a server does that knows nothing of it
        handler.send()

    def change(handler):
        handler.send(stop=100_000)
        site.content, site.tag = CONTENT[::-1], '"2"'

    site.script = [change, careless]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT[::-1]
    assert ranges(site) == [None, "bytes=65536-", None]


def test_a_partial_file_of_another_address_is_not_continued(site, out):
    site.script = [partial(Handler.send, stop=100_000)] * transfer.TRIES
    site.ranges = False
    refused(listing(site.url), out)
    site.ranges, site.content = True, CONTENT[::-1]
    fetch(listing(f"{site.url}/other"), out)
    assert out.read_bytes() == CONTENT[::-1]


def test_a_download_without_a_length_arrives_too(site, out):
    site.script = [partial(Handler.send, length=0)]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT


def test_a_file_that_is_shorter_than_announced_is_refused_and_kept_for_resuming(site, out):
    site.script = [partial(Handler.send, length=400_000)] * transfer.TRIES
    site.ranges = False
    assert "was interrupted" in refused(listing(site.url), out)
    assert len(site.requests) == transfer.TRIES
    assert not out.exists()
    assert (out.parent / ".made.bin.download/made.bin").stat().st_size > len(
        CONTENT
    ) - transfer.CHUNK
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT


def test_a_file_that_is_longer_than_announced_is_refused(site, out):
    site.script = [partial(Handler.send, length=200_000)]
    sha256 = hashlib.sha256(CONTENT).hexdigest()
    assert "its sha256 is" in refused(listing(site.url, sha256=sha256), out)
    # An answer that goes beyond the end of the file is not written at all.
    site.script = [
        partial(Handler.send, stop=100_000),
        partial(Handler.send, length=250_000),
    ]
    fetch(listing(site.url, sha256=sha256), out)
    assert out.read_bytes() == CONTENT


def test_another_sha256_is_refused_and_nothing_is_left(site, out):
    problem = refused(listing(site.url, sha256="0" * 8), out)
    assert f"its sha256 is {hashlib.sha256(CONTENT).hexdigest()}" in problem
    assert "the manifest says 00000000" in problem
    assert not list(out.parent.iterdir())


def test_what_the_check_refuses_is_removed(site, out):
    def check(path):
        raise CheckpointError(f"{path} is damaged", "…")

    problem = refused(listing(f"{site.url}/x?key=secret"), out, check=check)
    assert problem == f"the file from {site.url}/x cannot be used: made.bin is damaged"
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("kind", ["text/html; charset=utf-8", "application/octet-stream"])
def test_a_login_page_is_refused_with_its_address(site, out, kind):
    site.content = b"\n<!DOCTYPE HTML><title>Sign in</title>"
    site.script = [
        partial(Handler.answer, status=302, Location="/login?secret=1"),
        partial(Handler.send, kind=kind),
    ]
    problem = refused(listing(f"{site.url}/file"), out)
    page = "login" if kind.startswith("text") else "file"
    assert f"{site.url}/{page} is a web page" in problem
    assert not list(out.parent.iterdir())


def test_a_login_page_costs_nothing_of_what_has_come(site, out):
    site.script = [partial(Handler.send, stop=100_000)]
    site.script += [partial(Handler.answer, status=403)]
    assert f"127.0.0.1:{site.server_port} answers 403 Forbidden" in refused(listing(site.url), out)
    fetch(listing(site.url), out)
    assert ranges(site)[-1] == "bytes=65536-"
    assert out.read_bytes() == CONTENT


def test_what_is_not_there_is_asked_for_once(site, out):
    site.script = [partial(Handler.answer, status=404)]
    assert "answers 404 Not Found" in refused(listing(site.url), out)
    assert len(site.requests) == 1
    assert not list(out.parent.iterdir())


def test_a_server_s_error_is_tried_again(site, out):
    site.script = [partial(Handler.answer, status=500), partial(Handler.answer, status=429)]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    site.script = [partial(Handler.answer, status=503)] * transfer.TRIES
    assert "answers 503" in refused(listing(site.url), out, True)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/made.bin"])
def test_a_redirect_to_another_scheme_is_refused(site, out, target):
    site.script = [partial(Handler.answer, status=302, Location=target)]
    assert target in refused(listing(site.url), out)
    assert not list(out.parent.iterdir())
    assert target in refused(listing(target), out)


def test_a_redirect_from_https_to_http_is_refused():
    answers = [requests.Response() for _ in range(2)]
    for answer, url in zip(answers, ("https://a/x?key=1", "http://b/x"), strict=True):
        answer.url, answer.status_code = url, 200
    answers[1].history = [answers[0]]
    with pytest.raises(transfer.RefusedError, match="^https://a/x redirects to http://b/x$"):
        transfer._check_answer(answers[1], 200)


def test_no_credentials_are_sent(site, out, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    site.script = [partial(Handler.answer, status=302, Location=f"{site.url}/2")]
    fetch(listing(site.url.replace("//", "//me:secret@")), out)
    assert len(site.requests) == 2
    assert not any("Authorization" in headers for headers in site.requests)


def test_offline_is_said_in_one_line(out):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nothing listens there
        host = f"127.0.0.1:{held.getsockname()[1]}"
        problem = refused(listing(f"http://{host}/made.bin"), out)
    assert problem == f"cannot download made.bin: cannot reach {host}"
    assert not list(out.parent.iterdir())


def test_a_server_that_says_nothing_is_given_up(site, out, monkeypatch):
    monkeypatch.setattr(transfer, "TIMEOUT", (5, 0.05))
    done = threading.Event()
    site.script = [lambda handler: done.wait(10)] * transfer.TRIES
    assert "does not answer" in refused(listing(site.url), out)
    done.set()


def test_a_file_that_is_too_large_is_refused(site, out, monkeypatch):
    monkeypatch.setattr(transfer, "LARGEST", 200_000)
    assert "more than any checkpoint" in refused(listing(site.url), out)
    site.script = [partial(Handler.send, length=0)]
    assert "more than any checkpoint" in refused(listing(site.url), out)
    site.script = [partial(Handler.send, Content_Encoding="gzip")]
    assert "is sent compressed" in refused(listing(site.url), out)


def test_a_disk_without_room_is_noticed_before(site, out, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    with pytest.raises(OutputError, match=r"needs 0\.3 MB more, but the disk has 0\.1 MB free"):
        fetch(listing(site.url), out)
    assert not list(out.parent.iterdir())


def test_a_disk_that_fills_up_keeps_what_has_come(site, out, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            if self.tell() > 100_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    plain = Path.open

    def opened(path, mode="r", **more):
        return Full(path, "ab") if mode == "ab" and path == part else plain(path, mode, **more)

    part = out.parent / ".made.bin.download/made.bin"
    with monkeypatch.context() as full:
        full.setattr(Path, "open", opened)
        with pytest.raises(OutputError, match="no room left on the disk to write .*made.bin"):
            fetch(listing(site.url), out)
    size = part.stat().st_size
    assert size > 100_000
    fetch(listing(site.url), out)
    assert ranges(site) == [None, f"bytes={size}-"]
    assert out.read_bytes() == CONTENT


def test_a_folder_that_cannot_be_written_is_said(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="what should be its folder is a file"):
        fetch(listing(site.url), tmp_path / "file/made.bin")


def test_what_has_to_lie_beside_it_is_downloaded_first(site, tmp_path):
    names = []
    out = tmp_path / "other.xml"
    entry = Listing(
        "made", "https://page", "MIT", "", "m.xml", f"{site.url}/m.xml",
        beside=[f"{site.url}/m.bin"],
    )  # fmt: skip
    fetch(entry, out, check=lambda path: names.extend(sorted(os.listdir(path.parent))))
    assert {"m.bin", "m.xml"} <= set(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.bin", "other.xml"]


# Killed and concurrent processes


def start(site, out):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, site.url, str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_is_resumed(site, out, ending):
    release = threading.Event()
    site.script = [partial(Handler.send, pause=release)]
    part = out.parent / ".made.bin.download/made.bin"
    with start(site, out) as process:
        wait_for(lambda: part.exists() and part.stat().st_size >= transfer.CHUNK)
        process.send_signal(ending)
        assert process.wait() != 0
    release.set()
    size = part.stat().st_size
    assert 0 < size < len(CONTENT)
    assert not out.exists()
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    assert ranges(site) == [None, f"bytes={size}-"]
    assert list(out.parent.iterdir()) == [out]


def test_a_process_killed_before_the_renaming_needs_no_network(site, out):
    def check(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(listing(site.url), out, check=check)
    fetch(listing(site.url), out)
    assert len(site.requests) == 1
    assert out.read_bytes() == CONTENT


def test_two_processes_download_a_file_once(site, out):
    release = threading.Event()
    site.script = [partial(Handler.send, pause=release)]
    with start(site, out) as first:
        wait_for(lambda: site.requests)
        with start(site, out) as second:
            assert second.stdout.readline() == (
                "another process is downloading made.bin; waiting for it\n"
            )
            release.set()
            assert second.stdout.readline().startswith(f"{out} is there already")
        assert (first.wait(), second.returncode) == (0, 0)
    assert len(site.requests) == 1
    assert out.read_bytes() == CONTENT
    assert list(out.parent.iterdir()) == [out]


# Google Drive


class Drive:
    """A gdown whose answers the test scripts; it takes the real one's arguments."""

    def __init__(self, monkeypatch):
        self.script, self.calls = [], []
        self.exceptions = SimpleNamespace(DownloadError=GdownError, FileURLRetrievalError=PageError)
        monkeypatch.setitem(sys.modules, "gdown", self)

    def download(self, url, output, **settings):
        self.calls.append((url, settings))
        (self.script.pop(0) if self.script else self.whole)(output, **settings)
        return output

    def whole(self, output, progress, **settings):
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
    monkeypatch.setattr("mottool.progress.QUIET", -1)
    fetch(listing(DRIVE), out)
    assert out.read_bytes() == CONTENT
    ((url, settings),) = drive.calls
    assert url == DRIVE
    assert not settings["use_cookies"]
    assert settings["resume"]
    assert settings["quiet"]
    assert capsys.readouterr().err == "made.bin: 0.2 of 0.3 MB\nmade.bin: 0.3 of 0.3 MB\n"
    assert list(out.parent.iterdir()) == [out]


def test_google_drive_is_resumed(drive, out):
    partial_file = out.parent / ".made.bin.download/made.binabcdefgh.part"

    def rest(output, **settings):
        assert partial_file.read_bytes() == CONTENT[:1000]
        partial_file.unlink()
        drive.whole(output, **settings)

    drive.script = [drive.broken] * transfer.TRIES
    assert "cannot reach drive.google.com" in refused(listing(DRIVE), out)
    drive.script = [rest]
    fetch(listing(DRIVE), out)
    assert out.read_bytes() == CONTENT


def test_google_drive_starts_again_where_it_cannot_go_on(drive, out):
    parts = []

    def unable(output, **settings):
        raise GdownError("Server did not honor the requested byte range")

    def again(output, **settings):
        parts.extend(out.parent.glob(".made.bin.download/*.part"))
        drive.whole(output, **settings)

    drive.script = [drive.broken, unable, again]
    fetch(listing(DRIVE), out)
    assert not parts
    assert out.read_bytes() == CONTENT

    def longer(output, progress, **settings):
        progress(2000, len(CONTENT) + 1)

    drive.script = [drive.broken, longer, again]
    fetch(listing(DRIVE), out, overwrite=True)
    assert not parts


def test_what_google_drive_refuses_is_said_in_one_line(drive, out, monkeypatch):
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


def test_gdown_is_as_it_is_used(site, out, monkeypatch):
    """The package itself against the local server, which stands for Google Drive."""
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


# The cache folder


def test_where_the_cache_folder_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("MOTTOOL_WEIGHTS", "~/weights")
    assert cache_folder() == Path("/home/me/weights")
    monkeypatch.delenv("MOTTOOL_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/mottool/weights")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == Path("/home/me/.cache/mottool/weights")


def test_what_was_downloaded_is_found_by_its_name(site, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTTOOL_WEIGHTS", str(tmp_path / "weights"))
    first = Listing("made", "https://page", "MIT", "", "", site.url)
    second = Listing("made", "https://page", "its own", "", "second.pth", site.url)
    monkeypatch.setattr(download, "listings", lambda: [first, second])
    messages = []
    assert fetched("made", messages.append) is None
    path = fetch(second)
    assert path == tmp_path / "weights/second.pth"
    assert fetched("made", messages.append) == path
    assert fetched("other") is None
    assert messages == [f"made uses {path} (licence: its own)"]
    assert fetched("made") == path
    fetch(first)
    assert fetched("made") == tmp_path / "weights/made.pth"


def test_the_remedy_names_the_download_where_there_is_one():
    assert remedy("fairmot-dla34", "--weights") == (
        "run `mottool weights fetch fairmot-dla34`, or give its authors' file with --weights"
    )
    assert remedy("otrack", "--weights").startswith("run `mottool weights fetch otrack`")
    assert remedy("tdt-r34", "--weights") == (
        "give its authors' file with --weights; see https://arxiv.org/abs/2205.05583 "
        "(Its authors publish neither code nor weights: train it)"
    )
    assert remedy("onnx", "--weights", "its file") == "give its file with --weights"


def test_without_an_address_the_page_is_named(out):
    entry = Listing("made", "https://page", "MIT", "", "made.bin", note="Ask them")
    assert refused(entry, out) == "the manifest has no address for made (Ask them)"
