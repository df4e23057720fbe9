"""`mottool weights`: list, download, verify and convert checkpoints of networks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.checkpoints.manifest import Listing, listings
from mottool.cli.facts import fact_lines
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json
from mottool.cli.paths import FilePath
from mottool.errors import CheckpointError, SettingError, did_you_mean, ignore_warning
from mottool.files import existing_path, file_digest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["command", "convert", "fetch", "verify"]

SUFFIX = ".safetensors"
EXPORTED_SUFFIXES = (".onnx", ".xml")

network_option = click.option(
    "--pipeline",
    metavar="NAME",
    help="The network of FILE, as named by `mottool weights list`. By default it is read from the "
    "card, or identified by the names of the tensors.",
)


def verify(path: Path, pipeline: str | None = None) -> dict[str, Any]:
    """Load the weights file `path` into its network, and describe it in a dict for JSON.

    Raises `InputError` if it is missing, `CheckpointError` if it is damaged, does not fit, or is
    not the file that its card or the manifest describes, and `SettingError` for a pipeline without
    a network.
    """
    existing_path(path)  # before torch is imported
    from mottool.checkpoints.cards import read_card
    from mottool.models.interfaces import Detailed
    from mottool.networks.registry import describe
    from mottool.pipelines.load_network import load_network

    card = read_card(path)
    loaded = load_network(path, pipeline or (card.pipeline if card else None))
    checkpoint = loaded.checkpoint
    if card:
        card.check(path, checkpoint.sha256)
    listed = _listed(path, checkpoint.sha256)
    return {
        "pipeline": loaded.name,
        "or_for": ", ".join(loaded.others) or None,
        "format": checkpoint.format,
        "sha256": checkpoint.sha256,
        "bytes": path.stat().st_size,
        "looks_like": describe(checkpoint.tensors),
        "tensors": len(checkpoint.tensors),
        "numbers": sum(value.numel() for value in checkpoint.tensors.values()),
        "left_out": _unused_names(checkpoint.tensors, loaded.network.state_dict()),
        "never_called": checkpoint.foreign or None,
        "card": None if card is None else f"agrees; {card.origin}",
        "manifest": None if listed is None else _manifest_text(listed),
        **(loaded.network.details() if isinstance(loaded.network, Detailed) else {}),
    }


def convert(path: Path, out: Path, pipeline: str | None = None) -> Path:
    """Write the tensors of the authors' file `path`, renamed as in the network, to `out`.

    A card is written beside `out`. The tensors are those of the network, in float32; others are
    skipped. Raises as `verify` does, and `SettingError` for an `out` that is not a new .safetensors
    file, or for a file that fits several pipelines if none is named.
    """
    existing_path(path)  # before torch is imported
    from mottool.checkpoints.cards import save_weights
    from mottool.pipelines.load_network import load_network

    if out.suffix != SUFFIX:
        raise SettingError(f"--out {out} does not end in {SUFFIX}", f"write {out.stem}{SUFFIX}")
    if out.resolve() == path.resolve():
        raise SettingError(f"--out {out} is the input file", "give another name")
    loaded = load_network(path, pipeline)
    if loaded.others:
        names = ", ".join((loaded.name, *loaded.others))
        raise SettingError(f"{path} may be for any of {names}", "name its pipeline with --pipeline")
    listed = _listed(path, loaded.checkpoint.sha256)
    origin = f"{path.name}, sha256 {loaded.checkpoint.sha256}"
    if listed is not None:
        origin += f", by its name the file of {listed.page} ({listed.licence})"
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
    warn: Callable[[str], None] = ignore_warning,
) -> tuple[Path, dict[str, Any]]:
    """Download the checkpoint `name` of the manifest; return its path and its description.

    `name` is a network, detector, embedder or file of the manifest. The description is that of
    `verify`, with licence and page. Raises as `download.fetch` does, and `SettingError` for a name
    that is not in the manifest.
    """
    from mottool.checkpoints import download

    listing = _find_listing(name, warn)
    suffix = Path(listing.file).suffix
    if out and suffix in EXPORTED_SUFFIXES and out.suffix != suffix:
        problem = f"--out {out} does not end in {suffix}"
        raise SettingError(problem, "use that suffix, by which its runtime identifies the format")
    facts: dict[str, Any] = {}
    path = download.fetch(
        listing, out, overwrite, warn, lambda part: facts.update(_identify(part, listing))
    )
    facts = facts or _identify(path, listing)
    return path, facts | {"licence": listing.licence, "page": listing.page}


def _find_listing(name: str, warn: Callable[[str], None]) -> Listing:
    """Find the manifest's entry of a file, or the first one with an address of a network."""
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
        warn(f"{name} has several files; using {first.file_name}. Others, by name: {files}")
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
    """Return the manifest's entry of that file name; raise `CheckpointError` for another sha256."""
    listed = next((entry for entry in listings() if entry.file == path.name), None)
    if listed and not sha256.startswith(listed.sha256):
        problem = f"{path} is not the {listed.file} of {listed.page}: its sha256 is {sha256}"
        raise CheckpointError(problem, "download it from there again, or give it another name")
    return listed


