"""Stage `convert`: tracks or ground truth in, another program's form of them out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options
from mottool.errors import InputError
from mottool.formats.registry import WRITERS
from mottool.settings import Settings, setting

__all__ = ["Config", "command", "run"]


@dataclass(frozen=True)
class Config(Settings):
    """Into what is converted."""

    to: str = setting(
        "motchallenge",
        "motchallenge: SEQUENCE.txt of results, SEQUENCE/gt/gt.txt of ground truth. trackeval: the "
        "same, results in data/. server: the zip file that MOTChallenge's server takes. cvat: MOT "
        "1.1, a zip file a sequence. coco: one JSON file of videos.",
        choices=WRITERS,
    )


def run(
    sources: Iterable[Path],
    out: Path,
    config: Config | None = None,
    dataset: Iterable[Path] = (),
    warn: Callable[[str], None] = lambda told: None,
) -> Path:
    """Write the tracks or the ground truth in `sources` to `out`, in the form of `config.to`.

    `dataset` are the sequences themselves, which tell width, height, frame rate and length where
    `sources` do not. `warn` hears what is left out. Raises `InputError` for what cannot be read,
    or what the form cannot hold.
    """
    from mottool.formats.registry import read, write
    from mottool.motchallenge.seqinfo import SeqInfo
    from mottool.sources.discovery import find_sequences

    sheets = [sheet for source in sources for sheet in read(source, warn)]
    places = list(dataset)
    if places:
        found = {each.name: each for each in find_sequences(places)}
        for place, sheet in enumerate(sheets):
            own = found.get(sheet.name)
            if own is None:
                warn(f"no sequence {sheet.name} in {', '.join(map(str, places))}: its size unknown")
                continue
            folder = own.media.name if own.media and own.media.is_dir() else "img1"
            info = SeqInfo(own.name, folder, own.fps, own.length, own.width, own.height)
            sheets[place] = replace(sheet, info=info)
    if not sheets:
        raise InputError("there is nothing to convert", "name results or ground truth")
    return write(sheets, (config or Config()).to, out)


@click.command("convert")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The file or folder to write; its sequences are written over.",
)
@settings_options(Config)
@click.option(
    "--dataset",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The dataset or the videos themselves, for what SOURCES do not tell: width, height, "
    "frame rate, and length of each sequence. May be given several times.",
)
@as_json
def command(
    sources: tuple[Path, ...],
    out: Path,
    config: Config,
    dataset: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Convert results or ground truth into another program's form.

    SOURCES are folders of SEQUENCE.txt, TrackEval's TRACKER/data, sequence folders or datasets
    with gt/gt.txt, zip files for MOTChallenge's server, zip files that CVAT exported as MOT 1.1 or
    folders of those, or COCO's JSON with videos. What they are is told by what is in them.

    \b
        mottool convert mottool-work/tracks/jde-1088x608.jde --to server --out upload.zip
        mottool convert my-tracker --to cvat --out tasks/
        mottool convert corrected.zip --to motchallenge --out dataset/ --dataset videos/
        mottool convert MOT17/train --to coco --out train.json

    Every form keeps frames, identities and boxes; scores are lost in CVAT's, which takes results
    as boxes to be corrected there. Classes go by MOTChallenge's names: boxes of others are left
    out, and told of. Images are not copied; in COCO's they are named SEQUENCE/img1/000001.jpg.
    """
    batch = Jobs(as_json)
    name = ", ".join(map(str, sources))

    def job() -> None:
        made = run(sources, out, config, dataset, batch.note)
        batch.report(name, made, f"{config.to} of {name}")

    batch.run(name, job)
    batch.close()
