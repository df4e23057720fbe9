"""Find sequences in paths, patterns and lists: videos, image folders, MOTChallenge sequences."""

import glob
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PureWindowsPath

from mottool.errors import InputError, MottoolError, SettingError, from_os_error
from mottool.files import safe_name
from mottool.layouts.registry import find_image_folders, layout_of_images, name_of
from mottool.motchallenge.seqinfo import SeqInfo, read_seqinfo
from mottool.pixel_range import PixelRange
from mottool.sources import video
from mottool.sources.folder_walk import VIDEO_SUFFIXES, is_sequence, walk
from mottool.sources.images import images_in, natural_key, read_raw
from mottool.sources.sequence import HalfSequence, Sequence, check_numbers
from mottool.sources.video_decoders import CPU
from mottool.splits import Split, parse_source

__all__ = ["find_sequences"]

LOGGER = logging.getLogger(__name__)


def find_sequences(
    sources: Iterable[str | Path],
    listed: Path | None = None,
    refused: Callable[[str, MottoolError], None] | None = None,
    note: Callable[[str], None] = LOGGER.warning,
    pixel_range: PixelRange | None = None,
    decoder: str = CPU,
) -> list[Sequence]:
    """Return every sequence that the sources and the lines of the file `listed` name, each once.

    A source is a video, a folder of images, a MOTChallenge folder, a folder anywhere above such
    folders, a split of a benchmark in `layouts.registry`, or a glob pattern that matches any of
    them. `SOURCE@SPLIT` is a part of its sequences, see `mottool.splits`. A source that cannot be
    used raises `InputError`; with `refused`, it is passed there with its error and the others are
    still read. `note` receives a message for the files of a folder that are left out. `pixel_range`
    and `decoder` are those of `Sequence`. Raises `SettingError` if no source is given, if there is
    no such split, or if two sequences have the same name and would write to the same files.
    """
    sources = [*sources, *(_read_list(listed) if listed else [])]
    if not sources:
        raise SettingError("no source is given", "name a video or a folder, or give --list FILE")
    sequences: dict[str, Sequence] = {}
    for source in sources:
        path, split = parse_source(source)
        found: list[Sequence] = []
        with _pass_errors(refused, source):
            for media in _media_paths(path if split else source, note):
                with _pass_errors(refused, media):
                    sequence = _sequence(media)
                    found.append(replace(sequence, pixel_range=pixel_range, decoder=decoder))
            for sequence in _select(found, split, path):
                namesake = sequences.setdefault(sequence.name, sequence)
                if namesake.path.resolve() != sequence.path.resolve():
                    problem = f"{namesake.path} and {sequence.path} are both named {sequence.name}"
                    fix = "rename one, or use a separate --work folder for each"
                    raise SettingError(problem, fix)
    return list(sequences.values())


def _select(sequences: list[Sequence], split: Split | None, source: Path) -> list[Sequence]:
    """Return the part `split` of the sequences at `source`; all for None."""
    if split is None:
        return sequences
    names = set(split.select([sequence.name for sequence in sequences], source))
    selected = [sequence for sequence in sequences if sequence.name in names]
    if not split.half:
        return selected
    return [HalfSequence.of(sequence, split.half) for sequence in selected]


@contextmanager
def _pass_errors(
    refused: Callable[[str, MottoolError], None] | None, source: str | Path
) -> Iterator[None]:
    """Pass the errors of one source to `refused`, or raise them without it."""
    try:
        yield
    except InputError as error:
        if refused is None:
            raise
        refused(str(source), error)
    except OSError as error:
        if refused is None:
            raise from_os_error(error) from error
        refused(str(source), from_os_error(error))


