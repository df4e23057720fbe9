"""Unsupervised losses of embeddings, from two frames of a video or two views of an image.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022 (OUTrack), the
unsupervised re-identification module; its baseline is Wang, Zhang, Zheng, Liu, Sun, Li & Wang,
"CycAs: Self-supervised cycle association for learning re-identifiable descriptions", ECCV 2020.

A person's assignment is a softmax over the similarities to all other people in both frames. Two
people in one frame differ (strong supervision). Most people of one frame are also in the other
(weak supervision). Assignments are symmetric between the frames.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mottool.losses.identity import similarities
from mottool.networks.learning import AssignmentSettings

__all__ = ["Assignment", "cycas", "reid_terms"]

EPSILON = 0.5  # ε of the adaptive temperature


@dataclass(frozen=True)
class Assignment(AssignmentSettings):
    """Settings of the assignment of people in two frames to each other."""

    def matrix(self, features: Tensor, negative: bool = False) -> tuple[Tensor, float]:
        """Return the assignment matrix (n, n), with a placeholder (n, n + 1), and the margin.

        `features` (n, D) of both frames are L2-normalised, n is at least 2. Each row sums to 1; a
        person is not assigned to themselves. The frames of a `negative` pair have no people in
        common: their placeholder is always zero.
        """
        n = len(features)
        diagonal = torch.eye(n, dtype=torch.bool, device=features.device)
        similarity = similarities(features, features)  # (n, n)
        candidates = similarity.masked_fill(diagonal, -torch.inf)
        if negative or self.placeholder == "zero":
            candidates = torch.cat((candidates, similarity.new_zeros(n, 1)), 1)  # (n, n + 1)
        elif self.placeholder == "mean":
            mean = similarity[~diagonal].mean().detach()
            candidates = torch.cat((candidates, mean.expand(n, 1)), 1)
        temperature = self.temperature
        if temperature is None:
            temperature = _adaptive_temperature(candidates.shape[1])
        margin = self.margin
        if margin is None:  # the largest possible: one similarity is 1, the other n - 1 are -1
            high, low = math.exp(temperature), math.exp(-temperature)
            margin = (high - low) / ((n - 1) * low + high)
        return (temperature * candidates).softmax(1), margin


def reid_terms(
    current: Tensor,
    previous: Tensor,
    current_valid: Tensor,
    previous_valid: Tensor,
    negative: Tensor,
    assignment: Assignment | None = None,
) -> dict[str, Tensor]:
    """Compute OUTrack's L_intra, L_inter and L_cycle, the scalars `intra`, `inter` and `cycle`.

    `current` (B, k, D) and `previous` (B, l, D) are embeddings of any length of B pairs of
    frames. `current_valid` (B, k) and `previous_valid` (B, l) bool mark the rows of people.
    `negative` (B,) bool marks pairs of frames without common people. Pairs with an empty frame are
    left out.

    `intra` (Eq. 3) sums the assignments within a frame, `inter` (Eq. 4) max(0, second - best +
    margin) over each person's two largest assignments, and `cycle` (Eq. 5) |M'_ij - M'_ji| between
    the frames. People of a negative pair should be assigned to the placeholder: `intra` is then the
    sum of all other assignments (Eq. 7), and `inter`, with `negative_inter`, the margin between the
    placeholder and the best of them; the paper has no inter-frame loss there.

    With `pooled`, as in the authors' code, a term is the sum over the people of all pairs, divided
    by their number, so that pairs of more people count more. Otherwise, as in the paper, a term of
    a positive pair is divided by the number of its people (Eq. 6), that of a negative pair is not
    (Eq. 7 as printed), and the pairs are averaged, so that each kind has the weight of its share
    (Eq. 8).
    """
    assignment = assignment or Assignment()
    pairs = _nonempty_pairs(current, previous, current_valid, previous_valid)
    # The zero depends on the embeddings, so that a batch without pairs has gradients.
    intra = inter = cycle = current.float().sum() * 0
    divisor = 0  # people, or pairs
    for index, (first, second) in pairs.items():
        features, count = torch.cat((first, second)), len(first)  # (n, D)
        matrix, margin = assignment.matrix(features, bool(negative[index]))
        divisor += len(features) if assignment.pooled else 1
        # The share of this pair's sums in the terms, before the division.
        share = 1.0 if assignment.pooled or negative[index] else 1 / len(features)
        between_people = matrix[:, : len(features)]  # (n, n), without the placeholder
        if negative[index]:
            intra = intra + share * between_people.sum()
            if assignment.negative_inter:
                away = F.relu(between_people.amax(1) - matrix[:, -1] + margin)
                inter = inter + share * away.sum()
            continue
        within_first = between_people[:count, :count]
        within_second = between_people[count:, count:]
        intra = intra + share * (within_first.sum() + within_second.sum())
        best, runner_up = matrix.topk(2, dim=1).values.unbind(1)
        inter = inter + share * F.relu(runner_up - best + margin).sum()
        to_second, to_first = between_people[:count, count:], between_people[count:, :count]
        cycle = cycle + share * (to_second - to_first.T).abs().sum()
    divisor = max(divisor, 1)
    return {"intra": intra / divisor, "inter": inter / divisor, "cycle": cycle / divisor}


def cycas(
    current: Tensor,
    previous: Tensor,
    current_valid: Tensor,
    previous_valid: Tensor,
    margin: float = 0.5,
) -> Tensor:
    """Compute CycAs' symmetric cycle association loss, a scalar.

    Arguments as in `reid_terms`. The cycle matrix is the product of two softmaxes: from the less
    crowded frame to the other one, and back. Each diagonal element should exceed all others in its
    row and in its column by `margin`. The sum is divided by the number of people in the less
    crowded frames.
    """
    total = current.float().sum() * 0
    people = 0
    pairs = _nonempty_pairs(current, previous, current_valid, previous_valid)
    for pair in pairs.values():
        smaller, larger = sorted(pair, key=len)
        similarity = similarities(smaller, larger)  # (N, M), N ≤ M
        forward = (similarity * _adaptive_temperature(len(larger))).softmax(1)
        backward = (similarity.T * _adaptive_temperature(len(smaller))).softmax(1)
        cycle = similarities(forward, backward.T)  # (N, N)
        diagonal = cycle.diagonal()
        others = cycle - diagonal.diag()
        total = total + F.relu(others.amax(1) - diagonal + margin).sum()
        total = total + F.relu(others.amax(0) - diagonal + margin).sum()
        people += len(smaller)
    return total / max(people, 1)


def _adaptive_temperature(candidates: int) -> float:
    """Return ln(K + 1) / ε for K candidates."""
    return math.log(candidates + 1) / EPSILON


def _nonempty_pairs(
    current: Tensor, previous: Tensor, current_valid: Tensor, previous_valid: Tensor
) -> dict[int, tuple[Tensor, Tensor]]:
    """Return the L2-normalised embeddings of pairs with people in both frames, by pair index."""
    pairs = {}
    for index in range(len(current)):
        first = current[index, current_valid[index]]
        second = previous[index, previous_valid[index]]
        if len(first) and len(second):
            pairs[index] = F.normalize(first.float(), dim=1), F.normalize(second.float(), dim=1)
    return pairs
