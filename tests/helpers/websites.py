"""A local web server whose responses the tests script, and downloads from it."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from mottool.checkpoints.download import fetch
from mottool.checkpoints.manifest import Listing
from mottool.checkpoints.transfer import DownloadError

__all__ = ["CONTENT", "Handler", "Website", "listing", "ranges", "refused"]

CONTENT = np.random.default_rng(0).bytes(300_000)


class Website(ThreadingHTTPServer):
    """Serves `content` under every path.

    Each request is answered by the next step of `script`, a function of the handler, and by
    `Handler.send` when there is none left. `requests` holds the headers of every request.
    """

    daemon_threads = True

    def __init__(self, content=b""):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.ranges = content, '"1"', True
        self.script, self.requests = [], []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *failure):
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, request, client_address):
        """Ignore clients that were killed."""


class Handler(BaseHTTPRequestHandler):
    """Answers one request and closes the connection."""

    def do_GET(self):
        self.server.requests.append(dict(self.headers))
        step = self.server.script.pop(0) if self.server.script else Handler.send
        step(self)

    def send(self, stop=None, length=None, kind="application/octet-stream", pause=None, **headers):
        """Send the content, or the requested range of it.

        `stop` ends the body after that many bytes, `length` is sent instead of the real length
        (0: no length), and `pause` is an event to wait for after half of the body.
        """
        content, tag = self.server.content, self.server.tag
        start, status = 0, 200
        requested = self.headers.get("Range")
        if requested and self.server.ranges and self.headers.get("If-Range") in (None, tag):
            start, status = int(requested.removeprefix("bytes=").rstrip("-")), 206
        if start >= len(content) > 0:
            self.answer(416)
            return
        self.send_response(status)
        body = content[start:]
        if length != 0:
            self.send_header("Content-Length", str(length or len(body)))
        if status == 206:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if tag:
            self.send_header("ETag", tag)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        body = body[:stop]
        half = len(body) // 2 if pause else 0
        self.wfile.write(body[:half])
        if pause:
            pause.wait(30)
        self.wfile.write(body[half:])

    def answer(self, status, body=b"", **headers):
        """Send a status with a body and headers."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *values):
        """Keep the tests' output clean."""


def listing(url, **more):
    """Return a manifest entry for a made-up file at an address."""
    return Listing("made", "https://page", "MIT", "", "made.bin", url, **more)


def refused(entry, out, *arguments, **named):
    """Return the problem of a download that fails; check that its fix describes the manual way."""
    with pytest.raises(DownloadError) as caught:
        fetch(entry, out, *arguments, **named)
    assert str(caught.value).count("\n") == 0
    assert f"open https://page in a browser and save the file as {out}" in caught.value.fix
    return caught.value.problem


def ranges(site):
    """Return the Range header of every request, None if it has none."""
    return [headers.get("Range") for headers in site.requests]
