"""Download the checkpoints that have an address in the manifest, and find downloaded ones.

A download is written to the hidden folder `.FILE.download` beside the file that it becomes. The
folder holds the bytes received so far, from which the next call resumes, and a lock for the one
process that writes there. The file gets its name when it is complete and checked. Nothing in it is
executed.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from mottool.checkpoints.manifest import Listing, listings
from mottool.checkpoints.transfer import DownloadError, plain_address, transfer
from mottool.errors import CheckpointError, OutputError, SettingError, ignore_warning, writing
from mottool.files import file_digest, user_cache_folder
from mottool.locks import lock_or_wait

__all__ = ["cache_folder", "fetch", "find_downloaded", "missing_weights_fix", "required_weights"]

DOWNLOAD_FIX = "download it again"

Warn = Callable[[str], None]
Check = Callable[[Path], object]


def cache_folder() -> Path:
    """Return the folder of downloads: `$MOTTOOL_WEIGHTS`, or one in the user's cache folder."""
    return user_cache_folder("weights", "MOTTOOL_WEIGHTS")


def find_downloaded(name: str, warn: Warn = ignore_warning) -> Path | None:
    """Find the checkpoint of `name` in the cache folder; return None if there is none.

    `name` is a network, detector or embedder of the manifest. Of several files the first listed
    one is taken. `warn` receives one line with its path and its licence.
    """
    for listing in listings():
        path = cache_folder() / listing.file_name
        if listing.name == name and (listing.url or listing.file) and os.path.isfile(path):
            warn(f"{name} uses {path} (licence: {listing.licence})")
            return path
    return None


def missing_weights_fix(name: str, flag: str, file: str = "its authors' file") -> str:
    """Return how to get the weights of `name`, as the fix of an error; `flag` takes a file."""
    entries = [listing for listing in listings() if listing.name == name]
    if any(listing.url for listing in entries):
        return f"run `mottool weights fetch {name}`, or give {file} with {flag}"
    if not entries:
        return f"give {file} with {flag}"
    return f"give {file} with {flag}; see {entries[0].page} ({entries[0].note})"


def required_weights(
    name: str, given: Path | None, flag: str, file: str = "its authors' file"
) -> Path:
    """Return the weights of `name` that are given; raise `SettingError` without them."""
    if given is None:
        raise SettingError(f"{name} needs its weights", missing_weights_fix(name, flag, file))
    return given


def fetch(
    listing: Listing,
    out: Path | None = None,
    overwrite: bool = False,
    warn: Warn = ignore_warning,
    check: Check = lambda path: None,
) -> Path:
    """Download the file of `listing` to `out`, by default into `cache_folder()`.

    Resume an interrupted download. Keep an existing file unless `overwrite`. `check` is called
    with the downloaded file before it is renamed to `out`, and raises `CheckpointError` to refuse
    it. Raises `DownloadError` if the file cannot be downloaded or is refused, and `OutputError` if
    it cannot be written.
    """
    out = out or cache_folder() / listing.file_name
    if not listing.url:
        save = f" and save the file as {out}" if listing.file else ""
        problem = f"the manifest has no address for {listing.name} ({listing.note})"
        raise DownloadError(problem, f"open {listing.page} in a browser{save}")
    if out.exists() and not out.is_file():
        raise OutputError(f"{out} is not a regular file", "name another one with --out")
    folder = out.parent / f".{out.name}.download"
    if not _keep_existing(out, overwrite, warn):
        with _locked(folder, out, warn):
            if not _keep_existing(out, overwrite, warn):  # another process may have written it
                try:
                    _download(listing, folder, out, check)
                except BaseException:
                    if not _has_bytes(folder):  # nothing to resume
                        _clear(folder)
                    raise
            _clear(folder)
    return out


def _keep_existing(out: Path, overwrite: bool, warn: Warn) -> bool:
    """Return whether `out` exists and is not to be overwritten."""
    if overwrite or not out.is_file():
        return False
    warn(f"{out} exists already; --overwrite downloads it again")
    return True


def _download(listing: Listing, folder: Path, out: Path, check: Check) -> None:
    """Download the listing's files into `folder`, check them, and give them their names."""
    fix = f"run the same command again, or open {listing.page} in a browser and save the file as "
    fix += str(out)
    parts = {url: folder / _file_of(url) for url in listing.beside}
    main = parts[listing.url] = folder / listing.file_name
    for url, part in parts.items():
        transfer(url, part, out, fix)
    try:
        for url, part in parts.items():
            _refuse_web_page(part, url)
        _check_sha256(main, listing.sha256)
        check(main)
    except CheckpointError as error:
        for part in parts.values():
            part.unlink()
        reason = error.problem.replace(f"{folder}{os.sep}", "")
        problem = f"the file from {plain_address(listing.url)} cannot be used: {reason}"
        raise DownloadError(problem, fix) from error
    for part in parts.values():  # the listed file last: if it exists, the others do too
        target = out if part == main else out.with_suffix(part.suffix)
        with writing(target):
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(target)


def _file_of(url: str) -> str:
    return Path(urlsplit(url).path).name


def _refuse_web_page(part: Path, url: str) -> None:
    """Refuse a file that begins as a web page does."""
    with part.open("rb") as file:
        start = file.read(512).removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head")):
        raise CheckpointError(f"{plain_address(url)} is a web page", DOWNLOAD_FIX)


def _check_sha256(part: Path, expected: str) -> None:
    """Refuse a file whose sha256 does not begin with the digits `expected`."""
    sha256 = file_digest(part)
    if not sha256.startswith(expected):
        raise CheckpointError(
            f"its sha256 is {sha256}, but the manifest has {expected}", DOWNLOAD_FIX
        )


@contextmanager
def _locked(folder: Path, out: Path, warn: Warn) -> Iterator[None]:
    """Create `folder` and hold its lock; wait while another process holds it."""
    messages = [f"another process is downloading {out.name}; waiting for it"]

    def waiting() -> None:
        if messages:
            warn(messages.pop())

    while True:
        with writing(out):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                file = (folder / "lock").open("ab")
            except FileNotFoundError:  # another process has removed the folder
                continue
        with file:
            lock_or_wait(file.fileno(), waiting)
            if _is_same_file(file.fileno(), folder / "lock"):
                yield
                return


def _is_same_file(file: int, path: Path) -> bool:
    """Return whether `path` still is the open file, which another process may have removed."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False


def _has_bytes(folder: Path) -> bool:
    """Return whether there is a partial download in `folder`."""
    data = (path for path in folder.iterdir() if path.name != "lock" and path.suffix != ".json")
    return any(path.stat().st_size for path in data)


def _clear(folder: Path) -> None:
    """Remove `folder`, whose lock this process holds; the lock file last."""
    for path in folder.iterdir():
        if path.name != "lock":
            path.unlink()
    (folder / "lock").unlink(missing_ok=True)
    try:
        folder.rmdir()
    except OSError:  # another process has created its lock there
        return
