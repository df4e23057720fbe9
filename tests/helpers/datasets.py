"""Write small datasets in every annotation format, and read them."""

import json
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from footage import images, seqinfo

from mottool.data.dataset import Dataset, join_datasets
from mottool.data.formats import open_dataset
from mottool.errors import InputError

__all__ = ["FORMATS", "coco", "crops", "crowdhuman", "load", "mixed", "motchallenge"]
__all__ += ["penn_fudan", "photo", "refusal", "train_list", "yolo"]

Box = tuple[float, float, float, float]
WIDTH, HEIGHT = 64, 48


def photo(path: Path, width: int = WIDTH, height: int = HEIGHT) -> Path:
    """Write an image with a gradient, which differs from its mirror image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    image = np.stack([x * 3 % 256, y * 5 % 256, (x + y) * 2 % 256], axis=-1).astype(np.uint8)
    assert cv2.imwrite(str(path), image)
    return path


def motchallenge(
    folder: Path, rows: Sequence[str] = ("1,1,10,8,20,30,1,1,1",), frames: int = 3
) -> Path:
    """Write a MOTChallenge sequence of images with ground truth."""
    seqinfo(folder, seqLength=frames)
    images(folder / "img1", frames)
    (folder / "gt").mkdir()
    (folder / "gt" / "gt.txt").write_text("\n".join(rows))
    return folder


def train_list(folder: Path, labels: Sequence[str] = ("0 5 0.5 0.5 0.25 0.5",)) -> Path:
    """Write a FairMOT list of two images, the second without people."""
    for name, text in (("a", "\n".join(labels)), ("b", "")):
        photo(folder / "Town" / "images" / "train" / f"{name}.png")
        file = folder / "Town" / "labels_with_ids" / "train" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    listed = folder / "lists" / "town.train"
    listed.parent.mkdir(exist_ok=True)
    listed.write_text("Town/images/train/a.png\nTown/images/train/b.png\n")
    return listed


def crowdhuman(folder: Path, people: Sequence[dict] | None = None) -> Path:
    """Write an .odgt file of one image with a half-visible person and two ignored regions."""
    photo(folder / "Images" / "1,a.jpg")
    if people is None:
        people = [
            {
                "tag": "person",
                "fbox": [10, 8, 20, 30],
                "vbox": [10, 8, 20, 15],
                "extra": {"occ": 1},
            },
            {"tag": "mask", "fbox": [0, 0, 9, 9], "extra": {"ignore": 1}},
            {"tag": "person", "fbox": [1, 1, 9, 9], "extra": {"ignore": 1}},
        ]
    file = folder / "annotation_train.odgt"
    file.write_text(json.dumps({"ID": "1,a", "gtboxes": list(people)}) + "\n")
    return file


def coco(folder: Path, **changed: object) -> Path:
    """Write a COCO file of one image with a person, a crowd and a dog."""
    photo(folder / "val2017" / "a.jpg")
    rows = [
        {"image_id": 7, "category_id": 1, "bbox": [10, 8, 20, 30], "iscrowd": 0},
        {"image_id": 7, "category_id": 1, "bbox": [0, 0, 60, 40], "iscrowd": 1},
        {"image_id": 7, "category_id": 18, "bbox": [1, 1, 5, 5], "iscrowd": 0},
    ]
    document = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": WIDTH, "height": HEIGHT}],
        "annotations": rows,
        "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    }
    file = folder / "annotations" / "instances_val2017.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({**document, **changed}))
    return file


def yolo(
    folder: Path, labels: Sequence[str] = ("1 0.3125 0.479167 0.3125 0.625", "0 0.5 0.5 0.1 0.1")
) -> Path:
    """Write a YOLO folder of two images, the second without people; class 1 is people."""
    for name, text in (("a", "\n".join(labels)), ("b", "")):
        photo(folder / "images" / "train" / f"{name}.png")
        file = folder / "labels" / "train" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (folder / "data.yaml").write_text("path: .\nnames:\n  0: car\n  1: 'Person'\nnc: 2\n")
    return folder


def penn_fudan(folder: Path, box: str = "(Xmin, Ymin) - (Xmax, Ymax) : (11, 9) - (30, 38)") -> Path:
    """Write a Penn-Fudan folder of one image."""
    photo(folder / "PNGImages" / "FudanPed00001.png")
    (folder / "Annotation").mkdir()
    line = f'Bounding box for object 1 "PASpersonWalking" {box}\n'
    (folder / "Annotation" / "FudanPed00001.txt").write_text(
        f"# Compatible with PASCAL Annotation Version 1.00\nObjects with ground truth : 1\n{line}"
    )
    return folder


def crops(folder: Path, names: Sequence[str] = ("0002_c1s1_000451_03", "0007_c2s1_1_00")) -> Path:
    """Write a folder of re-identification crops."""
    for name in names:
        photo(folder / f"{name}.jpg", 20, 40)
    return folder


def mixed(folder: Path) -> Dataset:
    """Join a video of six frames with three people and two still images, one without people."""
    rows = [
        f"{frame},{person},{10 * person},8,12,30,1,1,1"
        for frame in range(1, 7)
        for person in range(1, 4)
    ]
    film = open_dataset(motchallenge(folder / "film", rows, frames=6), print)
    return join_datasets([film, open_dataset(yolo(folder / "stills"), print)])


def load(source, root=None) -> tuple[Dataset, list[str]]:
    """Open a dataset; return it with the warnings."""
    warnings: list[str] = []
    return open_dataset(source, warnings.append, root), warnings


def refusal(source, root=None) -> str:
    """Return the one-line message of the `InputError` that opening a dataset raises."""
    with pytest.raises(InputError) as caught:
        open_dataset(source, print, root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Writers whose first image with people has one person, at 10 8 30 38.
FORMATS = {
    "motchallenge": motchallenge,
    "crowdhuman": crowdhuman,
    "coco": coco,
    "yolo": yolo,
    "penn_fudan": penn_fudan,
}
