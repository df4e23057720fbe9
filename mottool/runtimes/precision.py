"""Copies of networks: with weights that are cast once to the precision of autocast."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mottool.runtimes.interfaces import LoadedNetwork

__all__ = ["cast_weights", "shared_copy"]

CAST = torch.ops.aten._to_copy.default


def cast_weights(network: LoadedNetwork) -> LoadedNetwork:
    """Return the network with those weights cast that autocast would cast in every call.

    They are the parameters which a call uses only to cast them to the precision of `compute`. The
    heads under its autocast have the same bits as before. All other parameters are shared with the
    module of `network`, which stays as it is.
    """
    dtype = network.compute.dtype
    if dtype is torch.float32:
        return network
    uses = _Uses(network.module, dtype)
    # In inference mode `uses` would see whole layers, and with autocast's cache not every cast.
    with torch.inference_mode(False), torch.no_grad():
        with network.compute.autocast(cache=False), uses:
            network.heads(*network.example())
        cast = {
            key: nn.Parameter(uses.parameters[key].to(dtype), requires_grad=False)
            for key in uses.cast - uses.others
        }
    return replace(network, module=shared_copy(network.module, cast))


def shared_copy(module: nn.Module, replaced: Mapping[int, Tensor] | None = None) -> nn.Module:
    """Copy a module without its parameters and buffers, which both modules share.

    Parameters in `replaced`, by their `id`, are replaced in the copy.
    """
    tensors = (*module.parameters(), *module.buffers())
    # It copies torchvision's feature extractors in training mode.
    copy = deepcopy(module, {id(tensor): tensor for tensor in tensors} | dict(replaced or {}))
    for name, part in module.named_modules():
        copy.get_submodule(name).training = part.training
    return copy


class _Uses(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records how operations use the parameters of a module, by their `id`.

    `cast` are those that are cast to a precision, and `others` those with any other use.
    """

    def __init__(self, module: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.parameters = {id(parameter): parameter for parameter in module.parameters()}
        self.cast: set[int] = set()
        self.others: set[int] = set()
        self._dtype = dtype

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        casts = func is CAST and kwargs.get("dtype") is self._dtype
        used = {id(value) for value in tree_leaves((args, kwargs))} & self.parameters.keys()
        (self.cast if casts else self.others).update(used)
        return func(*args, **kwargs)
