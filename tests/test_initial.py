from urllib.error import URLError

import pytest
import torch
from figures import street
from torchvision.models import WeightsEnum, get_model

from mottool.data.formats import open_dataset
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.pipelines.registry import resolve
from mottool.training.initial import IMAGENET, initialise
from mottool.training.settings import LEARNERS, SETTINGS, family


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(street(tmp_path_factory.mktemp("data") / "street", 2), print)


def learner_of(pipeline, dataset):
    kind = resolve(LEARNERS[family(pipeline)])
    return kind(pipeline, dataset, (128, 96), SETTINGS[family(pipeline)]())


@pytest.mark.parametrize(
    ("pipeline", "name", "place", "theirs"),
    [
        ("fairmot-resnet34", "resnet34", "backbone.trunk.stem.0.weight", "conv1.weight"),
        ("tdt-mobilenet", "mobilenet_v2", "backbone.features.0.0.weight", "features.0.0.weight"),
    ],
)
def test_backbones_begin_as_torchvision_has_them(
    pipeline, name, place, theirs, dataset, monkeypatch
):
    tensors = get_model(name, weights=None).state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **how: tensors)
    learner = learner_of(pipeline, dataset)
    told = initialise(learner, IMAGENET)
    own = learner.network.state_dict()
    assert torch.equal(own[place], tensors[theirs])
    # All of it but the classifier.
    taken = int(told.split(": ")[1].split()[0])
    assert taken == sum(not each.startswith(("fc.", "classifier.")) for each in tensors)


def test_a_backbone_that_torchvision_lacks_is_refused(dataset):
    with pytest.raises(SettingError, match="no ImageNet weights of this backbone"):
        initialise(learner_of("fairmot-yolov5s", dataset), IMAGENET)


def test_without_a_network_the_remedy_is_told(dataset, monkeypatch):
    def refuse(self, **how):
        raise URLError("no route")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(InputError, match=r"cannot download https://.*put the file into"):
        initialise(learner_of("tdt-mobilenet", dataset), IMAGENET)


@pytest.mark.parametrize(
    ("pipeline", "theirs", "ours"),
    [
        (
            "outrack",
            "dla_up.ida_0.proj_1.conv.bias",
            "backbone.pyramid.steps.0.joins.0.proj.conv.bias",
        ),
        ("cstrack-s", "model.0.conv.conv.weight", "backbone.stem.conv.conv.weight"),
    ],
)
def test_a_plain_detector_gives_what_it_has(pipeline, theirs, ours, dataset, tmp_path):
    learner = learner_of(pipeline, dataset)
    value = torch.randn_like(learner.network.state_dict()[ours])
    torch.save({"state_dict": {theirs: value}}, tmp_path / "detector.pth")
    assert "1 of the network's" in initialise(learner, str(tmp_path / "detector.pth"))
    assert torch.equal(learner.network.state_dict()[ours], value)


def test_another_network_of_ours_gives_what_both_have(dataset, tmp_path):
    fairmot, outrack = (learner_of(name, dataset) for name in ("fairmot-dla34", "outrack"))
    torch.save(fairmot.network.state_dict(), tmp_path / "fairmot.pth")
    told = initialise(outrack, str(tmp_path / "fairmot.pth"))
    assert "at random start identity.2.weight, identity.2.bias, occlusion.0.weight" in told
    assert torch.equal(
        outrack.network.state_dict()["heatmap.2.bias"], fairmot.network.heatmap[2].bias
    )


def test_weights_that_are_no_numbers_are_not_started_from(dataset, tmp_path):
    learner = learner_of("cstrack-s", dataset)
    value = torch.full_like(
        learner.network.state_dict()["backbone.stem.conv.conv.weight"], float("inf")
    )
    torch.save({"model.0.conv.conv.weight": value}, tmp_path / "diverged.pt")
    with pytest.raises(CheckpointError, match=r"diverged\.pt: .* in backbone\.stem\.conv\.conv\.w"):
        initialise(learner, str(tmp_path / "diverged.pt"))
    assert all(value.isfinite().all() for value in learner.network.state_dict().values())
