"""`mottool inspect`: the content of a cache, label or result file, or of a dataset."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from mottool.cli.facts import brief_facts, fact_lines
from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json
from mottool.cli.paths import FilePath
from mottool.errors import InputError, ignore_warning
from mottool.motchallenge.zip_files import file_on_disk, is_archive, read_results

__all__ = ["command", "run"]

HDF5 = b"\x89HDF\r\n\x1a\n"
UNFINISHED = ".part"  # suffix of the folder of an unfinished cache or label file
DATASET = "dataset"
AMOUNTS = {  # of a file's content, in the line that names it
    "frames": "{} frames",
    "rows": "{} rows",
    "detections": "{} detections",
    "identities": "{} identities",
    "embeddings": "{} embeddings",
    "embedding_size": "{}-d embeddings",
}
COUNTS = ("images", "boxes", "identities", "videos")  # of a dataset


def run(path: Path) -> dict[str, Any]:
    """Return the content of `path` as JSON can represent it: `kind`, `state` and further facts.

    Raises `InputError` if it is none of our files and no dataset, `CacheError` for a damaged HDF5
    file or one of another program.
    """
    if path.suffix in {UNFINISHED, ".h5"}:
        complete, folder = path.with_suffix(".h5"), path.with_suffix(UNFINISHED)
        if not complete.exists() and folder.is_dir():
            return _unfinished(folder)
        if path.is_dir() and path == folder:
            return _complete(complete)  # with leftovers of its shards
        if not path.is_file():
            fix = "name a cache or label file (.h5), a result file (.txt) or a dataset"
            raise InputError(f"{path} is not a file", fix)
    if not path.is_file():
        return _dataset(path)
    with path.open("rb") as file:
        start = file.read(len(HDF5))
    if start == HDF5 or path.suffix == ".h5":
        return _complete(path)
    if _is_dataset(path):
        return _dataset(path)
    if is_archive(path):
        return _zipped_rows(path)
    if path.name.endswith((".txt", ".txt.gz")):
        return _rows(path)
    raise InputError(
        f"{path} is neither a cache nor MOTChallenge rows nor a dataset",
        "name an .h5, .txt, .txt.gz or .zip file or a dataset; "
        "`mottool weights verify` inspects weights",
    )


def _is_dataset(path: Path) -> bool:
    """Return whether a file is a dataset's list of images or annotations."""
    from importlib import import_module

    from mottool.data.formats import DATASET_FORMATS

    return any(import_module(entry.reader).recognises(path) for entry in DATASET_FORMATS.values())


def _dataset(path: Path) -> dict[str, Any]:
    """Return what Table 2 of JDE's paper states of a dataset: its images, boxes and identities."""
    from mottool.data.formats import open_dataset

    dataset = open_dataset(path, ignore_warning)
    counts = len(dataset), len(dataset.boxes), dataset.identity_count, dataset.video_count
    return {
        "kind": DATASET,
        "state": "complete",
        "sequence": dataset.name,
        **dict(zip(COUNTS, counts, strict=True)),
    }


def _schema(path: Path) -> str:
    """Return the schema of an HDF5 file; "" if it has none."""
    from mottool.cache.hdf5 import as_cache_error, open_unchecked
    from mottool.cache.layout import LAYOUT

    with open_unchecked(path, LAYOUT) as file, as_cache_error(path, LAYOUT):
        return str(file.attrs.get("schema", ""))


def _complete(path: Path) -> dict[str, Any]:
    from mottool.cache import camera_motion
    from mottool.data import distilled_labels

    readers = {distilled_labels.SCHEMA: _labels, camera_motion.SCHEMA: _camera_motion}
    return readers.get(_schema(path), _cache)(path)


def _unfinished(folder: Path) -> dict[str, Any]:
    """Return the header of an unfinished cache or label file and how much is committed."""
    import dataclasses

    from mottool.cache import camera_motion, layout
    from mottool.cache.shards import read_progress, shard_files
    from mottool.data import distilled_labels

    files = shard_files(folder)
    schema = _schema(files[0]) if files else ""
    if schema == distilled_labels.SCHEMA:
        header, committed = read_progress(folder, distilled_labels.LAYOUT)
        facts = {"kind": "labels", "sequence": header.dataset, "embeddings": committed}
    elif schema == camera_motion.SCHEMA:
        header, committed = read_progress(folder, camera_motion.LAYOUT)
        facts = {"kind": "camera motion", "frames": committed}
    else:
        header, committed = read_progress(folder, layout.LAYOUT)
        facts = {"kind": "cache", "frames": committed}
    size = sum(file.stat().st_size for file in files)
    return {**facts, "state": "unfinished", **dataclasses.asdict(header), "bytes": size}


