"""Text files of rows, plain or gzipped, by their names."""

from pathlib import Path

from mottool.files import visible_files

__all__ = ["ENDINGS", "stem_of", "text_files"]

ENDINGS = (".txt", ".txt.gz")


def text_files(folder: Path) -> list[Path]:
    """Return the text files in a folder, sorted by name."""
    return sorted(path for end in ENDINGS for path in visible_files(folder, "*" + end))


def stem_of(path: Path) -> str:
    """Return the name of a text file without its ending: that of its sequence."""
    return path.name.removesuffix(".gz").removesuffix(".txt")