def _read_list(file: Path) -> list[str | Path]:
    """Read the sources that a list file names, one per line; paths are relative to its folder."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fix = "give a text file with one source per line"
        raise InputError(f"the list {file} cannot be read", fix) from error
    sources = [line.strip() for line in lines]
    sources = [line for line in sources if line and not line.startswith("#")]
    return [line if "://" in line else file.parent / line for line in sources]


def _media_paths(source: str | Path, note: Callable[[str], None]) -> list[Path]:
    """Return the video files and folders of frames that a source names."""
    path = Path(source)
    if "://" in str(source) or str(source).isdigit() and not path.exists():
        fix = (
            "record it, for example with ffmpeg -i SOURCE -t 60 -c copy a.mkv, and name the file; "
            "from Python, mottool.Tracker tracks a camera's images"
        )
        if str(source).startswith("file:"):
            raise InputError(f"{source} is a URL; mottool reads files", "give the path alone")
        raise InputError(f"{source} is a stream or a camera; mottool reads files", fix)
    if path.is_dir():
        paths = _paths_in(path, note)
        if not paths:
            fix = "give a video, a folder of images, or a folder that contains some"
            raise InputError(f"{path} contains no video, image or seqinfo.ini", fix)
        return paths
    if path.is_file():
        return [path]
    if path.exists():
        raise InputError(f"{path} is not a regular file", "give a video file or a folder")
    if glob.has_magic(str(source)):
        matches = sorted(map(Path, glob.glob(str(source), recursive=True)), key=natural_key)
        paths = [
            path
            for match in matches
            for path in (walk(match, note, set()) if match.is_dir() else [match])
            if path.is_dir() or path.suffix.lower() in VIDEO_SUFFIXES
        ]
        if paths:
            return paths
        fix = "check the pattern; for images, name their folder"
        raise InputError(f"no video or folder of frames matches {source}", fix)
    fix = "check the path"
    if re.match(r"[a-z_]+=", str(source)):
        fix = "write options as --name value, and sources without a name"
    raise InputError(f"there is no file or folder {str(path)!r}", fix)


def _paths_in(folder: Path, note: Callable[[str], None]) -> list[Path]:
    """Return the folders of benchmarks, and the other videos and folders of frames, in a folder.

    A benchmark's own folder also has other cameras and still images, which are left out.
    """
    paths = find_image_folders(folder)
    tops = {_top(path) for path in paths}
    if folder.resolve() not in tops:
        return [*paths, *walk(folder, note, tops)]
    for path in sorted(folder.iterdir(), key=natural_key):
        if is_sequence(path) or (path.is_file() and path.suffix.lower() in VIDEO_SUFFIXES):
            paths.append(path)
    return paths


def _top(images: Path) -> Path:
    """Return the folder of a benchmark that contains both a folder of images and its labels."""
    found = layout_of_images(images)
    labels = found[1].parent if found else images
    return Path(os.path.commonpath([images.resolve(), labels.resolve()]))


def _sequence(path: Path) -> Sequence:
    """Open the sequence of a video file, a folder of images or a MOTChallenge folder."""
    if path.is_file():
        info = video.probe(path)
        name = safe_name(path.stem)
        return Sequence(name, path, info.fps, info.width, info.height, info.frames, media=path)
    if path.resolve().name == "img1":  # every MOTChallenge sequence has one: its parent names it
        path = path.resolve().parent
    if is_sequence(path):
        return _motchallenge(path)
    files = images_in(path)
    if not files:
        raise InputError(f"{path} does not exist, or is a broken link", "check the path")
    _refuse_twins(files)
    height, width = read_raw(files[0]).shape[:2]
    name, rate, ground_truth = safe_name(path.resolve().name), video.DEFAULT_RATE, None
    if found := layout_of_images(path):
        layout, labels = found
        rate = layout.frame_rate or rate
        ground_truth = labels if layout.module.recognises(labels) else None
        if ground_truth:
            name = name_of(labels)
            if layout.numbered:
                check_numbers(files)
    size = width, height, len(files)
    return Sequence(name, path, rate, *size, ground_truth=ground_truth, media=path)


def _refuse_twins(files: list[Path]) -> None:
    """Raise `InputError` if two images have the same name but for the suffix, in natural order."""
    for before, after in pairwise(files):
        if before.stem == after.stem:
            problem = f"{before.parent} has {before.name} and {after.name}, which are one frame"
            raise InputError(problem, "keep one kind of images in the folder")


def _motchallenge(folder: Path) -> Sequence:
    """Open the sequence of a folder with a `seqinfo.ini` or an `img1/`."""
    ini = folder / "seqinfo.ini"
    if ini.is_file():
        seqinfo = read_seqinfo(ini)
    else:
        seqinfo = SeqInfo(folder.name, "img1", None, None, None, None)
    media = _media(folder, seqinfo.image_dir)
    fps, length = seqinfo.frame_rate, seqinfo.length
    width, height = seqinfo.width, seqinfo.height
    if media is not None and media.is_file():
        info = video.probe(media)
        fps, length = fps or info.fps, length or info.frames
        width, height = _check_size(ini, media, seqinfo, (info.width, info.height))
    elif media is not None:
        files = images_in(media)
        check_numbers(files)
        length = length or len(files)
        pixels = read_raw(files[0])
        width, height = _check_size(ini, files[0], seqinfo, (pixels.shape[1], pixels.shape[0]))
    if width is None or height is None:
        problem = f"{ini} states no image size and there are no images"
        raise InputError(problem, "add imWidth and imHeight")
    detections, ground_truth = folder / "det" / "det.txt", folder / "gt" / "gt.txt"
    return Sequence(
        name=safe_name(folder.resolve().name),
        path=folder,
        fps=fps or video.DEFAULT_RATE,
        width=width,
        height=height,
        length=length,
        detections=detections if detections.is_file() else None,
        ground_truth=ground_truth if ground_truth.is_file() else None,
        media=media,
    )


def _media(folder: Path, name: str) -> Path | None:
    """Return the video or folder of images that `imDir` names; None if there are no frames."""
    relative = PureWindowsPath(name)  # accepts both kinds of separator
    if relative.anchor or ".." in relative.parts:
        problem = f"{folder / 'seqinfo.ini'} has imDir={name}, which is outside its folder"
        raise InputError(problem, "name a folder or a video inside it")
    media = folder / relative.as_posix()
    return media if media.is_file() or images_in(media) else None


def _check_size(ini: Path, file: Path, seqinfo: SeqInfo, size: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height of the frames; raise `InputError` if `seqinfo.ini` differs."""
    stated = (seqinfo.width or size[0], seqinfo.height or size[1])
    if stated != size:
        problem = f"{ini} states {stated[0]}x{stated[1]} but {file} is {size[0]}x{size[1]}"
        raise InputError(problem, "correct imWidth and imHeight")
    return size
