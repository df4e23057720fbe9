"""JDE's losses: the authors' values and gradients; the objectives and weightings."""

import pytest
import torch
from loss_goldens import figures, labels, leaves, people

from mottool.data.targets.jde import JDETargets, anchor_targets, jde_targets
from mottool.errors import SettingError
from mottool.losses.jde import OBJECTIVES, JDELoss, TaskWeights, box, classification
from mottool.losses.weighting import WEIGHTINGS
from mottool.models.jde import ANCHORS

SIZE = (576, 320)
STRIDES = (32, 16, 8)
TARGETS = jde_targets(
    [people(0, 1, 2), people(0, 1)], SIZE, dict(zip(STRIDES, ANCHORS[SIZE], strict=True))
)


def heads(embedding_size=8, seed=0):
    generator = torch.Generator().manual_seed(seed)
    outputs = {}
    for stride in STRIDES:
        grid = SIZE[1] // stride, SIZE[0] // stride
        outputs[f"detection_{stride}"] = torch.randn(2, 24, *grid, generator=generator)
        outputs[f"embedding_{stride}"] = torch.randn(2, embedding_size, *grid, generator=generator)
    return outputs


@pytest.mark.parametrize(("level", "stride", "grid"), [("s16", 16, (12, 20)), ("s8", 8, (24, 40))])
def test_values_and_gradients_equal_the_authors(level, stride, grid):
    golden = {k[len(level) + 1 :]: v for k, v in figures("jde").items() if k.startswith(level)}
    batch = [labels(golden[name], (320, 192)) for name in ("labels0", "labels1")]
    assigned = anchor_targets(batch, golden["anchors_px"].tolist(), stride, grid)
    loss = JDELoss(8, 30, strides=[stride])
    with torch.no_grad():
        loss.classifier.weight.copy_(golden["classifier_weight"])
        loss.classifier.bias.copy_(golden["classifier_bias"])
    prediction = golden["p_cat"].clone().requires_grad_()
    outputs = {f"detection_{stride}": prediction[:, :24], f"embedding_{stride}": prediction[:, 24:]}
    terms = loss(outputs, JDETargets({stride: assigned}))
    terms["total"].backward()
    total, boxes, confidence, identity, _ = golden["loss"].tolist()
    assert terms[f"box_{stride}"].item() == pytest.approx(boxes, rel=1e-5)
    assert terms[f"classification_{stride}"].item() == pytest.approx(confidence, rel=1e-5)
    assert terms[f"identity_{stride}"].item() == pytest.approx(identity, rel=1e-5)
    assert terms["total"].item() == pytest.approx(total, rel=1e-5)
    expected = golden["grad_p_cat"]
    torch.testing.assert_close(prediction.grad[: len(expected)], expected, atol=1e-5, rtol=1e-4)
    weights = golden["grad_s"].float()
    torch.testing.assert_close(loss.weighting.s.grad, weights, atol=1e-4, rtol=1e-5)


def test_perfect_heads_have_almost_no_loss():
    outputs = {}
    for stride, target in TARGETS.levels.items():
        logits = torch.tensor([-20.0, 20]) * (2 * target.foreground[..., None] - 1)
        detection = torch.cat((target.boxes, logits), -1).permute(0, 1, 4, 2, 3)
        outputs[f"detection_{stride}"] = detection.flatten(1, 2)
        grid = target.foreground.shape[2:]
        # The embedding of identity i is the unit vector of axis i.
        identities = target.identities.amax(1).clamp(min=0)
        embeddings = torch.eye(4)[identities].permute(0, 3, 1, 2)
        outputs[f"embedding_{stride}"] = embeddings.reshape(2, 4, *grid)
    terms = JDELoss(4, 4, "triplet")(outputs, TARGETS)
    assert max(value.item() for name, value in terms.items() if name != "total") < 1e-6
    assert sum(int((target.foreground == 1).sum()) for target in TARGETS.levels.values()) > 10


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("weights", WEIGHTINGS)
def test_every_objective_has_gradients_with_every_weighting(objective, weights):
    shared = torch.ones(3, requires_grad=True)
    outputs = heads()
    outputs = {
        name: head * shared[index % 3]
        for index, (name, head) in enumerate(
            sorted(outputs.items(), key=lambda item: item[0][::-1])
        )
    }
    loss = JDELoss(8, 3, objective, weights)
    terms = loss(outputs, TARGETS, [shared])
    assert len(terms) == 10
    terms["total"].backward()
    assert shared.grad.isfinite().all()
    assert shared.grad.abs().max() > 0


def test_fixed_weights_are_equal_over_heads_and_for_both_parts_of_detection():
    """§3.5, steps 1 and 2: w_α = w_β, and each of them alike on every head."""
    terms = JDELoss(8, 3, weights="fixed", fixed=TaskWeights(7, 3))(heads(), TARGETS)
    weights = {"classification": 7, "box": 7, "identity": 3}
    total = sum(weights[name.split("_")[0]] * terms[name] for name in terms if name != "total")
    assert terms["total"].item() == pytest.approx(total.item(), rel=1e-5)


def test_uniform_weights_are_one():
    terms = JDELoss(8, 3, weights="uniform")(heads(), TARGETS)
    total = sum(value.item() for name, value in terms.items() if name != "total")
    assert terms["total"].item() == pytest.approx(total, rel=1e-5)


def test_margin_and_scale_reach_their_objectives():
    def identity_terms(*objective, **settings):
        terms = JDELoss(8, 3, *objective, **settings)(heads(), TARGETS)
        return sum(value.item() for name, value in terms.items() if name.startswith("identity"))

    assert identity_terms("triplet", margin=0.5) > identity_terms("triplet")
    assert identity_terms("upper-bound", scale=9.0) != identity_terms("upper-bound")


def test_unknown_identities_do_not_train_embeddings():
    anchors = dict(zip(STRIDES, ANCHORS[SIZE], strict=True))
    targets = jde_targets([people(-1, -1), people(-1)], SIZE, anchors)
    outputs = leaves(heads())
    terms = JDELoss(8, 3)(outputs, targets)
    terms["total"].backward()
    for stride in STRIDES:
        assert terms[f"identity_{stride}"] == 0
        assert (outputs[f"embedding_{stride}"].grad == 0).all()
        assert outputs[f"detection_{stride}"].grad.abs().max() > 0


def test_ambiguous_anchors_are_ignored():
    logits = torch.zeros(3, 2, requires_grad=True)
    loss = classification(logits, torch.tensor([1, -1, 0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.693147, rel=1e-5)
    assert (logits.grad[1] == 0).all()
    assert box(torch.zeros(0, 4), torch.zeros(0, 4)) == 0
    assert box(torch.full((1, 4), 3.0), torch.zeros(1, 4)).item() == 2.5


@pytest.mark.parametrize("names", [("triplets", "uniform"), ("triplet", "uniforn")])
def test_unknown_names_are_refused(names):
    with pytest.raises(SettingError, match="did you mean"):
        JDELoss(8, 3, *names)
