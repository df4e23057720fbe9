"""A shell with the command `mottool`, as after an installation."""

import os
import subprocess
import sys
from pathlib import Path

__all__ = ["Shell"]


class Shell:
    """Runs command lines in `folder`, with the variables of `environment`."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        binaries = folder.with_name(f"{folder.name}.bin")
        binaries.mkdir()
        (binaries / "mottool").write_text(f'#!/bin/sh\nexec {sys.executable} -m mottool "$@"\n')
        (binaries / "mottool").chmod(0o755)
        self.environment = environment | {"PATH": f"{binaries}:{os.environ['PATH']}"}

    def __call__(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            shell=True,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )
