"""JDE's and FairMOT's lists: a text file naming images, whose labels lie beside them.

Wang et al., "Towards real-time multi-object tracking", ECCV 2020. The labels of
`…/images/….jpg` are `…/labels_with_ids/….txt`: class, identity or -1, centre x y, width and
height, the last four as fractions of the image. So come ETHZ, CityPersons, CalTech, CUHK-SYSU,
PRW and MOT17 as the authors hand them out. The class is not used.
"""

from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import STILL, Dataset, DatasetBuilder
from mottool.data.readers.parsing import (
    beside,
    corners,
    first_line,
    folder_of,
    read_numbers,
    read_text,
)
from mottool.errors import InputError
from mottool.sources.images import image_size, is_image

__all__ = ["read", "recognises"]

ROW = "class identity x y width height"


def recognises(path: Path) -> bool:
    """Whether `path` is a text file that begins with the name of an image."""
    return path.is_file() and is_image(first_line(path))


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """The images of a list, relative to `root`: by default the nearest folder above the list.

    Images in a folder called `img1` are frames of a video, as in MOTChallenge. An image whose
    label file is missing has nobody in it; `warn` is told how many there are.
    """
    named = list(_named(path))
    base = folder_of(named[0][1], [root] if root else path.resolve().parents, path)
    collector, videos, bare = DatasetBuilder(path.name), dict[Path, int](), 0
    for number, name in named:
        image = base / name
        if not image.is_file():
            fix = "put the image there, take the line out, or name another root"
            raise InputError(f"{path} line {number}: there is no image {image}", fix)
        file = beside(base, name, "labels_with_ids")
        if file is None:
            fix = "keep images in a folder `images` and labels in `labels_with_ids` beside it"
            raise InputError(f"{path} line {number}: no folder of {name} is called images", fix)
        bare += not file.is_file()
        table, size = read_numbers(file, ROW, "identity"), image_size(image)
        video, frame = STILL, 0
        if image.parent.name == "img1" and image.stem.isdigit():
            video, frame = videos.setdefault(image.parent, len(videos)), int(image.stem)
        boxes = corners(table[:, 2:], size)
        collector.add(image, size, boxes, table[:, 1], video=video, frame=frame)
    if bare:
        warn(f"{path}: {bare} of {len(named)} images have no label file and count as empty")
    return collector.dataset(warn)


def _named(path: Path) -> list[tuple[int, str]]:
    """The line numbers and the image names of a list."""
    lines = read_text(path, "list of images").splitlines()
    named = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    for number, name in named:
        if not is_image(name):
            raise InputError(
                f"{path} line {number}: {name[:60]!r} names no image", "name one a line"
            )
    return named
