"""The highest resident memory of this process."""

import resource
import sys
from pathlib import Path

__all__ = ["peak_memory"]


def peak_memory(status: Path = Path("/proc/self/status")) -> int:
    """Return the highest resident memory of this process so far, in bytes.

    `getrusage` starts with that of the parent on Linux, so `status` is read where it exists.
    """
    if status.is_file():
        for line in status.read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "VmHWM":
                return int(value.split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, else KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
