"""A dataset in memory: annotated images, independent of the format of the annotations.

Readers add images to a `DatasetBuilder` one by one. The dataset consists of a few flat arrays: a
hundred thousand images take some megabytes. Pixels are read on demand.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError, SettingError
from mottool.pixel_range import PixelRange
from mottool.sources.depth import scale
from mottool.sources.images import read_mask, read_raw, without_links
from mottool.splits import Split, frames_of_half

__all__ = [
    "STILL",
    "UNKNOWN",
    "AnnotatedImage",
    "DatasetBuilder",
    "Dataset",
    "join_datasets",
]

UNKNOWN = -1  # the identity of a box without one
STILL = -1  # the video number of a still image

Boxes = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AnnotatedImage:
    """One image and the boxes of its n people.

    `boxes` (n, 4) float32 x1 y1 x2 y2 in pixels; they extend past the image where whole people are
    annotated. `identities` (n,) int64 from 0, -1 where unknown; `visibility` (n,) float32 in
    [0, 1], 1 where unknown; `rows` (n,) int64, the indices of the boxes in the dataset. `video` is
    the number of the image's video, -1 for a still image; `frame` is its frame number there.
    `ignored` (k, 4) float32 are regions that may show people without annotation. `instances` (n,)
    int64 are the values of the boxes' pixels in the image file `mask`, 0 for a box without mask.
    `origin` is the number of the first pixel of a row: 1 in MOTChallenge's boxes, else 0.
    `pixel_range` are the values of black and white in an image of more than 8 bits.
    """

    path: Path
    width: int
    height: int
    upright: bool
    boxes: Boxes
    identities: Ints
    visibility: npt.NDArray[np.float32]
    rows: Ints
    video: int
    frame: int
    ignored: Boxes
    instances: Ints
    mask: Path | None = None
    origin: int = 0
    pixel_range: PixelRange | None = None

    def pixels(self) -> npt.NDArray[np.uint8]:
        """Read the image, BGR (height, width, 3). Raises `InputError` if its size differs."""
        image = scale(read_raw(self.path, self.upright), self.pixel_range)
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            problem = f"{self.path} is {width}x{height} but annotated as {self.width}x{self.height}"
            raise InputError(problem, "restore the image that was annotated")
        return image

    def mask_pixels(self) -> npt.NDArray[np.uint8]:
        """Read the mask, instances (height, width). Raises `InputError` if its size differs."""
        if self.mask is None:
            raise InputError(f"{self.path} has no mask", "give a dataset with masks")
        values = read_mask(self.mask)
        if values.shape != (self.height, self.width):
            size = f"{values.shape[1]}x{values.shape[0]}"
            problem = f"{self.mask} is {size} but its image is {self.width}x{self.height}"
            raise InputError(problem, "replace it by the mask of that image")
        return values


@dataclass(frozen=True)
class Dataset:
    """A sequence of M annotated images with N boxes; `AnnotatedImage` documents the values.

    `sizes` (M, 2) int32 width and height; `upright` (M,) bool, whether EXIF tags apply; `ends`
    (M,) int64, the end of each image's rows in `boxes` (N, 4), `identities` (N,), `visibility` (N,)
    and `instances` (N,). `ignored_ends` (M,) does the same for `ignored` (K, 4). `videos` and
    `frames` (M,) int32. Identities and videos are numbered from 0 without gaps. `masks` has the
    path of every image's mask, or "". `origins` (M,) int8. `pixel_ranges` are those of every image,
    or () if all have 8 bits.
    """

    name: str
    paths: tuple[str, ...]
    sizes: npt.NDArray[np.int32]
    upright: npt.NDArray[np.bool_]
    ends: Ints
    boxes: Boxes
    identities: Ints
    visibility: npt.NDArray[np.float32]
    videos: npt.NDArray[np.int32]
    frames: npt.NDArray[np.int32]
    ignored: Boxes
    ignored_ends: Ints
    instances: Ints
    masks: tuple[str, ...]
    origins: npt.NDArray[np.int8]
    pixel_ranges: tuple[PixelRange | None, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def real_paths(self) -> list[str]:
        """Return the paths of the images without links in the names of their folders."""
        return without_links(map(Path, self.paths))

    def __getitem__(self, index: int) -> AnnotatedImage:
        if not 0 <= index < len(self):
            raise IndexError(index)
        rows = slice(self.ends[index - 1] if index else 0, self.ends[index])
        regions = slice(self.ignored_ends[index - 1] if index else 0, self.ignored_ends[index])
        return AnnotatedImage(
            path=Path(self.paths[index]),
            width=int(self.sizes[index, 0]),
            height=int(self.sizes[index, 1]),
            upright=bool(self.upright[index]),
            boxes=self.boxes[rows],
            identities=self.identities[rows],
            visibility=self.visibility[rows],
            rows=np.arange(rows.start, rows.stop),
            video=int(self.videos[index]),
            frame=int(self.frames[index]),
            ignored=self.ignored[regions],
            instances=self.instances[rows],
            mask=Path(self.masks[index]) if self.masks[index] else None,
            origin=int(self.origins[index]),
            pixel_range=self.pixel_ranges[index] if self.pixel_ranges else None,
        )

    @property
    def identity_count(self) -> int:
        """The number of identities."""
        return int(self.identities.max(initial=UNKNOWN)) + 1

    @property
    def video_count(self) -> int:
        """The number of videos that the images are from."""
        return int(self.videos.max(initial=STILL)) + 1

    def identities_for(self, loss: str, remedy: str = "train outrack") -> int:
        """Return `identity_count`. Raises `InputError` if it is too small to train `loss`.

        `remedy` suggests what can be trained on such a dataset.
        """
        if self.identity_count < 2:
            count = {0: "no identities", 1: "one identity only"}[self.identity_count]
            fix = f"add a dataset with identities, or {remedy}, which learns without them"
            problem = f"{self.name} has {count}, but {loss} needs at least two"
            raise InputError(problem, fix)
        return self.identity_count

    def is_crop(self) -> npt.NDArray[np.bool_]:
        """Return which images (M,) one box fills, as in datasets for re-identification."""
        counts = np.diff(self.ends, prepend=0)  # (M,)
        is_crop: npt.NDArray[np.bool_] = counts == 1
        boxes, sizes = self.boxes[self.ends[is_crop] - 1], self.sizes[is_crop]
        is_crop[is_crop] = (boxes[:, :2] <= 0).all(axis=1) & (boxes[:, 2:] >= sizes).all(axis=1)
        return is_crop

    def near(self, index: int, reach: int) -> Ints:
        """Return the other images within `reach` frames of an image in its video.

        A still image has none.
        """
        if self.videos[index] == STILL:
            return np.zeros(0, np.int64)
        nearby = abs(self.frames - self.frames[index]) <= reach
        nearby &= self.videos == self.videos[index]
        nearby[index] = False
        return np.flatnonzero(nearby)

    def elsewhere(self, index: int) -> Ints:
        """Return the images that show other people than image `index`: stills and other videos."""
        others = (self.videos != self.videos[index]) | (self.videos == STILL)
        others[index] = False
        return np.flatnonzero(others)

    def part(self, split: Split, source: Path) -> "Dataset":
        """Return the part `split` of the dataset at `source`: some videos, or a half of every one.

        The images of a video are halved in the order of their frames. Raises `SettingError` for
        still images, and `InputError` if a video of the split is missing, or is too short to halve.
        """
        if not self.video_count or (self.videos == STILL).any():
            fix = "use all of it, or select images with a list of images"
            problem = f"{self.name} contains still images, but only videos have parts"
            raise SettingError(f"{problem}, such as @{split.name}", fix)
        names = self._video_names()
        selected = set(split.select(names, source))
        keep = np.zeros(len(self), bool)
        for video, name in enumerate(names):
            indices = np.flatnonzero(self.videos == video)
            indices = indices[np.argsort(self.frames[indices], kind="stable")]
            if split.half:
                first, last = frames_of_half(len(indices), split.half, name)
                indices = indices[first - 1 : last]
            keep[indices] = name in selected
        return self._select(np.flatnonzero(keep), f"{self.name}@{split.name}")

    def _video_names(self) -> list[str]:
        """Return the name of every video: of its MOTChallenge folder, or of its images' folder."""
        _, first = np.unique(self.videos, return_index=True)
        names = []
        for index in first.tolist():
            images = Path(self.paths[index]).resolve().parent
            inside = images.name == "img1" or (images.parent / "seqinfo.ini").is_file()
            names.append(images.parent.name if inside else images.name)
        return names

    def _select(self, indices: Ints, name: str) -> "Dataset":
        """Return the dataset of some images; identities and videos are renumbered without gaps."""
        image_of = np.searchsorted(self.ends, np.arange(len(self.boxes)), side="right")  # (N,)
        rows = np.isin(image_of, indices)
        counts = np.bincount(image_of, minlength=len(self))[indices]
        region_of = np.searchsorted(self.ignored_ends, np.arange(len(self.ignored)), side="right")
        regions = np.bincount(region_of, minlength=len(self))[indices]
        return Dataset(
            name=name,
            paths=tuple(self.paths[index] for index in indices),
            sizes=self.sizes[indices],
            upright=self.upright[indices],
            ends=np.cumsum(counts, dtype=np.int64),
            boxes=self.boxes[rows],
            identities=_without_gaps(self.identities[rows]),
            visibility=self.visibility[rows],
            videos=_without_gaps(self.videos[indices]).astype(np.int32),
            frames=self.frames[indices],
            ignored=self.ignored[np.isin(region_of, indices)],
            ignored_ends=np.cumsum(regions, dtype=np.int64),
            instances=self.instances[rows],
            masks=tuple(self.masks[index] for index in indices),
            origins=self.origins[indices],
        )

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of the annotations and of the images' names and byte sizes.

        The location of the files is not included. Values computed for the boxes of a dataset apply
        only to datasets with the same fingerprint.
        """
        digest = hashlib.sha256()
        for name in self.paths:
            path = Path(name)
            try:
                length = path.stat().st_size
            except OSError as error:
                raise InputError(f"there is no image {path} any more", "restore it") from error
            digest.update(f"{path.name}\0{length}\0".encode())
        for array in (self.sizes, self.ends, self.boxes, self.identities, self.visibility):
            digest.update(np.ascontiguousarray(array).tobytes())
        if self.pixel_ranges:
            digest.update(str(self.pixel_ranges).encode())
        return digest.hexdigest()


def join_datasets(datasets: Sequence[Dataset]) -> Dataset:
    """Concatenate datasets; their identities and videos stay distinct."""
    identities, videos, ends, ignored_ends = [], [], [], []
    identity_count = video_count = box_count = region_count = 0
    for part in datasets:
        identities.append(np.where(part.identities < 0, UNKNOWN, part.identities + identity_count))
        videos.append(np.where(part.videos < 0, STILL, part.videos + video_count))
        ends.append(part.ends + box_count)
        ignored_ends.append(part.ignored_ends + region_count)
        identity_count += part.identity_count
        video_count += part.video_count
        box_count += len(part.boxes)
        region_count += len(part.ignored)
    return Dataset(
        name=" + ".join(part.name for part in datasets),
        paths=tuple(path for part in datasets for path in part.paths),
        sizes=np.concatenate([part.sizes for part in datasets]),
        upright=np.concatenate([part.upright for part in datasets]),
        ends=np.concatenate(ends),
        boxes=np.concatenate([part.boxes for part in datasets]),
        identities=np.concatenate(identities),
        visibility=np.concatenate([part.visibility for part in datasets]),
        videos=np.concatenate(videos).astype(np.int32),
        frames=np.concatenate([part.frames for part in datasets]),
        ignored=np.concatenate([part.ignored for part in datasets]),
        ignored_ends=np.concatenate(ignored_ends),
        instances=np.concatenate([part.instances for part in datasets]),
        masks=tuple(mask for part in datasets for mask in part.masks),
        origins=np.concatenate([part.origins for part in datasets]),
        pixel_ranges=sum((part.pixel_ranges or (None,) * len(part) for part in datasets), ())
        if any(part.pixel_ranges for part in datasets)
        else (),
    )


class DatasetBuilder:
    """Builds a dataset from annotated images.

    A box that is completely outside its image, or has no area, is dropped; a warning states their
    number. A box that extends past the image stays as it is: MOTChallenge and CrowdHuman annotate
    whole people, and networks learn to predict the part that is cut off.
    """

    def __init__(self, name: str, upright: bool = True, origin: int = 0) -> None:
        """Start without images.

        `upright` states whether annotations refer to images rotated by their EXIF tags; `origin`
        is the number that annotations give the first pixel of a row.
        """
        self._name, self._upright, self._origin = name, upright, origin
        self._paths: list[str] = []
        self._sizes: list[tuple[int, int]] = []
        self._boxes: list[Boxes] = []
        self._identities: list[Ints] = []
        self._visibility: list[npt.NDArray[np.float32]] = []
        self._times: list[tuple[int, int]] = []
        self._ignored: list[Boxes] = []
        self._instances: list[Ints] = []
        self._masks: list[str] = []
        self._outside = 0

    def add(
        self,
        path: Path,
        size: tuple[int, int],
        boxes: npt.ArrayLike,
        identities: npt.ArrayLike | None = None,
        visibility: npt.ArrayLike | None = None,
        video: int = STILL,
        frame: int = 0,
        ignored: npt.ArrayLike = (),
        mask: Path | None = None,
    ) -> None:
        """Add an image of `size` (width, height) with its boxes (n, 4) x1 y1 x2 y2 in pixels.

        `identities` (n,) are any integers, negative where unknown; `visibility` (n,) is clipped to
        [0, 1]. `ignored` (k, 4) are regions to exclude from training. In the file `mask`, if given,
        the pixels of box i (from 0) have the value i + 1.
        """
        boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
        clipped = np.clip(boxes, 0, np.array([*size, *size], np.float32))
        inside = (clipped[:, 2:] > clipped[:, :2]).all(axis=1)
        count = len(boxes)
        ids = np.full(count, UNKNOWN) if identities is None else np.asarray(identities, np.int64)
        visible = np.ones(count) if visibility is None else np.clip(visibility, 0, 1)
        self._outside += int((~inside).sum())
        self._paths.append(str(path))
        self._sizes.append(size)
        self._boxes.append(boxes[inside])
        self._identities.append(np.maximum(ids, UNKNOWN)[inside])
        self._visibility.append(np.asarray(visible, np.float32)[inside])
        self._times.append((video, frame))
        self._ignored.append(np.asarray(ignored, np.float32).reshape(-1, 4))
        instances = np.arange(1, count + 1) if mask else np.zeros(count, np.int64)
        self._instances.append(instances[inside])
        self._masks.append(str(mask) if mask else "")

    def dataset(self, warn: Callable[[str], None]) -> Dataset:
        """Return the dataset of all added images. Raises `InputError` if it has no boxes."""
        if not sum(map(len, self._boxes)):
            problem = f"{self._name} has {len(self._paths)} images but no boxes of people"
            raise InputError(problem, "give a dataset with annotated people")
        if self._outside:
            warn(f"{self._name}: {self._outside} boxes outside their images are skipped")
        times = np.array(self._times, np.int32)  # (M, 2)
        return Dataset(
            name=self._name,
            paths=tuple(self._paths),
            sizes=np.array(self._sizes, np.int32),
            upright=np.full(len(self._paths), self._upright),
            ends=np.cumsum([len(boxes) for boxes in self._boxes], dtype=np.int64),
            boxes=np.concatenate(self._boxes),
            identities=_without_gaps(np.concatenate(self._identities)),
            visibility=np.concatenate(self._visibility),
            videos=_without_gaps(times[:, 0]).astype(np.int32),
            frames=times[:, 1],
            ignored=np.concatenate(self._ignored),
            ignored_ends=np.cumsum([len(regions) for regions in self._ignored], dtype=np.int64),
            instances=np.concatenate(self._instances),
            masks=tuple(self._masks),
            origins=np.full(len(self._paths), self._origin, np.int8),
        )


def _without_gaps(numbers: npt.NDArray[np.signedinteger]) -> Ints:
    """Renumber 0, 1, … in ascending order; negative numbers become -1."""
    known = np.unique(numbers[numbers >= 0])
    return np.where(numbers < 0, -1, np.searchsorted(known, numbers)).astype(np.int64)