def _manifest_text(listed: Listing) -> str:
    text = "agrees" if listed.sha256 else "has a file of that name, but not its sha256"
    return f"{text}; {listed.page}"


def _unused_names(given: Mapping[str, Tensor], loaded: Mapping[str, Tensor]) -> list[str]:
    """Return the names in a file whose values are nowhere in the network that was loaded from it.

    Tensors are compared by shape and values and not by name, so that a mistake in the renaming
    cannot hide one.
    """
    from collections import Counter

    def identity(value: Tensor) -> tuple[Any, bytes]:
        return tuple(value.shape), value.float().contiguous().numpy().tobytes()

    counts = Counter(hash(identity(value)) for value in loaded.values())
    unused = []
    for name, value in given.items():
        key = hash(identity(value))
        if counts[key]:
            counts[key] -= 1
        else:
            unused.append(name)
    return unused


@click.group("weights")
def command() -> None:
    """List, download, verify and convert checkpoints of networks.

    \b
        mottool weights list
        mottool weights fetch fairmot-dla34
        mottool weights verify fairmot_dla34.pth
        mottool weights convert jde.uncertainty.pt --pipeline jde-1088x608 --out jde.safetensors

    Checkpoints are used as their authors publish them (detect-embed --weights FILE); converting
    one is never necessary. A converted file opens faster, contains only tensors, and has a card
    beside it that describes it. Only `fetch` uses the internet.
    """


@command.command("list", short_help="List where each checkpoint is published.")
@as_json
def list_command(as_json: bool) -> None:
    """List where the checkpoint of each network is published, and how to use it.

    \b
        mottool weights list
        mottool weights list --json | jq -r '.[] | select(.name == "cstrack") | .page'

    For every network and embedder: the page of its authors, the file and its address, the training
    data, the licence if one is stated, and the command that uses it; "fetch" is the command that
    downloads it. A note says if the authors publish no weights.
    """
    entries = listings()
    rows = [asdict(entry) | {"fetch": _fetch_command(entry, entries)} for entry in entries]
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for row in rows:
        data = "; ".join(f"{name}: {terms}" for name, terms in row["training_data"].items())
        row |= {"training_data": data, "beside": ", ".join(row["beside"])}
        facts = {key: value for key, value in row.items() if value}
        click.echo(facts.pop("name"))
        click.echo("\n".join(fact_lines(facts)))


def _fetch_command(entry: Listing, entries: list[Listing]) -> str | None:
    """Return the command that downloads the file of an entry, None for one without an address."""
    same = [other for other in entries if other.name == entry.name and other.url]
    if not entry.url:
        return None
    return f"mottool weights fetch {entry.name if entry == same[0] else entry.file}"


