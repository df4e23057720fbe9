"""Find the videos and the folders of frames below a folder, and report every file left out."""

from collections.abc import Callable, Iterator
from pathlib import Path

from mottool.errors import InputError
from mottool.sources import video
from mottool.sources.images import frame_numbers, images_in, is_image, natural_key

__all__ = ["VIDEO_SUFFIXES", "is_sequence", "walk"]

VIDEO_SUFFIXES = frozenset(
    {".3g2", ".3gp", ".asf", ".avi", ".dav", ".divx", ".f4v", ".flv", ".gif", ".h264", ".h265"}
    | {".hevc", ".m2ts", ".m2v", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg"}
    | {".mpg", ".mts", ".mxf", ".ogv", ".qt", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
# Files that are expected beside videos and are left out without a message.
COMPANIONS = frozenset(
    {".ass", ".cfg", ".csv", ".db", ".gz", ".h5", ".html", ".ini", ".json", ".log", ".lrv", ".md"}
    | {".npy", ".npz", ".onnx", ".pdf", ".pkl", ".pt", ".pth", ".py", ".rst", ".safetensors"}
    | {".seqmap", ".sh", ".srt", ".tar", ".thm", ".toml", ".txt", ".vtt", ".xml", ".yaml", ".yml"}
    | {".zip"}
)
NAMED = 3  # files that a message names


def walk(folder: Path, note: Callable[[str], None], visited: set[Path]) -> Iterator[Path]:
    """Yield videos and folders of frames in or below a folder, in natural order.

    A folder's images are frames if there is nothing else below it, or if their names are numbered;
    stray pictures beside videos or sequences are not. A file with an unknown suffix is a video if
    it decodes. `note` receives a message for the files left out. `visited` holds the folders that
    were entered, so that links are followed once.
    """
    real = folder.resolve()
    if real in visited:
        return
    visited.add(real)
    if is_sequence(folder):
        yield folder
        return
    images = images_in(folder)
    below: list[Path] = []
    unknown: list[Path] = []
    for entry in sorted(folder.iterdir(), key=natural_key):
        if entry.name.startswith(".") or is_image(entry):
            continue
        if entry.is_dir():
            below += walk(entry, note, visited)
        elif entry.suffix.lower() in VIDEO_SUFFIXES or _decodes(entry):
            below.append(entry)
        elif entry.suffix.lower() not in COMPANIONS:
            unknown.append(entry)
    if images and (not below or frame_numbers(images)):
        yield folder
    elif images:
        note(f"{_count(images, 'picture')} left out, beside videos or sequences: {_names(images)}")
    if unknown and not images:
        note(f"{_count(unknown, 'file')} left out, since no video decodes: {_names(unknown)}")
    yield from below


def is_sequence(folder: Path) -> bool:
    """Return whether a folder is a MOTChallenge sequence."""
    return (folder / "seqinfo.ini").is_file() or bool(images_in(folder / "img1"))


def _decodes(file: Path) -> bool:
    """Return whether a file of an unknown suffix is a video."""
    if file.suffix.lower() in COMPANIONS or not file.is_file():
        return False
    try:
        return not video.probe(file).is_picture
    except InputError:
        return False


def _count(files: list[Path], noun: str) -> str:
    return f"1 {noun} is" if len(files) == 1 else f"{len(files)} {noun}s are"


def _names(files: list[Path]) -> str:
    names = ", ".join(str(file) for file in files[:NAMED])
    return f"{names}, …" if len(files) > NAMED else names
