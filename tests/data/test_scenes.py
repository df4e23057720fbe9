"""Training scenes: reproducible from seed, epoch and index; labels that fit their pixels."""

import cv2
import numpy as np
import pytest
import torch
from datasets import crops, mixed, motchallenge, penn_fudan, photo

from mottool.data.dataset import join_datasets
from mottool.data.formats import open_dataset
from mottool.data.photometry import vary
from mottool.data.scenes import Scenes
from mottool.errors import InputError
from mottool.models.preprocessing import SmoothLetterbox
from mottool.networks.learning import Composition, PairSampling, Photometry

VIEW = SmoothLetterbox(128, 96)
PLAIN = {"light": 0, "saturation": 0, "grey": 0, "blur": 0, "low_resolution": 0, "noise": 0}


def masked_people(folder):
    """Write a Penn-Fudan folder with a mask over the right half of its one box."""
    penn_fudan(folder)
    (folder / "PedMasks").mkdir()
    mask = np.zeros((48, 64), np.uint8)
    mask[8:38, 20:30] = 1
    cv2.imwrite(str(folder / "PedMasks" / "FudanPed00001_mask.png"), mask)
    return open_dataset(folder, print)


def assert_equal(one, other):
    assert torch.equal(one.image, other.image)
    assert torch.equal(one.labels.boxes, other.labels.boxes)
    assert torch.equal(one.labels.visible, other.labels.visible)
    assert torch.equal(one.labels.ignored, other.labels.ignored)
    assert torch.equal(one.rows, other.rows)


def test_scene_depends_on_seed_epoch_and_index_only(tmp_path):
    scenes = Scenes(mixed(tmp_path), VIEW, Composition(), seed=3)
    first = [scenes[0, number] for number in range(len(scenes))]
    for number in reversed(range(len(scenes))):
        assert_equal(scenes[0, number], first[number])
    assert not torch.equal(scenes[1, 0].image, first[0].image)


def test_visible_boxes_lie_inside_the_scene(tmp_path):
    scenes = Scenes(mixed(tmp_path), VIEW, Composition(mosaic=0.5))
    samples = [scenes[epoch, number] for epoch in range(5) for number in range(len(scenes))]
    assert sum(len(sample.rows) for sample in samples) > 20
    for sample in samples:
        assert sample.image.shape == (3, 96, 128)
        visible, boxes = sample.labels.visible, sample.labels.boxes
        assert (visible[:, :2] >= 0).all()
        assert (visible[:, 2:] <= torch.tensor([128, 96])).all()
        assert (visible[:, 2:] > visible[:, :2]).all()
        assert (boxes[:, :2] <= visible[:, :2] + 1e-3).all()
        assert (boxes[:, 2:] >= visible[:, 2:] - 1e-3).all()
        assert len(sample.labels.identities) == len(boxes) == len(sample.rows)


def test_identities_are_those_of_the_rows_in_the_dataset(tmp_path):
    dataset = mixed(tmp_path)
    scenes = Scenes(dataset, VIEW, Composition(mosaic=1.0))
    for number in range(len(scenes)):
        sample = scenes[0, number]
        expected = dataset.identities[sample.rows.numpy()]
        assert sample.labels.identities.tolist() == expected.tolist()


def test_teacher_embeddings_are_looked_up_by_row(tmp_path):
    scenes = Scenes(
        mixed(tmp_path),
        VIEW,
        Composition(mosaic=1.0),
        embeddings=lambda rows: rows[:, None].astype(np.float32),
    )
    sample = scenes[0, 0]
    assert sample.labels.embeddings[:, 0].tolist() == sample.rows.tolist()


def test_crops_are_pasted_and_are_not_scenes(tmp_path):
    film = open_dataset(motchallenge(tmp_path / "film"), print)
    people = open_dataset(crops(tmp_path / "people"), print)
    dataset = join_datasets([film, people])
    scenes = Scenes(dataset, VIEW, Composition(mosaic=0, paste=1, most_pasted=3))
    assert len(scenes) == len(film)
    rows = np.concatenate([scenes[epoch, 0].rows.numpy() for epoch in range(8)])
    assert (rows >= len(film.boxes)).any()
    none = Scenes(dataset, VIEW, Composition(mosaic=0, paste=0))
    rows = np.concatenate([none[epoch, 0].rows.numpy() for epoch in range(8)])
    assert (rows < len(film.boxes)).all()


def test_people_with_masks_are_pasted(tmp_path):
    film = open_dataset(motchallenge(tmp_path / "film", rows=["1,1,1,1,4,11,1,1,1"]), print)
    people = masked_people(tmp_path / "people")
    assert people.instances.tolist() == [1]
    dataset = join_datasets([film, people])
    scenes = Scenes(dataset, VIEW, Composition(mosaic=0, paste=1, **PLAIN))
    assert scenes.masked.tolist() == [len(film.boxes)]
    assert any(len(film.boxes) in scenes[epoch, 0].rows for epoch in range(8))


def test_dataset_of_crops_only_is_refused(tmp_path):
    people = open_dataset(crops(tmp_path / "people"), print)
    with pytest.raises(
        InputError, match="contains crops of single people only. Fix: add a dataset"
    ):
        Scenes(people, VIEW, Composition())


def test_second_scene_of_a_pair_has_a_near_frame_and_nearly_the_same_transform(tmp_path):
    rows = [f"{frame},7,20,8,12,30,1,1,1" for frame in range(1, 7)]
    film = open_dataset(motchallenge(tmp_path / "film", rows, frames=6), print)
    scenes = Scenes(film, VIEW, Composition(mosaic=0, paste=0, **PLAIN), PairSampling(reach=2))
    pairs = [scenes[epoch, 3] for epoch in range(12)]
    both = [each for each in pairs if len(each.rows) and len(each.partner.rows)]
    assert len(both) > 5
    for sample in both:
        assert sample.rows.tolist() != sample.partner.rows.tolist()
        assert abs(int(sample.rows[0]) - int(sample.partner.rows[0])) <= 2
        moved = sample.labels.boxes - sample.partner.labels.boxes
        assert moved.abs().max() < 0.05 * 128


def test_image_without_boxes_gives_a_scene_without_labels(tmp_path):
    photo(tmp_path / "film" / "x.png")
    film = open_dataset(motchallenge(tmp_path / "seq", frames=2), print)
    scenes = Scenes(film, VIEW, Composition(mosaic=0, paste=0))
    assert len(scenes[0, 1].rows) == 0  # frame 2 has no rows
    assert scenes[0, 1].labels.boxes.shape == (0, 4)


def test_photometry_of_zero_changes_no_pixel():
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (20, 30, 3), np.uint8)
    assert (vary(image, Photometry(**PLAIN), draw) == image).all()


@pytest.mark.parametrize("name", PLAIN)
def test_every_photometric_change_keeps_shape_and_dtype(name):
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (20, 30, 3), np.uint8)
    limit = 0.9 if name == "light" else 1
    varied = vary(image, Photometry(**PLAIN | {name: limit}), draw)
    assert varied.shape == image.shape
    assert varied.dtype == np.uint8
    assert (varied != image).any()


def test_grey_images_have_equal_channels():
    draw = np.random.default_rng(0)
    image = draw.integers(0, 256, (20, 30, 3), np.uint8)
    grey = vary(image, Photometry(**PLAIN | {"grey": 1}), draw).astype(int)
    assert np.ptp(grey, axis=2).max() <= 1
