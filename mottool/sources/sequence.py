"""Sequences: the frames of one video or image folder, decoded in order."""

import hashlib
import logging
from collections.abc import Callable, Collection, Iterator
from contextlib import closing
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mottool.engines.threads import cores
from mottool.errors import InputError, ignore_warning
from mottool.pixel_range import PixelRange
from mottool.sources import video
from mottool.sources.depth import contrast_warning, range_of, scale
from mottool.sources.hardware import hardware_decoder
from mottool.sources.images import (
    frame_numbers,
    images_in,
    read_raw,
    unnumbered,
    without_links,
)
from mottool.sources.overlap import in_threads, size_of_arrays
from mottool.sources.video_decoders import CPU
from mottool.splits import frames_of_half, name_of_half

__all__ = [
    "Frame",
    "HalfSequence",
    "Sequence",
    "SubsampledSequence",
    "check_numbers",
    "hash_of_span",
    "shared_fields",
    "up_to",
]

NO_PIXELS = np.zeros((0, 0, 3), np.uint8)
LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frame:
    """One frame: its number from 1, its BGR pixels (H, W, 3), its time in seconds.

    The pixels are (0, 0, 3) if only numbers and times were requested. `missing` is True for a frame
    that a damaged video has lost; its pixels are those of the frame before.
    """

    number: int
    image: npt.NDArray[np.uint8]
    seconds: float
    missing: bool = False


