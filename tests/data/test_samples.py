"""Training samples: reproducible, with boxes, pairs and prior detections that fit the image."""

import pickle

import datasets
import numpy as np
import pytest
import torch

from mottool.data.batches import collate
from mottool.data.formats import open_dataset
from mottool.data.samples import Samples
from mottool.models.otrack import prior_heatmap
from mottool.models.preprocessing import CenterWarp, Letterbox
from mottool.networks.fairmot import FAIRMOT
from mottool.networks.jde import JDE
from mottool.networks.learning import PairSampling, PreviousFrameSampling
from mottool.networks.otrack import OTRACK
from mottool.networks.outrack import OUTRACK
from mottool.networks.tdt import TDT

VIEW = Letterbox(96, 64)


@pytest.fixture
def data(tmp_path):
    return datasets.mixed(tmp_path)


def same(one, other):
    torch.testing.assert_close(one.image, other.image, rtol=0, atol=0)
    torch.testing.assert_close(one.labels.boxes, other.labels.boxes, rtol=0, atol=0)
    return one.rows.tolist() == other.rows.tolist()


def test_sample_without_augmentation_is_the_preprocessed_image(data):
    sample = Samples(data, VIEW)[0, 0]
    image = data[0]
    np.testing.assert_array_equal(sample.image.numpy(), VIEW.image(image.pixels()))
    back = VIEW.to_frame(sample.labels.boxes.numpy(), image.width, image.height)
    np.testing.assert_allclose(back, image.boxes, atol=1e-4)
    assert sample.labels.identities.tolist() == [0, 1, 2]
    assert sample.labels.boxes.dtype == torch.float32
    assert sample.partner is None


def test_sample_depends_on_seed_epoch_and_index_only(data):
    samples = Samples(data, VIEW, FAIRMOT.augmentation, seed=3)
    again = Samples(data, VIEW, FAIRMOT.augmentation, seed=3)
    first = samples[2, 4]
    for number in range(3):
        again[1, number]
    assert same(first, again[2, 4])
    for other in (samples[3, 4], Samples(data, VIEW, FAIRMOT.augmentation, seed=4)[2, 4]):
        assert not torch.equal(first.image, other.image)


def test_rows_are_those_of_the_remaining_boxes(data):
    samples = Samples(data, VIEW, JDE.augmentation)
    for number in range(len(data)):
        sample = samples[0, number]
        labels = sample.labels
        assert len(sample.rows) == len(labels.boxes) == len(labels.identities)
        np.testing.assert_array_equal(data.identities[sample.rows], labels.identities)
        assert set(sample.rows.tolist()) <= set(data[number].rows.tolist())


def test_teacher_embeddings_are_those_of_the_boxes(data):
    table = np.arange(len(data.boxes) * 2, dtype=np.float32).reshape(-1, 2)
    samples = Samples(data, VIEW, TDT.augmentation, embeddings=lambda rows: table[rows])
    batch = collate([samples[0, number] for number in (1, 6, 7)])
    np.testing.assert_array_equal(batch.embeddings.numpy(), table[batch.rows])
    assert [len(labels.embeddings) for labels in batch.labels] == batch.counts.tolist()


def test_pairs_are_near_frames_or_a_still_image_twice(data):
    samples = Samples(data, VIEW, OUTRACK.augmentation, PairSampling(reach=2, negative=0))
    for epoch in range(4):
        for number in range(len(data)):
            sample = samples[epoch, number]
            near = [number] if data[number].video < 0 else data.near(number, 2).tolist()
            partners = set(sample.partner.rows.tolist())
            allowed = {row for other in near for row in data[other].rows.tolist()}
            assert partners <= allowed
            assert not sample.negative
    still = samples[0, 6]
    assert not torch.equal(still.image, still.partner.image)


