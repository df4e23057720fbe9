"""The full name of a pipeline, `DETECTOR` or `DETECTOR+EMBEDDER`. Imports no torch or numpy."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from mottool.errors import SettingError
from mottool.networks.registry import NETWORKS
from mottool.pipelines import registry
from mottool.pipelines.options import Options
from mottool.pipelines.registry import PUBLIC

__all__ = [
    "FILE",
    "GROUND_TRUTH",
    "NONE",
    "embeds",
    "full_name",
    "is_recurrent",
    "missing_fields",
    "runs_network",
]

GROUND_TRUTH = "gt"
FILE, NONE = "file", "none"  # embedders that keep the embeddings of the file, or make none
WITHOUT_NETWORK = {PUBLIC, GROUND_TRUTH, FILE, "histogram", ""}


def full_name(name: str, embedder: str, boxes: str, options: Options) -> tuple[str, Options]:
    """Return the pipeline's full name with `--embedder` and `--boxes`, and the remaining options.

    `embedder` and `boxes` can be "". `boxes` is `gt` or a path, which replaces the pipeline's
    detector; a network that detects and embeds then only embeds. Without an `embedder`, `public`
    uses the one that suits its file. Raises `SettingError` for combinations that do not work.
    """
    detector, plus, embedding = name.partition("+")
    if embedder:
        if plus:
            fix = f"omit --embedder, or use --pipeline {detector}"
            raise SettingError(f"{name} already has an embedder", fix)
        embedding = embedder
    if boxes:
        embedding = embedding or (detector if embeds(detector) else "")
        if not embedding:
            fix = f"give --embedder, such as {next(iter(registry.EMBEDDERS))}"
            raise SettingError(f"{name} makes no embeddings for the boxes", fix)
        if boxes == GROUND_TRUTH:
            detector = GROUND_TRUTH
        elif options.detections:
            raise SettingError("--boxes and --detections are both given", "omit one of them")
        else:
            detector, options = PUBLIC, replace(options, detections=Path(boxes))
    if detector == PUBLIC and not embedding:
        embedding = _default_embedder(options.detections)
    return (f"{detector}+{embedding}" if embedding not in {"", NONE} else detector), options


def embeds(name: str) -> bool:
    """Return whether a name is that of a network with embeddings."""
    return name in NETWORKS and NETWORKS[name].family.embeds


def is_recurrent(full_name: str) -> bool:
    """Return whether a pipeline needs the detections of the frame before."""
    detector = full_name.partition("+")[0]
    return detector in NETWORKS and bool(NETWORKS[detector].family.session)


def missing_fields(full_name: str, needs: Iterable[str]) -> list[str]:
    """Return those of the fields `needs` of `Detections` that a pipeline does not make."""
    made = {
        "embeddings": "+" in full_name or embeds(full_name),
        "offsets": is_recurrent(full_name),
    }
    return [need for need in needs if not made.get(need, True)]


def runs_network(full_name: str) -> bool:
    """Return whether a pipeline runs a network, to detect or to embed."""
    detector, _, embedder = full_name.partition("+")
    return not {detector, embedder} <= WITHOUT_NETWORK


def _default_embedder(detections: Path | None) -> str:
    """Return the embedder of public boxes if none is named."""
    if detections is None:
        return "histogram"
    from mottool.motchallenge.public_detections import holds_features

    return FILE if holds_features(detections) else "histogram"
