"""`mottool inspect`: what a cache or a result file holds, and whether it is whole."""

from functools import partial
from pathlib import Path
from typing import Any

import click

from mottool.batch import Batch, fact_lines
from mottool.cli import as_json
from mottool.errors import InputError

__all__ = ["command", "run"]

HDF5 = b"\x89HDF\r\n\x1a\n"


def run(path: Path) -> dict[str, Any]:
    """What `path` holds, as JSON can hold it: `kind`, `state` and the facts of that kind.

    Finishes a commit that a killed writer had begun, if there is one; changes nothing else.
    Raises `InputError` for what is no file of ours, `CacheError` for a damaged or foreign cache.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file", "name a cache (.h5) or a result file (.txt)")
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    if start == HDF5 or path.suffix == ".h5":
        return _cache(path)
    if path.name.endswith((".txt", ".txt.gz")):
        return _rows(path)
    raise InputError(
        f"{path} is neither a cache nor MOTChallenge rows", "name an .h5, .txt or .txt.gz file"
    )


def _cache(path: Path) -> dict[str, Any]:
    import dataclasses

    from mottool.cache import TIMING, Cache

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

    from mottool.motchallenge import read_rows

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

    FILE is a cache, a cache that is not finished yet (.part.h5), or a result or detection file
    with MOTChallenge rows (.txt, .txt.gz).

    \b
        mottool inspect mottool-work/caches/*/*.h5
        mottool inspect --json mottool-work/caches/public/TUD-Campus.h5

    Of a cache it tells the sequence, the pipeline, the source, the weights and settings it was
    made with, how much it holds and what each frame cost. An unfinished cache is no error: the
    same detect-embed command goes on from its last committed frame. A damaged file, one of
    another schema, and one that is no file of ours are: the exit code is then 1.
    """
    batch = Batch(as_json)
    for path in files:
        facts = batch.run(path.name, partial(run, path))
        if facts is None:
            continue
        told = f"{facts['kind']}, {facts['state']}"
        if facts["state"] == "unfinished":
            told += f", {facts['frames']} frames committed"
        lines = fact_lines({key: facts[key] for key in facts if key not in {"kind", "state"}})
        batch.report(facts.pop("sequence"), path, told, **facts)
        if not as_json:
            click.echo("\n".join(lines))
    batch.close()