def _labels(path: Path) -> dict[str, Any]:
    import dataclasses

    from mottool.data.distilled_labels import DistilledLabels

    labels = DistilledLabels(path)
    size = path.stat().st_size
    return {
        "kind": "labels",
        "state": "complete",
        "sequence": labels.header.dataset,
        **dataclasses.asdict(labels.header),
        "embedding_size": labels.size,
        "embeddings": len(labels),
        "bytes": size,
        "overhead": round(size / max(labels.header.image_bytes, 1), 6),
    }


def _camera_motion(path: Path) -> dict[str, Any]:
    import dataclasses

    from mottool.cache.camera_motion import CameraMotion

    motion = CameraMotion(path)
    return {
        "kind": "camera motion",
        "state": "complete",
        **dataclasses.asdict(motion.header),
        "frames": len(motion.warps),
        "median_shift": round(motion.median_shift, 3),
        "bytes": path.stat().st_size,
    }


def _cache(path: Path) -> dict[str, Any]:
    import dataclasses

    from mottool.cache.layout import TIMING
    from mottool.cache.reader import Cache

    with Cache(path) as cache:
        costs = cache.timing.mean(axis=0).tolist() if cache.frame_count else []
        total = sum(costs)
        header = dataclasses.asdict(cache.header)
        return {
            "kind": "cache",
            "state": "complete",
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
        "state": "complete",
        "sequence": path.name.partition(".txt")[0],
        "rows": len(rows),
        "frames": len(np.unique(rows.frames)),
        "last_frame": int(rows.frames.max(initial=0)),
        "identities": len(np.unique(rows.ids[rows.ids > 0])),
        "bytes": file_on_disk(path).stat().st_size,
    }


def _zipped_rows(path: Path) -> dict[str, Any]:
    facts = {name: _rows(path / f"{name}.txt") for name in read_results(path)}
    counts = {key: sum(each[key] for each in facts.values()) for key in ("rows", "identities")}
    return {
        "kind": "zip file of MOTChallenge rows",
        "state": "complete",
        "sequence": path.stem,
        "sequences": list(facts),
        **counts,
        "bytes": path.stat().st_size,
    }


def _amounts(facts: Mapping[str, Any]) -> list[str]:
    return [text.format(facts[key]) for key, text in AMOUNTS.items() if facts.get(key) is not None]


@click.command("inspect")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=FilePath())
@click.option("--all", "shows_all", is_flag=True, help="Show everything, as --json does.")
@as_json
def command(files: tuple[Path, ...], shows_all: bool, as_json: bool) -> None:
    """Show the content of FILE, and whether it is complete.

    FILE is a cache, a camera-motion file or a label file (.h5), the folder of an unfinished one
    (.part), a result or detection file with MOTChallenge rows (.txt, .txt.gz, .zip), or a DATASET
    that train reads.

    \b
        mottool inspect mottool-work/caches/*/*.h5
        mottool inspect --json mottool-work/caches/public/TUD-Campus.h5
        mottool inspect eth.train caltech.train MOT16/train

    For a cache it shows the amount of its content, the sequence, the pipeline, the source, the
    weights and settings it was made with, and the cost of each frame. For a label file it shows the
    dataset, its fingerprint, the teacher, and the size of the labels relative to the images. Only
    --all and --json show whole hashes and the settings of trackers that a network suggests.

    For a DATASET it shows the number of images, boxes, identities and videos, as Table 2 of JDE's
    paper, and for several datasets their totals. People of different datasets are different
    identities.

    An unfinished file is not an error: the same command resumes it after its last commit. A damaged
    file, one of another schema, and one that mottool does not know are errors: the exit code is
    then 1.
    """
    jobs, datasets = Jobs(as_json), list[dict[str, Any]]()
    for path in files:
        facts = jobs.run(path.name, partial(run, path))
        if facts is None:
            continue
        if facts["kind"] == DATASET:
            datasets.append(facts)
        summary = f"{facts['kind']}, {facts['state']}"
        if facts["state"] == "unfinished":
            frames = facts.get("frames")
            boxes = f"{facts.get('embeddings')} of {facts.get('boxes')} boxes"
            summary += f", {boxes if frames is None else f'{frames} frames'} committed"
        elif facts["kind"] != DATASET and (content := _amounts(facts)):
            summary += f": {', '.join(content)}"
        shown = {key: facts[key] for key in facts if key not in {"kind", "state"}}
        brief = shown if shows_all else brief_facts(shown)
        lines = fact_lines(brief)
        if brief != shown:
            lines.append(f"    {'…':<24}--all shows more")
        jobs.report(facts.pop("sequence"), path, summary, **facts)
        if not as_json:
            click.echo("\n".join(lines))
    if len(datasets) > 1:
        total = {name: sum(facts[name] for facts in datasets) for name in COUNTS}
        jobs.done.append({"sequence": "total", "kind": "datasets", **total})
        if not as_json:
            click.echo("\n".join([f"total of {len(datasets)} datasets", *fact_lines(total)]))
    jobs.close()
