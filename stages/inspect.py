"""`mottool inspect`: what a cache, label or result file holds, and whether it is whole."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from mottool.cli.jobs import Jobs, fact_lines
from mottool.cli.options import as_json
from mottool.errors import InputError

__all__ = ["command", "run"]

HDF5 = b"\x89HDF\r\n\x1a\n"


def run(path: Path) -> dict[str, Any]:
    """What `path` holds, as JSON can hold it: `kind`, `state` and the facts of that kind.

    Finishes a commit that a killed writer had begun, if there is one; changes nothing else.
    Raises `InputError` for what is no file of ours, `CacheError` for a damaged or foreign HDF5
    file.
    """
    if not path.is_file():
        fix = "name a cache or label file (.h5), or a result file (.txt)"
        raise InputError(f"{path} is not a file", fix)
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    if start == HDF5 or path.suffix == ".h5":
        return _hdf5(path)
    if path.name.endswith((".txt", ".txt.gz")):
        return _rows(path)
    raise InputError(
        f"{path} is neither a cache nor MOTChallenge rows",
        "name an .h5, .txt or .txt.gz file; `mottool weights verify` looks into weights",
    )


def _hdf5(path: Path) -> dict[str, Any]:
    from mottool.cache.hdf5 import open_file
    from mottool.data import distilled_labels

    with open_file(path, "detect-embed", "frame", unfinished=True) as file:
        schema = file.attrs.get("schema")
    return _labels(path) if schema == distilled_labels.SCHEMA else _cache(path)


def _labels(path: Path) -> dict[str, Any]:
    import dataclasses

    from mottool.data.distilled_labels import DistilledLabels

    labels = DistilledLabels(path, unfinished=True)
    size = path.stat().st_size
    return {
        "kind": "labels",
        "state": "whole" if labels.complete else "unfinished",
        "sequence": labels.header.dataset,
        **dataclasses.asdict(labels.header),
        "embedding_size": labels.size,
        "embeddings": len(labels),
        "bytes": size,
        "overhead": round(size / max(labels.header.image_bytes, 1), 6),
    }


def _cache(path: Path) -> dict[str, Any]:
    import dataclasses

    from mottool.cache.reader import Cache
    from mottool.cache.writer import TIMING

    with Cache(path, unfinished=True) as cache:
        costs = cache.timing.mean(axis=0).tolist() if cache.frame_count else []
        total = sum(costs)
        header = dataclasses.asdict(cache.header)
        return {
            "kind": "cache",
            "state": "whole" if cache.complete else "unfinished",
            **header,
            "frames": cache.frame_count,
            "seconds": float(cache.pts[-1]) if cache.frame_count else 0.0,
            "detections": cache.detection_count,
            "embedding_size": cache.embedding_size,
            "occlusion_centres": cache.occlusion_count,
            "occlusion_maps": cache.has_occlusion_maps,
            "bytes": path.stat().st_size,
            "milliseconds_per_frame": {
                name: round(1000 * cost, 3) for name, cost in zip(TIMING, costs, strict=False)
            },
            "frames_per_second": round(1 / total, 2) if total > 0 else None,
        }


def _rows(path: Path) -> dict[str, Any]:
    import numpy as np

    from mottool.motchallenge.rows import read_rows

    rows = read_rows(path, "result file")
    return {
        "kind": "MOTChallenge rows",
        "state": "whole",
        "sequence": path.name.partition(".txt")[0],
        "rows": len(rows),
        "frames": len(np.unique(rows.frames)),
        "last_frame": int(rows.frames.max(initial=0)),
        "identities": len(np.unique(rows.ids[rows.ids > 0])),
        "bytes": path.stat().st_size,
    }


@click.command("inspect")
@click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)
@as_json
def command(files: tuple[Path, ...], as_json: bool) -> None:
    """Tell what FILE holds, and whether it is whole.

    FILE is a cache or a label file (.h5), one that is not finished yet (.part.h5), or a result or
    detection file with MOTChallenge rows (.txt, .txt.gz).

    \b
        mottool inspect mottool-work/caches/*/*.h5
        mottool inspect --json mottool-work/caches/public/TUD-Campus.h5

    Of a cache it tells the sequence, the pipeline, the source, the weights and settings it was
    made with, how much it holds and what each frame cost; of a label file the dataset, its
    fingerprint, the teacher, and what the labels take beside the images. An unfinished file is no
    error: the command that began it goes on from its last commit. A damaged file, one of another
    schema, and one that is no file of ours are: the exit code is then 1.
    """
    batch = Jobs(as_json)
    for path in files:
        facts = batch.run(path.name, partial(run, path))
        if facts is None:
            continue
        told = f"{facts['kind']}, {facts['state']}"
        if facts["state"] == "unfinished":
            frames = facts.get("frames")
            boxes = f"{facts.get('embeddings')} of {facts.get('boxes')} boxes"
            told += f", {boxes if frames is None else f'{frames} frames'} committed"
        lines = fact_lines({key: facts[key] for key in facts if key not in {"kind", "state"}})
        batch.report(facts.pop("sequence"), path, told, **facts)
        if not as_json:
            click.echo("\n".join(lines))
    batch.close()
