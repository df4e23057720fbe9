import pickle
from dataclasses import fields, replace

import datasets
import numpy as np
import pytest
import torch
from figures import street
from learners import SIZE, batch_of, learner_of, terms_of

from mottool.data.batches import LoaderSettings, batches, collate, loader
from mottool.data.formats import open_dataset
from mottool.data.samples import Samples
from mottool.data.targets.labels import Targets
from mottool.errors import InputError, SettingError
from mottool.models.preprocessing import CenterWarp
from mottool.networks.fairmot import FairMOTLearning
from mottool.networks.learning import PairSampling, Recipe
from mottool.networks.otrack import OTRACK, OTrackLearning
from mottool.networks.outrack import OUTrackLearning
from mottool.networks.registry import NETWORKS, families, load, trainable
from mottool.networks.tdt import TDTLearning

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
    """Return every tensor in nested `Targets` and dicts."""
    if isinstance(value, Targets):
        return [each for name in fields(value) for each in tensors(getattr(value, name.name))]
    if isinstance(value, dict):
        return [each for key in value for each in tensors(value[key])]
    return [] if value is None else [value]


@pytest.mark.parametrize("pipeline", SMALLEST)
def test_examples_are_created_without_the_network(pipeline, dataset):
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
def test_missing_teacher_embeddings_are_an_error_in_every_process(workers, dataset):
    learner = learner_of("tdt-mobilenet", dataset, TDTLearning(embedding_size=8))
    samples = Samples(dataset, load(NETWORKS["tdt-mobilenet"].family.preprocessor)(*SIZE))
    made = loader(samples, [(0, 0)], LoaderSettings(1, workers), learner.examples)
    with pytest.raises(InputError, match="no teacher embeddings") as caught:
        next(batches(made))
    assert "distill-labels" in caught.value.fix


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


def test_settings_of_outrack_reach_its_loss_and_its_pairs(dataset):
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


def test_settings_of_otrack_reach_its_network_and_its_pairs(dataset):
    whole = terms_of(learner_of("otrack", dataset), "otrack", dataset)
    hidden = {"occlusion", "occlusion_offset"}
    plain = learner_of("otrack", dataset, OTrackLearning(occlusion=False, jitter=0.2, reach=1))
    assert (plain.pairs.reach, plain.pairs.jitter, plain.pairs.lost) == (1, 0.2, 0.4)
    assert terms_of(plain, "otrack", dataset).keys() == whole.keys() - hidden
    assert plain.network.occlusion is None


def test_otrack_matches_people_by_identity_or_within_one_image(tmp_path):
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


def test_single_images_give_every_box_its_own_identity(dataset):
    learner = learner_of("fairmot-yolov5s", dataset, FairMOTLearning(single_images=True))
    assert learner.loss.classifier.out_features == len(dataset.boxes)
    batch = batch_of(learner, "fairmot-yolov5s", dataset)
    targets = learner.examples(batch).targets
    known = targets.identities[targets.valid]
    assert sorted(known.tolist()) == sorted(batch.rows.tolist())


@pytest.mark.parametrize("pipeline", ["fairmot-yolov5s", "jde-576x320", "cstrack-s"])
def test_a_dataset_with_one_identity_is_refused(pipeline, tmp_path):
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
