"""OUTrack's losses: the authors' unsupervised re-identification, CycAs, and the total."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from loss_goldens import figures, leaves, people

from mottool.data.targets.centre import centre_targets, occlusion_targets
from mottool.data.targets.labels import Labels
from mottool.errors import SettingError
from mottool.losses.outrack import OUTrackLoss, OUTrackTargets
from mottool.losses.unsupervised import Assignment, cycas, reid_terms

GOLDEN = figures("outrack")
CASES = sorted(key.rpartition("/")[0] for key in GOLDEN if key.endswith("/id_loss"))
SIZE = (240, 160)
TWO = torch.ones(1, 2, dtype=torch.bool)


def stored(name, masks=("mask", "reid_mask")):
    """Return the authors' embeddings of one frame, and the mask of those they use."""
    valid = torch.stack([GOLDEN[f"cycle/{mask}_{name}"] for mask in masks]).prod(0).bool()
    return GOLDEN[f"cycle/feat_{name}"].clone(), valid


@pytest.mark.parametrize("case", CASES)
def test_reid_values_and_gradients_equal_the_authors(case):
    _, placeholder, negative, temperature, margin = case.split("/")
    assignment = Assignment(
        placeholder,
        None if temperature == "TNone" else float(temperature[1:]),
        None if margin == "m-1.0" else float(margin[1:]),  # adaptive
    )
    (current, current_valid), (previous, previous_valid) = stored("cur"), stored("pre")
    current.requires_grad_()
    pairs = torch.tensor([flag == "1" for flag in negative.removeprefix("neg")])
    terms = reid_terms(current, previous, current_valid, previous_valid, pairs, assignment)
    total = terms["intra"] + terms["inter"] + terms["cycle"]
    total.backward()
    golden = {
        key: GOLDEN[f"{case}/{key}"].item() for key in ("id_loss", "id_loss_inter", "id_loss_cons")
    }
    assert total.item() == pytest.approx(golden["id_loss"], rel=1e-5)
    assert terms["inter"].item() == pytest.approx(golden["id_loss_inter"], abs=1e-6)
    assert terms["cycle"].item() == pytest.approx(golden["id_loss_cons"], abs=1e-6)
    torch.testing.assert_close(current.grad, GOLDEN[f"{case}/grad_cur"], atol=1e-6, rtol=1e-4)


def test_all_cases_are_present():
    assert len(CASES) == 3 * 3 * 2 * 2


def test_cycas_equals_the_authors():
    (current, current_valid), (previous, previous_valid) = (
        stored(name, ("mask",)) for name in ("cur", "pre")
    )
    value = cycas(current, previous, current_valid, previous_valid)
    assert value.item() == pytest.approx(GOLDEN["cycas/value"].item(), rel=1e-5)


def test_cycas_starts_from_the_less_crowded_frame():
    current, previous = (
        torch.randn(1, n, 8, generator=torch.Generator().manual_seed(n)) for n in (2, 5)
    )
    current_valid, previous_valid = (torch.ones(1, n, dtype=torch.bool) for n in (2, 5))
    forward = cycas(current, previous, current_valid, previous_valid)
    backward = cycas(previous, current, previous_valid, current_valid)
    torch.testing.assert_close(forward, backward)


def test_distinct_people_in_both_frames_have_almost_no_loss():
    same = torch.eye(4)[None, :2]
    sharp = Assignment(temperature=30.0)
    terms = reid_terms(same, same, TWO, TWO, torch.tensor([False]), sharp)
    assert max(term.item() for term in terms.values()) < 1e-3
    strangers = reid_terms(
        same, torch.eye(4)[None, 2:], TWO, TWO, torch.tensor([True]), Assignment(margin=0.1)
    )
    assert strangers["inter"] == pytest.approx(0.1, rel=1e-4)  # all 0, as the placeholder
    assert cycas(same, same, TWO, TWO, margin=0.5) < 0.2


