"""States of results: what is known of a file, and whether its record has the current inputs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mottool.errors import CacheError
from mottool.layouts.registry import digest_of_labels
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.records.changes import changed_inputs
from mottool.records.known_files import KnownFiles, signature
from mottool.records.record import read_record

__all__ = ["MISSING", "ResultStates"]

MISSING = "missing"
NO_RECORD = "no record of what it was made from"
CHANGED = "changed after it was made"


class ResultStates:
    """Compares results and their records with inputs; opens only files that have changed."""

    def __init__(self, known: KnownFiles) -> None:
        """Start with what is known of files since an earlier run."""
        self._known = known
        self._inputs: dict[Path, str] = {}

    def input_digest(self, path: Path) -> str:
        """Return the SHA-256 of a file that many results are made from; look at it only once."""
        if path not in self._inputs:
            self._inputs[path] = self._known.digest(path)
        return self._inputs[path]

    def digest(self, path: Path) -> str | None:
        """Return the SHA-256 of a result; None if it cannot be read."""
        try:
            return self._known.digest(path)
        except OSError:
            return None

    def digest_of(self, truth: GroundTruthFile) -> str | None:
        """Return the SHA-256 of ground truth; None if it cannot be read."""
        try:
            return digest_of_labels(truth.path, self.input_digest)
        except OSError:
            return None

    def facts(self, path: Path, name: str, describe: Callable[[Path], Any]) -> Any:
        """Return what `describe` says of a file; None if it is missing or unreadable."""
        signed = signature(path)
        try:
            return self._known.value(path, name, signed, lambda: describe(path)) if signed else None
        except CacheError:
            return None

    def compare(
        self, path: Path, inputs: Mapping[str, Any] | None
    ) -> tuple[list[str], Mapping[str, Any]]:
        """Return why a result is stale, [] if it is not, and its record.

        `inputs` are None while one of them is stale itself.
        """
        record = read_record(path)
        if not path.is_file():
            return [MISSING], record
        if not record:
            return [NO_RECORD], record
        if inputs is None:
            return [], record
        reasons, content = changed_inputs(record, inputs), record.get("sha256")
        if not reasons and content and self.digest(path) != content:
            reasons = [CHANGED]
        return reasons, record
