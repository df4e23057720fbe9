from urllib.error import URLError

import numpy as np
import pytest
import torch
from figures import street
from goldens import made_up
from torchvision.models import WeightsEnum, get_model

from mottool.data.formats import open_dataset
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.networks.registry import NETWORKS, load, trainable
from mottool.training.initial_weights import IMAGENET, initialise


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(street(tmp_path_factory.mktemp("data") / "street", 2), print)


def learner_of(pipeline, dataset):
    family = trainable(pipeline).family
    return load(family.learner)(pipeline, dataset, (128, 96), family.learning())


@pytest.mark.parametrize(
    ("pipeline", "name", "place", "theirs"),
    [
        ("fairmot-resnet34", "resnet34", "backbone.trunk.stem.0.weight", "conv1.weight"),
        ("tdt-mobilenet-v2", "mobilenet_v2", "backbone.features.0.0.weight", "features.0.0.weight"),
    ],
)
def test_backbones_start_from_torchvision_weights(
    pipeline, name, place, theirs, dataset, monkeypatch
):
    tensors = get_model(name, weights=None).state_dict()
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **how: tensors)
    learner = learner_of(pipeline, dataset)
    message = initialise(learner, IMAGENET, NETWORKS[pipeline].torchvision_backbone)
    expected = learner.network.state_dict()
    assert torch.equal(expected[place], tensors[theirs])
    # All of it but the classifier.
    taken = int(message.split(": ")[1].split()[0])
    assert taken == sum(not each.startswith(("fc.", "classifier.")) for each in tensors)


def test_a_backbone_missing_from_torchvision_is_refused(dataset):
    with pytest.raises(SettingError, match="no ImageNet weights of this backbone"):
        initialise(learner_of("fairmot-yolov5s", dataset), IMAGENET)


def test_a_failed_download_is_an_error_with_a_fix(dataset, monkeypatch):
    def refuse(self, **how):
        raise URLError("no route")

    monkeypatch.setattr(WeightsEnum, "get_state_dict", refuse)
    with pytest.raises(InputError, match=r"cannot download https://.*put the file into"):
        initialise(learner_of("tdt-mobilenet-v2", dataset), IMAGENET, "mobilenet_v2")


@pytest.mark.parametrize(
    ("pipeline", "theirs", "ours"),
    [
        (
            "outrack",
            "dla_up.ida_0.proj_1.conv.bias",
            "backbone.pyramid.steps.0.joins.0.proj.conv.bias",
        ),
        (
            "otrack",
            "dla_up.ida_0.proj_1.conv.bias",
            "backbone.pyramid.steps.0.joins.0.proj.conv.bias",
        ),
        ("otrack", "base.pre_hm_layer.0.weight", "previous_heatmap.0.weight"),
        ("cstrack-s", "model.0.conv.conv.weight", "backbone.stem.conv.conv.weight"),
    ],
)
def test_a_detector_initialises_the_shared_parts(pipeline, theirs, ours, dataset, tmp_path):
    learner = learner_of(pipeline, dataset)
    value = torch.randn_like(learner.network.state_dict()[ours])
    torch.save({"state_dict": {theirs: value}}, tmp_path / "detector.pth")
    assert "1 of the network's" in initialise(learner, str(tmp_path / "detector.pth"))
    assert torch.equal(learner.network.state_dict()[ours], value)


def test_another_network_initialises_the_shared_parts(dataset, tmp_path):
    fairmot, outrack = (learner_of(name, dataset) for name in ("fairmot-dla34", "outrack"))
    torch.save(fairmot.network.state_dict(), tmp_path / "fairmot.pth")
    message = initialise(outrack, str(tmp_path / "fairmot.pth"))
    assert (
        "random weights remain in identity.2.weight, identity.2.bias, occlusion.0.weight" in message
    )
    assert torch.equal(
        outrack.network.state_dict()["heatmap.2.bias"], fairmot.network.heatmap[2].bias
    )


