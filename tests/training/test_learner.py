import pickle
from dataclasses import fields, replace

import datasets
import numpy as np
import pytest
import torch
from figures import street

from mottool.data.batches import LoaderSettings, batches, collate, loader
from mottool.data.formats import open_dataset
from mottool.data.samples import Samples
from mottool.data.targets.labels import Targets
from mottool.errors import InputError, SettingError
from mottool.models.preprocessing import CenterWarp
from mottool.networks.cstrack import ARRANGEMENTS, CSTrackLearning
from mottool.networks.fairmot import FairMOTLearning
from mottool.networks.jde import JDELearning
from mottool.networks.learning import PairSampling, Recipe
from mottool.networks.mottool_s import MottoolSLearning
from mottool.networks.otrack import OTRACK, OTrackLearning
from mottool.networks.outrack import OUTrackLearning
from mottool.networks.registry import NETWORKS, families, load, trainable
from mottool.networks.tdt import TDTLearning
from mottool.training.learners.cstrack import structure

SMALLEST = (
    "mottool-s",
    "fairmot-yolov5s",
    "fairmot-dla34-anchors8",
    "jde-576x320",
    "cstrack-s",
    "outrack",
    "otrack",
    "tdt-mobilenet",
)
SIZE = (128, 96)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    scene = street(tmp_path_factory.mktemp("data") / "street", frames=4, size=SIZE)
    return open_dataset(scene, print)


def teacher(rows):
    return np.ones((len(rows), 8), np.float32) / 8**0.5


def learner_of(pipeline, dataset, settings=None):
    family = trainable(pipeline).family
    torch.manual_seed(0)
    return load(family.learner)(pipeline, dataset, SIZE, settings or family.learning())


def batch_of(learner, pipeline, dataset):
    view = load(NETWORKS[pipeline].family.preprocessor)(*SIZE)
    taught = teacher if learner.taught else None
    samples = Samples(dataset, view, None, learner.pairs, 0, taught)
    return collate([samples[0, index] for index in (0, 2)])


def terms_of(learner, pipeline, dataset):
    examples = learner.examples(batch_of(learner, pipeline, dataset))
    return learner(examples.inputs, examples.targets)


def test_every_family_is_tested():
    tested = {trainable(name).family for name in SMALLEST}
    assert tested == {family for family in families() if family.learner}
    assert all(family.recipe for family in tested)


@pytest.mark.parametrize("pipeline", SMALLEST)
def test_a_step_moves_every_parameter_and_lowers_the_loss(pipeline, dataset):
    settings = TDTLearning(embedding_size=8) if pipeline.startswith("tdt") else None
    learner = learner_of(pipeline, dataset, settings)
    optimiser = learner.optimiser(1e-4)
    before = terms_of(learner, pipeline, dataset)
    assert all(value.isfinite() and value.dim() == 0 for value in before.values())
    before["total"].backward()
    still = [
        name
        for name, parameter in learner.named_parameters()
        if parameter.requires_grad and parameter.grad is None
    ]
    assert not still
    optimiser.step()
    assert float(terms_of(learner, pipeline, dataset)["total"].detach()) < float(
        before["total"].detach()
    )


def tensors(value):
    """All that a nest of `Targets` and dicts holds."""
    if isinstance(value, Targets):
        return [each for name in fields(value) for each in tensors(getattr(value, name.name))]
    if isinstance(value, dict):
        return [each for key in value for each in tensors(value[key])]
    return [] if value is None else [value]


