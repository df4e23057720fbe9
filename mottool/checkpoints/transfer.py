"""Transfer one file over HTTP(S), or from Google Drive through gdown, and resume a partial one.

`FILE.json` beside a partial file records where its bytes come from. A transfer is resumed only if
the server still has the same file, by its ETag or its modification time (RFC 9110, `Range` and
`If-Range`) and by its length. Otherwise it starts over.
"""

import json
import re
import shutil
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.exceptions import ChunkedEncodingError, ProxyError, SSLError

from mottool.errors import CheckpointError, OutputError, SettingError, writing
from mottool.files import atomic_write
from mottool.progress import counter

__all__ = ["DownloadError", "plain_address", "transfer"]

CHUNK = 1 << 16  # bytes
VALIDATOR = re.compile("[!-~][ -~]*|")
LONGEST_RECORD = 1 << 16  # characters of the source of a partial file
LARGEST = 4 << 30  # bytes, far above any checkpoint of the manifest
TRIES = 4
BACKOFF = 0.5  # seconds before the second try, doubled before each further one
TIMEOUT = (10, 60)  # seconds to connect, and between two parts of a response
DRIVE = ("drive.google.com", "docs.google.com")
LATER = (408, 425, 429)  # statuses below 500 that ask to try again


class DownloadError(CheckpointError):
    """A checkpoint that cannot be downloaded, or a download that is not the checkpoint."""


class RefusedError(requests.RequestException):
    """A response that will not change when the request is repeated; its text is the reason."""


class IncompleteError(requests.RequestException):
    """A transfer that ended early or has to start over; its text is the reason."""


class Session(requests.Session):
    """An HTTP session that sends no credentials, neither from the address nor from ~/.netrc."""

    def __init__(self) -> None:
        super().__init__()
        self.auth = lambda request: request

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Send no credentials along a redirect."""
        prepared_request.headers.pop("Authorization", None)


@dataclass(frozen=True)
class Origin:
    """The source of the bytes of a partial file.

    `validator` is the ETag or the modification time that the server sent, "" without one; `total`
    is the size of the complete file in bytes, None if the server does not send it.
    """

    url: str
    validator: str = ""
    total: int | None = None


def transfer(url: str, part: Path, out: Path, fix: str) -> None:
    """Download `url` to `part`, continuing where an earlier call ended.

    Retry after a failed connection and after a server error (5xx). `out` is the file that `part`
    becomes; messages name it. Raises `DownloadError` with `fix`, and `OutputError` if the disk is
    full.
    """
    receive = _receive_from_drive if urlsplit(url).hostname in DRIVE else _receive
    for attempt in range(1, TRIES + 1):
        try:
            receive(url, part, out)
            return
        except requests.RequestException as error:
            if attempt == TRIES or not _is_temporary(error):
                problem = f"cannot download {out.name}: {_reason(error, url)}"
                raise DownloadError(problem, fix) from error
        time.sleep(BACKOFF * 2 ** (attempt - 1))


def plain_address(url: str) -> str:
    """Return an address without its query and its user, which may be long or secret."""
    parts = urlsplit(url)
    return parts._replace(netloc=_host(url), query="", fragment="").geturl()


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _is_temporary(error: requests.RequestException) -> bool:
    """Return whether the same request may succeed later."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        code = error.response.status_code
        return code >= 500 or code in LATER
    if isinstance(error, SSLError | ProxyError):
        return False
    temporary = requests.ConnectionError | requests.Timeout | ChunkedEncodingError | IncompleteError
    return isinstance(error, temporary)


def _reason(error: requests.RequestException, url: str) -> str:
    """Describe why a request failed, in a few words."""
    requested = error.request.url if error.request is not None else None
    host = _host(str(requested or url))
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"{host} answers {error.response.status_code} {error.response.reason}"
    reasons = {
        SSLError: f"the certificate of {host} is not trusted",
        ProxyError: f"the proxy does not let {host} be reached",
        ChunkedEncodingError: f"the connection to {host} was interrupted",
        requests.Timeout: f"{host} does not answer",
        requests.ConnectionError: f"cannot reach {host}",
    }
    for error_class, reason in reasons.items():  # subclasses before their base classes
        if isinstance(error, error_class):
            return reason
    return " ".join(str(error).split()).rstrip(".")


