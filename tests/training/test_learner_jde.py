import numpy as np
import pytest
import torch
from learners import SIZE, batch_of, learner_of, terms_of

from mottool.errors import SettingError
from mottool.networks.jde import JDELearning


@pytest.mark.parametrize("weighting", ["uniform", "fixed", "normalisation", "mgda"])
def test_every_weighting_of_the_losses_trains_the_backbone(weighting, dataset):
    learner = learner_of("jde-576x320", dataset, JDELearning("triplet", weighting))
    terms = terms_of(learner, "jde-576x320", dataset)
    terms["total"].backward()
    assert learner.network.backbone.stem.conv.weight.grad.abs().sum() > 0
    if weighting == "uniform":
        parts = sum(value for name, value in terms.items() if name != "total")
        assert terms["total"].item() == pytest.approx(parts.item(), rel=1e-5)


@pytest.mark.parametrize("objective", ["triplet", "upper-bound"])
def test_triplets_come_from_pairs_of_consecutive_frames(objective, dataset):
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


def test_settings_reach_the_loss(dataset):
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
def test_settings_without_effect_are_refused(given, problem):
    with pytest.raises(SettingError, match=problem):
        JDELearning(**given)
