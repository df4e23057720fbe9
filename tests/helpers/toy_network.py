"""A network that exists only in tests, declared with one entry."""

from dataclasses import replace

from mottool.networks.entry import NetworkEntry, Signature
from mottool.networks.fairmot import FAIRMOT

__all__ = ["TOY"]

TOY = NetworkEntry(
    "toy",
    replace(FAIRMOT, title="Toy", min_score=0.25),
    (64, 64),
    arguments={"backbone": "yolov5s", "embedding_size": 24},
    signatures=(Signature.of("backbone.stem.conv.conv.weight", "identity.0.weight"),),
)
