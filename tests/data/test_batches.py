"""Batches: collation, a resumable order, and equal results from any number of processes."""

from functools import partial
from itertools import islice

import datasets
import pytest
import torch

from mottool.data.batches import (
    LoaderSettings,
    LossInputs,
    ResumableSampler,
    batches,
    collate,
    loader,
)
from mottool.data.samples import Samples
from mottool.data.targets.jde import AnchorTargets, JDETargets, jde_targets
from mottool.data.targets.labels import Labels, Targets
from mottool.errors import InputError
from mottool.models.preprocessing import Letterbox
from mottool.networks.fairmot import FAIRMOT
from mottool.networks.learning import PairSampling

VIEW = Letterbox(96, 64)
ANCHORS = {16: ((8, 24), (11, 34)), 8: ((4, 12), (6, 17))}


def examples(batch, size=(96, 64)):
    """Make a learner's loss inputs; at module level, because workers import it by name."""
    return LossInputs(batch.images, jde_targets(batch.labels, size, ANCHORS))


def examples_of_three_people(batch):
    if batch.counts.sum() < 3:
        raise InputError("a box is missing", "add it")
    return examples(batch)


@pytest.fixture
def data(tmp_path):
    return datasets.mixed(tmp_path)


def test_collated_batch_has_the_labels_of_each_sample(data):
    samples = Samples(data, VIEW, FAIRMOT.augmentation, PairSampling(negative=0.0))
    samples_in_batch = [samples[0, number] for number in (0, 7, 3)]
    batch = collate(samples_in_batch)
    assert batch.images.shape == (3, 3, 64, 96)
    assert batch.negative.tolist() == [False] * 3
    for sample, labels in zip(samples_in_batch, batch.labels, strict=True):
        torch.testing.assert_close(labels.boxes, sample.labels.boxes)
        torch.testing.assert_close(labels.identities, sample.labels.identities)
    for sample, labels in zip(samples_in_batch, batch.partner.labels, strict=True):
        torch.testing.assert_close(labels.boxes, sample.partner.labels.boxes)
    assert batch.to("cpu").partner.images.equal(batch.partner.images)


def test_every_epoch_shuffles_all_samples_differently():
    order = ResumableSampler(20, seed=1)
    first = list(order)
    order.epoch = 1
    second = list(order)
    assert sorted(number for _, number in first) == list(range(20))
    assert [epoch for epoch, _ in second] == [1] * 20
    assert [number for _, number in first] != [number for _, number in second]


def test_an_epoch_of_pairs_has_half_of_the_samples_another_half_each_time():
    order = ResumableSampler(20, seed=1, count=10)
    first = {number for _, number in order}
    order.epoch = 1
    assert len(order) == len(first) == 10
    assert {number for _, number in order} != first
    assert [len(ResumableSampler(20, 1, rank, 3, count=10)) for rank in range(3)] == [3] * 3


def test_processes_get_disjoint_samples_of_an_epoch():
    shares = [list(ResumableSampler(20, rank=rank, world=3)) for rank in range(3)]
    assert [len(share) for share in shares] == [6, 6, 6]
    assert len({position for share in shares for position in share}) == 18
    assert len(ResumableSampler(20, rank=2, world=3)) == 6


@pytest.mark.parametrize("workers", [0, 1])
def test_resumed_order_equals_an_uninterrupted_one(data, workers):
    samples = Samples(data, VIEW, FAIRMOT.augmentation, seed=5)
    order, again = ResumableSampler(len(data), seed=5), ResumableSampler(len(data), seed=5)
    whole = loader(samples, order, LoaderSettings(2, workers=0), examples)
    order.epoch = 1
    expected = list(batches(whole))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    resumed = loader(samples, again, LoaderSettings(2, workers), partial(examples, size=(96, 64)))
    for again.epoch in (0, 1):
        results = list(batches(resumed))
    assert sum(int((each.targets.levels[8].identities >= 0).sum()) for each in results) > 0
    for one, other in zip(results, expected, strict=True):
        for ours, theirs in zip(tensors(one), tensors(other), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


def tensors(examples):
    """Return the input tensor and all tensors of the targets."""
    levels = examples.targets.levels.values()
    return [examples.inputs, *(tensor for level in levels for tensor in vars(level).values())]


@pytest.mark.parametrize("workers", [0, 1])
def test_damaged_image_is_an_input_error_with_and_without_workers(data, tmp_path, workers):
    (tmp_path / "film" / "img1" / "000003.png").write_text("words")
    loading = loader(Samples(data, VIEW), [(0, 0), (0, 2)], LoaderSettings(1, workers), examples)
    results = batches(loading)
    assert len(list(islice(results, 1))) == 1
    with pytest.raises(InputError, match=r"000003\.png cannot be read as an image"):
        next(results)


@pytest.mark.parametrize("workers", [0, 1])
def test_error_in_the_targets_is_raised_with_and_without_workers(data, workers):
    """Frame 1 has three people, enough for the targets; a still image has too few and fails."""
    few = next(number for number in range(len(data)) if len(data[number].rows) < 3)
    loading = loader(
        Samples(data, VIEW),
        [(0, 0), (0, few)],
        LoaderSettings(1, workers),
        examples_of_three_people,
    )
    results = batches(loading)
    assert len(list(islice(results, 1))) == 1
    with pytest.raises(InputError, match="a box is missing") as caught:
        next(results)
    assert caught.value.fix == "add it"


def test_pin_memory_pins_all_tensors(monkeypatch):
    """Tensors inside dictionaries are pinned too, and None stays None."""
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor + 1)
    zero = torch.zeros(2)
    level = AnchorTargets(zero, zero, zero)
    pinned = LossInputs(Labels(zero, zero), JDETargets({8: level})).pin_memory()
    assert isinstance(pinned, LossInputs)
    assert isinstance(pinned.inputs, Labels)
    assert pinned.inputs.embeddings is None
    for held in (pinned.inputs.boxes, *vars(pinned.targets.levels[8]).values()):
        assert held.tolist() == [1, 1]
    assert isinstance(pinned.targets, Targets)
    assert zero.tolist() == [0, 0]
