"""Transfers over HTTP: complete, resumed, started over, refused."""

import errno
import hashlib
import io
import os
import socket
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import requests
from websites import CONTENT, Handler, listing, ranges, refused

from mottool.checkpoints import transfer
from mottool.checkpoints.download import fetch
from mottool.errors import OutputError

pytestmark = pytest.mark.usefixtures("quick")


def test_progress_is_reported_in_bytes(site, out, monkeypatch, capsys):
    monkeypatch.setattr("mottool.progress.REPORT_SECONDS", -1)
    fetch(listing(site.url), out)
    assert capsys.readouterr().err.splitlines()[-1] == "made.bin: 0.3 of 0.3 MB"


def test_a_connection_that_breaks_off_is_resumed(site, out):
    site.script = [partial(Handler.send, stop=100_000), partial(Handler.send, stop=70_000)]
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    assert ranges(site) == [None, "bytes=65536-", "bytes=131072-"]  # complete chunks count
    assert site.requests[1]["If-Range"] == '"1"'


def test_without_range_support_the_download_starts_over(site, out):
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


def test_files_that_differ_only_in_their_tag_are_not_mixed(site, out):
    def careless(handler):
        del handler.headers["If-Range"]  # as a server without support for it
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


@pytest.mark.parametrize(
    "record",
    [
        '{"url": "URL", "validator": 5, "total": 300000}',
        '{"url": "URL", "validator": "a\\r\\nCookie: b", "total": null}',
        '{"url": "URL", "validator": "\\u00e9", "total": null}',
        '{"url": "URL", "validator": "\\"1\\"", "total": "many"}',
        '{"url": "URL", "validator": "\\"1\\"", "total": true}',
        '{"url": "URL", "validator": "\\"1\\"", "total": -5}',
        '{"url": ["URL"], "validator": "\\"1\\"", "total": 300000}',
        '{"url": "URL", "more": 1}',
        "[" * 50_000,
        "[]",
        "null",
        "\0",
    ],
)
def test_a_damaged_record_of_a_partial_file_starts_the_download_over(site, out, record):
    folder = out.parent / ".made.bin.download"
    folder.mkdir()
    (folder / "made.bin").write_bytes(b"forged" * 1000)
    (folder / "made.bin.json").write_text(record.replace("URL", site.url))
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    assert ranges(site) == [None]


def test_a_download_without_a_length_is_complete(site, out):
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


def test_a_login_page_keeps_the_bytes_received_so_far(site, out):
    site.script = [partial(Handler.send, stop=100_000)]
    site.script += [partial(Handler.answer, status=403)]
    assert f"127.0.0.1:{site.server_port} answers 403 Forbidden" in refused(listing(site.url), out)
    fetch(listing(site.url), out)
    assert ranges(site)[-1] == "bytes=65536-"
    assert out.read_bytes() == CONTENT


def test_a_missing_file_is_requested_once(site, out):
    site.script = [partial(Handler.answer, status=404)]
    assert "answers 404 Not Found" in refused(listing(site.url), out)
    assert len(site.requests) == 1
    assert not list(out.parent.iterdir())


def test_after_a_server_error_the_request_is_repeated(site, out):
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
        transfer._check_response(answers[1], 200)


def test_no_credentials_are_sent(site, out, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    site.script = [partial(Handler.answer, status=302, Location=f"{site.url}/2")]
    fetch(listing(site.url.replace("//", "//me:secret@")), out)
    assert len(site.requests) == 2
    assert not any("Authorization" in headers for headers in site.requests)


def test_offline_the_error_is_one_line(out):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nothing listens there
        host = f"127.0.0.1:{held.getsockname()[1]}"
        problem = refused(listing(f"http://{host}/made.bin"), out)
    assert problem == f"cannot download made.bin: cannot reach {host}"
    assert not list(out.parent.iterdir())


def test_a_server_that_does_not_answer_is_an_error(site, out, monkeypatch):
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


def test_a_full_disk_is_an_error_before_the_transfer(site, out, monkeypatch):
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: SimpleNamespace(free=100_000))
    with pytest.raises(OutputError, match=r"needs 0\.3 MB more, but the disk has 0\.1 MB free"):
        fetch(listing(site.url), out)
    assert not list(out.parent.iterdir())


def test_a_disk_that_fills_up_keeps_the_bytes_received_so_far(site, out, monkeypatch):
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
