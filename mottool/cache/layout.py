"""The layout of a cache, `mottool/detections/1`: one HDF5 file per sequence and pipeline.

Ragged data is flat with a pointer array, as in a sparse CSR matrix: the rows of the i-th frame of
the file (from 0), which is frame `first_frame + i` of the sequence, are `ptr[i]:ptr[i + 1]`. F is
the number of frames, N of detections, K of occlusion centres, D the embedding size. Numbers are
little-endian; boxes and centres are pixels of the original frame.

    /frame_ptr          (F+1,)  i8   starts at 0, never falls, ends at N
    /boxes              (N, 4)  f4   x1 y1 x2 y2, finite
    /scores             (N,)    f4   in [0, 1]
    /classes            (N,)    u2   0 = person
    /embeddings         (N, D)  f2   L2-normalised; only if the pipeline makes embeddings; zeros
                                     for boxes that score below the setting `embed_min_score`,
                                     which have none
    /centres            (N, 2)  f4   x, y of the points that are tracked, and
    /offsets            (N, 2)  f4   x, y from each to its position in the previous frame; only if
                                     the pipeline reads that frame too
    /pts                (F,)    f8   presentation time in seconds, from the container
    /timing             (F, 4)  f4   seconds spent on decode, network, heads, embed
    /occlusion/centres  (K, 3)  f4   x, y, score
    /occlusion/ptr      (F+1,)  i8   as /frame_ptr, ends at K
    /occlusion/maps     (F, h, w) u1 255 times the score of every cell; only on request

    attributes of /     schema, version (of the mottool that began the file), sequence, pipeline,
                        source, source_hash, weights (sha256 or ""), settings (a JSON object):
                        text; width, height, first_frame: integers; fps: a float;
                        complete: a boolean; first_frame is 1 where it is absent;
                        weights_file, embedder_weights_file: names of files, text, may be absent;
                        checksum: SHA-256, in hex, of the others but complete as sorted JSON
    attribute of /timing  columns: the names of its columns, separated by spaces
    attribute of /occlusion/maps  stride: network pixels from cell to cell

/timing is the work on each frame, or its share of the work on a batch: decoding the video or the
image; resizing the frame and running the network; decoding the heads; embedding. These overlap, so
their sum can exceed the time from frame to frame.

The network that made /occlusion/maps had an input of w·stride by h·stride pixels. The frame is
scaled by the largest factor at which it fits and put into the middle of that input.

A writer MUST commit blocks of frames as shards in `<name>.part/` (see `mottool.cache.shards`), and
MUST give `<name>.h5` its name only when `complete` is true and the file has reached the disk: a
file under its final name is complete. It MUST NOT continue a file whose attributes differ from its
own, apart from `source`, `version`, the names of weights files, and the keys `runtime` and
`embedder_runtime` of `settings`. These name the runtimes that computed the networks, whose results
are equal up to rounding. `/embeddings`, `/centres` and `/offsets` MAY be absent if no frame has a
detection. `/embeddings` MUST NOT be compressed, as it hardly shrinks.
Every dataset SHOULD have HDF5's Fletcher-32 checksums, by which readers detect damage.
`/occlusion/maps` MAY be compressed with gzip, a frame per chunk, and MAY store 0 for scores below
0.05.

A reader MUST refuse another schema, a file that is not complete, a file whose arrays disagree with
`frame_ptr`, boxes that are not finite, scores outside [0, 1], a file that becomes shorter while it
is read, and anything that leads out of the file: soft and external links, external storage, virtual
datasets. It MUST NOT use text from attributes as a path. It MAY ignore datasets and attributes it
does not know; later versions of this schema MAY add some and MUST NOT change those above.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py

from mottool.cache.hdf5 import DatasetSpec, Layout, as_cache_error, open_file
from mottool.cache.schema import SCHEMA

__all__ = [
    "EMBEDDINGS",
    "EMBED_MIN_SCORE",
    "Header",
    "LAYOUT",
    "MAPS",
    "SCHEMA",
    "TIMING",
    "TRACKED",
    "read",
]

TIMING = ("decode", "network", "heads", "embed")
TRACKED = ("centres", "offsets")  # of pipelines that read the previous frame too
EMBEDDINGS = "embeddings"
EMBED_MIN_SCORE = "embed_min_score"  # a setting in the header; without it all boxes are embedded
MAPS = "occlusion/maps"


@dataclass(frozen=True)
class Header:
    """What a cache was made from: the attributes of its root.

    `source_hash` identifies the content of the source and `weights` that of the checkpoint (both
    hex; "" for no weights). `width` and `height` are those of the original frames in pixels,
    `fps` is in frames a second, and `settings` can be stored as JSON. `first_frame` is the number
    of the first frame: 1, unless the sequence is the second half of a longer one. `weights_file`
    and `embedder_weights_file` are the names of the checkpoints, "" where they are unknown.
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
    first_frame: int = dataclasses.field(default=1, metadata={"optional": True})
    weights_file: str = dataclasses.field(default="", metadata={"optional": True})
    embedder_weights_file: str = dataclasses.field(default="", metadata={"optional": True})


LAYOUT = Layout(
    schema=SCHEMA,
    kind="cache",
    command="detect-embed",
    items="frames",
    header=Header,
    may_differ=(
        *("source", "weights_file", "embedder_weights_file"),
        *("settings.runtime", "settings.embedder_runtime"),
    ),
    pointers={"frame_ptr": "detections", "occlusion/ptr": "centres"},
    datasets={
        "pts": DatasetSpec("<f8", (), "frames", 512),
        "timing": DatasetSpec("<f4", (len(TIMING),), "frames", 512),
        "boxes": DatasetSpec("<f4", (4,), "detections", 1024),
        "scores": DatasetSpec("<f4", (), "detections", 2048),
        "classes": DatasetSpec("<u2", (), "detections", 2048),
        "occlusion/centres": DatasetSpec("<f4", (3,), "centres", 512),
        EMBEDDINGS: DatasetSpec("<f2", (None,), "detections", 512, optional=True),
        "centres": DatasetSpec("<f4", (2,), "detections", 1024, optional=True),
        "offsets": DatasetSpec("<f4", (2,), "detections", 1024, optional=True),
        MAPS: DatasetSpec("|u1", (None, None), "frames", 1, optional=True, compressed=True),
    },
)


def read(path: Path) -> tuple[h5py.File, Header, dict[str, int]]:
    """Open a cache after every check that the layout above requires of a reader.

    Returns the open file, its header and its lengths by name. Raises `CacheError` as `open_file`.
    """
    file, header, lengths = open_file(path, LAYOUT)
    try:
        with as_cache_error(path, LAYOUT):
            sizes = header.width, header.height, header.fps, header.first_frame
            if not all(0 < size < float("inf") for size in sizes):
                names = "width, height, fps and first_frame"
                raise ValueError(f"attributes {names} are not all above 0")
            if MAPS in file and int(file[MAPS].attrs["stride"]) < 1:
                raise ValueError(f"/{MAPS} has no stride")
    except BaseException:
        file.close()
        raise
    return file, header, lengths
