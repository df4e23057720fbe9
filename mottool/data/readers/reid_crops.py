"""Re-identification crops: a folder of images of one person each, named as in Market-1501.

Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015: `0002_c1s1_000451_03.jpg`
is person 2 from camera 1. Persons -1 (junk) and 0 (distractors) have no identity. DukeMTMC-reID
uses the same names; crops of CUHK03, such as `0099_09.jpg`, are read too.
"""

import re
from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import UNKNOWN, Dataset, DatasetBuilder
from mottool.errors import InputError
from mottool.sources.images import image_size, images_in, is_image, natural_key

__all__ = ["read", "recognises"]

NAME = re.compile(r"(-1|\d+)_c\d+|(\d{4})_\d{2}$")
TRAINING_FOLDER = "bounding_box_train"  # of Market-1501


def recognises(path: Path) -> bool:
    """Return whether the first image has such a name, in `path` or the folders that `read` uses."""
    return any(NAME.match(image.stem) for image in _images(path)[:1])


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Read every crop as an image that one box fills. `root` is not used."""
    builder = DatasetBuilder(path.resolve().name)
    for image in _images(path):
        match = NAME.match(image.stem)
        if not match:
            fix = "name it PERSON_cCAMERA…, as 0002_c1s1_000451_03.jpg, or remove it"
            raise InputError(f"the file name of {image} does not give a person", fix)
        width, height = image_size(image)
        person = int(match[1] or match[2])
        identity = person if person > 0 else UNKNOWN
        builder.add(image, (width, height), [[0, 0, width, height]], [identity])
    return builder.dataset(warn)


def _images(path: Path) -> list[Path]:
    """Return the crops: of the folder, its training folder, or its folders of one person each."""
    if not path.is_dir():
        return []
    for folder in (path, path / TRAINING_FOLDER):
        if images := images_in(folder):
            return images
    return sorted(filter(is_image, path.glob("*/*")), key=natural_key)
