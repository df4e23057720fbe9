"""Re-identification crops: a folder of images of one person each, named as in Market-1501.

Zheng et al., "Scalable person re-identification: a benchmark", ICCV 2015: `0002_c1s1_000451_03.jpg`
is person 2 before camera 1. Person -1 (junk) and person 0 (distractors) are nobody in particular.
DukeMTMC-reID names its crops likewise; those of CUHK03 as `0099_09.jpg` are read too.
"""

import re
from collections.abc import Callable
from pathlib import Path

from mottool.data.dataset import UNKNOWN, Dataset, DatasetBuilder
from mottool.errors import InputError
from mottool.sources.images import image_size, images_in, is_image, natural

__all__ = ["read", "recognises"]

NAME = re.compile(r"(-1|\d+)_c\d+|(\d{4})_\d{2}$")
TRAINING = "bounding_box_train"  # of Market-1501's folders the one to learn from


def recognises(path: Path) -> bool:
    """Whether the first image in `path`, in its training folder or below it, is named so."""
    return any(NAME.match(image.stem) for image in _images(path)[:1])


def read(path: Path, warn: Callable[[str], None], root: Path | None = None) -> Dataset:
    """Every crop as an image that one box fills. `root` is not needed."""
    collector = DatasetBuilder(path.resolve().name)
    for image in _images(path):
        found = NAME.match(image.stem)
        if not found:
            fix = "name it PERSON_cCAMERA…, as 0002_c1s1_000451_03.jpg, or take it away"
            raise InputError(f"{image} does not say who it shows", fix)
        width, height = image_size(image)
        person = int(found[1] or found[2])
        who = person if person > 0 else UNKNOWN
        collector.add(image, (width, height), [[0, 0, width, height]], [who])
    return collector.dataset(warn)


def _images(path: Path) -> list[Path]:
    """The crops: in the folder itself, in its training folder, or in folders of single people."""
    if not path.is_dir():
        return []
    for folder in (path, path / TRAINING):
        if images := images_in(folder):
            return images
    return sorted(filter(is_image, path.glob("*/*")), key=natural)