@dataclass(frozen=True)
class Sequence:
    """One video or image folder.

    `name` is safe as a file name. `path` is the video or the folder that the user names. `fps` is
    in frames per second; `width` and `height` are pixels of the upright frame. `length` may be
    wrong, so use it for progress bars only. `detections` and `ground_truth` are the `det/det.txt`
    and `gt/gt.txt` of a MOTChallenge folder, or the labels of another benchmark. `media` is its
    video or folder of images, None if there is only a `seqinfo.ini`. `pixel_range` are the values
    that become 0 and 255 in images of more than 8 bits, None for those of the sequence. `decoder`
    is one of `video_decoders.DECODERS`; the frames of a video do not depend on it.
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
    pixel_range: PixelRange | None = None
    decoder: str = CPU

    @property
    def cached(self) -> "Sequence":
        """The sequence that the header of a cache describes: this one."""
        return self

    @property
    def has_images(self) -> bool:
        """Whether there are frames to read."""
        return self.media is not None

    @property
    def first_frame(self) -> int:
        """The number of the first frame."""
        return 1

    @property
    def whole_name(self) -> str:
        """The name of the complete sequence, as files of detections and results have it."""
        return self.name

    def images_at(
        self, numbers: Collection[int], warn: Callable[[str], None] = LOGGER.warning
    ) -> dict[int, npt.NDArray[np.uint8]]:
        """Return the pixels (H, W, 3) BGR of some frames by number.

        `warn` is as in `frames`. Raises `InputError` for a number that the sequence does not have.
        """
        images = {}
        for frame in self.frames(min(numbers), warn):
            if frame.number in numbers:
                images[frame.number] = frame.image
            if frame.number >= max(numbers):
                break
        for number in numbers:
            if number not in images:
                fix = "choose --at inside the sequence"
                raise InputError(f"{self.path} has no frame {number}", fix)
        return images

    def count_frames(self) -> int:
        """Count the frames: the images of a folder, or the frames of a video, which is decoded."""
        return sum(1 for _ in self.frames(pixels=False, warn=ignore_warning))

    def frames(
        self,
        start: int = 1,
        warn: Callable[[str], None] = LOGGER.warning,
        pixels: bool = True,
    ) -> Iterator[Frame]:
        """Yield the frames from number `start` on; `warn` receives a message if some are missing.

        The times of a video are its own; that of an image is (number - 1) / fps. Without `pixels`
        no image is read, and none is needed if `seqinfo.ini` states the length. A video is always
        decoded, because its frames cannot be counted otherwise. Raises `InputError` if there are no
        images, one cannot be read, or one differs in size from the first.
        """
        if not pixels and not (self.media and self.media.is_file()):
            yield from self._numbers(start)
            return
        if self.media is None:
            fix = "add its images, or use detections from a file, which need none"
            raise InputError(f"{self.path} has a seqinfo.ini but no images", fix)
        if self.media.is_dir():
            yield from self._images(self.media, start, warn)
            return
        if self.pixel_range:
            warn(f"{self.path} is a video, to which --pixel-range does not apply")
        expected = self.length if self.media != self.path else None
        before: Frame | None = None
        hardware = hardware_decoder(self.media, self.decoder, warn)
        for number, seconds, image in video.decode(self.media, warn, start, expected, hardware):
            frame = Frame(number, image, seconds)
            yield from _missing(before or Frame(start - 1, image, seconds), frame, self.fps)
            yield frame
            before = frame

    def _numbers(self, start: int) -> Iterator[Frame]:
        """Yield frames without pixels."""
        length = len(images_in(self.media)) if self.media else self.length
        if length is None:
            problem = f"{self.path} has no images and its seqinfo.ini has no seqLength"
            raise InputError(problem, "add the number of frames as seqLength")
        for number in range(start, length + 1):
            yield Frame(number, NO_PIXELS, (number - 1) / self.fps)

    def _images(self, folder: Path, start: int, warn: Callable[[str], None]) -> Iterator[Frame]:
        """Yield the images of a folder as frames."""
        files = images_in(folder)
        values = range_of(files) if files else None
        if self.pixel_range and not values:
            warn(f"{self.path} has images of 8 bits, to which --pixel-range does not apply")
        elif self.pixel_range and values:
            if message := contrast_warning(values, self.pixel_range):
                warn(f"{self.path}: {message}")
            values = self.pixel_range
        elif values:
            warn(f"{self.path}: images of more than 8 bits, scaled from {values} to 0 to 255")

        def read(file: Path) -> npt.NDArray[np.uint8]:
            image = read_raw(file)
            if not values and image.dtype != np.uint8:
                problem = f"{file} has more than 8 bits, but {files[0]} has not"
                raise InputError(problem, "make all images in the folder of one kind")
            return scale(image, values)

        first, threads = max(start, 1), cores()
        images = in_threads(read, files[first - 1 :], threads, threads + 1, size_of_arrays)
        with closing(images):
            for number, image in enumerate(images, first):
                self._check_size(files[number - 1], image, files[0])
                yield Frame(number, image, (number - 1) / self.fps)
        if self.length and len(files) != self.length:
            warn(f"{self.path} should contain {self.length} frames, but has {len(files)} images")

    def _check_size(self, file: Path, image: npt.NDArray[np.uint8], first: Path) -> None:
        """Raise `InputError` if an image differs in size from the `first` one."""
        height, width = image.shape[:2]
        if (width, height) != (self.width, self.height):
            problem = f"{file} is {width}x{height} but {first} is {self.width}x{self.height}"
            raise InputError(problem, "make all images in the folder the same size")

    def image_paths(self) -> list[str]:
        """Return the paths of the images, without links in their folder's; [] of a video."""
        if self.media is None or not self.media.is_dir():
            return []
        return without_links(images_in(self.media))

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of the content: the video, or the images with their names.

        The content of `seqinfo.ini` is included; the location of the files is not.
        """
        digest = hashlib.sha256()
        media = self.media
        files = [self.path / "seqinfo.ini"] if media != self.path else []
        if media is not None:
            files += images_in(media) if media.is_dir() else [media]
        files = [path for path in files if path.is_file()]
        threads = cores()
        with closing(in_threads(_digest, files, threads, 2 * threads)) as digests:
            for path, content in zip(files, digests, strict=True):
                name = b"" if path == media else path.name.encode()
                digest.update(name + b"\0" + content)
        return digest.hexdigest()


def _digest(path: Path) -> bytes:
    """Return the SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def hash_of_span(fingerprint: str, span: tuple[int, int]) -> str:
    """Return the fingerprint of the frames `span` of a sequence that has this `fingerprint`."""
    return hashlib.sha256(f"{fingerprint} frames {span[0]} to {span[1]}".encode()).hexdigest()


def _missing(before: Frame, after: Frame, fps: float) -> Iterator[Frame]:
    """Yield the missing frames between two frames of a damaged video."""
    for number in range(before.number + 1, after.number):
        seconds = after.seconds - (after.number - number) / fps
        yield Frame(number, before.image, max(seconds, before.seconds), missing=True)


def check_numbers(files: list[Path]) -> None:
    """Raise `InputError` if numbered images do not begin with 0 or 1, or skip a number.

    Later frames would then differ in number from the rows of ground truth and detections. Names
    may have the same text before the number.
    """
    numbers = frame_numbers(files)
    if others := unnumbered(files):
        problem = f"{others[0].parent} has {others[0].name} among numbered images"
        raise InputError(problem, "remove it, so that frames match the gt and det files")
    fix = "number them from 000001 without gaps, so that frames match the gt and det files"
    if numbers and numbers[0] > 1:
        raise InputError(f"{files[0].parent} begins with {files[0].name}", fix)
    for index in range(1, len(numbers)):
        if numbers[index] != numbers[index - 1] + 1:
            before, after = files[index - 1], files[index]
            fix = f"copy {before.name} to each missing name, or number images and rows anew, so "
            fix += "that frames match the gt and det files"
            raise InputError(f"{before.parent} jumps from {before.name} to {after.name}", fix)


