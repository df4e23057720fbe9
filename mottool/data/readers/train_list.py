"""JDE's and FairMOT's lists: a text file of image paths, with a label file for each image.

Wang et al., "Towards real-time multi-object tracking", ECCV 2020. The labels of
`…/images/….jpg` are `…/labels_with_ids/….txt`: class, identity or -1, centre x y, width and
height, the last four as fractions of the image. The authors distribute ETHZ, CityPersons, CalTech,
CUHK-SYSU, PRW and MOT17 in this format. The class is not used.
"""

from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import STILL, Dataset, DatasetBuilder
from mottool.data.readers.parsing import (
    find_folder,
    first_line,
    label_file,
    read_label_rows,
    read_text,
    xyxy_from_relative,
)
from mottool.errors import InputError
from mottool.sources.images import image_size, is_image

__all__ = ["read", "recognises"]

COLUMNS = "class identity x y width height"


def recognises(path: Path) -> bool:
    """Return whether `path` is a text file that starts with the name of an image."""
    return path.is_file() and is_image(first_line(path))


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read the images of a list, whose paths are relative to `root`.

    The default of `root` is the nearest folder above the list that contains the first image. Images
    in a folder called `img1` are frames of a video, as in MOTChallenge. An image without a label
    file counts as empty; `warn` receives the number of such images.
    """
    lines = _image_names(path)
    base = find_folder(lines[0][1], [root] if root else path.resolve().parents, path)
    builder, videos, unlabelled = DatasetBuilder(path.name), dict[Path, int](), 0
    for number, name in lines:
        image = base / name
        if not image.is_file():
            fix = "add the image, remove the line, or give another --root"
            raise InputError(f"{path} line {number}: there is no image {image}", fix)
        file = label_file(base, name, "labels_with_ids")
        if file is None:
            fix = "keep images in a folder `images` and labels in `labels_with_ids` beside it"
            raise InputError(f"{path} line {number}: no folder of {name} is called images", fix)
        unlabelled += not file.is_file()
        rows, size = read_label_rows(file, COLUMNS, "identity"), image_size(image)
        video, frame = STILL, 0
        if image.parent.name == "img1" and image.stem.isdigit():
            video, frame = videos.setdefault(image.parent, len(videos)), int(image.stem)
        boxes = xyxy_from_relative(rows[:, 2:], size)
        builder.add(image, size, boxes, rows[:, 1], video=video, frame=frame)
    if unlabelled:
        warn(f"{path}: {unlabelled} of {len(lines)} images have no label file and count as empty")
    return builder.dataset(warn)


def _image_names(path: Path) -> list[tuple[int, str]]:
    """Read the line numbers and the image names of a list."""
    lines = read_text(path, "list of images").splitlines()
    names = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    for number, name in names:
        if not is_image(name):
            problem = f"{path} line {number}: {name[:60]!r} is not the name of an image"
            raise InputError(problem, "write one image per line")
    return names
