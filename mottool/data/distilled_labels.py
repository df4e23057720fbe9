"""Label files, `mottool/labels/1`: a teacher's embedding for every box of a dataset.

Yu, Wu, Gu & Fathy, "TDT: Teaching detectors to track without fully annotated videos", CVPR
Workshops 2022, §3.3: what a re-identification network says of each annotated person is kept once,
and a detector learns to say it too.

One HDF5 file holds N embeddings of D dimensions, in the order of the dataset's boxes:

    /embeddings      (N, D)  f2  of unit length

    attributes of /  schema, version (of the mottool that began the file), dataset (its name),
                     fingerprint (`Dataset.fingerprint`), teacher, weights (sha256 or ""), settings
                     (a JSON object): text; boxes: N, image_bytes: what the images take, integers;
                     complete: a boolean

Written and read by the rules of `mottool.cache.layout`: `<name>.part.h5` until it is complete, each
block in one step, nothing that leads out of the file. Until then /embeddings is shorter than N,
or not there yet. Half precision moves no part of a unit vector by more than 0.00025.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from mottool.cache.hdf5 import (
    Unfinished,
    add,
    again,
    check_links,
    check_shapes,
    checking,
    flat,
    open_file,
    put,
    read_header,
    refuse_others,
    stored,
    write_header,
)
from mottool.data.dataset import Dataset
from mottool.errors import CacheError, CheckpointError, InputError, SettingError

__all__ = ["SCHEMA", "DistilledLabels", "JoinedLabels", "LabelHeader", "LabelWriter"]

SCHEMA = "mottool/labels/1"
MAKER = "distill-labels"
EMBEDDINGS = "embeddings"
CHUNK = 16384  # numbers in a chunk: 32 KiB

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class LabelHeader:
    """What labels were made from: the attributes of the file.

    `boxes` is how many there are in the dataset of that `fingerprint`, and `image_bytes` what its
    image files take. `weights` is the sha256 of the teacher's, "" for none.
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
        """That of the labels a teacher gives the dataset as it is now."""
        fingerprint = dataset.fingerprint()  # an `InputError` if an image is gone
        size = sum(Path(name).stat().st_size for name in set(dataset.paths))
        count = len(dataset.boxes)
        return cls(dataset.name, fingerprint, count, size, teacher, weights, settings)


