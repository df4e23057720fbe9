"""A dataset: images, and the people in each of them, whatever format they were annotated in.

Readers add images to a `DatasetBuilder` one by one. The dataset is a few flat arrays, so that a
hundred thousand images take some megabytes; pixels are read when they are needed.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError, SettingError
from mottool.sources.images import read_image, read_mask

__all__ = ["HALVES", "STILL", "UNKNOWN", "AnnotatedImage", "DatasetBuilder", "Dataset", "joined"]

UNKNOWN = -1  # the identity of somebody who has none
STILL = -1  # the video of an image that is in none
HALVES = ("first", "second")

Boxes = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class AnnotatedImage:
    """One image and its n people.

    `boxes` (n, 4) float32 x1 y1 x2 y2 in pixels; where the annotators guessed what the image cuts
    off, they reach out of it. `identities` (n,) int64 from 0, or -1 where unknown; `visibility`
    (n,) float32 in [0, 1], 1 where unknown; `rows` (n,) int64, the boxes' places in the dataset.
    `video` tells the images of one video by its number, -1 for a still image; `frame` counts in it.
    `ignored` (k, 4) float32 are regions that may show people nobody annotated. `instances` (n,)
    int64 are the values of the boxes' pixels in the image file `mask`, 0 where a box has none.
    `origin` is the number of the first pixel of a row: 1 in MOTChallenge's boxes, else 0.
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

    def pixels(self) -> npt.NDArray[np.uint8]:
        """BGR (height, width, 3); an `InputError` if the file is no image of that size."""
        image = read_image(self.path, self.upright)
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            problem = f"{self.path} is {width}x{height} but annotated as {self.width}x{self.height}"
            raise InputError(problem, "give the image that was annotated")
        return image

    def mask_pixels(self) -> npt.NDArray[np.uint8]:
        """Instances (height, width) of the mask; an `InputError` if it is of another size."""
        if self.mask is None:
            raise InputError(f"{self.path} has no mask", "give a dataset that has masks")
        values = read_mask(self.mask)
        if values.shape != (self.height, self.width):
            told = f"{values.shape[1]}x{values.shape[0]}"
            problem = f"{self.mask} is {told} but its image is {self.width}x{self.height}"
            raise InputError(problem, "give the mask of that image")
        return values


