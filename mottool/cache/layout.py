"""The layout of a cache, `mottool/detections/1`: one HDF5 file per sequence and pipeline.

Ragged data is flat with a pointer array, as in a sparse CSR matrix: the rows of frame i (from 0)
are `ptr[i]:ptr[i + 1]`. F is the number of frames, N of detections, K of occlusion centres, D the
embedding size. Numbers are little-endian; boxes and centres are pixels of the original frame.

    /frame_ptr          (F+1,)  i8   starts at 0, never falls, ends at N
    /boxes              (N, 4)  f4   x1 y1 x2 y2, finite
    /scores             (N,)    f4   in [0, 1]
    /classes            (N,)    u2   0 = person
    /embeddings         (N, D)  f2   of unit length; only where the pipeline makes embeddings
    /centres            (N, 2)  f4   x, y of the points that are tracked, and
    /offsets            (N, 2)  f4   x, y from each to where it was in the frame before; only where
                                     the pipeline sees that one too
    /pts                (F,)    f8   presentation time in seconds, the container's own
    /timing             (F, 4)  f4   seconds spent on decode, network, heads, embed
    /occlusion/centres  (K, 3)  f4   x, y, score
    /occlusion/ptr      (F+1,)  i8   as /frame_ptr, ends at K
    /occlusion/maps     (F, h, w) u1 255 times the score of every cell; only where asked for

    attributes of /     schema, version (of the mottool that began the file), sequence, pipeline,
                        source, source_hash, weights (sha256 or ""), settings (a JSON object):
                        text; width, height: integers; fps: a float; complete: a boolean
    attribute of /timing  columns: the names of its columns, separated by spaces
    attribute of /occlusion/maps  stride: network pixels from cell to cell

The network that /occlusion/maps are of sees w·stride by h·stride pixels: the frame, scaled by the
largest factor at which it fits and put into their middle.

A writer MUST work on `<name>.part.h5` and give it its final name only when `complete` is true
and the file has reached the disk: a file under its final name is whole. It MUST make each block
of frames visible in one step (see `mottool.cache.shards`) and extend `/frame_ptr` last, so that at
every moment all arrays agree with it; its length is the number of committed frames. It MUST NOT
continue a file whose attributes, `source` and `version` aside, are not its own. `/embeddings`,
`/centres` and `/offsets` MAY be absent until the first detection. `/embeddings` MUST NOT be
compressed, as it hardly shrinks.
`/occlusion/maps` MAY be compressed with gzip, a frame per chunk, and MAY leave out (as 0) what
scores less than 0.05.

A reader MUST refuse another schema, a file whose arrays disagree with `frame_ptr`, and anything
that leads out of the file: soft and external links, external storage, virtual datasets. It MUST
NOT use text from attributes as a path. It MAY ignore datasets and attributes it does not know;
later versions of this schema MAY add some and MUST NOT change those above.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mottool.cache.hdf5 import (
    add,
    again,
    anew,
    check_links,
    check_shapes,
    checking,
    flat,
    put,
    read_header,
    refuse_others,
    stored,
    write_header,
)

__all__ = [
    "AGAIN",
    "ANEW",
    "Header",
    "MAKER",
    "MAPS",
    "SCHEMA",
    "TIMING",
    "TRACKED",
    "check",
    "create",
    "extend",
    "same_work",
]

SCHEMA = "mottool/detections/1"
TIMING = ("decode", "network", "heads", "embed")
# Name: type, columns (0 for one number per row), rows per chunk.
FRAMES = {
    "pts": ("<f8", 0, 512),
    "timing": ("<f4", len(TIMING), 512),
}
ROWS = {
    "boxes": ("<f4", 4, 1024),
    "scores": ("<f4", 0, 2048),
    "classes": ("<u2", 0, 2048),
}
CENTRES = {"occlusion/centres": ("<f4", 3, 512)}
TRACKED = {  # of pipelines that see the frame before too
    "centres": ("<f4", 2, 1024),
    "offsets": ("<f4", 2, 1024),
}
POINTERS = {"frame_ptr": ("<i8", 0, 512), "occlusion/ptr": ("<i8", 0, 512)}
EMBEDDINGS = "embeddings"
MAPS = "occlusion/maps"
MAKER = "detect-embed"
AGAIN, ANEW = again(MAKER), anew(MAKER)


@dataclass(frozen=True)
class Header:
    """What a cache was made from: the attributes of its root.

    `source_hash` identifies the content of the source and `weights` that of the checkpoint (both
    hex; "" for no weights). `width` and `height` are those of the original frames in pixels,
    `fps` is in frames a second, and `settings` is what JSON can hold.
    """

    sequence: str
    pipeline: str
    source: str
    source_hash: str
    width: int
    height: int
    fps: float
    weights: str = ""
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)


def create(file: h5py.File, header: Header) -> None:
    """Lay out an empty cache, without `/embeddings`, whose size the first detection tells."""
    write_header(file, header, SCHEMA)
    for name, layout in (FRAMES | ROWS | CENTRES | POINTERS).items():
        add(file, name, *layout)
    for name in POINTERS:
        extend(file, name, 0, np.zeros(1, np.int64))
    file["timing"].attrs["columns"] = " ".join(TIMING)


def extend(file: h5py.File, name: str, at: int, values: Any) -> None:
    """Write `values` from row `at` on; the dataset then ends with them."""
    if name == EMBEDDINGS and name not in file:
        size = values.shape[1]
        add(file, name, "<f2", size, min(512, max(16, 16384 // size)))  # about 32 KiB
    if name in TRACKED and name not in file:
        add(file, name, *TRACKED[name])
    if name == MAPS and name not in file:
        shape = values.shape[1:]
        file.create_dataset(
            name,
            (0, *shape),
            "u1",
            maxshape=(None, *shape),
            chunks=(1, *shape),
            compression="gzip",
            compression_opts=1,
        )
    put(file, name, at, values)


def same_work(path: Path, found: Header, wanted: Header) -> None:
    """Raise a `CacheError` naming what differs, the place of the source aside, if anything does."""
    moved = dataclasses.replace(found, source=wanted.source)
    refuse_others(path, flat(moved), flat(wanted))


def check(file: h5py.File, path: Path) -> Header:
    """The header of an opened cache after every check that the layout above asks of a reader.

    Raises `CacheError` with what is wrong.
    """
    with checking(file, path, SCHEMA, "cache", "detect-embed"):
        header = read_header(file, Header)
        if not all(0 < size < float("inf") for size in (header.width, header.height, header.fps)):
            raise ValueError("attributes width, height and fps are not all above 0")
        check_links(file)
        check_links(file["occlusion"])
        frames = _check_pointer(file, "frame_ptr")
        if _check_pointer(file, "occlusion/ptr") != frames:
            raise ValueError("/occlusion/ptr and /frame_ptr count different frames")
        check_shapes(file, FRAMES, frames)
        present = {name: layout for name, layout in TRACKED.items() if name in file}
        check_shapes(file, ROWS | present, int(file["frame_ptr"][-1]))
        check_shapes(file, CENTRES, int(file["occlusion/ptr"][-1]))
        if EMBEDDINGS in file:
            size = (*stored(file, EMBEDDINGS).shape, 1)[1]
            check_shapes(file, {EMBEDDINGS: ("<f2", size, 0)}, int(file["frame_ptr"][-1]))
        if MAPS in file:
            _check_maps(file[MAPS], frames)
    return header


def _check_pointer(file: h5py.File, name: str) -> int:
    """The number of frames of a pointer array that is one."""
    kind, columns, _ = POINTERS[name]
    rows: int = (*stored(file, name).shape, 0)[0]
    check_shapes(file, {name: (kind, columns, 0)}, rows)
    pointer = file[name][:]
    if rows == 0 or pointer[0] != 0 or (pointer[1:] < pointer[:-1]).any():
        raise ValueError(f"/{name} does not rise from 0")
    return rows - 1


def _check_maps(dataset: h5py.Dataset, frames: int) -> None:
    if not isinstance(dataset, h5py.Dataset) or dataset.is_virtual or dataset.external:
        raise ValueError(f"/{MAPS} does not keep its data in this file")
    if dataset.ndim != 3 or len(dataset) != frames or dataset.dtype != np.uint8:
        raise ValueError(
            f"/{MAPS} is {dataset.dtype} {dataset.shape}, but there are {frames} frames"
        )
    if dataset.chunks != (1, *dataset.shape[1:]) or dataset.id.get_num_chunks() < frames:
        raise ValueError(f"/{MAPS} is shorter than it says")
    if int(dataset.attrs["stride"]) < 1:
        raise ValueError(f"/{MAPS} has no stride")
