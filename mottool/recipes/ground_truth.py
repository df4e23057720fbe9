"""The ground truth of a recipe's datasets; while nothing has changed, it is not searched for."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mottool.errors import InputError
from mottool.metrics.ground_truth_files import (
    GroundTruthFile,
    add_ground_truth,
    find_ground_truth,
    get_ground_truth,
    has_ground_truth,
)
from mottool.recipes.recipe import RecipeDataset
from mottool.recipes.sequences import PlannedSequence, source_path, source_signature
from mottool.records.known_files import KnownFiles, signature
from mottool.splits import without_half

__all__ = ["find_truth"]

Note = Callable[[str], None]


def find_truth(
    datasets: Mapping[RecipeDataset, Sequence[PlannedSequence]],
    work: Path,
    known: KnownFiles,
    note: Note,
) -> dict[str, GroundTruthFile]:
    """Find the ground truth of all sequences, by their names.

    `note` receives a message for sequences that are not in the ground truth which is named for
    them. Raises `InputError` if none of a dataset is.
    """
    truth: dict[str, GroundTruthFile] = {}
    for dataset, sequences in datasets.items():
        paths = [Path(path) for path in dataset.truth] or _labelled(dataset.sources, sequences)
        files: dict[str, GroundTruthFile] = {}
        for path in paths:
            for file in _truth_of(path, work, known).values():
                add_ground_truth(files, file)
        wholes = {without_half(name)[0] for name in files}
        for sequence in sequences:
            if sequence.name in files:
                truth[sequence.name] = files[sequence.name]
            elif without_half(sequence.name)[0] in wholes and has_ground_truth(
                sequence.name, files
            ):
                truth[sequence.name] = get_ground_truth(sequence.name, files)
        if not sequences:
            truth |= files
        elif dataset.truth:
            missing = [each.name for each in sequences if each.name not in truth]
            _report_missing(dataset, missing, len(sequences), note)
    return truth


def _labelled(sources: Sequence[str], sequences: Sequence[PlannedSequence]) -> list[Path]:
    """Return the sources with ground truth, and files of ground truth outside of them."""
    folders = {f"{source_path(source).resolve()}{os.sep}": Path(source) for source in sources}
    labelled = dict[Path, None]()
    for sequence in sequences:
        if truth := sequence.file("ground_truth"):
            path = os.path.realpath(truth)
            inside = [source for folder, source in folders.items() if path.startswith(folder)]
            other = truth if truth.is_file() else truth.parent  # of a pattern
            labelled |= dict.fromkeys(inside or [other])
    return list(labelled)


def _report_missing(dataset: RecipeDataset, missing: Sequence[str], count: int, note: Note) -> None:
    """Report which of `count` sequences the ground truth lacks; raise `InputError` if all."""
    problem = f"{', '.join(dataset.truth)}: no ground truth of {', '.join(missing)}"
    if len(missing) == count:
        raise InputError(problem, "name its file or folder in gt, or leave gt out")
    if missing:
        note(f"{problem}, which is not scored")


def _truth_of(path: Path, work: Path, known: KnownFiles) -> dict[str, GroundTruthFile]:
    """Find the ground truth at a path, or return what was found while nothing has changed."""
    key, signed = f"ground truth {path}", source_signature(str(path), work)
    stored = known.value(source_path(str(path)), key, signed, list)
    known_size = all("size" in entry for entry in stored)  # not by an earlier build
    if not (stored and known_size) or any(
        _seqinfo(Path(entry["path"])) != entry["info"] for entry in stored
    ):
        files = find_ground_truth([path])
        stored = [
            {
                "sequence": file.sequence,
                "path": str(file.path),
                "length": file.length,
                "span": file.span,
                "size": file.size,
                "info": _seqinfo(file.path),
            }
            for file in files.values()
        ]
        known.put(source_path(str(path)), key, signed, stored)
    return {
        entry["sequence"]: GroundTruthFile(
            entry["sequence"],
            Path(entry["path"]),
            entry["length"],
            None if entry["span"] is None else (entry["span"][0], entry["span"][1]),
            size=None if entry["size"] is None else (entry["size"][0], entry["size"][1]),
        )
        for entry in stored
    }


def _seqinfo(truth: Path) -> list[Any]:
    """Return the signature of the `seqinfo.ini` that gives the length of ground truth."""
    return signature(truth.parent.parent / "seqinfo.ini") or signature(truth.parent / "seqinfo.ini")