def test_an_assignment_has_rows_of_sum_one_and_an_empty_diagonal():
    features = F.normalize(torch.randn(5, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    for placeholder in ("none", "zero", "mean"):
        for negative in (False, True):
            matrix, margin = Assignment(placeholder).matrix(features, negative)
            assert matrix.shape == (5, 5 if placeholder == "none" and not negative else 6)
            torch.testing.assert_close(matrix.sum(1), torch.ones(5))
            assert (matrix[:, :5].diagonal() == 0).all()
            assert margin == 0.5


def test_the_adaptive_margin_is_the_largest_possible():
    features = torch.tensor([[1.0, 0], [1, 0], [-1, 0]])
    matrix, margin = Assignment("none", 3.0, None).matrix(features)
    best, second = matrix.topk(2, dim=1).values.unbind(1)
    # The first row has similarities 1 and -1. The bound assumes one more candidate at -1.
    high, low = math.exp(3), math.exp(-3)
    assert (best - second)[0].item() == pytest.approx((high - low) / (high + low), rel=1e-5)
    assert margin == pytest.approx((high - low) / (high + 2 * low), rel=1e-6)


@settings(derandomize=True, deadline=None, max_examples=30)
@given(st.integers(0, 4), st.integers(0, 4), st.booleans(), st.integers(0, 3))
def test_order_lengths_and_invalid_rows_do_not_matter(
    current_count, previous_count, negative, seed
):
    generator = torch.Generator().manual_seed(seed)
    current, previous = (torch.randn(1, 4, 8, generator=generator) for _ in range(2))
    valid, previous_valid = (
        torch.arange(4)[None] < count for count in (current_count, previous_count)
    )
    current.requires_grad_()
    pair = torch.tensor([negative])
    terms = reid_terms(current, previous, valid, previous_valid, pair)
    baseline = cycas(current, previous, valid, previous_valid)
    (sum(terms.values()) + baseline).backward()
    assert (current.grad[~valid] == 0).all()
    assert current.grad.isfinite().all()
    order = torch.randperm(4, generator=generator)
    reordered = 3 * current[:, order], previous, valid[:, order], previous_valid
    torch.testing.assert_close(reid_terms(*reordered, pair), terms)
    torch.testing.assert_close(cycas(*reordered), baseline)
    if not current_count or not previous_count:
        assert not any(terms.values())
        assert baseline == 0


# Made-up pairs whose people all look alike, with T = 1 and a placeholder of similarity 0, by hand.
# A pair of 1 and 1: each row is a softmax of 1 (the other) and 0: A = e / (e + 1).
# A pair of 2 and 2: each row is a softmax of 1 (three others) and 0: B = e / (3e + 1).
A = math.e / (math.e + 1)
B = math.e / (3 * math.e + 1)


def alike(pooled, negative_inter=True, negative=(False, False)):
    """Return the terms of the two pairs."""
    ones = torch.ones(2, 2, 3)
    valid = torch.tensor([[True, False], [True, True]])
    settings = Assignment("zero", 1.0, pooled=pooled, negative_inter=negative_inter)
    terms = reid_terms(ones, ones, valid, valid, torch.tensor(negative), settings)
    return {name: term.item() for name, term in terms.items()}


def test_pairs_are_pooled_as_in_the_authors_code_or_averaged_as_in_the_paper():
    # Eq. 3: nothing within a frame of one person; 4 rows with one other person in their frame.
    # Eq. 4: (1 - A) - A + 0.5 in both rows; in the other pair the best two are equal: 0.5.
    intra, inter = (0, 4 * B), (2 * (1 - 2 * A + 0.5), 4 * 0.5)
    pooled = alike(pooled=True)
    assert pooled["intra"] == pytest.approx(sum(intra) / (2 + 4))
    assert pooled["inter"] == pytest.approx(sum(inter) / (2 + 4))
    averaged = alike(pooled=False)
    assert averaged["intra"] == pytest.approx((intra[0] / 2 + intra[1] / 4) / 2)
    assert averaged["inter"] == pytest.approx((inter[0] / 2 + inter[1] / 4) / 2)
    assert pooled["cycle"] == averaged["cycle"] == 0


def test_a_negative_pair_has_an_inter_frame_loss_in_the_authors_code_only():
    # The first pair is negative: both people should be assigned to the placeholder. The code's
    # margin is A - (1 - A) + 0.5 in both rows.
    negative = (True, False)
    code = alike(True, True, negative)
    paper = alike(True, False, negative)
    assert code["inter"] == pytest.approx((2 * (2 * A - 1 + 0.5) + 4 * 0.5) / 6)
    assert paper["inter"] == pytest.approx(4 * 0.5 / 6)
    assert code["intra"] == paper["intra"] == pytest.approx((2 * A + 4 * B) / 6)


def test_equation_7_is_not_divided_by_the_people_and_equation_8_weights_by_shares():
    # ½ Σ M' of the negative pair (Eq. 7) + ½ of Eq. 6 for the positive one.
    terms = alike(False, False, (True, False))
    assert terms["intra"] == pytest.approx((2 * A + 4 * B / 4) / 2)
    assert terms["inter"] == pytest.approx((4 * 0.5 / 4) / 2)


def separation(first, second):
    """Return the smallest gap between a person's similarity to itself and to any other."""
    first, second = (F.normalize(view[0], dim=1) for view in (first, second))
    similarity = first @ second.T
    others = similarity.masked_fill(torch.eye(len(first), dtype=torch.bool), -1)
    return (similarity.diagonal() - others.amax(1)).min().item()


@pytest.mark.parametrize("loss_name", ["reid", "baseline"])
def test_training_separates_people_without_identities(loss_name):
    generator = torch.Generator().manual_seed(3)
    person = torch.randn(1, 6, 16, generator=generator)
    # Two noisy views of each person, plus an offset that all people share.
    views = [person + 0.2 * torch.randn(1, 6, 16, generator=generator) + 3 for _ in range(2)]
    valid = torch.ones(1, 6, dtype=torch.bool)
    project = torch.nn.Linear(16, 16)
    with torch.no_grad():
        project.weight.copy_(torch.randn(16, 16, generator=generator) / 4)
        project.bias.zero_()
    optimiser = torch.optim.Adam(project.parameters(), lr=0.02)
    before = separation(*map(project, views))
    for _ in range(150):
        optimiser.zero_grad()
        pair = tuple(map(project, views))
        if loss_name == "reid":
            loss = sum(reid_terms(*pair, valid, valid, torch.tensor([False])).values())
        else:
            loss = cycas(*pair, valid, valid)
        loss.backward()
        optimiser.step()
    assert before < 0.1
    assert separation(*map(project, views)) > 0.5


def heads(seed):
    generator = torch.Generator().manual_seed(seed)
    sizes = {
        "heatmap": 1,
        "offset": 2,
        "size": 4,
        "identity": 8,
        "occlusion": 1,
        "occlusion_offset": 2,
    }
    return {
        name: torch.randn(2, channels, SIZE[1] // 4, SIZE[0] // 4, generator=generator)
        for name, channels in sizes.items()
    }


def targets():
    crowd = people(-1, -1, -1)
    occluders = Labels(crowd.boxes + torch.tensor([4.0, 6, 4, 6]), crowd.identities)
    both = Labels(torch.cat((crowd.boxes, occluders.boxes)), torch.full((6,), -1))
    frames = [both, crowd]
    return OUTrackTargets(
        centre_targets(frames, SIZE),
        occlusion_targets(frames, SIZE),
        centre_targets(frames[::-1], SIZE),
        torch.tensor([False, True]),
    )


@pytest.mark.parametrize("id_weight", [1.0, 10.0])
@pytest.mark.parametrize("baseline", [False, True])
def test_the_total_is_the_weighted_sum_of_the_terms(baseline, id_weight):
    current, previous = leaves(heads(0)), leaves(heads(1))
    loss = OUTrackLoss(intra=1.0, inter=2.0, cycle=3.0, baseline=baseline, id_weight=id_weight)
    terms = loss(current, targets(), previous)
    terms["total"].backward()
    value = {name: term.item() for name, term in terms.items()}
    detection = value["heatmap"] + value["offset"] + 0.1 * value["size"]
    detection += 0.5 * value["occlusion"] + 0.5 * value["occlusion_offset"]
    identity = (
        value["cycas"] if baseline else value["intra"] + 2 * value["inter"] + 3 * value["cycle"]
    )
    identity *= id_weight
    expected = math.exp(1.85) * detection + math.exp(1.05) * identity - 1.85 - 1.05
    assert value["total"] == pytest.approx(expected / 2, rel=1e-5)
    assert all(head.grad.abs().max() > 0 for head in current.values())
    assert previous["identity"].grad.abs().max() > 0


def test_an_unknown_placeholder_is_refused():
    with pytest.raises(SettingError, match="median"):
        Assignment("median")


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("baseline", [False, True])
def test_lower_precisions_have_the_same_gradients(precision, baseline):
    generator = torch.Generator().manual_seed(0)
    current, previous = torch.randn(2, 2, 12, 64, generator=generator)
    previous = current + 0.5 * previous
    valid = torch.ones(2, 12, dtype=torch.bool)
    gradients = []
    for lower in (False, True):
        embeddings = current.clone().requires_grad_()
        with torch.autocast("cpu", precision, enabled=lower):
            if baseline:
                loss = cycas(embeddings, previous, valid, valid, margin=1.0)
            else:
                negative = torch.tensor([False, True])
                loss = sum(reid_terms(embeddings, previous, valid, valid, negative).values())
        loss.backward()
        gradients.append(embeddings.grad)
    assert gradients[0].abs().max() > 0
    torch.testing.assert_close(*gradients)
