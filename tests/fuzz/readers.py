"""Every reader of mottool with a valid input, to be called on damaged ones."""

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from caches import made, write
from datasets import coco, crowdhuman, motchallenge, photo, train_list, yolo
from footage import video
from safetensors.torch import save_file
from torch import nn

from mottool.checkpoints.cards import save_weights

__all__ = ["READERS", "Reader"]

ROWS = "".join(f"{n},{n % 3 + 1},10.5,8,20,30,0.9,-1,-1,-1\n" for n in range(1, 9))
TRUTH = "".join(f"{n},{n % 3 + 1},10,8,20,30,1,1,0.5\n" for n in range(1, 9))


@dataclass(frozen=True)
class Reader:
    """A reader: `make(folder)` writes a valid input and returns the file to damage.

    `read(file)` reads it completely. `share` is the share of inputs that a run makes of it: slow
    readers get fewer.
    """

    make: Callable[[Path], Path]
    read: Callable[[Path], object]
    share: float = 1.0


def _file(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return make


def _packed(text: str) -> bytes:
    import gzip

    return gzip.compress(text.encode(), mtime=0)


def _npy(folder: Path) -> Path:
    rows = np.zeros((6, 14))
    rows[:, 0] = np.arange(1, 7)
    rows[:, 2:7] = 10, 8, 20, 30, 0.9
    rows[:, 10:] = np.random.default_rng(0).normal(size=(6, 4))
    np.save(folder / "det.npy", rows)
    return folder / "det.npy"


def _cvat_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "task.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("gt/gt.txt", TRUTH)
        archive.writestr("gt/labels.txt", "person\ncar\n")
    return folder / "task.zip"


def _server_zip(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "server.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("A.txt", ROWS)
        archive.writestr("B.txt", ROWS)
    return folder / "server.zip"


COCO_VIDEOS = json.dumps(
    {
        "videos": [{"id": 1, "name": "A", "width": 64, "height": 48, "fps": 25}],
        "images": [
            {"id": n, "video_id": 1, "frame_id": n, "file_name": f"A/{n}.jpg"} for n in (1, 2, 3)
        ],
        "annotations": [
            {"id": n, "image_id": n, "category_id": 1, "track_id": 4, "bbox": [1, 2, 30, 40]}
            for n in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "person"}],
    }
)
SETTINGS = '[default]\ntrack_thresh = 0.5\nclasses = [0, 1]\n["MOT17-*"]\nmatch_thresh = 0.4\n'


def _cache(folder: Path) -> Path:
    return write(folder / "seq.h5", [made(3, centres=2) for _ in range(5)])


def _checkpoint(zipped: bool) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        torch.manual_seed(0)
        tensors = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).state_dict()
        content = {"state_dict": tensors, "epoch": 3}
        torch.save(content, folder / "w.pth", _use_new_zipfile_serialization=zipped)
        return folder / "w.pth"

    return make


def _safetensors(folder: Path) -> Path:
    save_file({"a": torch.ones(3, 4), "b": torch.zeros(5)}, folder / "w.safetensors")
    return folder / "w.safetensors"


def _image(suffix: str) -> Callable[[Path], Path]:
    return lambda folder: photo(folder / f"a{suffix}")


def _card_of_weights(folder: Path) -> Path:
    save_weights(
        folder / "w.safetensors",
        {"a": torch.ones(2)},
        "mottool-s",
        "made by a test",
        {"data": "none"},
        {"MOTA": 0.5},
        (64, 48),
        {"sort": {"min_hits": 2}},
    )
    return folder / "w.toml"


def _in_folder(write: Callable[[Path], object], pattern: str) -> Callable[[Path], Path]:
    """Write a dataset, and return the file in it that the pattern matches."""

    def make(folder: Path) -> Path:
        write(folder / "data")
        return next(iter(sorted((folder / "data").rglob(pattern))))

    return make


def _rows(path: Path) -> object:
    from mottool.motchallenge.rows import read_rows

    return read_rows(path, "result")


def _public(path: Path) -> object:
    from mottool.motchallenge.public_detections import PublicDetections

    return PublicDetections.read(path)


