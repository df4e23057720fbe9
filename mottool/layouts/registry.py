"""The benchmarks whose folders and labels differ from MOTChallenge's, each with one entry.

DanceTrack and SportsMOT have MOTChallenge's folders and need none. Imports no numpy.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError
from mottool.files import IMAGE_SUFFIXES, file_digest, safe_name, visible_files
from mottool.motchallenge.rules import CLASS_FILE

if TYPE_CHECKING:
    from mottool.layouts.labels import Labels
    from mottool.motchallenge.rows import Rows

__all__ = [
    "LAYOUTS",
    "Layout",
    "layout_of",
    "layout_of_images",
    "digest_of_labels",
    "find_image_folders",
    "find_labels",
    "label_files",
    "name_of",
    "read_ground_truth",
    "rules_of",
]


@dataclass(frozen=True)
class Layout:
    """A benchmark, or another format of labelled sequences.

    `reader` is a module with `recognises(file)`, `find(folder)`, `image_folders(folder)`,
    `images_of(labels)`, `labels_of(images)` and `read(file)`. `rules` are those of
    `motchallenge.rules` that score it. `classes` are the names of its classes, () if the labels
    name them; `people` are scored by default. Of the classes `similar` to a class, objects are
    ignored when it is scored. `frame_rate` is that of its videos, None if it is not fixed. Labels
    refer to images by their numbers, which then have no gaps, if it is `numbered`.
    """

    name: str
    reader: str
    rules: str
    classes: tuple[str, ...]
    people: tuple[str, ...]
    similar: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    frame_rate: float | None = None
    numbered: bool = True

    @property
    def module(self) -> Any:
        """Import the reader."""
        return import_module(self.reader)

    def length(self, labels: Path) -> int | None:
        """Return the number of images of a sequence; None without images."""
        folder = self.module.images_of(labels)
        files = folder.iterdir() if folder.is_dir() else ()
        return sum(file.suffix.lower() in IMAGE_SUFFIXES for file in files) or None

    def ground_truth(self, labels: Labels, wanted: Sequence[str] = ()) -> Rows:
        """Return the ground truth of some classes, by default people; see `labels.ground_truth`."""
        from mottool.layouts.labels import ground_truth
        from mottool.motchallenge.class_names import class_key

        known = self.classes or tuple(dict.fromkeys([*labels.classes.tolist(), *self.people]))
        wanted = wanted or [name for name in self.people if name in known]
        names = [class_key(name) for name in wanted]
        similar = [other for name in names for other in self.similar.get(name, ())]
        return ground_truth(labels, names, [o for o in similar if class_key(o) not in names], known)


LAYOUTS = {
    "kitti": Layout(
        "KITTI tracking",
        "mottool.layouts.kitti",
        "kitti",
        (
            *("car", "van", "truck", "pedestrian", "person sitting", "cyclist", "tram", "misc"),
            "dontcare",
        ),
        ("pedestrian",),
        {"car": ("van",), "pedestrian": ("person sitting",)},
        frame_rate=10.0,
    ),
    "visdrone": Layout(
        "VisDrone-MOT",
        "mottool.layouts.visdrone",
        "visdrone",
        (
            *("ignored regions", "pedestrian", "people", "bicycle", "car", "van", "truck"),
            *("tricycle", "awning tricycle", "bus", "motor", "others"),
        ),
        ("pedestrian", "people"),
    ),
    "bdd100k": Layout(
        "BDD100K MOT",
        "mottool.layouts.bdd100k",
        "bdd100k",
        (
            *("pedestrian", "rider", "car", "bus", "truck", "train", "motorcycle", "bicycle"),
            *("other person", "other vehicle", "trailer"),
        ),
        ("pedestrian",),
        frame_rate=5.0,
    ),
    "yolo-tracks": Layout(
        "Ultralytics track labels",
        "mottool.layouts.yolo_tracks",
        "mot15",
        (),
        ("person", "pedestrian"),
        numbered=False,
    ),
    "cvat-xml": Layout(
        "CVAT for video",
        "mottool.layouts.cvat_xml",
        "mot15",
        (),
        ("person", "pedestrian"),
    ),
}


def layout_of(labels: Path) -> Layout | None:
    """Return the benchmark of a label file, by its path and content; None for MOTChallenge."""
    entries = LAYOUTS.values()
    return next((entry for entry in entries if entry.module.recognises(labels)), None)


def layout_of_images(folder: Path) -> tuple[Layout, Path] | None:
    """Return the benchmark of a folder of images, and its label file; None for another folder.

    The label file may not exist, as in test sets.
    """
    for entry in LAYOUTS.values():
        labels = entry.module.labels_of(folder.resolve())
        if labels is not None:
            return entry, labels
    return None


def find_labels(source: Path) -> list[Path]:
    """Return the label files of all benchmarks in a folder, or the file; [] for MOTChallenge.

    If there are no folders of a benchmark, texts in the folder are known by their content.
    """
    if source.is_file():
        return [source] if layout_of(source) else []
    if not source.is_dir():
        return []
    found = [file for entry in LAYOUTS.values() for file in entry.module.find(source)]
    texts = [] if found else visible_files(source, "*.txt")
    return [*dict.fromkeys(found), *filter(layout_of, texts)]


def find_image_folders(source: Path) -> list[Path]:
    """Return the folders of images of all benchmarks' splits; [] for other folders."""
    found = [path for entry in LAYOUTS.values() for path in entry.module.image_folders(source)]
    return list(dict.fromkeys(found))


