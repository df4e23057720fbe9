"""What teaches embeddings when no identity is known: two frames of a video, or of an image.

Liu, Chen, Chu, Yuan, Liu, Zhang & Yu, "Online multi-object tracking with unsupervised
re-identification learning and occlusion estimation", Neurocomputing 2022 (OUTrack), the
unsupervised re-identification module; its baseline is Wang, Zhang, Zheng, Liu, Sun, Li & Wang,
"CycAs: Self-supervised cycle association for learning re-identifiable descriptions", ECCV 2020.

Whom somebody is assigned to is a softmax over the similarities to everybody else in both frames.
People in one frame are different (strong supervision); most of those in one are in the other as
well (weak supervision); and the assignment is mutual.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from mottool.losses.identity import similarities
from mottool.networks.learning import AssignmentSettings

__all__ = ["Assignment", "cycas", "reid_terms"]

SHARPNESS = 0.5  # ε of the adaptive temperature


@dataclass(frozen=True)
class Assignment(AssignmentSettings):
    """How people in two frames are assigned to each other."""

    def matrix(self, features: Tensor, negative: bool = False) -> tuple[Tensor, float]:
        """Assignments (n, n) or, with a placeholder, (n, n + 1), rows of sum 1; the margin.

        `features` (n, D) of unit length, of both frames, n at least 2. Nobody is assigned to
        themselves. A `negative` pair's frames share nobody: its placeholder is always zero.
        """
        n = len(features)
        oneself = torch.eye(n, dtype=torch.bool, device=features.device)
        similarity = similarities(features, features)  # (n, n)
        choices = similarity.masked_fill(oneself, -torch.inf)
        if negative or self.placeholder == "zero":
            choices = torch.cat((choices, similarity.new_zeros(n, 1)), 1)  # (n, n + 1)
        elif self.placeholder == "mean":
            mean = similarity[~oneself].mean().detach()
            choices = torch.cat((choices, mean.expand(n, 1)), 1)
        temperature = self.temperature
        if temperature is None:
            temperature = math.log(choices.shape[1] + 1) / SHARPNESS
        margin = self.margin
        if margin is None:  # between one similarity of 1 and n - 1 of -1
            high, low = math.exp(temperature), math.exp(-temperature)
            margin = (high - low) / ((n - 1) * low + high)
        return (temperature * choices).softmax(1), margin


def reid_terms(
    current: Tensor,
    previous: Tensor,
    seen: Tensor,
    seen_before: Tensor,
    negative: Tensor,
    assignment: Assignment | None = None,
) -> dict[str, Tensor]:
    """OUTrack's L_intra, L_inter and L_cycle: `intra`, `inter` and `cycle`, scalars.

    `current` (B, k, D) and `previous` (B, l, D) are embeddings of any length of B pairs of
    frames, `seen` (B, k) and `seen_before` (B, l) bool where there is somebody, `negative` (B,)
    bool pairs of frames that share nobody. Each term is a sum over the people of all pairs,
    divided by their number; pairs with an empty frame count nothing.
    """
    assignment = assignment or Assignment()
    terms = _pairs(current, previous, seen, seen_before)
    intra = inter = cycle = current.float().sum() * 0  # so that a batch without pairs has gradients
    people = 0
    for pair, (now, before) in terms.items():
        features, count = torch.cat((now, before)), len(now)  # (n, D)
        matrix, margin = assignment.matrix(features, bool(negative[pair]))
        people += len(features)
        among = matrix[:, : len(features)]  # (n, n), without the placeholder
        if negative[pair]:
            # Nobody is anybody else: all should be assigned to the placeholder.
            intra = intra + among.sum()
            inter = inter + F.relu(among.amax(1) - matrix[:, -1] + margin).sum()
            continue
        intra = intra + among[:count, :count].sum() + among[count:, count:].sum()
        best, second = matrix.topk(2, dim=1).values.unbind(1)
        inter = inter + F.relu(second - best + margin).sum()
        cycle = cycle + (among[:count, count:] - among[count:, :count].T).abs().sum()
    people = max(people, 1)
    return {"intra": intra / people, "inter": inter / people, "cycle": cycle / people}


def cycas(
    current: Tensor, previous: Tensor, seen: Tensor, seen_before: Tensor, margin: float = 0.5
) -> Tensor:
    """CycAs' symmetric cycle association loss, a scalar: who goes there and back, comes back.

    Arguments as in `reid_terms`. From each person of the less crowded frame, a softmax leads to
    the other frame and another one back; the diagonal of their product should exceed all else in
    its row and in its column by `margin`. The sum is divided by the number of those people.
    """
    total = current.float().sum() * 0
    people = 0
    for now, before in _pairs(current, previous, seen, seen_before).values():
        few, many = sorted((now, before), key=len)
        similarity = similarities(few, many)  # (N, M), N ≤ M
        there = (similarity * _adaptive(len(many))).softmax(1)
        back = (similarity.T * _adaptive(len(few))).softmax(1)
        cycle = similarities(there, back.T)  # (N, N)
        home = cycle.diagonal()
        away = cycle - home.diag()
        total = total + F.relu(away.amax(1) - home + margin).sum()
        total = total + F.relu(away.amax(0) - home + margin).sum()
        people += len(few)
    return total / max(people, 1)


def _adaptive(choices: int) -> float:
    return math.log(choices + 1) / SHARPNESS


def _pairs(
    current: Tensor, previous: Tensor, seen: Tensor, seen_before: Tensor
) -> dict[int, tuple[Tensor, Tensor]]:
    """Unit embeddings of the people in both frames of each pair that has people in both."""
    pairs = {}
    for index in range(len(current)):
        now, before = current[index, seen[index]], previous[index, seen_before[index]]
        if len(now) and len(before):
            pairs[index] = F.normalize(now.float(), dim=1), F.normalize(before.float(), dim=1)
    return pairs