def _convert(path: Path) -> object:
    from mottool.errors import ignore_warning
    from mottool.stages.convert import Config, run

    out = path.parent / "out.json"
    return run([path], out, Config(to="coco"), warn=ignore_warning)


def _read_cache(path: Path) -> object:
    from mottool.cache.reader import Cache

    with Cache(path) as cache:
        return [len(frame) for frame in cache.frames()]


def _weights(path: Path) -> object:
    from mottool.checkpoints.read import read

    return read(path)


def _read_image(path: Path) -> object:
    from mottool.sources.images import image_size, read_image

    return image_size(path), read_image(path)


def _decode(path: Path) -> object:
    from mottool.errors import ignore_warning
    from mottool.sources.video import decode

    return [number for number, _, _ in decode(path, ignore_warning)]


def _seqinfo(path: Path) -> object:
    from mottool.motchallenge.seqinfo import read_seqinfo

    return read_seqinfo(path)


def _settings(path: Path) -> object:
    from mottool.association.sequence_settings import SequenceSettings

    return SequenceSettings(path)


def _dataset(levels: int) -> Callable[[Path], object]:
    """Return a reader of the dataset whose path is `levels` above the file."""

    def read(path: Path) -> object:
        from mottool.data.formats import open_dataset
        from mottool.errors import ignore_warning

        source = path.parents[levels - 1] if levels else path
        return open_dataset(source, ignore_warning)

    return read


def _card(path: Path) -> object:
    from mottool.checkpoints.cards import read_card

    return read_card(path.with_suffix(".safetensors"))


SEQINFO = "[Sequence]\nname=A\nimDir=img1\nframeRate=25\nseqLength=3\nimWidth=64\nimHeight=48\n"

READERS = {
    "results": Reader(_file("a.txt", ROWS), _rows),
    "packed results": Reader(_file("a.txt.gz", _packed(ROWS)), _rows),
    "public detections": Reader(_file("det.txt", ROWS), _public),
    "detections with embeddings": Reader(_npy, _public),
    "seqinfo.ini": Reader(_file("seqinfo.ini", SEQINFO), _seqinfo),
    "settings": Reader(_file("s.toml", SETTINGS), _settings),
    "card": Reader(_card_of_weights, _card),
    "server archive": Reader(_server_zip, _convert),
    "CVAT archive": Reader(_cvat_zip, _convert),
    "COCO videos": Reader(_file("a.json", COCO_VIDEOS), _convert),
    "cache": Reader(_cache, _read_cache, 0.5),
    "PyTorch zip": Reader(_checkpoint(True), _weights),
    "PyTorch legacy": Reader(_checkpoint(False), _weights),
    "safetensors": Reader(_safetensors, _weights),
    "PNG": Reader(_image(".png"), _read_image),
    "JPEG": Reader(_image(".jpg"), _read_image),
    "TIFF": Reader(_image(".tif"), _read_image),
    "MP4": Reader(lambda folder: video(folder / "a.mp4", 12), _decode, 0.3),
    "Matroska": Reader(lambda folder: video(folder / "a.mkv", 12), _decode, 0.3),
    "MPEG-TS": Reader(lambda folder: video(folder / "a.ts", 12), _decode, 0.3),
    "AVI": Reader(lambda folder: video(folder / "a.avi", 12, codec="mpeg4"), _decode, 0.3),
    "MOTChallenge truth": Reader(_in_folder(motchallenge, "gt.txt"), _dataset(2), 0.5),
    "CrowdHuman": Reader(_in_folder(crowdhuman, "*.odgt"), _dataset(0), 0.5),
    "COCO images": Reader(_in_folder(coco, "*.json"), _dataset(0), 0.5),
    "image list": Reader(_in_folder(train_list, "town.train"), _dataset(0), 0.5),
    "labels of an image list": Reader(
        _in_folder(train_list, "a.txt"),
        lambda path: _dataset(0)(path.parents[3] / "lists" / "town.train"),
        0.5,
    ),
    "YOLO labels": Reader(_in_folder(yolo, "a.txt"), _dataset(3), 0.5),
}