def name_of(labels: Path) -> str:
    """Return the name of the sequence of a label file."""
    entry = layout_of(labels)
    named = getattr(entry.module, "name_of", None) if entry else None
    return safe_name(named(labels) if named else labels.stem)


def label_files(labels: Path) -> list[Path]:
    """Return a label file, or the files that a pattern names; [] if there are none."""
    if "*" in labels.name:
        return sorted(labels.parent.glob(labels.name))
    return [labels] if labels.is_file() else []


def digest_of_labels(labels: Path, hash_of: Callable[[Path], str] = file_digest) -> str:
    """Return the SHA-256, in hex, of a label file, or of the files that a pattern names.

    Files beside them that name the classes are included. `hash_of` computes the hash of a file.
    """
    files = [*(label_files(labels) or [labels]), *_class_files(labels)]
    if len(files) == 1:
        return hash_of(files[0])
    return hashlib.sha256("".join(map(hash_of, files)).encode()).hexdigest()


def _class_files(labels: Path) -> list[Path]:
    """Return the files that name the classes of labels, whose content changes their meaning."""
    if "*" in labels.name:
        files: list[Path] = LAYOUTS["yolo-tracks"].module.class_files(labels)
        return files
    file = labels.with_name(CLASS_FILE)
    return [file] if file.is_file() else []


def rules_of(labels: Path) -> str | None:
    """Return the rules that score a label file; None for MOTChallenge."""
    entry = layout_of(labels)
    return entry.rules if entry else None


def read_ground_truth(path: Path, classes: Sequence[str] = ()) -> Rows:
    """Read ground truth of any benchmark as rows of MOTChallenge.

    With `classes`, boxes of these classes are scored, whatever their flag, instead of people.
    Raises `InputError` for malformed rows and for unknown classes.
    """
    from mottool.motchallenge.class_names import read_named_rows, select_classes
    from mottool.motchallenge.rules import CLASS_NAMES

    entry = layout_of(path)
    if entry is None:
        rows, extra = read_named_rows(path)
        if classes:
            return select_classes(rows, classes, CLASS_NAMES + extra, path)
        return rows.select(rows.rest[:, 1] <= len(CLASS_NAMES)) if extra else rows
    try:
        return entry.ground_truth(entry.module.read(path), classes)
    except InputError as error:
        if str(path) in error.problem or not classes:
            raise
        raise InputError(f"{path}: {error.problem}", error.fix) from error