def shared_fields(sequence: Sequence) -> dict[str, Any]:
    """Return the fields that every kind of sequence has."""
    return {item.name: getattr(sequence, item.name) for item in fields(Sequence)}


def up_to(last: int, frames: Iterator[Frame]) -> Iterator[Frame]:
    """Yield frames as far as number `last`."""
    for frame in frames:
        if frame.number > last:
            return
        yield frame


@dataclass(frozen=True)
class SubsampledSequence(Sequence):
    """Every `frame_step`-th frame of `original`, from frame 1 on, renumbered without gaps."""

    original: Sequence = field(kw_only=True)
    frame_step: int = field(kw_only=True)

    @classmethod
    def of(cls, sequence: Sequence, frame_step: int) -> "SubsampledSequence":
        """Take every `frame_step`-th frame of `sequence`; its frame rate falls accordingly."""
        length = sequence.length
        if length is not None:
            before = sequence.first_frame - 1
            length = -(-(before + length) // frame_step) - -(-before // frame_step)
        changes = {"fps": sequence.fps / frame_step, "length": length}
        return cls(**shared_fields(sequence) | changes, original=sequence, frame_step=frame_step)

    @property
    def first_frame(self) -> int:
        """The number of the first frame."""
        return -(-(self.original.first_frame - 1) // self.frame_step) + 1

    @property
    def whole_name(self) -> str:
        """The name of the complete sequence, as files of detections and results have it."""
        return self.original.whole_name

    def original_number(self, number: int) -> int:
        """Return the number of a frame in the original sequence."""
        return (number - 1) * self.frame_step + 1

    def frames(
        self,
        start: int = 1,
        warn: Callable[[str], None] = ignore_warning,
        pixels: bool = True,
    ) -> Iterator[Frame]:
        """Yield the frames from number `start` on; otherwise as `Sequence.frames`."""
        for frame in self.original.frames(self.original_number(start), warn, pixels):
            number, remainder = divmod(frame.number - 1, self.frame_step)
            if not remainder:
                yield replace(frame, number=number + 1)

    def image_paths(self) -> list[str]:
        """Return the paths of the images, without links in their folder's; [] of a video."""
        return self.original.image_paths()[:: self.frame_step]

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of the original's fingerprint and the frame step."""
        content = f"{self.original.fingerprint()} {self.frame_step}"
        return hashlib.sha256(content.encode()).hexdigest()


@dataclass(frozen=True)
class HalfSequence(Sequence):
    """The frames `first_frame` to `last_frame` of `original`, with their numbers and times."""

    original: Sequence = field(kw_only=True)
    span: tuple[int, int] = field(kw_only=True)

    @classmethod
    def of(cls, sequence: Sequence, half: str) -> "HalfSequence":
        """Take the `first` or the `second` half of `sequence`, and count its frames for that.

        Raises `InputError` if it has less than two frames, or if they cannot be counted.
        """
        first, last = frames_of_half(sequence.count_frames(), half, str(sequence.path))
        changes = {"name": name_of_half(sequence.name, half), "length": last - first + 1}
        return cls(**shared_fields(sequence) | changes, original=sequence, span=(first, last))

    @property
    def first_frame(self) -> int:
        """The number of the first frame."""
        return self.span[0]

    @property
    def whole_name(self) -> str:
        """The name of the complete sequence, as files of detections and results have it."""
        return self.original.whole_name

    def frames(
        self,
        start: int = 1,
        warn: Callable[[str], None] = LOGGER.warning,
        pixels: bool = True,
    ) -> Iterator[Frame]:
        """Yield the frames from number `start` on; otherwise as `Sequence.frames`."""
        first, last = self.span
        return up_to(last, self.original.frames(max(start, first), warn, pixels))

    def image_paths(self) -> list[str]:
        """Return the paths of the images, without links in their folder's; [] of a video."""
        first, last = self.span
        return self.original.image_paths()[first - 1 : last]

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of the original's fingerprint and the span."""
        return hash_of_span(self.original.fingerprint(), self.span)