def _receive(url: str, part: Path, out: Path) -> None:
    """Download the missing bytes of `part` from `url`, in one request."""
    origin = _read_origin(part)
    start = _resumable_bytes(part, url, origin)
    if origin and start and start == origin.total:
        return
    headers = {"Accept-Encoding": "identity"}  # positions refer to the uncompressed file
    if origin and start:
        headers["Range"] = f"bytes={start}-"
        if origin.validator:
            headers["If-Range"] = origin.validator
    with (
        Session() as session,
        session.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response,
    ):
        total = None
        if origin and start:
            total = _total_if_resumed(response, start, origin)
            if total is None and response.status_code in (206, 416):
                _discard(part)
                raise IncompleteError("the file has changed", response=response)
        if total is None:  # the complete file: the server ignores Range, or the file has changed
            start, total = 0, _length(response)
        _check_response(response, 206 if start else 200)
        _check_space(out, (total or 0) - start, total)
        if not start:
            _start_part(part, Origin(url, _validator(response), total), out)
        _write(response, part, start, total, out)


def _total_if_resumed(response: requests.Response, start: int, origin: Origin) -> int | None:
    """Return the size of the complete file, None unless the response continues it at `start`."""
    span = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if response.status_code != 206 or span is None or int(span[1]) != start:
        return None
    total = int(span[2]) + 1
    validator = _validator(response)
    same = (
        span[3] in ("*", str(total))
        and origin.total in (None, total)
        and _length(response) in (None, total - start)
        and (not validator or not origin.validator or validator == origin.validator)
    )
    return total if same else None


def _check_response(response: requests.Response, status: int) -> None:
    """Refuse a response that is not the file, or has another status than `status`."""
    response.raise_for_status()
    addresses = [str(step.url) for step in (*response.history, response)]
    for before, after in zip(addresses, addresses[1:], strict=False):
        if before.startswith("https:") and not after.startswith("https:"):
            raise RefusedError(f"{plain_address(before)} redirects to {plain_address(after)}")
    if response.status_code != status:
        raise RefusedError(f"{plain_address(addresses[-1])} answers {response.status_code}")
    content_type = response.headers.get("Content-Type", "").lower()
    if content_type.startswith(("text/html", "application/xhtml")):
        raise RefusedError(f"{plain_address(addresses[-1])} is a web page, not the file")
    if response.headers.get("Content-Encoding", "identity") != "identity":
        raise RefusedError(f"{plain_address(addresses[-1])} is sent compressed")


def _length(response: requests.Response) -> int | None:
    """Return the length of the response body in bytes, None if the server does not send it."""
    length = response.headers.get("Content-Length", "")
    return int(length) if length.isdecimal() else None


