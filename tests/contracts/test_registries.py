"""Every registry entry names objects that exist, and every network has a listing."""

from mottool.association.registry import TRACKERS
from mottool.checkpoints.manifest import listings
from mottool.data.formats import DATASET_FORMATS
from mottool.formats.registry import TRACK_FORMATS
from mottool.metrics.registry import TRACK_METRICS
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines.registry import DETECTORS, EMBEDDERS
from mottool.runtimes.registry import RUNTIMES

PATHS = {
    **{
        f"{entry.name} {field}": getattr(entry.family, field)
        for entry in NETWORKS.values()
        for field in ("network", "preprocessor", "learner", "session")
    },
    **{f"tracker {name}": entry.tracker for name, entry in TRACKERS.items()},
    **{f"detector {name}": entry.factory for name, entry in DETECTORS.items()},
    **{f"embedder {name}": entry.factory for name, entry in EMBEDDERS.items()},
    **{f"runtime {name}": entry.open for name, entry in RUNTIMES.items()},
    **{f"metric {name}": path for name, path in TRACK_METRICS.items()},
    **{f"write {name}": entry.write for name, entry in TRACK_FORMATS.items()},
    **{f"read {name}": entry.read for name, entry in TRACK_FORMATS.items()},
    **{
        f"{function} {name}": f"{entry.reader}:{function}"
        for name, entry in DATASET_FORMATS.items()
        for function in ("recognises", "read")
    },
}


def test_every_entry_names_an_existing_object():
    for name, path in PATHS.items():
        assert not path or callable(load(path)), name


def test_every_network_has_a_weights_listing():
    assert {*NETWORKS} <= {listing.name for listing in listings()}


def test_every_network_names_a_known_tracker():
    assert {entry.family.tracker for entry in NETWORKS.values()} <= {*TRACKERS}
