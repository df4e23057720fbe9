import pytest
from learners import learner_of, terms_of

from mottool.errors import SettingError
from mottool.networks.cstrack import ARRANGEMENTS, CSTrackLearning
from mottool.training.learners.cstrack import structure


@pytest.mark.parametrize(("relation", "share"), [("self", 1.0), ("cross", 0.0), ("fixed", 0.5)])
def test_shares_of_a_single_relation_are_not_trained(relation, share, dataset):
    learner = learner_of("cstrack-s", dataset, CSTrackLearning(relation=relation))
    optimiser = learner.optimiser(1e-2)
    terms_of(learner, "cstrack-s", dataset)["total"].backward()
    optimiser.step()
    shares = [value for name, value in learner.named_parameters() if name.endswith("_share")]
    assert len(shares) == 6
    assert all(value.item() == share for value in shares)


@pytest.mark.parametrize(
    "settings",
    [
        CSTrackLearning(relation="none", attention="none"),
        CSTrackLearning(relation="cnn", attention="sam+cam"),
        CSTrackLearning(head="basic"),
        CSTrackLearning(form="paper", attention="sam/sam+cam", detection_loss="paper"),
        CSTrackLearning(form="paper", head="basic"),
    ],
)
def test_every_parameter_of_a_variant_has_a_gradient(settings, dataset):
    learner = learner_of("cstrack-s", dataset, settings)
    terms_of(learner, "cstrack-s", dataset)["total"].backward()
    parameters = {name: value for name, value in learner.named_parameters() if value.requires_grad}
    parts = {name.split(".")[1] for name in parameters if name.startswith("network.")}
    assert ("relations" in parts) == (settings.relation != "none")
    assert ("attention" in parts) == (settings.head == "saan")
    assert all(value.grad is not None for value in parameters.values())


def test_arrangements_of_attention_equal_table_iii():
    attended = {
        name: (structure(CSTrackLearning(attention=name)).level,
               structure(CSTrackLearning(attention=name)).fused)
        for name in ARRANGEMENTS
    }  # fmt: skip
    sam, cam = ("sam",), ("cam",)
    rows = [
        ((), ()),
        (sam, ()),
        (cam, ()),
        (sam + cam, ()),
        (sam, sam),
        (sam, cam),
        (sam, sam + cam),
    ]
    assert list(attended.values()) == rows
    assert attended[CSTrackLearning().attention] == rows[5]
    with pytest.raises(SettingError, match="--attention does not apply to the basic head"):
        CSTrackLearning(head="basic", attention="sam")


def test_optimiser_equals_that_of_the_authors(dataset):
    """Momentum 0.95; weights decay, but neither the classifier nor biases and norms."""
    learner = learner_of("cstrack-s", dataset)
    optimiser = learner.optimiser(5e-4)
    decays = {
        id(parameter): group["weight_decay"]
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert {group["momentum"] for group in optimiser.param_groups} == {0.95}
    assert decays[id(learner.loss.classifier.weight)] == 0
    network = learner.network
    assert decays[id(network.detection[0].weight)] == 5e-4
    assert decays[id(network.detection[0].bias)] == 0
    assert decays[id(network.backbone.stem.conv.bn.weight)] == 0
    assert decays[id(network.relations[0].identity_share)] == 0
    trained = [value for value in learner.parameters() if value.requires_grad]
    assert len(trained) == len(decays)
    named = {id(value): name for name, value in learner.named_parameters()}
    (biases,) = [group for group in optimiser.param_groups if group.get("biases")]
    in_group = {named[id(value)] for value in biases["params"]}
    assert in_group == {name for name in named.values() if name.endswith(".bias")}


def test_loss_is_scaled_like_the_authors_step(dataset):
    """Its learning rate is one for the sum over 8 images (`loss_times_bs` of golden/losses)."""
    terms = terms_of(learner_of("cstrack-s", dataset), "cstrack-s", dataset)
    mean = 0.05 * terms["box"] + terms["objectness"] + 0.02 * terms["identity"]
    assert terms["total"].item() == pytest.approx(8 * mean.item(), rel=1e-5)
    learner = learner_of("cstrack-s", dataset, CSTrackLearning(detection_loss="paper"))
    terms = terms_of(learner, "cstrack-s", dataset)
    mean = 0.05 * terms["box"] + terms["objectness"] + 0.02 * terms["identity"]
    assert terms["total"].item() == pytest.approx(mean.item(), rel=1e-5)