@pytest.mark.parametrize("pipeline", SMALLEST)
def test_examples_are_made_where_the_network_is_not(pipeline, dataset):
    settings = TDTLearning(embedding_size=8) if pipeline.startswith("tdt") else None
    learner = learner_of(pipeline, dataset, settings)
    batch = batch_of(learner, pipeline, dataset)
    sent = pickle.dumps(learner.examples)
    weights = sum(value.nbytes for value in learner.state_dict().values())
    assert len(sent) < weights / 10
    result, expected = pickle.loads(sent)(batch), learner.examples(batch)
    for ours, theirs in zip(tensors(result), tensors(expected), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert all(each.device.type == "cpu" for each in tensors(result))


@pytest.mark.parametrize("workers", [0, 1])
def test_people_that_no_teacher_knows_are_told_from_any_process(workers, dataset):
    learner = learner_of("tdt-mobilenet", dataset, TDTLearning(embedding_size=8))
    samples = Samples(dataset, load(NETWORKS["tdt-mobilenet"].family.preprocessor)(*SIZE))
    made = loader(samples, [(0, 0)], LoaderSettings(1, workers), learner.examples)
    with pytest.raises(InputError, match="no teacher embeddings") as caught:
        next(batches(made))
    assert "distill-labels" in caught.value.fix


@pytest.mark.parametrize("weighting", ["uniform", "fixed", "normalisation", "mgda"])
def test_jde_weighs_its_tasks_in_five_ways(weighting, dataset):
    learner = learner_of("jde-576x320", dataset, JDELearning("triplet", weighting))
    terms = terms_of(learner, "jde-576x320", dataset)
    terms["total"].backward()
    assert learner.network.backbone.stem.conv.weight.grad.abs().sum() > 0
    if weighting == "uniform":
        parts = sum(value for name, value in terms.items() if name != "total")
        assert terms["total"].item() == pytest.approx(parts.item(), rel=1e-5)


@pytest.mark.parametrize("objective", ["triplet", "upper-bound"])
def test_jde_s_triplets_come_from_pairs_of_consecutive_frames(objective, dataset):
    """§4.3: B/2 pairs of consecutive frames form a batch of B images."""
    learner = learner_of("jde-576x320", dataset, JDELearning(objective, "fixed"))
    assert learner.images_per_sample == 2
    batch = batch_of(learner, "jde-576x320", dataset)
    frames = np.searchsorted(dataset.ends, [batch.rows[0], batch.partner.rows[0]], side="right")
    assert abs(dataset.frames[frames[0]] - dataset.frames[frames[1]]) == 1
    examples = learner.examples(batch)
    assert examples.inputs.shape == (4, 3, SIZE[1], SIZE[0])
    torch.testing.assert_close(examples.inputs[2:], batch.partner.images)
    known = [set(level.identities.unique().tolist()) for level in examples.targets.levels.values()]
    assert set().union(*known) - {-1} <= set(batch.identities.tolist())
    assert all(len(level.foreground) == 4 for level in examples.targets.levels.values())
    assert learner_of("jde-576x320", dataset).pairs is None


def test_jde_s_settings_reach_its_loss(dataset):
    settings = JDELearning("triplet", "fixed", 7.0, 3.0, triplet_margin=0.2, reach=2)
    learner = learner_of("jde-576x320", dataset, settings)
    assert learner.loss.weighting.weights.tolist() == [7, 7, 3] * 3
    assert learner.loss.margin == 0.2
    assert learner.pairs.reach == 2
    scaled = learner_of("jde-576x320", dataset, JDELearning("upper-bound", upper_bound_scale=9.0))
    assert scaled.loss.scale == 9


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"detection_weight": 9.0}, "--detection-weight has no effect with --weighting unc"),
        ({"weighting": "mgda", "identity_weight": 9.0}, "--identity-weight has no effect"),
        ({"triplet_margin": 0.1}, "--triplet-margin has no effect with --objective cross-entropy"),
        ({"objective": "triplet", "upper_bound_scale": 5.0}, "--upper-bound-scale has no effect"),
        ({"reach": 2}, "--reach has no effect with --objective cross-entropy"),
    ],
)
def test_settings_of_jde_that_would_have_no_effect_are_refused(given, problem):
    with pytest.raises(SettingError, match=problem):
        JDELearning(**given)


@pytest.mark.parametrize(
    ("pipeline", "stride", "size"),
    [
        ("fairmot-dla34-stride2", 2, 128),
        ("fairmot-dla34-stride8", 8, 128),
        ("fairmot-dla34-anchors4", 4, 128),
        ("fairmot-dla34-anchors8", 8, 128),
        ("fairmot-dla34-64d", 4, 64),
        ("fairmot-dla34-512d", 4, 512),
    ],
)
def test_an_ablation_s_network_is_what_its_pipeline_loads(pipeline, stride, size, dataset):
    network = learner_of(pipeline, dataset).network
    assert (network.stride, network.embedding_size) == (stride, size)
    entry = NETWORKS[pipeline]
    kind = load(entry.family.network)
    assert isinstance(kind.from_checkpoint(network.state_dict(), **entry.arguments), kind)