def _validator(response: requests.Response) -> str:
    """Return what identifies this version of the file: a strong ETag, or its modification time."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")


def _check_space(out: Path, more: int, total: int | None) -> None:
    """Refuse a file that is too large, and raise `OutputError` if the disk has no room for it."""
    if total is not None and total > LARGEST:
        raise RefusedError(f"it has {total / 1e9:.1f} GB, more than any checkpoint")
    free = shutil.disk_usage(out.parent).free
    if more > free:
        problem = f"{out} needs {more / 1e6:.1f} MB more, but the disk has {free / 1e6:.1f} MB free"
        raise OutputError(problem, "free some room, or choose another path with --out")


def _write(
    response: requests.Response, part: Path, start: int, total: int | None, out: Path
) -> None:
    """Append the body of a response to `part`, which has `start` bytes."""
    size = start
    with writing(out):
        file = part.open("ab")
    with file, counter(out.name, total, start, "bytes") as count:
        for chunk in response.iter_content(CHUNK):
            size += len(chunk)
            if size > LARGEST:
                _check_space(out, 0, size)
            with writing(out):
                file.write(chunk)
            count(len(chunk))
    if total is not None and size != total:
        raise IncompleteError(f"{size} of {total} bytes were received", response=response)


def _receive_from_drive(url: str, part: Path, out: Path) -> None:
    """Download the missing bytes of `part` from Google Drive.

    gdown keeps a partial file of its own beside `part`, and renames it when it is complete.
    """
    gdown = _gdown(out)
    origin = _read_origin(part)
    if origin is None or origin.url != url:
        _discard(part)
        origin = Origin(url)
        _write_origin(part, origin)
    partial = any(part.parent.glob(f"{part.name}*.part"))
    meter = DriveMeter(part, out, origin)
    try:
        with meter.stack:
            gdown.download(
                url,
                str(part),
                quiet=True,
                use_cookies=False,
                resume=True,
                timeout=TIMEOUT,
                progress=meter,
            )
    except gdown.exceptions.FileURLRetrievalError as error:
        # The text repeats the advice of the fix; the reason is in the error that it replaces.
        reason = " ".join(str(error.__context__ or error).split()).rstrip(".")
        raise RefusedError(f"Google Drive answers with a web page: {reason}") from error
    except gdown.exceptions.DownloadError as error:
        if isinstance(error.__cause__, requests.RequestException):
            raise error.__cause__ from None
        if partial and not meter.size:  # it cannot be resumed
            _discard(part)
        raise IncompleteError(" ".join(str(error).split())) from error
    except (LookupError, AssertionError) as error:
        raise RefusedError("Google Drive gives an answer that gdown does not know") from error
    except OSError as error:
        if isinstance(error, requests.RequestException):
            raise
        with writing(out):
            raise


class DriveMeter:
    """The progress callback of gdown, called after every part; it also checks the size."""

    def __init__(self, part: Path, out: Path, origin: Origin) -> None:
        self.part, self.out, self.origin = part, out, origin
        self.stack = ExitStack()
        self.size = 0  # bytes received, 0 before the first call

    def __call__(self, size: int, total: int | None) -> None:
        """Receive the number of bytes so far and the size of the file, None if it is not known."""
        if not self.size:
            if self.origin.total not in (None, total):
                _discard(self.part)
                raise IncompleteError("the file has changed")
            _write_origin(self.part, Origin(self.origin.url, total=total))
            _check_space(self.out, (total or 0) - size, total)
            self._count = self.stack.enter_context(counter(self.out.name, total, 0, "bytes"))
        elif size > LARGEST:
            _check_space(self.out, 0, size)
        self._count(size - self.size)
        self.size = size


def _gdown(out: Path) -> Any:
    try:
        return import_module("gdown")
    except ImportError as error:
        problem = f"{out.name} is on Google Drive, which needs the package gdown"
        raise SettingError(problem, "install it: pip install gdown") from error


def _resumable_bytes(part: Path, url: str, origin: Origin | None) -> int:
    """Return the number of bytes of `url` in `part`, 0 if they may be of another file."""
    if origin is None or origin.url != url or not (origin.validator or origin.total):
        return 0
    size = part.stat().st_size if part.exists() else 0
    return size if origin.total is None or size <= origin.total else 0


def _read_origin(part: Path) -> Origin | None:
    """Read the source of the bytes of a partial file; None if the record is missing or damaged."""
    try:
        with _origin_file(part).open(encoding="utf-8") as file:
            origin = Origin(**json.loads(file.read(LONGEST_RECORD)))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    texts = isinstance(origin.url, str) and isinstance(origin.validator, str)
    whole = origin.total is None or (type(origin.total) is int and origin.total > 0)
    # The validator is sent as a header, which other characters would end.
    return origin if texts and whole and VALIDATOR.fullmatch(origin.validator) else None


def _start_part(part: Path, origin: Origin, out: Path) -> None:
    """Empty `part` and then record the source of its bytes, in this order."""
    with writing(out):
        part.write_bytes(b"")
    _write_origin(part, origin)


def _write_origin(part: Path, origin: Origin) -> None:
    with atomic_write(_origin_file(part)) as file:
        file.write_text(json.dumps(asdict(origin)), encoding="utf-8")


def _origin_file(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _discard(part: Path) -> None:
    """Remove a partial file, including those of gdown."""
    for path in (part, _origin_file(part), *part.parent.glob(f"{part.name}*.part")):
        path.unlink(missing_ok=True)
