"""`mottool weights`: where checkpoints come from, whether one is sound, and its conversion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.batch import Batch, fact_lines
from mottool.errors import CheckpointError, SettingError
from mottool.flags import as_json
from mottool.models.manifest import Listing, listings

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["command", "convert", "verify"]

ENDING = ".safetensors"

network_option = click.option(
    "--pipeline",
    metavar="NAME",
    help="The network FILE is for, as `mottool weights list` names it. Without it, the one its "
    "card names, or the one whose tensors have such names.",
)


def verify(path: Path, pipeline: str | None = None) -> dict[str, Any]:
    """What the weights file `path` is, as JSON can hold it, after loading it into its network.

    Raises `CheckpointError` if it is damaged, does not fit, or is not the file that its card or
    the manifest describes; `SettingError` for a pipeline without a network.
    """
    from mottool.models.cards import read_card
    from mottool.models.marks import looks_like
    from mottool.pipelines.networks import load_network

    card = read_card(path)
    loaded = load_network(path, pipeline or (card.pipeline if card else None))
    checkpoint = loaded.checkpoint
    if card:
        card.check(path, checkpoint.sha256)
    listed = _listed(path, checkpoint.sha256)
    left = _left_out(checkpoint.tensors, loaded.network.state_dict())
    return {
        "pipeline": loaded.name,
        "or_for": ", ".join(loaded.others) or None,
        "format": checkpoint.format,
        "sha256": checkpoint.sha256,
        "bytes": path.stat().st_size,
        "looks_like": looks_like(checkpoint.tensors),
        "tensors": len(checkpoint.tensors),
        "numbers": sum(value.numel() for value in checkpoint.tensors.values()),
        "left_out": left,
        "never_called": checkpoint.foreign or None,
        "card": None if card is None else f"agrees; {card.origin}",
        "manifest": None if listed is None else _agreement(listed),
    }


def convert(path: Path, out: Path, pipeline: str | None = None) -> Path:
    """Write the tensors of the authors' file `path`, under our names, to `out` and its card.

    They are those of the network, in float32; what it has no use for is left out. Raises as
    `verify` does, and `SettingError` for an `out` that is no new .safetensors file, or for a file
    that may be for several pipelines where none is named.
    """
    from mottool.models.cards import save_weights
    from mottool.pipelines.networks import load_network

    if out.suffix != ENDING:
        raise SettingError(f"--out {out} does not end in {ENDING}", f"write {out.stem}{ENDING}")
    if out.resolve() == path.resolve():
        raise SettingError(f"--out {out} is the file that is read", "give another name")
    loaded = load_network(path, pipeline)
    if loaded.others:
        names = ", ".join((loaded.name, *loaded.others))
        raise SettingError(f"{path} may be for any of {names}", "name its own with --pipeline")
    listed = _listed(path, loaded.checkpoint.sha256)
    origin = f"{path.name}, sha256 {loaded.checkpoint.sha256}"
    if listed is not None:
        origin += f", by its name the one of {listed.page} ({listed.licence})"
    save_weights(
        out,
        loaded.network.state_dict(),
        loaded.name,
        origin,
        listed.training_data if listed else None,
        listed.metrics if listed else None,
    )
    return out


def _listed(path: Path, sha256: str) -> Listing | None:
    """The manifest's entry of a file by that name; a `CheckpointError` if it is another file."""
    listed = next((entry for entry in listings() if entry.file == path.name), None)
    if listed and not sha256.startswith(listed.sha256):
        problem = f"{path} is not the {listed.file} of {listed.page}: its sha256 is {sha256}"
        raise CheckpointError(problem, "download it from there again, or give it another name")
    return listed


def _agreement(listed: Listing) -> str:
    told = "agrees" if listed.sha256 else "has a file of that name, but not its sha256"
    return f"{told}; {listed.page}"


def _left_out(given: Mapping[str, Tensor], loaded: Mapping[str, Tensor]) -> list[str]:
    """The names in a file whose values are nowhere in the network that was made of it.

    Tensors are told apart by shape and values, whatever they were renamed to, so that this does
    not rely on the renaming being right.
    """
    from collections import Counter

    def identity(value: Tensor) -> tuple[Any, bytes]:
        return tuple(value.shape), value.float().contiguous().numpy().tobytes()

    waiting = Counter(hash(identity(value)) for value in loaded.values())
    left = []
    for name, value in given.items():
        key = hash(identity(value))
        if waiting[key]:
            waiting[key] -= 1
        else:
            left.append(name)
    return left


