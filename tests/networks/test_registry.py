"""Checkpoints are recognised by their names: the authors' as well as ours, and other people's."""

import json

import pytest
import torch
from goldens import HERE

from mottool.models.backbones.dla import DLA34
from mottool.models.cstrack import CSTrack
from mottool.models.fairmot import BACKBONES, FairMOT
from mottool.models.jde import JDE
from mottool.models.marks import looks_like
from mottool.models.mottool_s import MottoolS
from mottool.models.otrack import OTrack
from mottool.models.outrack import OUTrack
from mottool.models.tdt import TDT, VARIANTS

OURS = {
    "mottool-s": MottoolS,
    **{f"fairmot-{name}": lambda kind=kind: FairMOT(kind()) for name, kind in BACKBONES.items()},
    **{name: lambda name=name: TDT(name) for name in VARIANTS},
    "jde": JDE,
    "cstrack": CSTrack,
    "cstrack-s": lambda: CSTrack(0.3, 0.3),
    "outrack": lambda: OUTrack(DLA34()),
    "otrack": OTrack,
    "otrack without occlusion": lambda: OTrack(occlusion=False),
}
AUTHORS = {
    "fairmot_dla34": "fairmot-dla34",
    "fairmot_dla34_wh2": "fairmot-dla34",
    "fairmot_resdcn34": "fairmot-resnet34",
    "fairmot_resfpndcn34": "fairmot-resnet34-fpn",
    "fairmot_resdcn50": "fairmot-resnet50",
    "fairmot_hrnet18": "fairmot-hrnet",
    "fairmot_hrnet32": "fairmot-hrnet",
    "fairmot_yolov5s": "fairmot-yolov5s",
    "jde": "jde",
    "outrack": "outrack",
    "otrack": "otrack",
}


@pytest.mark.parametrize("name", OURS)
def test_our_names(name):
    with torch.device("meta"):
        network = OURS[name]()
    told = looks_like(network.state_dict())
    assert told is not None
    assert name.startswith(told)
    if name.startswith(("fairmot-resnet", "tdt")):  # where one name is the beginning of another
        assert told == name


@pytest.mark.parametrize("model", AUTHORS)
def test_the_authors_names(model):
    names = [name for name, _ in json.loads((HERE / model / "tensors.json").read_text())]
    assert looks_like(names) == AUTHORS[model]


def test_the_authors_names_of_cstrack():
    manifest = json.loads((HERE / "cstrack" / "manifest.json").read_text())
    assert looks_like(row[0] for row in manifest["tensors"]) == "cstrack"


@pytest.mark.parametrize(
    ("names", "network"),
    [
        (["conv1.conv.weight", "conv5.conv.weight", "fc.0.weight"], "osnet"),
        (["model.0.conv.conv.weight", "model.24.m.0.weight"], "a plain YOLOv5 detector"),
        (["model.0.conv.weight", "model.24.m.0.weight"], "a plain YOLOv5 detector"),
        (["hm.0.weight", "wh.0.weight", "reg.0.weight"], "a plain CenterNet detector"),
        (["nothing.known"], None),
        ([], None),
    ],
)
def test_other_names(names, network):
    assert looks_like(names) == network
