"""Training of TDT: schedule, optimiser, and the detector of its two-stage baseline."""

import numpy as np
import pytest
import torch
from figures import street

from mottool.cache.reader import Cache
from mottool.data.formats import open_dataset
from mottool.errors import SettingError
from mottool.networks.registry import NETWORKS, load
from mottool.networks.tdt import TDTLearning
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences
from mottool.stages import detect_embed, train
from mottool.stages.train import Config

NAME, SIZE = "tdt-mobilenet", (64, 64)
SMALL = {"steps": 2, "batch": 2, "input": SIZE, "workers": 0, "device": "cpu", "lr": 1e-3}
ALONE = TDTLearning(detector_only=True)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=4, size=(96, 64))


def test_schedule_is_that_of_the_paper():
    """§4.2: 300,000 steps of 16 images; 0.001 rises to 0.15 in 2,000 steps, then half a cosine."""
    recipe = NETWORKS[NAME].family.recipe
    assert (recipe.epochs, recipe.steps, recipe.batch) == (None, 300_000, 16)
    rates = [0.15 * recipe.factor(step, 3000) for step in (0, 1000, 2000, 151_000, 300_000)]
    assert rates == pytest.approx([0.001, 0.0755, 0.15, 0.075, 0], abs=1e-9)


def test_only_weights_of_convolutions_decay(scene):
    """Supplement A: a weight decay of 0.0001; momentum 0.9 of SGD."""
    family = NETWORKS[NAME].family
    dataset = open_dataset(scene, print)
    learner = load(family.learner)(NAME, dataset, SIZE, TDTLearning())
    decaying, others = learner.optimiser(0.15).param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (1e-4, 0)
    assert decaying["momentum"] == others["momentum"] == 0.9
    assert all(each.dim() == 4 for each in decaying["params"])
    assert all(each.dim() == 1 for each in others["params"])
    count = sum(1 for _ in learner.parameters())
    assert len(decaying["params"]) + len(others["params"]) == count


def test_the_weights_of_the_losses_are_settings(scene):
    family = NETWORKS[NAME].family
    settings = TDTLearning(class_weight=2, box_weight=3, embedding_weight=4, finest_level=2)
    learner = load(family.learner)(NAME, open_dataset(scene, print), SIZE, settings)
    assert learner.loss.weights == (2, 3, 4)
    assert learner.network.levels == (2, 3, 4, 5, 6, 7)


@pytest.fixture(scope="module")
def detector(scene, tmp_path_factory):
    """Weights of a detector that was trained for two steps, and the messages of its training."""
    messages = []
    out = tmp_path_factory.mktemp("detector")
    weights = train.run(
        NAME, [scene], out, Config(**SMALL), ALONE, validation=[scene], warn=messages.append
    )
    return weights, messages


def test_a_detector_alone_is_trained_without_labels(detector, scene, tmp_path):
    weights, messages = detector
    assert "AP@0.5" in "\n".join(messages)
    assert "TPR" not in "\n".join(messages)
    pipeline = build_pipeline(NAME, Options(weights=weights, min_score=0.0))
    assert not pipeline.network.embeds
    (sequence,) = find_sequences([scene])
    cache = detect_embed.run(sequence, tmp_path / "cache.h5", pipeline)
    with Cache(cache) as opened:
        frames = list(opened.frames())
    assert all(frame.embeddings is None for frame in frames)
    with pytest.raises(SettingError, match="no embedder: it was trained with --detector-only"):
        build_pipeline(f"gt+{NAME}", Options(embedder_weights=weights))


def test_boxes_of_a_detector_are_embedded_by_another_network(detector, scene, tmp_path):
    pipeline = build_pipeline(f"{NAME}+histogram", Options(weights=detector[0], min_score=0.0))
    (sequence,) = find_sequences([scene])
    cache = detect_embed.run(sequence, tmp_path / "cache.h5", pipeline)
    with Cache(cache) as opened:
        norms = [np.linalg.norm(frame.embeddings, axis=1) for frame in opened.frames()]
    assert all(len(norm) for norm in norms)
    np.testing.assert_allclose(np.concatenate(norms), 1, atol=1e-3)  # float16


def test_settings_of_an_embedder_do_not_apply_to_a_detector_alone(scene, tmp_path):
    labels = [tmp_path / "labels.h5"]
    with pytest.raises(SettingError, match="--labels does not apply"):
        train.run(NAME, [scene], tmp_path, Config(**SMALL), ALONE, labels=labels)
    for name in ("embedding_size", "embedding_weight"):
        flag = f"--{name.replace('_', '-')} does not apply with --detector-only"
        with pytest.raises(SettingError, match=flag):
            TDTLearning(detector_only=True, **{name: 64})


def test_a_student_differs_from_the_detector_by_its_embedder(scene):
    family, dataset = NETWORKS[NAME].family, open_dataset(scene, print)
    student, alone = (
        load(family.learner)(NAME, dataset, SIZE, settings).network.state_dict()
        for settings in (TDTLearning(), ALONE)
    )
    extra = set(student) - set(alone)
    assert extra == {name for name in student if name.startswith("embedder.")}
    assert set(alone) < set(student)
    assert torch.Size([9 * 128, 256, 3, 3]) == student["embedder.embedding.weight"].shape
