"""Find sequences in paths, patterns and lists: videos, image folders, MOTChallenge sequences."""

import glob
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PureWindowsPath

from mottool.errors import InputError, MottoolError, SettingError, from_system
from mottool.files import safe_name
from mottool.motchallenge.seqinfo import SeqInfo, read_seqinfo
from mottool.sources import video
from mottool.sources.images import images_in, natural, read_image
from mottool.sources.sequence import Sequence, refuse_gap

__all__ = ["find_sequences"]

VIDEOS = frozenset(
    {".avi", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ts"}
    | {".webm", ".wmv", ".y4m"}
)


def find_sequences(
    sources: Iterable[str | Path],
    listed: Path | None = None,
    refused: Callable[[str, MottoolError], None] | None = None,
) -> list[Sequence]:
    """Every sequence that the sources and the lines of the file `listed` name, each once.

    A source is a video, a folder of images, a MOTChallenge folder, a folder anywhere above such,
    or a glob pattern of those. One that cannot be used raises its `InputError`, or is given to
    `refused` with it, and the others are found. A `SettingError` if nothing is named, or two
    sequences bear one name, for they would write to the same files.
    """
    given = [*sources, *(_listed(listed) if listed else [])]
    if not given:
        raise SettingError("no source is named", "name a video or a folder, or give --list FILE")
    places: list[Path] = []
    for source in given:
        with _told_to(refused, source):
            places += _places(source)
    found: dict[str, Sequence] = {}
    for place in places:
        with _told_to(refused, place):
            sequence = _sequence(place)
            twin = found.setdefault(sequence.name, sequence)
            if twin.path.resolve() != sequence.path.resolve():
                problem = f"{twin.path} and {sequence.path} are both named {sequence.name}"
                raise SettingError(problem, "rename one, or run them into two --work folders")
    return list(found.values())


@contextmanager
def _told_to(
    refused: Callable[[str, MottoolError], None] | None, source: str | Path
) -> Iterator[None]:
    try:
        yield
    except InputError as error:
        if refused is None:
            raise
        refused(str(source), error)
    except OSError as error:
        if refused is None:
            raise from_system(error) from error
        refused(str(source), from_system(error))


def _listed(file: Path) -> list[Path]:
    """The sources that a list file names, one a line, relative to its folder."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        fix = "give a text file with one source a line"
        raise InputError(f"the list {file} cannot be read", fix) from error
    sources = [line.strip() for line in lines]
    return [file.parent / line for line in sources if line and not line.startswith("#")]


def _places(source: str | Path) -> list[Path]:
    """The video files and folders of frames that a source names."""
    path = Path(source)
    if path.is_dir():
        places = list(_below(path, set()))
        if not places:
            fix = "give a video, a folder of images, or a folder that holds some"
            raise InputError(f"{path} holds no video, image or seqinfo.ini", fix)
        return places
    if path.is_file():
        return [path]
    if path.exists():
        raise InputError(f"{path} is no ordinary file", "give a video file or a folder")
    if glob.has_magic(str(source)):
        matches = sorted(map(Path, glob.glob(str(source), recursive=True)), key=natural)
        places = [
            place
            for match in matches
            for place in (_below(match, set()) if match.is_dir() else [match])
            if place.is_dir() or place.suffix.lower() in VIDEOS
        ]
        if places:
            return places
        fix = "check the pattern; of images, name the folder"
        raise InputError(f"no video or folder of frames matches {source}", fix)
    raise InputError(f"there is no file or folder {str(path)!r}", "check the path")


def _below(folder: Path, seen: set[Path]) -> Iterator[Path]:
    """Every place of frames in a folder or below it, in natural order; links are followed once."""
    real = folder.resolve()
    if real in seen:
        return
    seen.add(real)
    if _is_sequence(folder) or images_in(folder):
        yield folder
        return
    for entry in sorted(folder.iterdir(), key=natural):
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry, seen)
        elif entry.suffix.lower() in VIDEOS:
            yield entry


def _is_sequence(folder: Path) -> bool:
    return (folder / "seqinfo.ini").is_file() or bool(images_in(folder / "img1"))


def _sequence(place: Path) -> Sequence:
    """The sequence of one place: a video file, a folder of images or a MOTChallenge folder."""
    if place.is_file():
        told = video.probe(place)
        name = safe_name(place.stem)
        return Sequence(name, place, told.fps, told.width, told.height, told.frames, media=place)
    if place.resolve().name == "img1":  # every MOTChallenge sequence has one: its parent names it
        place = place.resolve().parent
    if _is_sequence(place):
        return _motchallenge(place)
    files = images_in(place)
    height, width = read_image(files[0]).shape[:2]
    name = safe_name(place.resolve().name)
    return Sequence(name, place, video.DEFAULT_RATE, width, height, len(files), media=place)


def _motchallenge(folder: Path) -> Sequence:
    """The sequence of a folder with a `seqinfo.ini` or an `img1/`."""
    ini = folder / "seqinfo.ini"
    if ini.is_file():
        told = read_seqinfo(ini)
    else:
        told = SeqInfo(folder.name, "img1", None, None, None, None)
    media = _media(folder, told.image_dir)
    fps, length, width, height = told.frame_rate, told.length, told.width, told.height
    if media is not None and media.is_file():
        seen = video.probe(media)
        fps, length = fps or seen.fps, length or seen.frames
        width, height = _agreed(ini, media, told, (seen.width, seen.height))
    elif media is not None:
        files = images_in(media)
        refuse_gap(files)
        length = length or len(files)
        pixels = read_image(files[0])
        width, height = _agreed(ini, files[0], told, (pixels.shape[1], pixels.shape[0]))
    if width is None or height is None:
        raise InputError(f"{ini} says no size and there are no images", "add imWidth and imHeight")
    detections, truth = folder / "det" / "det.txt", folder / "gt" / "gt.txt"
    return Sequence(
        name=safe_name(folder.resolve().name),
        path=folder,
        fps=fps or video.DEFAULT_RATE,
        width=width,
        height=height,
        length=length,
        detections=detections if detections.is_file() else None,
        ground_truth=truth if truth.is_file() else None,
        media=media,
    )


def _media(folder: Path, named: str) -> Path | None:
    """The video or the folder of images that `imDir` names; None if there are no frames."""
    inside = PureWindowsPath(named)  # its separators include the others
    if inside.anchor or ".." in inside.parts:
        problem = f"{folder / 'seqinfo.ini'} says imDir={named}, which leaves its folder"
        raise InputError(problem, "name a folder or a video inside it")
    media = folder / inside.as_posix()
    return media if media.is_file() or images_in(media) else None


def _agreed(ini: Path, file: Path, told: SeqInfo, size: tuple[int, int]) -> tuple[int, int]:
    """The width and height of the frames, which `seqinfo.ini` must not contradict."""
    claim = (told.width or size[0], told.height or size[1])
    if claim != size:
        problem = f"{ini} says {claim[0]}x{claim[1]} but {file} is {size[0]}x{size[1]}"
        raise InputError(problem, "correct imWidth and imHeight")
    return size
