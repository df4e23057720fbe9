"""The cache of converted networks: a folder each, under the user's cache folder.

The name of a folder ends in the digest of everything that the conversion depends on: the network,
its weights, its input, and the versions of mottool's network code, of torch and of the runtime. A
folder gets its name by a rename when it is complete. Its file `sha256` has the digest of its files:
a damaged one could still be read, and compute other heads. Folders that are unused for long are
removed.
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from mottool.errors import OutputError, writing
from mottool.files import digest, file_digest, safe_name, user_cache_folder
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.registry import RUNTIMES, versions
from mottool.runtimes.tracing import converting

__all__ = ["cache_folder", "code_version", "converted"]

T = TypeVar("T")
VARIABLE = "MOTTOOL_RUNTIME_CACHE"
# What builds networks and converts them; folders of mottool.
CODE = ("checkpoints", "models", "networks", "pipelines/embedders", "runtimes")
CHECKSUM = "sha256"  # the name of a file
UNUSED_DAYS = 90  # after which a conversion is removed
STALE_SECONDS = 3600  # after which an unfinished folder has lost its writer


def cache_folder() -> Path:
    """Return the folder of conversions: `$MOTTOOL_RUNTIME_CACHE`, or one in the user's cache."""
    return user_cache_folder("runtimes", VARIABLE)


@cache
def code_version() -> str:
    """Return the digest of the code that builds networks, loads their weights and runs them."""
    package = Path(__file__).parents[1]
    files = sorted(path for folder in CODE for path in (package / folder).rglob("*.py"))
    return sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def converted(
    network: LoadedNetwork,
    runtime: str,
    convert: Callable[[Path], None],
    read: Callable[[Path], T],
) -> T:
    """Return what `read` makes of the folder of a conversion; `convert` writes one first if needed.

    A folder that is damaged or cannot be read is replaced. Raises `OutputError` if the cache cannot
    be written; errors of `convert`, and of `read` for what it has just written, are passed on.
    """
    identity = network.identity() | versions(runtime) | {"code": code_version()}
    name = f"{safe_name(network.name)}-{runtime}-{digest(identity)[:16]}"
    folder = cache_folder() / name
    if folder.is_dir():
        with suppress(Exception):  # each runtime has errors of its own
            _check(folder)
            result = read(folder)
            with suppress(OSError):
                os.utime(folder)
            return result
        _remove(folder)
    temporary = _create(folder)
    try:
        with converting(network):
            convert(temporary)
        with _writing(folder):
            (temporary / CHECKSUM).write_text(_checksum(temporary))
            _flush(temporary)
        with suppress(OSError):  # another process may have written the same
            temporary.rename(folder)
        return read(folder if folder.is_dir() else temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _checksum(folder: Path) -> str:
    """Return the digest of the names and contents of the files of a conversion."""
    files = sorted(path for path in folder.iterdir() if path.name != CHECKSUM)
    return digest([[path.name, file_digest(path)] for path in files])


def _check(folder: Path) -> None:
    """Raise `ValueError` for a conversion whose files are not those that were written."""
    if (folder / CHECKSUM).read_text() != _checksum(folder):
        raise ValueError(f"{folder} is damaged")


def _create(folder: Path) -> Path:
    """Create the hidden folder that becomes `folder`, and remove what is no longer used."""
    with _writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        _remove_unused(folder.parent)
        temporary = _hidden(folder)
        temporary.mkdir()
    return temporary


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Convert an `OSError` into an `OutputError` that names the variable of the cache."""
    try:
        with writing(folder):
            yield
    except OutputError as error:
        fix = f"name a folder that you may write in {VARIABLE}, or give --runtime torch"
        raise OutputError(error.problem, fix) from error


def _hidden(folder: Path) -> Path:
    """Return a name beside `folder` that no other process uses."""
    return folder.with_name(f".{folder.name}.{os.getpid()}.{time.monotonic_ns()}")


def _flush(folder: Path) -> None:
    """Wait until the files of a folder have reached the disk."""
    for path in folder.iterdir():
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _remove(folder: Path) -> None:
    """Remove a folder, which no longer has its name while it is incomplete."""
    hidden = _hidden(folder)
    with suppress(OSError):
        folder.rename(hidden)
        shutil.rmtree(hidden, ignore_errors=True)


def _remove_unused(cache: Path) -> None:
    """Remove conversions that were not used for long, and what killed processes left.

    Only folders with the names of conversions are removed: a user may name any folder as the cache.
    """
    pattern = re.compile(rf"\.?[^.].*-({'|'.join(RUNTIMES)})-[0-9a-f]{{16}}(\.\d+\.\d+)?")
    for folder in cache.iterdir():
        if pattern.fullmatch(folder.name) is None or not folder.is_dir():
            continue
        with suppress(OSError):
            age = time.time() - folder.stat().st_mtime
            if folder.name.startswith(".") and age > STALE_SECONDS:
                shutil.rmtree(folder, ignore_errors=True)
            elif age > UNUSED_DAYS * 86400:
                _remove(folder)
