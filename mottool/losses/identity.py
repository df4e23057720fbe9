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

    JDE Eq. 4, FairMOT's L_identity, CSTrack Eq. 9. `embeddings` (n, D) of any length, `identities`
    (n,) int64, `classifier` from D to the number of identities.
    """
    scale = embedding_scale(classifier.out_features)
    logits = classifier(scale * F.normalize(embeddings, dim=1))  # (n, C)
    total = F.cross_entropy(logits, identities, ignore_index=UNKNOWN, reduction="sum")
    return total / (identities != UNKNOWN).sum().clamp(min=1)


def triplet(embeddings: Tensor, identities: Tensor, margin: float = 0.0) -> Tensor:
    """Compute the mean over anchors f of Σ max(0, f·f⁻ - f·f⁺ + margin) over all f⁻, a scalar.

    JDE Eq. 1, which leaves out the margin. f⁺ is the hardest positive, the least similar embedding
    of the same identity, and f⁻ are all embeddings of other identities. All are L2-normalised.
    `embeddings` (n, D) of any length, `identities` (n,) int64. Anchors without a positive or
    without a negative are left out; 0 if none remain.
    """
    positive, negatives = _positives_and_negatives(embeddings, identities)  # (m,), (m, n)
    violations = F.relu(negatives - positive[:, None] + margin)  # (m, n)
    return violations.sum() / max(len(violations), 1)


def triplet_upper_bound(embeddings: Tensor, identities: Tensor, scale: float = 1.0) -> Tensor:
    """Compute the mean over anchors f of ln(1 + Σ exp(f·f⁻ - f·f⁺)) over all f⁻, a scalar.

    JDE Eq. 2, and Eq. 3, which is the same. Arguments and left out anchors are those of `triplet`.
    With `scale` 1, as in the paper, it is at least the largest term of Eq. 1. Between unit vectors
    the exponential varies by a factor of e⁴ at most; a larger `scale` multiplies the similarities.
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
