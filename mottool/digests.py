"""SHA-256 digests: of files, and of what JSON can hold."""

import hashlib
import json
from pathlib import Path
from typing import Any

__all__ = ["digest", "file_digest"]


def digest(content: Any) -> str:
    """Return the SHA-256, hex, of what JSON can hold."""
    text = json.dumps(content, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256, hex, of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
