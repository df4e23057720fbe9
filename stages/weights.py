"""`mottool weights`: where checkpoints come from, their download, check and conversion."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.checkpoints.manifest import Listing, listings
from mottool.cli.jobs import Jobs, fact_lines
from mottool.cli.options import as_json
from mottool.errors import CheckpointError, SettingError, did_you_mean
from mottool.files import file_digest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["command", "convert", "fetch", "verify"]

ENDING = ".safetensors"
EXPORTED = (".onnx", ".xml")

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
    from mottool.checkpoints.cards import read_card
    from mottool.networks.registry import describe
    from mottool.pipelines.load_network import load_network

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
        "looks_like": describe(checkpoint.tensors),
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
    from mottool.checkpoints.cards import save_weights
    from mottool.pipelines.load_network import load_network

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


def fetch(
    name: str,
    out: Path | None = None,
    overwrite: bool = False,
    warn: Callable[[str], None] = lambda message: None,
) -> tuple[Path, dict[str, Any]]:
    """Download the checkpoint `name` of the manifest; return its path and its description.

    `name` is a network, detector, embedder or file of the manifest. The description is that of
    `verify`, with licence and page. Raises as `download.fetch` does, and `SettingError` for a name
    that the manifest does not have.
    """
    from mottool.checkpoints import download

    listing = _chosen(name, warn)
    if out and Path(listing.file).suffix in EXPORTED and out.suffix != Path(listing.file).suffix:
        problem = f"--out {out} does not end in {Path(listing.file).suffix}"
        raise SettingError(problem, "its runtime knows it by that ending: write it so")
    facts: dict[str, Any] = {}
    path = download.fetch(
        listing, out, overwrite, warn, lambda part: facts.update(_identify(part, listing))
    )
    facts = facts or _identify(path, listing)
    return path, facts | {"licence": listing.licence, "page": listing.page}


def _chosen(name: str, warn: Callable[[str], None]) -> Listing:
    """Find the manifest's entry for a file, or the first one for a network that has an address."""
    entries = listings()
    for entry in entries:
        if entry.file == name:
            return entry
    named = [entry for entry in entries if entry.name == name]
    if not named:
        known = {entry.name: None for entry in entries}
        raise SettingError(f"the manifest has no {name!r}", did_you_mean(name, known))
    first, *others = [entry for entry in named if entry.url] or named
    if first.url and others:
        files = ", ".join(entry.file_name for entry in others)
        warn(f"{name} has several files; {first.file_name} is taken. Others, by name: {files}")
    return first


def _identify(path: Path, listing: Listing) -> dict[str, Any]:
    """Load the file of `listing` into its network or its runtime, and describe it."""
    from mottool.networks.registry import NETWORKS
    from mottool.pipelines import build, registry
    from mottool.pipelines.embedders.osnet import VARIANTS
    from mottool.pipelines.options import Options

    name = listing.name
    if name in NETWORKS or name in VARIANTS:
        return verify(path, name)
    facts = {"pipeline": name, "sha256": file_digest(path), "bytes": path.stat().st_size}
    try:
        if name in registry.DETECTORS:
            build.build_detector(name, Options(weights=path, device="cpu"))
        else:
            build.build_teacher(name, Options(embedder_weights=path, device="cpu"))
    except SettingError as error:  # its runtime is not installed
        return facts | {"opened": f"no: {error.problem}"}
    return facts | {"opened": "yes"}


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
    """Find, download, check and convert the checkpoints of networks.

    \b
        mottool weights list
        mottool weights fetch fairmot-dla34
        mottool weights verify fairmot_dla34.pth
        mottool weights convert jde.uncertainty.pt --pipeline jde-1088x608 --out jde.safetensors

    Checkpoints are used as their authors publish them (detect-embed --weights FILE); converting
    one is never needed. A converted file opens quicker, holds nothing but tensors, and has a card
    beside it that says what it is. Only `fetch` uses the network.
    """


@command.command("list", short_help="Where each checkpoint is published, and its use.")
@as_json
def list_command(as_json: bool) -> None:
    """Tell where each network's checkpoint is published, and how to use it.

    \b
        mottool weights list
        mottool weights list --json | jq -r '.[] | select(.name == "cstrack") | .page'

    For every network and embedder: the page of its authors, the file and its address, what it was
    trained on, the licence as far as it is stated, and the command that uses it; "fetch" is the
    command that downloads it. Where its authors publish no weights, the note says so.
    """
    entries = listings()
    found = [asdict(entry) | {"fetch": _fetch_command(entry, entries)} for entry in entries]
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for entry in found:
        data = "; ".join(f"{name}: {terms}" for name, terms in entry["training_data"].items())
        entry |= {"training_data": data, "beside": ", ".join(entry["beside"])}
        told = {key: value for key, value in entry.items() if value}
        click.echo(told.pop("name"))
        click.echo("\n".join(fact_lines(told)))


def _fetch_command(entry: Listing, entries: list[Listing]) -> str | None:
    """The command that downloads the file of one of `entries`, None for one without an address."""
    same = [other for other in entries if other.name == entry.name and other.url]
    if not entry.url:
        return None
    return f"mottool weights fetch {entry.name if entry == same[0] else entry.file}"


@command.command("fetch", short_help="Download a checkpoint, and check it.")
@click.argument("name")
@click.option(
    "--out",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the file goes.  [default: its authors' name for it, in $MOTTOOL_WEIGHTS or "
    "~/.cache/mottool/weights]",
)
@click.option("--overwrite", is_flag=True, help="Download again what is there already.")
@as_json
def fetch_command(name: str, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Download the checkpoint NAME, and check that it is whole and fits.

    \b
        mottool weights fetch fairmot-dla34
        mottool weights fetch mot20_fairmot.pth --out weights/mot20.pth

    NAME is a network, detector or embedder of `mottool weights list`, or one of its files. A file
    in the default folder is used without a flag: detect-embed --pipeline fairmot-dla34 then needs
    no --weights. The licence is the authors': read it before you use the file.

    A download that was stopped goes on when the same command is given again. The sha256 is
    compared with the manifest's, where that has one, and every tensor is loaded into the network
    as by `mottool weights verify`; nothing in the file is executed. What does not pass is removed.
    """
    batch = Jobs(as_json)
    made = batch.run(name, partial(fetch, name, out, overwrite, batch.note))
    if made:
        path, facts = made
        _report(batch, name, path, facts)
    batch.close()


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
    batch = Jobs(as_json)
    for path in files:
        facts = batch.run(path.name, partial(verify, path, pipeline))
        if facts is None:
            continue
        _report(batch, path.name, path, facts)
    batch.close()


def _report(batch: Jobs, name: str, path: Path, facts: dict[str, Any]) -> None:
    """Report what a file is, in lines for a person or as JSON."""
    summary, lines = str(facts["pipeline"]), facts
    if "tensors" in facts:
        count, left = facts["tensors"], facts["left_out"]
        summary += f", {count - len(left)} of {count} tensors go in, none is missing"
        lines = facts | {"left_out": ", ".join(left)}
    batch.report(name, path, summary, **facts)
    if not batch.as_json:
        click.echo("\n".join(fact_lines(lines)))


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
    batch = Jobs(as_json)
    made = batch.run(file.name, partial(convert, file, out, pipeline))
    if made:
        batch.report(
            file.name, made, f"{made.stat().st_size} bytes", card=str(out.with_suffix(".toml"))
        )
    batch.close()
