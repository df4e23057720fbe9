"""Every form that tracks and ground truth are read from and written in, by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError

if TYPE_CHECKING:
    from mottool.formats.sequence_rows import Sheet

__all__ = ["WRITERS", "read", "write"]

WRITERS = {
    "motchallenge": "mottool.formats.folders:write_motchallenge",
    "trackeval": "mottool.formats.folders:write_trackeval",
    "server": "mottool.formats.folders:write_server",
    "cvat": "mottool.formats.cvat:write",
    "coco": "mottool.formats.coco:write",
}
ENDINGS = {"server": ".zip", "coco": ".json"}  # of the forms that are one file


def read(place: Path, warn: Callable[[str], None]) -> list[Sheet]:
    """The sheets of a file or folder, its form told by what lies there.

    `warn` hears what is left out. An `InputError` if there is nothing, or it is broken.
    """
    from mottool.formats import coco, cvat, folders
    from mottool.formats.zip_files import read_archive

    if place.suffix == ".json":
        return coco.read(place, warn)
    zips = [place] if place.suffix == ".zip" else sorted(place.glob("*.zip"))
    if not zips:
        return folders.read(place)
    found = []
    for path in zips:
        texts = read_archive(path)
        if not texts:
            raise InputError(f"{path} holds no text files", "give CVAT's MOT 1.1, or result files")
        if cvat.recognises(texts):
            found.append(cvat.read(path, texts, warn))
        else:
            found += folders.read_server(path, texts)
    return found


def write(sheets: Sequence[Sheet], form: str, out: Path) -> Path:
    """Write sheets in a form of `WRITERS`; an `InputError` for what the form cannot hold."""
    ending = ENDINGS.get(form)
    if ending and out.suffix != ending:
        problem = f"{out} is no name for the one file that {form} is"
        raise InputError(problem, f"let it end in {ending}")
    if len({sheet.truth for sheet in sheets}) > 1:
        fix = "convert one kind at a time"
        raise InputError("some of these are results and some are ground truth", fix)
    names = [sheet.name for sheet in sheets]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"there are two sequences {name}", "rename one, or leave it out")
    module, _, attribute = WRITERS[form].partition(":")
    writer: Any = getattr(import_module(module), attribute)
    made: Path = writer(sheets, out)
    return made
