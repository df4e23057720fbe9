"""Sequences: the frames of one video or image folder, decoded in order."""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mottool.errors import InputError
from mottool.sources import video
from mottool.sources.images import images_in, read_image

__all__ = ["Frame", "Sequence", "SubsampledSequence", "refuse_gap"]

NO_PIXELS = np.zeros((0, 0, 3), np.uint8)
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 1, its BGR pixels (H, W, 3), its time in seconds.

    The pixels are (0, 0, 3) where only the numbers and times were asked for.
    """

    number: int
    image: npt.NDArray[np.uint8]
    seconds: float


@dataclass(frozen=True)
class Sequence:
    """One video or image folder.

    `name` is safe as a file name. `path` is what the user would name: the video or the folder.
    `fps` is frames a second, `width` and `height` are pixels of the upright frame. `length` is a
    claim, fit for progress bars only. `detections` and `ground_truth` are the `det/det.txt` and
    `gt/gt.txt` of a MOTChallenge folder; `media` is its video or folder of images, None where
    there is only a `seqinfo.ini`.
    """

    name: str
    path: Path
    fps: float
    width: int
    height: int
    length: int | None
    detections: Path | None = None
    ground_truth: Path | None = None
    media: Path | None = None

    @property
    def has_images(self) -> bool:
        """Whether there are frames to read."""
        return self.media is not None

    def frames(
        self,
        start: int = 1,
        warn: Callable[[str], None] = LOGGER.warning,
        pixels: bool = True,
    ) -> Iterator[Frame]:
        """The frames from number `start` on; what is missing at the end is told to `warn`.

        A video's times are its own, an image's is (number - 1) / fps. Without `pixels` no image is
        read, and none need be there if `seqinfo.ini` says the length; a video is decoded all the
        same, for only that tells its frames. An `InputError` if there are no images, one cannot be
        read, or one has another size than the first.
        """
        if not pixels and not (self.media and self.media.is_file()):
            yield from self._numbers(start)
            return
        if self.media is None:
            fix = "add its images, or work from detections, which need none"
            raise InputError(f"{self.path} has a seqinfo.ini but no images", fix)
        if self.media.is_dir():
            yield from self._images(self.media, start, warn)
            return
        expected = self.length if self.media != self.path else None
        for number, seconds, image in video.decoded(self.media, warn, start, expected):
            yield Frame(number, image, seconds)

    def _numbers(self, start: int) -> Iterator[Frame]:
        length = len(images_in(self.media)) if self.media else self.length
        if length is None:
            problem = f"{self.path} has no images and its seqinfo.ini says no seqLength"
            raise InputError(problem, "add the number of frames as seqLength")
        for number in range(start, length + 1):
            yield Frame(number, NO_PIXELS, (number - 1) / self.fps)

    def _images(self, folder: Path, start: int, warn: Callable[[str], None]) -> Iterator[Frame]:
        files = images_in(folder)
        for number, file in enumerate(files, 1):
            if number >= start:
                image = read_image(file)
                self._check_size(file, image, files[0])
                yield Frame(number, image, (number - 1) / self.fps)
        if self.length and len(files) != self.length:
            warn(f"{self.path} should hold {self.length} frames; {len(files)} images are there")

    def _check_size(self, file: Path, image: npt.NDArray[np.uint8], first: Path) -> None:
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            problem = f"{file} is {width}x{height} but {first} is {self.width}x{self.height}"
            raise InputError(problem, "keep images of one size in a folder, resize or move it")

    def fingerprint(self) -> str:
        """SHA-256 of the content, hex: of the video, or of the images with their names.

        What `seqinfo.ini` says is part of it; where the files lie is not.
        """
        digest = hashlib.sha256()
        media = self.media
        files = [self.path / "seqinfo.ini"] if media != self.path else []
        if media is not None:
            files += images_in(media) if media.is_dir() else [media]
        for file in (file for file in files if file.is_file()):
            with file.open("rb") as opened:
                named = b"" if file == media else file.name.encode()
                digest.update(named + b"\0" + hashlib.file_digest(opened, "sha256").digest())
        return digest.hexdigest()


def refuse_gap(files: list[Path]) -> None:
    """Numbered images must be without gaps, or frame numbers would not be those of the rows."""
    if not all(re.fullmatch("[0-9]+", file.stem) for file in files):
        return
    for before, after in zip(files, files[1:], strict=False):
        if int(after.stem) != int(before.stem) + 1:
            problem = f"{before.parent} jumps from {before.name} to {after.name}"
            raise InputError(problem, "complete it, so that its frames agree with gt and det files")


@dataclass(frozen=True)
class SubsampledSequence(Sequence):
    """Every `every`-th frame of the sequence `whole`, from its first on, counted anew from 1."""

    whole: Sequence = field(kw_only=True)
    every: int = field(kw_only=True)

    @classmethod
    def of(cls, sequence: Sequence, every: int) -> "SubsampledSequence":
        """Those frames of `sequence`."""
        length = None if sequence.length is None else -(-sequence.length // every)
        changed = {"fps": sequence.fps / every, "length": length}
        return cls(**vars(sequence) | changed, whole=sequence, every=every)

    def place(self, number: int) -> int:
        """The number that a frame has in the whole sequence."""
        return (number - 1) * self.every + 1

    def frames(
        self,
        start: int = 1,
        warn: Callable[[str], None] = lambda told: None,
        pixels: bool = True,
    ) -> Iterator[Frame]:
        """These frames from number `start` on, otherwise as `Sequence.frames`."""
        for frame in self.whole.frames(self.place(start), warn, pixels):
            number, between = divmod(frame.number - 1, self.every)
            if not between:
                yield replace(frame, number=number + 1)

    def fingerprint(self) -> str:
        """SHA-256, hex, of the sequence's own and of which frames these are."""
        return hashlib.sha256(f"{self.whole.fingerprint()} {self.every}".encode()).hexdigest()
