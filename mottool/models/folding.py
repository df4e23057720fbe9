"""Fold batch norms into the layers before them."""

from collections import Counter
from copy import deepcopy
from inspect import signature

from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

__all__ = ["fold_batch_norms"]


def fold_batch_norms(network: nn.Module) -> nn.Module:
    """Return a copy of a network for inference, with batch norms folded into weights.

    A batch norm is folded if its input is the output of a convolution or linear layer that nothing
    else uses. Arguments of `forward` other than its first keep their defaults. Results differ by
    rounding only.
    """
    folded = deepcopy(network).eval()
    nodes = _module_calls(folded)
    calls = Counter(str(node.target) for node in nodes)
    for node in nodes:
        before = node.args[0]
        if not isinstance(before, fx.Node) or before not in nodes or len(before.users) > 1:
            continue
        names = str(before.target), str(node.target)
        if any(calls[name] > 1 for name in names):
            continue
        layer, norm = map(folded.get_submodule, names)
        if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            folded.set_submodule(names[0], fuse_conv_bn_eval(layer, norm))
        elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
            folded.set_submodule(names[0], fuse_linear_bn_eval(layer, norm))
        else:
            continue
        folded.set_submodule(names[1], nn.Identity())
    return folded


def _module_calls(network: nn.Module) -> list[fx.Node]:
    """Return the calls of layers in `forward`, in their order."""
    arguments = signature(network.forward).parameters.values()
    defaults = {arg.name: arg.default for arg in arguments if arg.default is not arg.empty}
    graph = fx.Tracer().trace(network, defaults)
    return [node for node in graph.nodes if node.op == "call_module" and node.args]
