"""What a comparison or a benchmark was made with: command, versions and hardware."""

import platform
import shlex
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mottool._version import __version__
from mottool.engines.threads import cores

__all__ = ["describe_environment", "describe_machine", "describe_versions"]

LIBRARIES = ("numpy", "scipy", "lap", "torch")


def describe_environment() -> dict[str, str]:
    """Return what made the comparison, each by the name that the page gives it."""
    return {
        "Command": shlex.join(["mottool", *sys.argv[1:]]),
        "Versions": describe_versions(LIBRARIES),
        "Machine": describe_machine(),
        "Timing": "association by this command, on one thread of this machine; detection and "
        "embedding by detect-embed, on the machine that made the caches",
    }


def describe_versions(libraries: Iterable[str]) -> str:
    """Return the versions of mottool, Python and those of the libraries that are installed."""
    versions = [f"mottool {__version__}", f"Python {platform.python_version()}"]
    versions += [f"{name} {number}" for name in libraries if (number := _version(name))]
    return ", ".join(versions)


def describe_machine() -> str:
    """Return the processor, the number of its cores that may be used, and the system."""
    return f"{_processor()}, {cores()} cores, {platform.system()} {platform.machine()}"


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _processor(information: Path = Path("/proc/cpuinfo")) -> str:
    """Return the processor's name, which `platform` does not know on Linux."""
    if information.is_file():
        for line in information.read_text(errors="replace").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return " ".join(value.split())
    return platform.processor() or "unknown processor"