@pytest.mark.parametrize(("relation", "share"), [("self", 1.0), ("cross", 0.0), ("fixed", 0.5)])
def test_one_relation_of_ren_stays_alone(relation, share, dataset):
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
def test_every_parameter_of_cstrack_s_variants_learns(settings, dataset):
    learner = learner_of("cstrack-s", dataset, settings)
    terms_of(learner, "cstrack-s", dataset)["total"].backward()
    parameters = {name: value for name, value in learner.named_parameters() if value.requires_grad}
    parts = {name.split(".")[1] for name in parameters if name.startswith("network.")}
    assert ("relations" in parts) == (settings.relation != "none")
    assert ("attention" in parts) == (settings.head == "saan")
    assert all(value.grad is not None for value in parameters.values())


def test_the_arrangements_are_those_of_table_iii():
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


def test_cstrack_s_optimiser_is_that_of_its_authors(dataset):
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


def test_cstrack_s_loss_is_as_high_as_that_of_its_authors_step(dataset):
    """Its learning rate is one for the sum over 8 images (`loss_times_bs` of golden/losses)."""
    terms = terms_of(learner_of("cstrack-s", dataset), "cstrack-s", dataset)
    mean = 0.05 * terms["box"] + terms["objectness"] + 0.02 * terms["identity"]
    assert terms["total"].item() == pytest.approx(8 * mean.item(), rel=1e-5)
    learner = learner_of("cstrack-s", dataset, CSTrackLearning(detection_loss="paper"))
    terms = terms_of(learner, "cstrack-s", dataset)
    mean = 0.05 * terms["box"] + terms["objectness"] + 0.02 * terms["identity"]
    assert terms["total"].item() == pytest.approx(mean.item(), rel=1e-5)


def test_outrack_heeds_its_settings(dataset):
    plain = terms_of(learner_of("outrack", dataset), "outrack", dataset)
    assert {"intra", "inter", "cycle", "occlusion", "occlusion_offset"} < plain.keys()
    assert learner_of("outrack", dataset).pairs == PairSampling(reach=10, negative=0.2)
    without = learner_of("outrack", dataset, OUTrackLearning(occlusion=False))
    hidden = {"occlusion", "occlusion_offset"}
    assert terms_of(without, "outrack", dataset).keys() == plain.keys() - hidden
    heavy = learner_of("outrack", dataset, OUTrackLearning(id_weight=10.0, pooled=False))
    assert heavy.loss.id_weight == 10
    assert not heavy.loss.assignment.pooled
    assert learner_of("outrack", dataset, OUTrackLearning(baseline=True)).pairs.negative == 0
    with pytest.raises(SettingError, match="CycAs has no negative pairs"):
        learner_of("outrack", dataset, OUTrackLearning(baseline=True, negative=0.5))
    settings = OUTrackLearning(baseline=True)
    assert "cycas" in terms_of(learner_of("outrack", dataset, settings), "outrack", dataset)


def test_otrack_heeds_its_settings(dataset):
    whole = terms_of(learner_of("otrack", dataset), "otrack", dataset)
    hidden = {"occlusion", "occlusion_offset"}
    plain = learner_of("otrack", dataset, OTrackLearning(occlusion=False, jitter=0.2, reach=1))
    assert (plain.pairs.reach, plain.pairs.jitter, plain.pairs.lost) == (1, 0.2, 0.4)
    assert terms_of(plain, "otrack", dataset).keys() == whole.keys() - hidden
    assert plain.network.occlusion is None


def test_otrack_knows_people_again_by_identity_or_by_the_image_being_the_same(tmp_path):
    data = datasets.mixed(tmp_path)
    nameless = replace(data, identities=np.full_like(data.identities, -1))
    for people, message in ((data, True), (nameless, False)):
        learner = learner_of("otrack", people)
        samples = Samples(people, CenterWarp(*SIZE), OTRACK.augmentation, learner.pairs)
        batch = collate([samples[epoch, number] for epoch in range(4) for number in (0, 3, 6)])
        targets = learner.examples(batch).targets
        known = zip(targets.known, targets.people.valid, strict=True)
        for (there, valid), expected, before in zip(
            known, rows(batch), rows(batch.partner), strict=True
        ):
            same = message or expected == before
            assert there[valid].tolist() == [same] * int(valid.sum())
        assert targets.people.valid.sum() > 20


def rows(batch):
    return [expected.tolist() for expected in batch.rows.split(batch.counts.tolist())]


