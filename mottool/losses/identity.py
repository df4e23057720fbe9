"""What teaches embeddings when people's identities are known: JDE's three objectives.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020 (JDE), "Learning
appearance embeddings". FairMOT and CSTrack use the cross-entropy. Identity -1 is unknown and
teaches nothing, so datasets without identities can be trained on together with others.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = [
    "UNKNOWN",
    "cross_entropy",
    "embedding_scale",
    "similarities",
    "triplet",
    "triplet_upper_bound",
]

UNKNOWN = -1


def embedding_scale(identities: int) -> float:
    """The length √2·ln(C - 1) that embeddings get before they are told apart, C `identities`.

    Zhang, Zhao, Qiao, Wang & Li, "AdaCos", CVPR 2019, Eq. 12: on unit vectors a softmax could
    never be sure of one of many classes. With two identities or fewer the length stays 1.
    """
    return math.sqrt(2) * math.log(identities - 1) if identities > 2 else 1.0


def cross_entropy(embeddings: Tensor, identities: Tensor, classifier: nn.Linear) -> Tensor:
    """JDE Eq. 3, FairMOT's L_identity: mean cross-entropy over the known, a scalar; 0 if none is.

    `embeddings` (n, D) of any length, `identities` (n,) int64, `classifier` from D to the
    number of identities.
    """
    scale = embedding_scale(classifier.out_features)
    logits = classifier(scale * F.normalize(embeddings, dim=1))  # (n, C)
    total = F.cross_entropy(logits, identities, ignore_index=UNKNOWN, reduction="sum")
    return total / (identities != UNKNOWN).sum().clamp(min=1)


def triplet(embeddings: Tensor, identities: Tensor) -> Tensor:
    """JDE Eq. 1, batch-hard: mean of max(0, f·f⁻ - f·f⁺) over the anchors f, a scalar.

    f⁺ is the least similar embedding of the same identity and f⁻ the most similar one of
    another (Hermans, Beyer & Leibe, "In defense of the triplet loss", 2017), each of unit length;
    there is no margin. `embeddings` (n, D) of any length, `identities` (n,) int64. Anchors
    without the one or the other teach nothing; 0 if that is all of them.
    """
    positive, negatives = _compared(embeddings, identities)  # (m,), (m, n)
    loss = F.relu(negatives.amax(1) - positive)
    return loss.sum() / max(len(loss), 1)


def triplet_upper_bound(embeddings: Tensor, identities: Tensor, scale: float) -> Tensor:
    """JDE Eq. 2: mean of ln(1 + Σ exp(f·f⁻ - f·f⁺)) over all negatives f⁻, a scalar.

    As `triplet`, which it bounds from above, if `scale` is 1. The similarities are multiplied by
    `scale`, as `cross_entropy` scales them: between unit vectors the exponential hardly differs.
    """
    positive, negatives = _compared(embeddings, identities)  # (m,), (m, n)
    loss = F.softplus((scale * negatives).logsumexp(1) - scale * positive)
    return loss.sum() / max(len(loss), 1)


def similarities(first: Tensor, second: Tensor) -> Tensor:
    """Inner products (n, m) of `first` (n, D) and `second` (m, D), in float32 in any precision.

    Autocast would round them, and a softmax that sharpens them makes much of what little there is
    between two.
    """
    with torch.autocast(first.device.type, enabled=False):
        return first.float() @ second.float().T


def _compared(embeddings: Tensor, identities: Tensor) -> tuple[Tensor, Tensor]:
    """Of m anchors that have both, the hardest positive (m,) and the negatives (m, n).

    What is no negative of an anchor is -inf in its row.
    """
    known = identities != UNKNOWN
    embeddings, identities = F.normalize(embeddings[known], dim=1), identities[known]
    similarity = similarities(embeddings, embeddings)  # (n, n)
    same = identities[:, None] == identities
    other_of_same = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    anchors = other_of_same.any(1) & (~same).any(1)
    if not anchors.any():
        nothing = similarity.sum()  # through which gradients, of 0, still flow
        return nothing.expand(0), nothing.expand(0, 1)
    positive = similarity.masked_fill(~other_of_same, torch.inf)[anchors]
    negatives = similarity.masked_fill(same, -torch.inf)[anchors]
    return positive.amin(1), negatives
