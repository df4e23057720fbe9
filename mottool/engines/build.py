"""The build of mottool in this process, which all machines of a cluster must have in common."""

from functools import cache
from hashlib import sha256
from pathlib import Path

from mottool import __version__

__all__ = ["build"]

PACKAGE = Path(__file__).parents[1]
LINKED = "stages", "weights"  # in a checkout; `rglob` does not follow links
DIGITS = 12


@cache
def build(package: Path = PACKAGE) -> str:
    """Return the version and a hash of the package's Python files, as `0.1.0 (b8c4a1d0e5f2)`.

    It is the same for a checkout, where folders of the package are links, and for an installation.
    """
    folders = package, *(package / name for name in LINKED)
    paths = {path for folder in folders for path in folder.rglob("*.py")}
    digest = sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(package).as_posix()}\0".encode())
        digest.update(sha256(path.read_bytes()).digest())
    return f"{__version__} ({digest.hexdigest()[:DIGITS]})"