class LabelWriter:
    """Writes the label file of one dataset, going on where an earlier run was stopped.

    `committed` is the number of boxes that are safe whatever happens to this process. With
    `already_complete` there is nothing left to append.
    """

    def __init__(self, path: Path, header: LabelHeader, overwrite: bool = False) -> None:
        """Begin or go on with the file `path`; `overwrite` starts again whatever is there.

        Raises `CacheError` if what is there was made from other data or by another teacher, is
        damaged, or is being written; `OutputError` if the place cannot be written.
        """
        self.path, self.header = path, header
        self.already_complete = False
        self.committed = 0
        if path.exists() and not overwrite:
            found = DistilledLabels(path)
            _same_work(path, found.header, header)
            self.already_complete, self.committed = True, found.committed
            return
        self._part = Unfinished(path, MAKER, fresh=overwrite)
        try:
            self._begin()
        except BaseException:
            self._part.close()
            raise

    def _begin(self) -> None:
        file = self._part.file
        if self._part.new:
            write_header(file, self.header, SCHEMA)
            self._part.commit()
            return
        _same_work(self._part.part, _check(file, self._part.part), self.header)
        self.committed = len(file[EMBEDDINGS]) if EMBEDDINGS in file else 0
        if self._part.complete:
            self._finish()

    def append(self, embeddings: Floats) -> None:
        """Commit the embeddings (n, D) of the next n boxes, all of them or none.

        Raises `CheckpointError` for some that no teacher should give, `OutputError` on a full disk.
        """
        file, last = self._part.file, self.committed + len(embeddings)
        if not np.isfinite(embeddings).all():
            raise CheckpointError(
                f"the teacher {self.header.teacher} says NaN of a box between the "
                f"{self.committed + 1}. and the {last}. of {self.header.dataset}",
                "give other weights: these are damaged, or of another network",
            )
        if EMBEDDINGS not in file:
            size = embeddings.shape[1]
            add(file, EMBEDDINGS, "<f2", size, max(16, CHUNK // size))
        put(file, EMBEDDINGS, self.committed, embeddings.astype(np.float16))
        self._part.commit()
        self.committed = last

    def finish(self) -> Path:
        """Give the file, which now holds every box, its final name."""
        if not self.already_complete:
            self._finish()
        return self.path

    def _finish(self) -> None:
        self._part.finish()
        self.already_complete = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep what is committed; only `finish` ends the file."""
        if not self.already_complete:
            self._part.close()


class DistilledLabels:
    """A teacher's embeddings by the places of the boxes in the dataset.

    Can be pickled; every process opens the file for itself. `size` is D, 0 while nothing is
    there, and `committed` how many boxes have theirs.
    """

    def __init__(self, path: Path, unfinished: bool = False) -> None:
        """Look at `path`; a file that is not whole is refused unless `unfinished` allows it.

        Raises `CacheError` for what is missing, no label file, damaged, of another schema, or
        being written right now.
        """
        self.path = path
        self._file: h5py.File | None = None
        self._process = 0
        with open_file(path, MAKER, "box", unfinished) as file:
            self.header = _check(file, path)
            self.complete = bool(file.attrs["complete"])
            shape = file[EMBEDDINGS].shape if EMBEDDINGS in file else (0, 0)
        self.committed: int = shape[0]
        self.size: int = shape[1]
        if not (self.complete or unfinished):
            problem = f"{path} is unfinished ({self.committed} of {self.header.boxes} boxes)"
            raise CacheError(problem, again(MAKER))

    @classmethod
    def of(cls, dataset: Dataset, path: Path, size: int = 0) -> "DistilledLabels":
        """The labels `path` of the dataset, for a student that learns `size` dimensions.

        Raises `CacheError` as ever, `InputError` for labels of other data than these, and
        `SettingError` for those of a teacher with fewer dimensions.
        """
        labels = cls(path)
        if labels.header.fingerprint != dataset.fingerprint():
            told = labels.header.dataset
            was = "another version of it" if told == dataset.name else f"{told}, other data"
            fix = "distill them anew from these images and boxes: distill-labels --overwrite"
            raise InputError(f"{path} is not of {dataset.name} as it is now but of {was}", fix)
        labels.check_size(size)
        return labels

    def check_size(self, size: int) -> None:
        """A `SettingError` if the teacher has fewer dimensions than `size`."""
        if self.size < size:
            raise SettingError(
                f"{self.path} holds {self.size}-d embeddings of {self.header.teacher}, but the "
                f"student is to learn {size}-d ones",
                f"train one of at most {self.size}, or distill from a larger teacher",
            )

    def __len__(self) -> int:
        return self.committed

    def __call__(self, rows: Ints) -> Floats:
        """The embeddings (n, D) float32 of the boxes at `rows` (n,), in any order."""
        if not len(rows):
            return np.zeros((0, self.size), np.float32)
        first = int(rows.min())
        try:
            # Those of an image lie together, and one slice is read faster than many rows.
            found: Floats = self._opened()[EMBEDDINGS][first : int(rows.max()) + 1][rows - first]
        except OSError as error:
            fix = "distill them anew with --overwrite"
            raise CacheError(f"{self.path} is damaged ({error})", fix) from error
        return found.astype(np.float32)

    def _opened(self) -> h5py.File:
        """The file, opened by this very process."""
        if self._file is None or self._process != os.getpid():
            self._file, self._process = open_file(self.path, MAKER, "box"), os.getpid()
        return self._file

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_file": None}


class JoinedLabels:
    """The labels of several datasets in one, as `data.dataset.joined` joins them.

    `teacher` says who made them: name, dimensions, settings and weights.
    """

    def __init__(
        self,
        datasets: Sequence[Dataset],
        paths: Sequence[Path],
        size: int = 0,
        partial: bool = False,
    ) -> None:
        """Find among `paths` the file of each dataset, for a student that learns `size` dimensions.

        With `partial` datasets may lack one, but not all of them: their embeddings are zeros.
        Raises `InputError` for another dataset without one, or labels of several teachers, and
        what `DistilledLabels.of` raises.
        """
        known = {labels.header.fingerprint: labels for labels in map(DistilledLabels, paths)}
        self.parts: list[DistilledLabels | None] = []
        partial = partial and not known.keys().isdisjoint(each.fingerprint() for each in datasets)
        for dataset in datasets:
            labels = known.get(dataset.fingerprint())
            if labels is None and partial:
                self.parts.append(None)
                continue
            if labels is None:
                told = ", ".join(f"{path} ({_subject(path)})" for path in paths)
                raise InputError(
                    f"no labels are of {dataset.name} as it is now"
                    + (f", only {told}" if told else "; there are no --labels at all"),
                    "run distill-labels over it, and give its file with --labels",
                )
            labels.check_size(size)
            self.parts.append(labels)
        present = [each for each in self.parts if each is not None]
        self.teacher, *others = sorted({_teacher(each) for each in present})
        if others:
            problem = f"the labels are of several teachers: {' and '.join([self.teacher, *others])}"
            raise InputError(problem, "distill all of the datasets from one")
        self.ends = np.cumsum([len(dataset.boxes) for dataset in datasets])
        self.size = present[0].size

    def __call__(self, rows: Ints) -> Floats:
        """The embeddings (n, D) float32 of the boxes at `rows` (n,) of the joined dataset."""
        found = np.zeros((len(rows), self.size), np.float32)
        part = np.searchsorted(self.ends, rows, side="right")  # (n,)
        for number in np.unique(part):
            own, labels = part == number, self.parts[number]
            begin = self.ends[number - 1] if number else 0
            if labels is not None:
                found[own] = labels(rows[own] - begin)
        return found


def _teacher(labels: DistilledLabels) -> str:
    header = labels.header
    told = [f"{header.teacher} ({labels.size}-d)"]
    told += [f"{name} {value}" for name, value in header.settings.items()]
    if header.weights:
        told.append(f"weights {header.weights[:12]}")
    return ", ".join(told)


def _subject(path: Path) -> str:
    header = DistilledLabels(path).header
    return f"{header.dataset}, {header.boxes} boxes"


def _same_work(path: Path, found: LabelHeader, wanted: LabelHeader) -> None:
    """A `CacheError` unless they are of the same boxes by the same teacher."""
    renamed = replace(found, dataset=wanted.dataset)
    refuse_others(path, flat(renamed), flat(wanted))


def _check(file: h5py.File, path: Path) -> LabelHeader:
    """The header of an opened file after every check that the layout asks for."""
    with checking(file, path, SCHEMA, "label file", MAKER):
        header = read_header(file, LabelHeader)
        check_links(file)
        shape = (0, 0)
        if EMBEDDINGS in file:
            shape = (*stored(file, EMBEDDINGS).shape, 0, 0)[:2]
            check_shapes(file, {EMBEDDINGS: ("<f2", shape[1], 0)}, shape[0])
        if shape[0] > header.boxes or (file.attrs["complete"] and shape[0] != header.boxes):
            raise ValueError(f"{shape[0]} embeddings of {header.boxes} boxes")
        if shape[0] and not shape[1]:
            raise ValueError("its embeddings have no dimensions")
    return header
