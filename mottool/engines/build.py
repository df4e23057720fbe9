"""The build of mottool in this process, which all machines of a cluster must have in common."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from mottool import __version__

__all__ = ["build"]

PACKAGE = Path(__file__).parents[1]
DIGITS = 12


@cache
def build() -> str:
    """Return the version and a hash of the package's Python files, as `0.1.0 (b8c4a1d0e5f2)`."""
    digest = sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0".encode())
        digest.update(sha256(path.read_bytes()).digest())
    return f"{__version__} ({digest.hexdigest()[:DIGITS]})"
