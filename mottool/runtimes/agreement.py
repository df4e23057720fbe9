"""Compare the heads of a runtime with those of eager PyTorch."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mottool.models.device import Compute
from mottool.runtimes.interfaces import LoadedNetwork

__all__ = ["agree", "eager_heads", "largest_difference"]

Heads = Mapping[str, Tensor]

# The tolerance of heads in the tests against the authors' code (tests/golden/README.md,
# tests/helpers/precision.py): it is wider than the rounding of float32 on any processor.
ABSOLUTE, RELATIVE = 2e-3, 1e-3
# Two computations that round equally well can be twice as far apart as one is from the exact value.
ROUNDING = 2.0


def agree(heads: Heads, eager: Heads, exact: Heads | None = None) -> bool:
    """Return whether `heads` equal those of eager PyTorch within the tolerances of the tests.

    With a precision below float32, `exact` are the heads of eager PyTorch in float32, and the
    largest rounding error of `eager`, twice, is tolerated too. NaN never agrees.
    """
    if heads.keys() != eager.keys():
        return False
    for name, expected in eager.items():
        value, reference = heads[name].float(), expected.float()
        if value.shape != reference.shape:
            return False
        absolute = ABSOLUTE
        if exact is not None and reference.numel():
            absolute += ROUNDING * float((reference - exact[name].float()).abs().max())
        if not torch.allclose(value, reference, rtol=RELATIVE, atol=absolute):
            return False
    return True


def eager_heads(network: LoadedNetwork, images: Sequence[Tensor]) -> tuple[Heads, Heads | None]:
    """Compute the heads of eager PyTorch in the network's precision, and in float32 if it is lower.

    They are the `eager` and `exact` of `agree`; `exact` is None with float32.
    """
    compute = network.compute
    with compute.autocast():
        heads = network.heads(*images)
    if compute.dtype is torch.float32:
        return heads, None
    with Compute(compute.device).autocast():
        return heads, network.heads(*images)


def largest_difference(heads: Heads, expected: Heads) -> float:
    """Return the largest absolute difference of any value of any head."""
    return max(
        float((heads[name].float() - head.float()).abs().max())
        for name, head in expected.items()
        if head.numel()
    )
