"""Batches: whole, in an order that can be taken up again, whoever makes them."""

from itertools import islice

import datasets
import pytest
import torch

from mottool.data.augmentation import AUGMENTATIONS
from mottool.data.batches import Loading, Order, batches, collate, loader
from mottool.data.pairs import Pairs
from mottool.data.samples import Samples
from mottool.errors import InputError
from mottool.models.preprocessing import Letterbox

VIEW = Letterbox(96, 64)


@pytest.fixture
def data(tmp_path):
    return datasets.mixed(tmp_path)


def test_collated_samples_come_apart_again(data):
    samples = Samples(data, VIEW, AUGMENTATIONS["fairmot"], Pairs())
    made = [samples[0, number] for number in (0, 7, 3)]
    batch = collate(made)
    assert batch.images.shape == (3, 3, 64, 96)
    assert batch.negative.tolist() == [False] * 3
    for sample, labels in zip(made, batch.labels, strict=True):
        torch.testing.assert_close(labels.boxes, sample.labels.boxes)
        torch.testing.assert_close(labels.identities, sample.labels.identities)
    for sample, labels in zip(made, batch.partner.labels, strict=True):
        torch.testing.assert_close(labels.boxes, sample.partner.labels.boxes)
    assert batch.to("cpu").partner.images.equal(batch.partner.images)


def test_every_epoch_is_another_shuffle_of_all_samples():
    order = Order(20, seed=1)
    first = list(order)
    order.epoch = 1
    second = list(order)
    assert sorted(number for _, number in first) == list(range(20))
    assert [epoch for epoch, _ in second] == [1] * 20
    assert [number for _, number in first] != [number for _, number in second]


def test_processes_share_an_epoch_without_overlap():
    shares = [list(Order(20, rank=rank, world=3)) for rank in range(3)]
    assert [len(share) for share in shares] == [6, 6, 6]
    assert len({place for share in shares for place in share}) == 18
    assert len(Order(20, rank=2, world=3)) == 6


@pytest.mark.parametrize("workers", [0, 1])
def test_a_run_taken_up_again_goes_on_as_if_it_had_not_stopped(data, workers):
    samples = Samples(data, VIEW, AUGMENTATIONS["fairmot"], seed=5)
    order, again = Order(len(data), seed=5), Order(len(data), seed=5)
    whole = loader(samples, order, Loading(batch=2, workers=0))
    order.epoch = 1
    expected = list(batches(whole))
    torch.manual_seed(0)
    state = torch.get_rng_state()
    resumed = loader(samples, again, Loading(batch=2, workers=workers))
    for again.epoch, again.done in ((0, 6), (1, 4)):
        found = list(batches(resumed))
    assert len(found) == len(expected) - 2
    for one, other in zip(found, expected[2:], strict=True):
        torch.testing.assert_close(one.images, other.images, rtol=0, atol=0)
        torch.testing.assert_close(one.boxes, other.boxes, rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_broken_image_is_told_as_an_input_error_from_any_process(data, tmp_path, workers):
    (tmp_path / "film" / "img1" / "000003.png").write_text("words")
    made = loader(Samples(data, VIEW), [(0, 0), (0, 2)], Loading(batch=1, workers=workers))
    found = batches(made)
    assert len(list(islice(found, 1))) == 1
    with pytest.raises(InputError, match=r"000003\.png cannot be read as an image"):
        next(found)
