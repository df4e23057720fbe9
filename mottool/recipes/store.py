"""A store: the results of a work folder at an address that fsspec opens, such as `s3://bucket/folder`.

    <address>/tracks/<pipeline>.<tracker>/<sequence>.txt             as in the work folder
    <address>/tracks/<pipeline>.<tracker>.settings/<sequence>.json   its record
    <work>/.store/tracks/…/<sequence>.txt.json                       which versions are equal

A result is published by one write each of the result and of its record, after the old record was
removed: what is seen meanwhile is a result without a record, which is not used. Names are those of
local files; a name from the store never becomes a path. Only the methods import fsspec.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from errno import ENOSPC
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any
from uuid import uuid4

from mottool.errors import InputError, MottoolError, SettingError
from mottool.files import atomic_write, json_record, read_json_record
from mottool.records.known_files import signature
from mottool.records.record import record_beside, record_of, remove_record

__all__ = ["Listing", "Store"]

Version = list[Any]  # of a file in a store: bytes, and a tag that changes with its content
Listing = Mapping[str, Version]  # of all files of a store, by name

MARKS = ".store"
THREADS = 16  # transfers at the same time
TAGS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "created")  # as file systems name it
# Where a file appears at once when it has been sent; elsewhere it is renamed.
OBJECT_STORES = {"abfs", "abfss", "az", "gcs", "gs", "memory", "oci", "oss", "s3", "s3a"}
LONGEST_REASON = 200  # characters of an error of another package


@dataclass(frozen=True)
class Store:
    """The store at `address` of the results in the work folder `root`.

    Its methods raise `SettingError` for an address that cannot be opened, `InputError` if the store
    does not answer or refuses access, and `OutputError` for a local file that cannot be written.
    """

    address: str
    root: Path

    def read_listing(self) -> Listing:
        """Return the version of each file by its name."""
        files, base = self._open()
        with self._answering():
            found = files.find(base, detail=True)
        start = base.rstrip("/") + "/"
        return {name.removeprefix(start): _version(found[name]) for name in found}

    def update(self, results: Sequence[Path]) -> Listing:
        """Fetch results that are missing here, or that others have published since; list the store.

        Local results that the store does not have are kept. Of those that are replaced in the store
        meanwhile, the record is left out, so that they count as missing.
        """
        return self._fetch_newer(results, self.read_listing)

    def fetch(self, results: Collection[Path]) -> None:
        """Fetch a few results as `update`, without a list of the store."""
        self._fetch_newer(results, lambda: self._look_up(results))

    def _look_up(self, results: Collection[Path]) -> Listing:
        """Return the versions of some results and of their records by name."""
        files, _ = self._open()
        listing = {}
        for name in [name for result in results for name in self._names(result)]:
            with self._answering(), suppress(FileNotFoundError):
                listing[name] = _version(files.info(self._key(name)))
        return listing

    def _fetch_newer(self, results: Collection[Path], read: Callable[[], Listing]) -> Listing:
        """Fetch what is newer in the store; `read` returns the versions that are there now."""
        listing = read()
        newer = [result for result in results if self._is_newer(result, listing)]
        if not newer:
            return listing
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda result: self._fetch(result, listing), newer))
        after = read()
        for result in newer:
            if self._versions(result, after) != self._versions(result, listing):
                remove_record(result)
        return after

    def publish(self, result: Path, listing: Listing | None = None) -> None:
        """Publish a result of the work folder and its record, unless the store has them.

        A file elsewhere, such as a cache that a recipe names, is not published. Without a
        `listing`, it is not noticed if another machine has replaced them.
        """
        if not self.contains(result):
            return
        mark, local = self._read_mark(result), _signatures(result)
        if [] in local:
            return
        remote = mark.get("remote") if listing is None else self._versions(result, listing)
        if (mark.get("local"), mark.get("remote")) == (local, remote):
            return
        files, _ = self._open()
        keys = [self._key(name) for name in self._names(result)]
        with self._answering():
            with suppress(FileNotFoundError):
                files.rm_file(keys[1])
            for path, key in zip((result, record_of(result)), keys, strict=True):
                self._put(path, key)
            remote = [_version(files.info(key)) for key in keys]
        self._write_mark(result, local, remote)

    def contains(self, path: Path) -> bool:
        """Return whether a path is one of the work folder, so that the store can have the file."""
        return self._relative(path) is not None

    def _put(self, path: Path, key: str) -> None:
        files, _ = self._open()
        protocols = files.protocol
        if OBJECT_STORES & {protocols, *([] if isinstance(protocols, str) else protocols)}:
            files.put_file(str(path), key)
            return
        folder, _, name = key.rpartition("/")
        files.makedirs(folder, exist_ok=True)
        temporary = f"{folder}/.{name}.{uuid4().hex}"
        try:
            files.put_file(str(path), temporary)
            files.mv(temporary, key)
        except BaseException:
            with suppress(Exception):
                files.rm_file(temporary)
            raise

    def _fetch(self, result: Path, listing: Listing) -> None:
        """Fetch a result, and then its record."""
        files, _ = self._open()
        remove_record(result)
        try:
            paths = result, record_of(result)
            for path, name in zip(paths, self._names(result), strict=True):
                with atomic_write(path) as temporary, self._answering():
                    files.get_file(self._key(name), str(temporary))
        except InputError as error:
            if isinstance(error.__cause__, FileNotFoundError):
                return  # another machine is replacing it
            raise
        self._write_mark(result, _signatures(result), self._versions(result, listing))

    def _is_newer(self, result: Path, listing: Listing) -> bool:
        """Return whether the store has a result that is missing, or was replaced only there."""
        remote, local = self._versions(result, listing), _signatures(result)
        if [] in remote:
            return False
        mark = self._read_mark(result)
        return [] in local or (mark.get("local") == local and mark.get("remote") != remote)

    def _versions(self, result: Path, listing: Listing) -> list[Version]:
        """Return the versions of a result and of its record; [] of one that is not there."""
        return [listing.get(name, []) for name in self._names(result)]

    def _names(self, result: Path) -> tuple[str, str]:
        """Return the names of a result in the work folder and of its record.

        They are the same on all machines, also where a folder of results is a link.
        """
        name = self._relative(result)
        assert name is not None, result
        return str(name), str(record_beside(name))

    def _relative(self, path: Path) -> PurePosixPath | None:
        """Return a path relative to the work folder; None if it is not in it."""
        absolute = Path(os.path.abspath(path)), Path(os.path.abspath(self.root))
        resolved = path.parent.resolve() / path.name, self.root.resolve()
        for place, root in (absolute, resolved):
            if root in place.parents:
                return PurePosixPath(place.relative_to(root).as_posix())
        return None

    def _key(self, name: str) -> str:
        return f"{self._open()[1].rstrip('/')}/{name}"

    def _mark(self, result: Path) -> Path:
        return self.root / MARKS / f"{self._names(result)[0]}.json"

    def _read_mark(self, result: Path) -> dict[str, Any]:
        mark = read_json_record(self._mark(result))
        return mark if mark.get("address") == self.address else {}

    def _write_mark(self, result: Path, local: Sequence[Any], remote: Sequence[Any]) -> None:
        with atomic_write(self._mark(result)) as temporary:
            mark = {"address": self.address, "local": local, "remote": remote}
            temporary.write_text(json_record(mark), encoding="utf-8")

    def _open(self) -> tuple[Any, str]:
        """Return the file system of the address and the path of the store in it."""
        try:
            return _open_address(self.address)
        except ImportError as error:
            fix = "pip install 'mottool[s3]' for s3://, or the package of fsspec for that address"
            raise SettingError(f"--store {self.address}: {_reason(error)}", fix) from error
        except Exception as error:  # of any package
            fix = "write it as s3://BUCKET/FOLDER, or another address that fsspec can open"
            raise SettingError(f"--store {self.address}: {_reason(error)}", fix) from error

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Convert the errors of a store, each with its fix."""
        try:
            yield
        except MottoolError:
            raise
        except Exception as error:  # of any package
            if isinstance(error, OSError) and error.errno == ENOSPC:
                raise
            if isinstance(error, FileNotFoundError):
                problem, fix = "is not there", "create the bucket, or correct --store"
            elif isinstance(error, PermissionError) or "Credential" in type(error).__name__:
                problem, fix = "refuses access", "check the credentials, and that they may write"
            else:
                problem = "does not answer"
                fix = "run the same command again when it does; finished results are kept"
            raise InputError(f"{self.address} {problem} ({_reason(error)})", fix) from error


@lru_cache(maxsize=4)
def _open_address(address: str) -> tuple[Any, str]:
    import fsspec

    files, path = fsspec.core.url_to_fs(address, use_listings_cache=False)
    return files, str(path)


def _version(info: Mapping[str, Any]) -> Version:
    tag = next((info[name] for name in TAGS if info.get(name)), "")
    return [info.get("size"), str(tag.timestamp() if isinstance(tag, datetime) else tag)]


def _signatures(result: Path) -> list[Any]:
    """Return the signatures of a result and of its record; [] of one that is missing."""
    return [signature(result), signature(record_of(result))]


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text[:LONGEST_REASON]