@click.group("weights")
def command() -> None:
    """Find, check and convert the checkpoints of networks.

    \b
        mottool weights list
        mottool weights verify fairmot_dla34.pth
        mottool weights convert jde.uncertainty.pt --pipeline jde-1088x608 --out jde.safetensors

    Checkpoints are used as their authors publish them (detect-embed --weights FILE); converting
    one is never needed. A converted file opens quicker, holds nothing but tensors, and has a card
    beside it that says what it is. No command here downloads anything.
    """


@command.command("list", short_help="Where each checkpoint is published, and its use.")
@as_json
def list_command(as_json: bool) -> None:
    """Tell where each network's checkpoint is published, and how to use it.

    \b
        mottool weights list
        mottool weights list --json | jq -r '.[] | select(.name == "cstrack") | .page'

    For every network and embedder: the page of its authors, the file and its address, what it was
    trained on, the licence as far as it is stated, and the command that uses it. Where its
    authors publish no weights, the note says so.
    """
    found = [asdict(entry) for entry in listings()]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for entry in found:
        data = "; ".join(f"{name}: {terms}" for name, terms in entry["training_data"].items())
        told = {key: value for key, value in (entry | {"training_data": data}).items() if value}
        click.echo(told.pop("name"))
        click.echo("\n".join(fact_lines(told)))


@command.command("verify", short_help="What each file is, and whether it is whole.")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@network_option
@as_json
def verify_command(files: tuple[Path, ...], pipeline: str | None, as_json: bool) -> None:
    """Tell what each FILE is, and whether every tensor of its network is in it.

    \b
        mottool weights verify fairmot_dla34.pth
        mottool weights verify --pipeline jde-576x320 jde_576x320.pt yolov3.weights

    A FILE is a PyTorch checkpoint (.pth, .pt; also a whole pickled module), safetensors, or
    darknet weights, known by its content whatever its name. Nothing that is pickled is executed:
    where a file names classes or functions beside its tensors, "never called" tells the first.
    Its tensors are loaded into the network; a missing, unexpected or misshapen one is an error
    that lists the names, and "left out" are those that only training needs. The sha256 is held
    against the card beside the file and against the manifest, where they know it.
    """
    batch = Batch(as_json)
    for path in files:
        facts = batch.run(path.name, partial(verify, path, pipeline))
        if facts is None:
            continue
        count, left = facts["tensors"], facts["left_out"]
        told = f"{facts['pipeline']}, {count - len(left)} of {count} tensors go in, none is missing"
        batch.report(path.name, path, told, **facts)
        if not as_json:
            click.echo("\n".join(fact_lines(facts | {"left_out": ", ".join(left)})))
    batch.close()


@command.command("convert", short_help="Authors' file in; safetensors and a card out.")
@click.argument("file", type=click.Path(path_type=Path))
@network_option
@click.option(
    "--out",
    required=True,
    metavar="FILE.safetensors",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the tensors go; the card goes beside it, as FILE.toml. Either is whole or not "
    "there; what was there before is replaced.",
)
@as_json
def convert_command(file: Path, pipeline: str | None, out: Path, as_json: bool) -> None:
    """Write the authors' FILE as safetensors with a card that says what it is.

    \b
        mottool weights convert cstrack.pt --out cstrack.safetensors
        mottool weights convert jde.pt --pipeline jde-864x480 --out jde-864x480.safetensors
        mottool detect-embed video.mp4 --pipeline cstrack --weights cstrack.safetensors

    FILE is any checkpoint that detect-embed takes. The new file holds exactly the network's
    tensors, bit for bit (in float32), so results stay the same. The card records where they come
    from; if the manifest lists a file of that name, its training data, licence and figures too.
    Correct the card by hand where you know better.
    """
    batch = Batch(as_json)
    made = batch.run(file.name, partial(convert, file, out, pipeline))
    if made:
        batch.report(
            file.name, made, f"{made.stat().st_size} bytes", card=str(out.with_suffix(".toml"))
        )
    batch.close()