def test_mottool_s_wants_pairs_where_nothing_else_tells_people_apart(tmp_path):
    data = datasets.mixed(tmp_path)
    learner = learner_of("mottool-s", data)
    terms = terms_of(learner, "mottool-s", data)
    assert {"intra", "inter", "cycle", "identity"} < terms.keys()
    learner.teach(8)
    assert learner.pairs is None
    assert learner_of("mottool-s", data, MottoolSLearning(unsupervised=0)).pairs is None
    known = replace(data, identities=np.arange(len(data.boxes)))
    assert learner_of("mottool-s", known).pairs is None


def test_mottool_s_weighs_its_terms_by_its_settings(dataset):
    plain = terms_of(learner_of("mottool-s", dataset), "mottool-s", dataset)
    settings = MottoolSLearning(identity=0.3, occlusion_weight=0)
    changed = terms_of(learner_of("mottool-s", dataset, settings), "mottool-s", dataset)
    hidden = plain["occlusion"] + plain["occlusion_offset"]
    wanted = plain["total"] + 0.2 * plain["identity"] - 0.5 * hidden
    torch.testing.assert_close(changed["total"], wanted)


def test_only_the_parts_that_learn_change(dataset):
    learner = learner_of("mottool-s", dataset)
    before = {name: value.clone() for name, value in learner.network.state_dict().items()}
    learner.learn_only(["identity"])
    learner.train()
    optimiser = learner.optimiser(1e-2)
    terms_of(learner, "mottool-s", dataset)["total"].backward()
    optimiser.step()
    after = learner.network.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    assert changed
    assert all(name.startswith("identity.") for name in changed)


def test_heads_that_learn_alone_see_what_they_would_see_otherwise(dataset):
    whole, part = (learner_of("mottool-s", dataset).eval() for _ in range(2))
    part.learn_only(["occlusion", "occlusion_offset"])
    part.eval()
    wanted = terms_of(whole, "mottool-s", dataset)
    result = terms_of(part, "mottool-s", dataset)
    assert result.keys() == {"occlusion", "occlusion_offset", "total"}
    for name in ("occlusion", "occlusion_offset"):
        torch.testing.assert_close(result[name], wanted[name], rtol=1e-4, atol=1e-4)
    assert part.state_dict().keys() == whole.state_dict().keys()


def test_a_part_that_is_not_there_cannot_learn(dataset):
    with pytest.raises(SettingError, match=r"has no part 'identty'.*did you mean 'identity'"):
        learner_of("mottool-s", dataset).learn_only(["identty"])


def test_single_images_make_everybody_their_own(dataset):
    learner = learner_of("fairmot-yolov5s", dataset, FairMOTLearning(single_images=True))
    assert learner.loss.classifier.out_features == len(dataset.boxes)
    batch = batch_of(learner, "fairmot-yolov5s", dataset)
    targets = learner.examples(batch).targets
    known = targets.identities[targets.valid]
    assert sorted(known.tolist()) == sorted(batch.rows.tolist())


@pytest.mark.parametrize("pipeline", ["fairmot-yolov5s", "jde-576x320", "cstrack-s"])
def test_identities_are_needed(pipeline, tmp_path):
    alone = open_dataset(street(tmp_path / "one", 2, 1, SIZE), print)
    with pytest.raises(InputError, match="one identity only"):
        learner_of(pipeline, alone)


def test_a_cosine_rises_in_proportion_and_falls_to_a_hundredth():
    recipe = Recipe(epochs=10, batch=8, lr=1.0, schedule="cosine", rise=0.03, end=0.01)
    factors = [recipe.factor(step, 100) for step in range(1000)]
    assert factors[0] == pytest.approx(1 / 30, rel=0.01)
    assert max(factors) == pytest.approx(0.998, abs=1e-3)
    assert factors[500] == pytest.approx(0.505, abs=1e-3)
    assert factors[-1] == pytest.approx(0.01, abs=1e-3)
    assert recipe.factor(3, 100, progress=0.5) == pytest.approx(0.505)  # by the clock


def test_the_learning_rate_rises_and_falls():
    recipe = Recipe(epochs=30, batch=8, lr=1.0, drops=(1 / 2, 3 / 4), warmup=1000, quartic=True)
    # 10 steps an epoch: the rise is over after the first; drops at the 15th and the 22nd epoch.
    factors = [recipe.factor(step, 10) for step in range(300)]
    assert factors[0] == pytest.approx(1e-4)
    assert factors[4] == pytest.approx(0.5**4)
    assert factors[9] == factors[149] == 1
    assert factors[150] == pytest.approx(0.1)
    assert factors[299] == pytest.approx(0.01)
