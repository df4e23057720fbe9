"""Dataset formats: the registry, and opening the dataset at a path. Imports no numpy or cv2."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from mottool.errors import InputError, SettingError
from mottool.layouts.registry import LAYOUTS
from mottool.splits import parse_source

if TYPE_CHECKING:
    from mottool.data.dataset import Dataset
    from mottool.pixel_range import PixelRange
    from mottool.sources.sequence import Sequence as Video

__all__ = [
    "DATASET_FORMATS",
    "DatasetFormat",
    "format_names",
    "format_of",
    "open_dataset",
    "open_datasets",
    "open_held_out",
    "with_pixel_range",
]


@dataclass(frozen=True)
class DatasetFormat:
    """A format in which images can be annotated.

    `reader` is a module with two functions: `recognises(path)` returns whether a path is in this
    format, and `read(path, warn, root)` returns its `Dataset`. `name` is for help and errors.
    """

    reader: str
    name: str


# The first format that recognises a path reads it.
DATASET_FORMATS = {
    "penn-fudan": DatasetFormat("mottool.data.readers.penn_fudan", "Penn-Fudan"),
    "motchallenge": DatasetFormat("mottool.data.readers.motchallenge", "MOTChallenge"),
    "layouts": DatasetFormat(
        "mottool.data.readers.layouts",
        ", ".join(entry.name for entry in LAYOUTS.values()),
    ),
    "crowdhuman": DatasetFormat("mottool.data.readers.crowdhuman", "CrowdHuman .odgt"),
    "coco": DatasetFormat("mottool.data.readers.coco", "COCO .json"),
    "train-list": DatasetFormat(
        "mottool.data.readers.train_list", "a list of images with labels_with_ids"
    ),
    "yolo": DatasetFormat("mottool.data.readers.yolo", "YOLO images and labels"),
    "reid-crops": DatasetFormat(
        "mottool.data.readers.reid_crops", "re-ID crops named as in Market-1501"
    ),
}
# Folders of HiEve, "Human in events" (CSTrack, Table VII).
HIEVE = {"hieve", "hie20"}


def format_names() -> str:
    """Return the names of all dataset formats, separated by commas, for help and errors."""
    return ", ".join(entry.name for entry in DATASET_FORMATS.values())


def format_of(path: Path) -> str | None:
    """Return the format of the dataset at a path, a name in `DATASET_FORMATS`, or None."""
    for name, entry in DATASET_FORMATS.items():
        if import_module(entry.reader).recognises(path):
            return name
    return None


def open_dataset(
    source: str | Path, warn: Callable[[str], None], root: Path | None = None
) -> Dataset:
    """Open the dataset at a path; its format is identified from its content.

    `PATH@SPLIT` is a part of its videos, see `mottool.splits`. `root` is the folder of the
    images that a list, a JSON or an `.odgt` file names; by default they are searched for near the
    file. `warn` receives a message for what is skipped. Raises `InputError` if there is nothing at
    the path, if its format is unknown, if a video of the split is missing, or if the dataset is
    broken, with its file and line; `SettingError` if there is no such split.
    """
    path, split = parse_source(source)
    if not path.exists():
        raise InputError(f"there is no file or folder {str(path)!r}", "check the path")
    if name := format_of(path):
        dataset: Dataset = import_module(DATASET_FORMATS[name].reader).read(path, warn, root)
        return dataset.part(split, path) if split else dataset
    if HIEVE & {part.lower() for part in path.resolve().parts}:
        problem = f"{path} looks like HiEve, whose annotations mottool does not read"
        fix = "convert them to MOTChallenge's gt/gt.txt; HiEve's own server scores its test set"
        raise InputError(problem, fix)
    if (path / "img1").is_dir():
        problem = f"{path} is a sequence without ground truth: {path / 'gt/gt.txt'} is missing"
        raise InputError(problem, "add it, or give a dataset that has annotations")
    raise InputError(f"{path} is not a dataset", f"give one of: {format_names()}")


def open_datasets(
    sources: Sequence[str | Path],
    warn: Callable[[str], None],
    root: Path | None = None,
    pixel_range: PixelRange | None = None,
) -> list[Dataset]:
    """Open the datasets at several paths to read their images; otherwise as `open_dataset`.

    `pixel_range` are the values of black and white in images of more than 8 bits, by default those
    of each dataset. Raises `SettingError` if no path is given, or one is given twice.
    """
    if not sources:
        raise SettingError("no dataset is given", "name at least one with --data")
    paths = [parse_source(source)[0].resolve() for source in sources]
    for path in paths:
        if paths.count(path) > 1:
            fix = "name it once; without @SPLIT all of it is used"
            raise SettingError(f"the dataset {path} is given twice", fix)
    datasets = [open_dataset(source, warn, root) for source in sources]
    return [with_pixel_range(dataset, pixel_range, warn) for dataset in datasets]


def with_pixel_range(
    dataset: Dataset, pixel_range: PixelRange | None, warn: Callable[[str], None]
) -> Dataset:
    """Return a dataset whose images of more than 8 bits have a range, as in `open_datasets`."""
    from mottool.sources.depth import contrast_warning, range_of

    values = range_of([Path(path) for path in dataset.paths])
    if values is None:
        if pixel_range:
            warn(f"{dataset.name} has images of 8 bits, to which --pixel-range does not apply")
        return dataset
    if pixel_range is None:
        warn(f"{dataset.name}: images of more than 8 bits, scaled from {values} to 0 to 255")
    elif message := contrast_warning(values, pixel_range):
        warn(f"{dataset.name}: {message}")
    return replace(dataset, pixel_ranges=(pixel_range or values,) * len(dataset))


def open_held_out(
    sources: Sequence[str | Path],
    warn: Callable[[str], None],
    root: Path | None = None,
    pixel_range: PixelRange | None = None,
) -> tuple[list[Video], list[Dataset]]:
    """Open data to validate on: the videos of benchmarks, and datasets of other formats.

    The arguments are those of `open_datasets`.
    """
    from mottool.layouts.registry import find_image_folders
    from mottool.sources.discovery import find_sequences

    videos, datasets = list[str | Path](), list["Dataset"]()
    for source in sources:
        path = parse_source(source)[0]
        is_video = not path.exists() or bool(find_image_folders(path))
        if is_video or format_of(path) in {None, "motchallenge"}:
            videos.append(source)
        else:
            dataset = open_dataset(source, warn, root)
            datasets.append(with_pixel_range(dataset, pixel_range, warn))
    return find_sequences(videos, pixel_range=pixel_range) if videos else [], datasets