@command.command("fetch", short_help="Download a checkpoint and verify it.")
@click.argument("name")
@click.option(
    "--out",
    metavar="FILE",
    type=FilePath(dir_okay=False),
    help="Path of the downloaded file.  [default: the authors' file name, in $MOTTOOL_WEIGHTS or "
    "~/.cache/mottool/weights]",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@as_json
def fetch_command(name: str, out: Path | None, overwrite: bool, as_json: bool) -> None:
    """Download the checkpoint NAME, and verify that it is complete and fits its network.

    \b
        mottool weights fetch fairmot-dla34
        mottool weights fetch mot20_fairmot.pth --out weights/mot20.pth

    NAME is a network, detector or embedder of `mottool weights list`, or one of its files. A file
    in the default folder is used without a flag: detect-embed --pipeline fairmot-dla34 then needs
    no --weights. The licence is the authors': read it before you use the file.

    Run the same command again to resume an interrupted download. The sha256 is compared with that
    of the manifest, if it has one, and every tensor is loaded into the network as by `mottool
    weights verify`; nothing in the file is executed. A file that fails a check is removed.
    """
    jobs = Jobs(as_json)
    fetched = jobs.run(name, partial(fetch, name, out, overwrite, jobs.note))
    if fetched:
        path, facts = fetched
        _report(jobs, name, path, facts)
    jobs.close()


@command.command("verify", short_help="Show what each file is, and whether it is complete.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath())
@network_option
@as_json
def verify_command(files: tuple[Path, ...], pipeline: str | None, as_json: bool) -> None:
    """Show what each FILE is, and whether it has every tensor of its network.

    \b
        mottool weights verify fairmot_dla34.pth
        mottool weights verify --pipeline jde-576x320 jde_576x320.pt yolov3.weights

    A FILE is a PyTorch checkpoint (.pth, .pt; also a whole pickled module), safetensors or darknet
    weights. The format is identified by the content, not by the name. Nothing that is pickled is
    executed: "never called" shows the first class or function that a file names beside its
    tensors. The tensors are loaded into the network; if one is missing, unexpected or of another
    shape, the error lists the names. "left out" lists tensors that only training needs. The sha256
    is compared with that of the card beside the file and with that of the manifest. For CSTrack the
    learned weights of self-relation are shown: lambda 1 for detection, lambda 2 for identity, for
    each stride.
    """
    jobs = Jobs(as_json)
    for path in files:
        facts = jobs.run(path.name, partial(verify, path, pipeline))
        if facts is None:
            continue
        _report(jobs, path.name, path, facts)
    jobs.close()


def _report(jobs: Jobs, name: str, path: Path, facts: dict[str, Any]) -> None:
    """Report the description of a file, as text or as JSON."""
    summary, lines = str(facts["pipeline"]), facts
    if "tensors" in facts:
        count, unused = facts["tensors"], facts["left_out"]
        summary += f", {count - len(unused)} of {count} tensors are used, none is missing"
        lines = facts | {"left_out": ", ".join(unused)}
    jobs.report(name, path, summary, **facts)
    if not jobs.as_json:
        click.echo("\n".join(fact_lines(lines)))


@command.command("convert", short_help="Convert an authors' file to safetensors with a card.")
@click.argument("file", type=FilePath())
@network_option
@click.option(
    "--out",
    required=True,
    metavar="FILE.safetensors",
    type=FilePath(dir_okay=False),
    help="Path of the new file; its card is FILE.toml in the same folder. Both are written "
    "atomically and replace existing files.",
)
@as_json
def convert_command(file: Path, pipeline: str | None, out: Path, as_json: bool) -> None:
    """Convert the authors' FILE to safetensors with a card that describes it.

    \b
        mottool weights convert cstrack.pt --out cstrack.safetensors
        mottool weights convert jde.pt --pipeline jde-864x480 --out jde-864x480.safetensors
        mottool detect-embed video.mp4 --pipeline cstrack --weights cstrack.safetensors

    FILE is any checkpoint that detect-embed takes. The new file contains exactly the tensors of the
    network, bit for bit (in float32), so results stay the same. The card records their origin and,
    if the manifest lists a file of that name, its training data, licence and metrics. Correct the
    card by hand if it is wrong.
    """
    jobs = Jobs(as_json)
    written = jobs.run(file.name, partial(convert, file, out, pipeline))
    if written:
        jobs.report(
            file.name,
            written,
            f"{written.stat().st_size} bytes",
            card=str(out.with_suffix(".toml")),
        )
    jobs.close()