def test_negative_pairs_of_still_images_have_disjoint_people(data):
    samples = Samples(data, VIEW, None, PairSampling(negative=1))
    for number in range(len(data)):
        sample = samples[0, number]
        # OUTrack's Eq. 7 is for still images; two frames of a video are a positive pair.
        assert sample.negative == (data[number].video < 0)
        if sample.negative:
            assert not set(sample.partner.rows.tolist()) & set(sample.rows.tolist())


def test_a_fifth_of_the_pairs_of_still_images_is_negative(data):
    # N_neg / N_pos = 0.25 (§3.1.2) is a share of 0.25 / 1.25 = 0.2 of the pairs.
    assert PairSampling().negative == 0.25 / (1 + 0.25)
    samples = Samples(data, VIEW, None, PairSampling())
    count = sum(samples[epoch, 6].negative for epoch in range(400))
    assert 50 < count < 110  # 80 expected, with a standard deviation of 8


def test_pairs_of_a_video_are_from_20_consecutive_frames(tmp_path):
    rows = [f"{frame},1,10,8,12,30,1,1,1" for frame in range(1, 41)]
    film = open_dataset(datasets.motchallenge(tmp_path / "film", rows, frames=40), print)
    samples = Samples(film, VIEW, None, PairSampling())
    apart = {int(samples[epoch, 20].partner.rows[0]) - 20 for epoch in range(300)}
    # §4.1: "randomly sampled from consecutive 20 frames": the ten before and the ten after.
    assert apart == {*range(-10, 11)} - {0}


def test_previous_frame_is_near_and_has_the_same_transform(data):
    samples = Samples(data, CenterWarp(96, 64), OTRACK.augmentation, PreviousFrameSampling(reach=2))
    apart = set()
    for epoch in range(8):
        for number in range(6):
            sample = samples[epoch, number]
            # The three people do not move, and each image has three rows.
            torch.testing.assert_close(sample.labels.boxes, sample.partner.labels.boxes)
            assert not torch.equal(sample.image, sample.partner.image)
            assert not sample.negative
            apart |= set(((sample.partner.rows - sample.rows) // 3).tolist())
    assert apart == {-2, -1, 0, 1, 2}


def test_still_image_is_its_own_previous_frame_with_another_transform(data):
    sample = Samples(data, CenterWarp(96, 64), OTRACK.augmentation, PreviousFrameSampling())[0, 6]
    assert sample.rows.tolist() == sample.partner.rows.tolist() != []
    assert not torch.equal(sample.labels.boxes, sample.partner.labels.boxes)


def test_prior_detections_depend_on_seed_epoch_and_index_only(data):
    view, limits = CenterWarp(96, 64), OTRACK.augmentation
    samples, again = (
        Samples(data, view, limits, PreviousFrameSampling(), seed=3) for _ in range(2)
    )
    first = samples[2, 4]
    np.random.default_rng().normal()
    for number in range(3):
        again[1, number]
    assert same(first, again[2, 4])
    assert same(first.partner, again[2, 4].partner)
    assert torch.equal(first.partner.prior, again[2, 4].partner.prior)
    assert len({samples[epoch, 4].partner.prior.sum().item() for epoch in range(6)}) > 1


def test_prior_without_simulated_errors_has_all_boxes(data):
    steps = PreviousFrameSampling(jitter=0, lost=0, false=0)
    partner = Samples(data, CenterWarp(96, 64), None, steps)[0, 2].partner
    drawn = prior_heatmap(partner.labels.boxes.numpy(), 96, 64)
    np.testing.assert_array_equal(partner.prior.numpy(), drawn[None])
    assert (drawn == 1).sum() == 3
    batch = collate([Samples(data, CenterWarp(96, 64), None, steps)[0, n] for n in (2, 6)])
    assert batch.partner.prior.shape == (2, 1, 64, 96)
    assert batch.prior is None


def test_samples_can_be_pickled(data):
    samples = pickle.loads(pickle.dumps(Samples(data, VIEW, FAIRMOT.augmentation)))
    assert same(samples[0, 1], Samples(data, VIEW, FAIRMOT.augmentation)[0, 1])