def test_otrack_starts_from_centertrack_or_the_backbone_of_fairmot(dataset, tmp_path):
    torch.save({"state_dict": made_up("otrack")}, tmp_path / "mot17_half.pth")
    learner = learner_of("otrack", dataset)
    message = initialise(learner, str(tmp_path / "mot17_half.pth"))
    assert "random weights remain in occlusion.0.weight, occlusion.0.bias" in message
    assert message.endswith("occlusion_offset.0.bias and 2 more")  # the two heads, and no other
    torch.testing.assert_close(
        learner.network.displacement[2].bias, made_up("otrack")["tracking.2.bias"]
    )
    fairmot = learner_of("fairmot-dla34", dataset)
    torch.save(fairmot.network.state_dict(), tmp_path / "fairmot.pth")
    message = initialise(learner, str(tmp_path / "fairmot.pth"))
    assert "random weights remain in previous_image.0.weight" in message
    theirs, ours = fairmot.network.backbone.state_dict(), learner.network.backbone.state_dict()
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())


def test_non_finite_initial_weights_are_refused(dataset, tmp_path):
    learner = learner_of("cstrack-s", dataset)
    value = torch.full_like(
        learner.network.state_dict()["backbone.stem.conv.conv.weight"], float("inf")
    )
    torch.save({"model.0.conv.conv.weight": value}, tmp_path / "diverged.pt")
    with pytest.raises(CheckpointError, match=r"diverged\.pt: .* in backbone\.stem\.conv\.conv\.w"):
        initialise(learner, str(tmp_path / "diverged.pt"))
    assert all(value.isfinite().all() for value in learner.network.state_dict().values())


@pytest.mark.parametrize(("minor", "seen"), [(1, "<i4"), (2, "<i8")])
def test_jde_starts_from_a_bare_darknet_backbone(minor, seen, dataset, tmp_path):
    learner = learner_of("jde-576x320", dataset)
    draw = np.random.default_rng(0)
    # darknet53.cfg by hand: a convolution, then stages of a strided one and pairs of 1x1 and 3x3.
    shapes, width = [(32, 3, 3)], 32
    for pairs in (1, 2, 8, 8, 4):
        wide = 2 * width
        shapes += [(wide, width, 3), *[(width, wide, 1), (wide, width, 3)] * pairs]
        width = wide
    assert len(shapes) == 52
    values = []
    for out, into, side in shapes:
        norm = draw.uniform(0.5, 1.5, (4, out))
        values.append((norm, draw.normal(size=(out, into, side, side))))
    header = np.array([0, minor, 0], "<i4").tobytes() + np.array([32013312], seen).tobytes()
    with (tmp_path / "darknet53.conv.74").open("wb") as file:
        file.write(header)
        for norm, kernels in values:
            file.write(norm.astype("<f4").tobytes() + kernels.astype("<f4").tobytes())
    assert (tmp_path / "darknet53.conv.74").stat().st_size == 162_482_560 + len(header)
    message = initialise(learner, str(tmp_path / "darknet53.conv.74"))
    assert message.startswith(f"{tmp_path}/darknet53.conv.74: 260 of the network's ")
    assert "random weights remain in level_32.trunk.0.conv.weight" in message
    convolutions = [each for each in learner.network.backbone.modules() if hasattr(each, "norm")]
    for block, (norm, kernels) in zip(convolutions, values, strict=True):
        expected = block.norm
        for tensor, row in zip(
            (expected.bias, expected.weight, expected.running_mean, expected.running_var),
            norm,
            strict=True,
        ):
            assert np.array_equal(tensor.detach().numpy(), row.astype(np.float32))
        assert np.array_equal(block.conv.weight.detach().numpy(), kernels.astype(np.float32))


def test_another_darknet_file_is_refused_and_the_fitting_one_named(dataset, tmp_path):
    header = np.array([0, 2, 0, 0, 0], "<i4").tobytes()
    (tmp_path / "yolov4.conv.137").write_bytes(header + bytes(400))
    with pytest.raises(CheckpointError, match=r"420 bytes long.*darknet53\.conv\.74 162482580,"):
        initialise(learner_of("jde-576x320", dataset), str(tmp_path / "yolov4.conv.137"))
    with pytest.raises(CheckpointError, match="holds darknet weights, which have no names"):
        initialise(learner_of("fairmot-yolov5s", dataset), str(tmp_path / "yolov4.conv.137"))


def test_cstrack_initial_person_scores_are_high(dataset):
    learner = learner_of("cstrack-s", dataset)
    for image in (torch.full((1, 3, 96, 128), 0.3), torch.rand(1, 3, 96, 128)):
        heads = learner.network(image)
        _, objectness, person = learner.network.proposals(heads)
        assert torch.allclose(person, torch.tensor(60 / 61))  # logit log(0.6 / 0.01)
        assert float(objectness.detach().mean()) < 0.2
