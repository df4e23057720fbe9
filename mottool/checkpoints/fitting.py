"""Load tensors into a network; every tensor must be accounted for."""

import re
from collections.abc import Iterable, Mapping
from itertools import zip_longest

from torch import Tensor, nn

from mottool.errors import CheckpointError
from mottool.networks.registry import describe, identify

__all__ = ["NotFiniteError", "dimension", "fit", "join_names", "check_finite"]

MAX_NAMES = 12  # in a message
COUNTER = ".num_batches_tracked"


class NotFiniteError(CheckpointError):
    """Weights that fit a network but contain NaN or infinity."""


def fit(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    pipeline: str,
    unused: str = r"(?!)",
    file_names: Iterable[str] = (),
) -> None:
    """Load `tensors` into `network`; every tensor must be used, except those named in `unused`.

    `unused` is a regular expression of tensor names that are ignored. `file_names` are the names
    in the file if `tensors` have been renamed. Counters of batches of batch normalisation can be
    missing, as in files of old versions of PyTorch, because they are not used.

    Raises `CheckpointError` with the names that are missing, unexpected or of another shape, and
    with the network that the file seems to belong to. Raises `NotFiniteError` as `check_finite`.
    """
    expected = network.state_dict()
    counters = {name: expected[name] for name in expected if name.endswith(COUNTER)}
    tensors = {**counters, **tensors}
    needed = {name: tuple(value.shape) for name, value in expected.items()}
    given = {
        name: value
        for name, value in tensors.items()
        if name in needed or not re.match(unused, name)
    }
    if problems := _misfits(needed, given):
        problem = f"these weights do not fit {pipeline}: {join_names(problems)}"
        names = next((names for names in (set(file_names), set(tensors)) if describe(names)), set())
        other = describe(names)
        fix = f"give a checkpoint of {pipeline}, or name the network of this one; "
        fix += "`mottool weights list` lists where to find checkpoints"
        if other and pipeline not in identify(names) and not pipeline.startswith(other):
            fix = f"they look like weights of {other}: choose a pipeline or a file that fits"
        raise CheckpointError(problem, fix)
    check_finite(given)
    network.load_state_dict(given)


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise `NotFiniteError` with the names of tensors that contain NaN or infinity."""
    bad = [name for name, value in tensors.items() if not value.isfinite().all()]
    if bad:
        fix = "use a checkpoint from before the training diverged, or download it again"
        raise NotFiniteError(f"these weights contain NaN or infinity, in {join_names(bad)}", fix)


def _misfits(needed: Mapping[str, tuple[int, ...]], given: Mapping[str, Tensor]) -> list[str]:
    """Describe what is wrong with each name, alternating between kinds of errors."""
    shapes = [
        f"{name} is {_shape(value.shape)} instead of {_shape(needed[name])}"
        for name, value in given.items()
        if name in needed and tuple(value.shape) != needed[name]
    ]
    missing = [f"{name} is missing" for name in needed if name not in given]
    unexpected = [f"{name} is unexpected" for name in given if name not in needed]
    triples = zip_longest(missing, unexpected, shapes)
    return [problem for triple in triples for problem in triple if problem is not None]


def dimension(tensors: Mapping[str, Tensor], name: str, axis: int, default: int) -> int:
    """Return the length of tensor `name` along `axis`, or `default` without such an axis."""
    shape = tensors[name].shape if name in tensors else ()
    return shape[axis] if axis < len(shape) else default


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def join_names(items: list[str]) -> str:
    """Join the first names of a list, and count the others."""
    more = len(items) - MAX_NAMES
    return ", ".join(items[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
