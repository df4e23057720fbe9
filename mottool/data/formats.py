"""Every annotation format, and the way from a path to its dataset."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from mottool.data.dataset import HALVES, Dataset
from mottool.errors import InputError, SettingError

__all__ = ["FORMATS", "open_dataset", "open_datasets"]

# In the order in which they are asked whether a path is theirs; each module reads one.
FORMATS = {
    "Penn-Fudan": "mottool.data.readers.penn_fudan",
    "MOTChallenge": "mottool.data.readers.motchallenge",
    "CrowdHuman .odgt": "mottool.data.readers.crowdhuman",
    "COCO .json": "mottool.data.readers.coco",
    "a list of images with labels_with_ids": "mottool.data.readers.train_list",
    "YOLO images and labels": "mottool.data.readers.yolo",
    "re-ID crops named as in Market-1501": "mottool.data.readers.reid_crops",
}


def open_dataset(
    source: str | Path, warn: Callable[[str], None], root: Path | None = None
) -> Dataset:
    """The dataset at a path, its format told by what lies there.

    `PATH@first` and `PATH@second` are the halves of every video in it. `root` is where the images
    lie that a list, a JSON or an `.odgt` file names; without it they are looked for near by. An
    `InputError` if there is nothing, nothing of a known format, or something broken, with its
    file and line; `warn` is told what was left out.
    """
    path, half = _split(source)
    if not path.exists():
        raise InputError(f"there is no file or folder {str(path)!r}", "check the path")
    for module in map(import_module, FORMATS.values()):
        if module.recognises(path):
            dataset: Dataset = module.read(path, warn, root)
            return dataset.half(half) if half else dataset
    if (path / "img1").is_dir():
        problem = f"{path} is a sequence without ground truth: {path / 'gt/gt.txt'} is missing"
        raise InputError(problem, "add it, or name a dataset that has annotations")
    raise InputError(f"{path} is no dataset", f"give one of: {', '.join(FORMATS)}")


def open_datasets(
    sources: Sequence[str | Path], warn: Callable[[str], None], root: Path | None = None
) -> list[Dataset]:
    """The datasets at several paths, as `open_dataset`; a `SettingError` if a path comes twice."""
    if not sources:
        raise SettingError("no dataset is named", "name at least one with --data")
    places = [_split(source)[0].resolve() for source in sources]
    for place in places:
        if places.count(place) > 1:
            fix = "name it once; without @first or @second it is all of it"
            raise SettingError(f"the dataset {place} is named twice", fix)
    return [open_dataset(source, warn, root) for source in sources]


def _split(source: str | Path) -> tuple[Path, str]:
    """The path and the half, empty for all of it, that a source names."""
    path, at, half = str(source).rpartition("@")
    if at and half in HALVES and not Path(source).exists():
        return Path(path), half
    return Path(source), ""
