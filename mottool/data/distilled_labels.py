"""Label files, `mottool/labels/1`: a teacher's embedding for every box of a dataset.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.3: the embeddings that a re-identification network predicts for annotated people
are computed once, and a detector is trained to predict them too.

One HDF5 file holds N embeddings of D dimensions, in the order of the dataset's boxes:

    /embeddings      (N, D)  f2  L2-normalised

    attributes of /  schema, version (of the mottool that began the file), dataset (its name),
                     fingerprint (`Dataset.fingerprint`), teacher, weights (sha256 or ""), settings
                     (a JSON object): text; boxes: N, image_bytes: size of the images, integers;
                     complete: a boolean

It is written and read by the rules of `mottool.cache.layout`: as shards in `<name>.part/` until it
is complete, and without links out of the file. Half precision changes no component of an
L2-normalised vector by more than 0.00025.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from mottool.cache.hdf5 import (
    CHUNK,
    DatasetSpec,
    Layout,
    as_cache_error,
    open_file,
)
from mottool.cache.shard_writer import ShardWriter
from mottool.data.dataset import Dataset
from mottool.errors import CacheError, CheckpointError, InputError, SettingError

__all__ = ["LAYOUT", "SCHEMA", "DistilledLabels", "JoinedLabels", "LabelHeader", "LabelWriter"]

SCHEMA = "mottool/labels/1"
EMBEDDINGS = "embeddings"

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelHeader:
    """What labels were made from: the attributes of the file.

    `boxes` is the number of boxes in the dataset of that `fingerprint`, and `image_bytes` the size
    of its image files. `weights` is the sha256 of the teacher's, "" for none.
    """

    dataset: str
    fingerprint: str
    boxes: int
    image_bytes: int
    teacher: str
    weights: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, dataset: Dataset, teacher: str, weights: str, settings: Mapping[str, Any]
    ) -> "LabelHeader":
        """Return the header for labels of the dataset as it is now, by this teacher.

        Raises `InputError` if an image is missing.
        """
        fingerprint = dataset.fingerprint()
        size = sum(Path(name).stat().st_size for name in set(dataset.paths))
        count = len(dataset.boxes)
        return cls(dataset.name, fingerprint, count, size, teacher, weights, settings)


LAYOUT = Layout(
    schema=SCHEMA,
    kind="label file",
    command="distill-labels",
    items="boxes",
    header=LabelHeader,
    may_differ=("dataset", "settings.runtime"),
    datasets={EMBEDDINGS: DatasetSpec("<f2", (None,), "boxes", CHUNK, optional=True)},
)


class LabelWriter(ShardWriter):
    """Writes the label file of one dataset, after the last boxes that an earlier run committed."""

    def __init__(self, path: Path, header: LabelHeader, overwrite: bool = False) -> None:
        """Start or resume the file `path`, as `ShardWriter` does and with its errors."""
        self.header = header
        super().__init__(path, LAYOUT, header, overwrite)

    def append(self, embeddings: Floats) -> None:
        """Commit the embeddings (n, D) of the next n boxes, all of them or none.

        Raises `CheckpointError` for a NaN or infinite value, `OutputError` on a full disk.
        """
        if not np.isfinite(embeddings).all():
            raise CheckpointError(
                f"the teacher {self.header.teacher} predicts NaN for a box between the "
                f"{self.committed + 1}. and the {self.committed + len(embeddings)}. of "
                f"{self.header.dataset}",
                "give other weights: these are damaged, or of another network",
            )
        self._commit_columns({EMBEDDINGS: embeddings.astype(np.float16)})

    def _read_complete(self) -> tuple[LabelHeader, int]:
        labels = DistilledLabels(self.path)
        return labels.header, len(labels)

    def _flush(self) -> None:
        if not self.committed:
            self._commit_columns({})


class DistilledLabels:
    """A teacher's embeddings by the positions of the boxes in the dataset.

    Can be pickled; every process opens the file for itself. `size` is D, 0 without boxes.
    """

    def __init__(self, path: Path) -> None:
        """Open `path`.

        Raises `CacheError` if it is missing, unfinished, damaged, of another schema, or not a label
        file.
        """
        self.path = path
        self._file: h5py.File | None = None
        self._process = 0
        file, self.header, lengths = open_file(path, LAYOUT)
        with file, as_cache_error(path, LAYOUT):
            if lengths["boxes"] != self.header.boxes:
                raise ValueError(f"{lengths['boxes']} embeddings of {self.header.boxes} boxes")
            self.size: int = file[EMBEDDINGS].shape[1] if EMBEDDINGS in file else 0

    @classmethod
    def of(cls, dataset: Dataset, path: Path, size: int = 0) -> "DistilledLabels":
        """Open the labels `path` of the dataset, for a student that learns `size` dimensions.

        Raises `CacheError` as the class does, `InputError` for labels of other data, and
        `SettingError` if the teacher has fewer dimensions.
        """
        labels = cls(path)
        if labels.header.fingerprint != dataset.fingerprint():
            name = labels.header.dataset
            actual = "another version of it" if name == dataset.name else f"{name}, other data"
            fix = "distill them again from these images and boxes: distill-labels --overwrite"
            raise InputError(f"{path} is not of {dataset.name} as it is now but of {actual}", fix)
        labels.check_size(size)
        return labels

    def check_size(self, size: int) -> None:
        """Raise a `SettingError` if the teacher has fewer dimensions than `size`."""
        if self.size < size:
            raise SettingError(
                f"{self.path} holds {self.size}-d embeddings of {self.header.teacher}, but the "
                f"student is to learn {size}-d ones",
                f"train one of at most {self.size}, or distill from a larger teacher",
            )

    def __len__(self) -> int:
        return self.header.boxes

    def __call__(self, rows: Ints) -> Floats:
        """Return the embeddings (n, D) float32 of the boxes at `rows` (n,), in any order."""
        if not len(rows):
            return np.zeros((0, self.size), np.float32)
        first = int(rows.min())
        try:
            # The boxes of an image are neighbours, and one slice is read faster than many rows.
            block = self._opened()[EMBEDDINGS][first : int(rows.max()) + 1]
        except OSError as error:
            raise CacheError(f"{self.path} is damaged ({error})", LAYOUT.rebuild_fix) from error
        embeddings: Floats = block[rows - first].astype(np.float32)
        return embeddings

    def _opened(self) -> h5py.File:
        """Return the file, opened by this process."""
        if self._file is None or self._process != os.getpid():
            self._file, _, _ = open_file(self.path, LAYOUT)
            self._process = os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}


class JoinedLabels:
    """The labels of several datasets that `data.dataset.joined` joins.

    `teacher` describes their teacher: name, dimensions, settings and weights.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        paths: Sequence[Path],
        size: int = 0,
        partial: bool = False,
    ) -> None:
        """Match `paths` to the datasets, for a student that learns `size` dimensions.

        With `partial` some datasets may lack labels, but not all: their embeddings are zeros.
        Raises `InputError` for another dataset without labels, or labels of several teachers, and
        what `DistilledLabels.of` raises.
        """
        by_dataset = {labels.header.fingerprint: labels for labels in map(DistilledLabels, paths)}
        fingerprints = [dataset.fingerprint() for dataset in datasets]
        partial = partial and not by_dataset.keys().isdisjoint(fingerprints)
        self.parts = [by_dataset.get(fingerprint) for fingerprint in fingerprints]
        for dataset, labels in zip(datasets, self.parts, strict=True):
            if labels is not None:
                labels.check_size(size)
            elif not partial:
                given = ", ".join(f"{path} ({_subject(path)})" for path in paths)
                raise InputError(
                    f"no labels are of {dataset.name} as it is now"
                    + (f", only {given}" if given else "; there are no --labels at all"),
                    "run distill-labels over it, and give its file with --labels",
                )
        present = [labels for labels in self.parts if labels is not None]
        self.teacher, *others = sorted({_teacher(labels) for labels in present})
        if others:
            problem = f"the labels are of several teachers: {' and '.join([self.teacher, *others])}"
            raise InputError(problem, "distill all of the datasets from one")
        self.ends = np.cumsum([len(dataset.boxes) for dataset in datasets])
        self.size = present[0].size

    def __call__(self, rows: Ints) -> Floats:
        """Return the embeddings (n, D) float32 of boxes of the joined dataset, `rows` (n,)."""
        embeddings = np.zeros((len(rows), self.size), np.float32)
        part = np.searchsorted(self.ends, rows, side="right")  # (n,)
        for number in np.unique(part):
            mask, labels = part == number, self.parts[number]
            start = self.ends[number - 1] if number else 0
            if labels is not None:
                embeddings[mask] = labels(rows[mask] - start)
        return embeddings


def _teacher(labels: DistilledLabels) -> str:
    header = labels.header
    parts = [f"{header.teacher} ({labels.size}-d)"]
    parts += [f"{name} {value}" for name, value in header.settings.items()]
    if header.weights:
        parts.append(f"weights {header.weights[:12]}")
    return ", ".join(parts)


def _subject(path: Path) -> str:
    header = DistilledLabels(path).header
    return f"{header.dataset}, {header.boxes} boxes"
