"""Checkpoints are identified by tensor names: the authors', ours, and those of other networks."""

import dataclasses
import json

import pytest
import torch
from goldens import HERE
from untrained import network

from mottool.association.registry import settings_by_tracker
from mottool.models.otrack import OTrack
from mottool.networks.registry import NETWORKS, describe, identify, learning_settings, names_help
from mottool.settings import plain_type
from mottool.stages import train

# What the names of tensors do not distinguish; their shapes do, or (JDE) nothing in the file.
SAME_NAMES = {
    "fairmot-dla34": "fairmot-dla34",
    "fairmot-dla34-stride2": "fairmot-dla34",
    "fairmot-dla34-stride8": "fairmot-dla34",
    "fairmot-dla34-64d": "fairmot-dla34",
    "fairmot-dla34-256d": "fairmot-dla34",
    "fairmot-dla34-512d": "fairmot-dla34",
    "fairmot-dla34-anchors4": "fairmot-dla34-anchors",
    "fairmot-dla34-anchors8": "fairmot-dla34-anchors",
    "fairmot-hrnet18": "fairmot-hrnet",
    "fairmot-hrnet32": "fairmot-hrnet",
    "jde-1088x608": "jde",
    "jde-864x480": "jde",
    "jde-576x320": "jde",
    "jde-paper-anchors": "jde",
    "cstrack": "cstrack",
    "cstrack-s": "cstrack",
}
AUTHORS = {
    "fairmot_dla34": "fairmot-dla34",
    "fairmot_dla34_wh2": "fairmot-dla34",
    "fairmot_resdcn34": "fairmot-resnet34",
    "fairmot_resfpndcn34": "fairmot-resnet34-fpn",
    "fairmot_resdcn50": "fairmot-resnet50",
    "fairmot_hrnet18": "fairmot-hrnet18",
    "fairmot_hrnet32": "fairmot-hrnet32",
    "fairmot_yolov5s": "fairmot-yolov5s",
    "jde": "jde-1088x608",
    "outrack": "outrack",
    "otrack": "otrack",
}


def alternatives(name):
    """The networks whose tensors have the same names as those of `name`."""
    same = SAME_NAMES.get(name)
    return [name] if same is None else [key for key in SAME_NAMES if SAME_NAMES[key] == same]


@pytest.mark.parametrize("name", NETWORKS)
def test_our_names_identify_one_network(name):
    with torch.device("meta"):
        names = network(name).state_dict()
    assert sorted(identify(names)) == sorted(alternatives(name))
    assert describe(names) == SAME_NAMES.get(name, name)


def test_otrack_without_occlusion_heads_is_identified():
    with torch.device("meta"):
        names = OTrack(occlusion=False).state_dict()
    assert identify(names) == ("otrack",)


@pytest.mark.parametrize("model", AUTHORS)
def test_the_authors_names_identify_one_network(model):
    names = [name for name, _ in json.loads((HERE / model / "tensors.json").read_text())]
    assert sorted(identify(names)) == sorted(alternatives(AUTHORS[model]))


def test_the_authors_names_of_cstrack():
    manifest = json.loads((HERE / "cstrack" / "manifest.json").read_text())
    assert describe(row[0] for row in manifest["tensors"]) == "cstrack"


@pytest.mark.parametrize(
    ("names", "description"),
    [
        (["conv1.conv.weight", "conv5.conv.weight", "fc.0.weight"], "osnet"),
        (["model.0.conv.conv.weight", "model.24.m.0.weight"], "a plain YOLOv5 detector"),
        (["model.0.conv.weight", "model.24.m.0.weight"], "a plain YOLOv5 detector"),
        (["hm.0.weight", "wh.0.weight", "reg.0.weight"], "a plain CenterNet detector"),
        (["nothing.known"], None),
        ([], None),
    ],
)
def test_other_networks_are_described(names, description):
    assert describe(names) == description
    assert identify(names) == ()


def test_help_lists_each_network_once_by_family():
    text = names_help(NETWORKS.values())
    assert text.startswith("mottool-s: mottool-s\nFairMOT: fairmot-dla34, -resnet34,")
    assert max(map(len, text.splitlines())) <= 76
    count = sum(len(line.split(",")) for line in text.replace(",\n    ", ", ").splitlines())
    assert count == len(NETWORKS)


@pytest.mark.parametrize("classes", [learning_settings, settings_by_tracker])
def test_settings_of_one_name_are_one_flag_of_one_type(classes):
    types = {}
    for settings_class in classes().values():
        for field in dataclasses.fields(settings_class):
            types.setdefault(field.name, set()).add(plain_type(settings_class, field))
    assert {name: kinds for name, kinds in types.items() if len(kinds) > 1} == {}


def test_outrack_and_otrack_are_trained_without_occlusion_centres_by_a_flag():
    for name in ("outrack", "otrack"):
        context = train.command.make_context("train", [name, "--data", "x", "--no-occlusion"])
        assert context.params["occlusion"] is False
