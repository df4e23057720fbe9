"""Supervised losses of embeddings: JDE's three objectives.

Wang, Zheng, Liu, Li & Wang, "Towards real-time multi-object tracking", ECCV 2020 (JDE), "Learning
appearance embeddings". FairMOT and CSTrack use the cross-entropy. Embeddings with the unknown
identity -1 are left out, so that datasets with and without identities can be mixed.
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
    """Return √2·ln(C - 1), the factor of L2-normalised embeddings, for C `identities`.

    Zhang, Zhao, Qiao, Wang & Li, "AdaCos", CVPR 2019, Eq. 12: without it, a softmax over many
    classes cannot reach a probability near 1. With two identities or fewer the factor is 1.
    """
    return math.sqrt(2) * math.log(identities - 1) if identities > 2 else 1.0


def cross_entropy(embeddings: Tensor, identities: Tensor, classifier: nn.Linear) -> Tensor:
    """Compute the mean cross-entropy over the known identities, a scalar; 0 if there are none.

    JDE Eq. 3, FairMOT's L_identity. `embeddings` (n, D) of any length, `identities` (n,) int64,
    `classifier` from D to the number of identities.
    """
    scale = embedding_scale(classifier.out_features)
    logits = classifier(scale * F.normalize(embeddings, dim=1))  # (n, C)
    total = F.cross_entropy(logits, identities, ignore_index=UNKNOWN, reduction="sum")
    return total / (identities != UNKNOWN).sum().clamp(min=1)


def triplet(embeddings: Tensor, identities: Tensor) -> Tensor:
    """Compute the batch-hard triplet loss, a scalar: mean of max(0, f·f⁻ - f·f⁺) over anchors f.

    JDE Eq. 1. f⁺ is the least similar embedding of the same identity and f⁻ the most similar one
    of another (Hermans, Beyer & Leibe, "In defense of the triplet loss", 2017). All are
    L2-normalised, and there is no margin. `embeddings` (n, D) of any length, `identities` (n,)
    int64. Anchors without a positive or without a negative are left out; 0 if none remain.
    """
    positive, negatives = _positives_and_negatives(embeddings, identities)  # (m,), (m, n)
    loss = F.relu(negatives.amax(1) - positive)
    return loss.sum() / max(len(loss), 1)


def triplet_upper_bound(embeddings: Tensor, identities: Tensor, scale: float) -> Tensor:
    """Compute the mean of ln(1 + Σ exp(f·f⁻ - f·f⁺)) over all negatives f⁻, a scalar.

    JDE Eq. 2; with `scale` 1 it is an upper bound of `triplet`, whose arguments it shares. The
    similarities are multiplied by `scale` as in `cross_entropy`: between unit vectors, the
    unscaled exponential hardly varies.
    """
    positive, negatives = _positives_and_negatives(embeddings, identities)  # (m,), (m, n)
    loss = F.softplus((scale * negatives).logsumexp(1) - scale * positive)
    return loss.sum() / max(len(loss), 1)


def similarities(first: Tensor, second: Tensor) -> Tensor:
    """Return the inner products (n, m) of `first` (n, D) and `second` (m, D) in float32.

    Autocast is disabled: it would round them, and a sharpened softmax amplifies small differences
    between two similarities.
    """
    with torch.autocast(first.device.type, enabled=False):
        return first.float() @ second.float().T


def _positives_and_negatives(embeddings: Tensor, identities: Tensor) -> tuple[Tensor, Tensor]:
    """Return similarities to the hardest positive (m,) and the negatives (m, n) of m anchors.

    Anchors have both. Entries that are not negatives of an anchor are -inf in its row.
    """
    known = identities != UNKNOWN
    embeddings, identities = F.normalize(embeddings[known], dim=1), identities[known]
    similarity = similarities(embeddings, embeddings)  # (n, n)
    same = identities[:, None] == identities
    other_of_same = same & ~torch.eye(len(same), dtype=torch.bool, device=same.device)
    anchors = other_of_same.any(1) & (~same).any(1)
    if not anchors.any():
        scalar = similarity.sum()  # keeps the graph, so that gradients are 0 rather than missing
        return scalar.expand(0), scalar.expand(0, 1)
    positives = similarity.masked_fill(~other_of_same, torch.inf)[anchors]
    negatives = similarity.masked_fill(same, -torch.inf)[anchors]
    return positives.amin(1), negatives