@dataclass(frozen=True)
class Dataset:
    """A sequence of M annotated images with N boxes; `AnnotatedImage` says what the arrays hold.

    `sizes` (M, 2) int32 width and height; `upright` (M,) bool, whether EXIF tags count; `ends`
    (M,) int64, where each image's boxes end; `boxes` (N, 4), `identities` (N,) without gaps from
    0, `visibility` (N,); `videos` and `frames` (M,) int32, the former without gaps from 0;
    `ignored` (K, 4) and `ignored_ends` (M,) as `boxes` and `ends`; `instances` (N,) and `masks`, of
    every image the mask's path or ""; `origins` (M,) int8.
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

    def __len__(self) -> int:
        return len(self.paths)

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
        )

    @property
    def identity_count(self) -> int:
        """How many people are told apart."""
        return int(self.identities.max(initial=UNKNOWN)) + 1

    @property
    def video_count(self) -> int:
        """How many videos the images are from."""
        return int(self.videos.max(initial=STILL)) + 1

    def identities_for(self, loss: str, remedy: str = "train outrack") -> int:
        """`identity_count`; an `InputError` if `loss` would have nobody to tell apart.

        `remedy` is what learns from such a dataset.
        """
        if self.identity_count < 2:
            told = {0: "no identities", 1: "one identity only"}[self.identity_count]
            fix = f"add a dataset with identities, or {remedy}, which learns without them"
            raise InputError(f"{self.name} holds {told}, but {loss} tells people apart", fix)
        return self.identity_count

    def filled(self) -> npt.NDArray[np.bool_]:
        """Which images (M,) one box fills, as in datasets for re-identification."""
        counts = np.diff(self.ends, prepend=0)  # (M,)
        filled: npt.NDArray[np.bool_] = counts == 1
        boxes = self.boxes[self.ends[filled] - 1]
        filled[filled] = (boxes[:, :2] <= 0).all(axis=1) & (boxes[:, 2:] >= self.sizes[filled]).all(
            axis=1
        )
        return filled

    def near(self, index: int, reach: int) -> Ints:
        """The other images within `reach` frames of one in its video; none of a still image."""
        if self.videos[index] == STILL:
            return np.zeros(0, np.int64)
        close = abs(self.frames - self.frames[index]) <= reach
        close &= self.videos == self.videos[index]
        close[index] = False
        return np.flatnonzero(close)

    def elsewhere(self, index: int) -> Ints:
        """The images that show other people than one of them: of no video, or of another."""
        apart = (self.videos != self.videos[index]) | (self.videos == STILL)
        apart[index] = False
        return np.flatnonzero(apart)

    def half(self, which: str) -> "Dataset":
        """The `first` or `second` half of every video, by its images in order of their frames.

        FairMOT's half-split: of an odd number the second half has one more. A `SettingError` for
        still images, which have no halves.
        """
        if not self.video_count or (self.videos == STILL).any():
            fix = "take all of it, or choose images by giving a list of them"
            raise SettingError(f"{self.name} holds still images; halves are of videos", fix)
        chosen = np.zeros(len(self), bool)
        for video in range(self.video_count):
            places = np.flatnonzero(self.videos == video)
            places = places[np.argsort(self.frames[places], kind="stable")]
            middle = len(places) // 2
            chosen[places[:middle] if which == HALVES[0] else places[middle:]] = True
        return self._chosen(np.flatnonzero(chosen), f"{self.name}@{which}")

    def _chosen(self, indices: Ints, name: str) -> "Dataset":
        """The dataset of some images, its identities and videos without gaps again."""
        of = np.searchsorted(self.ends, np.arange(len(self.boxes)), side="right")  # (N,) image
        rows = np.isin(of, indices)
        counts = np.bincount(of, minlength=len(self))[indices]
        region_of = np.searchsorted(self.ignored_ends, np.arange(len(self.ignored)), side="right")
        regions = np.bincount(region_of, minlength=len(self))[indices]
        return Dataset(
            name=name,
            paths=tuple(self.paths[index] for index in indices),
            sizes=self.sizes[indices],
            upright=self.upright[indices],
            ends=np.cumsum(counts, dtype=np.int64),
            boxes=self.boxes[rows],
            identities=_gapless(self.identities[rows]),
            visibility=self.visibility[rows],
            videos=_gapless(self.videos[indices]).astype(np.int32),
            frames=self.frames[indices],
            ignored=self.ignored[np.isin(region_of, indices)],
            ignored_ends=np.cumsum(regions, dtype=np.int64),
            instances=self.instances[rows],
            masks=tuple(self.masks[index] for index in indices),
            origins=self.origins[indices],
        )

    def fingerprint(self) -> str:
        """SHA-256, hex, of the annotations and of the images' names and lengths in bytes.

        Where the files lie is not part of it. What was computed for the boxes of one fingerprint
        fits no other.
        """
        digest = hashlib.sha256()
        for name in self.paths:
            path = Path(name)
            try:
                length = path.stat().st_size
            except OSError as error:
                raise InputError(f"there is no image {path} any more", "put it back") from error
            digest.update(f"{path.name}\0{length}\0".encode())
        for array in (self.sizes, self.ends, self.boxes, self.identities, self.visibility):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def joined(datasets: Sequence[Dataset]) -> Dataset:
    """Several datasets in one, in their order; their identities and videos stay apart."""
    identities, videos, ends, ignored_ends = [], [], [], []
    people = films = boxes = ignored = 0
    for each in datasets:
        identities.append(np.where(each.identities < 0, UNKNOWN, each.identities + people))
        videos.append(np.where(each.videos < 0, STILL, each.videos + films))
        ends.append(each.ends + boxes)
        ignored_ends.append(each.ignored_ends + ignored)
        people += each.identity_count
        films += each.video_count
        boxes += len(each.boxes)
        ignored += len(each.ignored)
    return Dataset(
        name=" + ".join(each.name for each in datasets),
        paths=tuple(path for each in datasets for path in each.paths),
        sizes=np.concatenate([each.sizes for each in datasets]),
        upright=np.concatenate([each.upright for each in datasets]),
        ends=np.concatenate(ends),
        boxes=np.concatenate([each.boxes for each in datasets]),
        identities=np.concatenate(identities),
        visibility=np.concatenate([each.visibility for each in datasets]),
        videos=np.concatenate(videos).astype(np.int32),
        frames=np.concatenate([each.frames for each in datasets]),
        ignored=np.concatenate([each.ignored for each in datasets]),
        ignored_ends=np.concatenate(ignored_ends),
        instances=np.concatenate([each.instances for each in datasets]),
        masks=tuple(mask for each in datasets for mask in each.masks),
        origins=np.concatenate([each.origins for each in datasets]),
    )


class DatasetBuilder:
    """Gathers annotated images into a dataset, leaving out boxes that nothing can be learned from.

    A box that lies wholly outside its image, or has no area, is left out, and `warn` is told how
    many were. One that reaches out of it stays as it is: MOTChallenge and CrowdHuman annotate
    whole people, and networks learn to guess what is cut off.
    """

    def __init__(self, name: str, upright: bool = True, origin: int = 0) -> None:
        """`upright` says whether annotations are of the images as their EXIF tags turn them.

        `origin` is the number that annotations give the first pixel of a row.
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
        """Take an image of `size` (width, height) with its boxes (n, 4) x1 y1 x2 y2 pixels.

        `identities` (n,) are any whole numbers, negative where unknown; `visibility` (n,) is
        clipped to [0, 1]. `ignored` (k, 4) are regions that are not to be learned from. In the
        file `mask`, if there is one, the pixels of box i (from 0) are i + 1.
        """
        whole = np.asarray(boxes, np.float32).reshape(-1, 4)
        seen = np.clip(whole, 0, np.array([*size, *size], np.float32))
        inside = (seen[:, 2:] > seen[:, :2]).all(axis=1)
        count = len(whole)
        who = np.full(count, UNKNOWN) if identities is None else np.asarray(identities, np.int64)
        clear = np.ones(count) if visibility is None else np.clip(visibility, 0, 1)
        self._outside += int((~inside).sum())
        self._paths.append(str(path))
        self._sizes.append(size)
        self._boxes.append(whole[inside])
        self._identities.append(np.maximum(who, UNKNOWN)[inside])
        self._visibility.append(np.asarray(clear, np.float32)[inside])
        self._times.append((video, frame))
        self._ignored.append(np.asarray(ignored, np.float32).reshape(-1, 4))
        instances = np.arange(1, count + 1) if mask else np.zeros(count, np.int64)
        self._instances.append(instances[inside])
        self._masks.append(str(mask) if mask else "")

    def dataset(self, warn: Callable[[str], None]) -> Dataset:
        """What was gathered; an `InputError` if there is not one box in it."""
        if not sum(map(len, self._boxes)):
            problem = f"{self._name} holds {len(self._paths)} images and nobody in them"
            raise InputError(problem, "give a dataset with boxes of people")
        if self._outside:
            warn(f"{self._name}: {self._outside} boxes outside their images were left out")
        times = np.array(self._times, np.int32)  # (M, 2)
        return Dataset(
            name=self._name,
            paths=tuple(self._paths),
            sizes=np.array(self._sizes, np.int32),
            upright=np.full(len(self._paths), self._upright),
            ends=np.cumsum([len(boxes) for boxes in self._boxes], dtype=np.int64),
            boxes=np.concatenate(self._boxes),
            identities=_gapless(np.concatenate(self._identities)),
            visibility=np.concatenate(self._visibility),
            videos=_gapless(times[:, 0]).astype(np.int32),
            frames=times[:, 1],
            ignored=np.concatenate(self._ignored),
            ignored_ends=np.cumsum([len(regions) for regions in self._ignored], dtype=np.int64),
            instances=np.concatenate(self._instances),
            masks=tuple(self._masks),
            origins=np.full(len(self._paths), self._origin, np.int8),
        )


def _gapless(numbers: npt.NDArray[np.signedinteger]) -> Ints:
    """Numbers renamed 0, 1, … in their order; negative ones are -1."""
    known = np.unique(numbers[numbers >= 0])
    return np.where(numbers < 0, -1, np.searchsorted(known, numbers)).astype(np.int64)
