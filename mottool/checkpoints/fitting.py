"""Load tensors into a network; every tensor must be accounted for."""

import re
from collections.abc import Iterable, Mapping
from itertools import zip_longest

from torch import Tensor, nn

from mottool.errors import CheckpointError
from mottool.models.marks import looks_like

__all__ = ["NotFiniteError", "dimension", "fit", "listed", "need_finite"]

MAX_LISTED = 12  # names in a message
COUNTER = ".num_batches_tracked"


class NotFiniteError(CheckpointError):
    """Weights that fit a network, but hold NaN or infinity."""


def fit(
    network: nn.Module,
    tensors: Mapping[str, Tensor],
    pipeline: str,
    unused: str = r"(?!)",
    file_names: Iterable[str] = (),
) -> None:
    """Load `tensors` into `network`, every one accounted for.

    `unused` is a regular expression of names that the file may have though `network` does not use
    them; `file_names` are the names in the file, if `tensors` have been renamed. Raises
    `CheckpointError` with the names that are missing, unexpected or of another shape, and with
    the pipeline that the file seems to be for, if not `pipeline`; `NotFiniteError` as
    `need_finite`. A file may lack the batch counters of batch normalisation, as those of old
    versions of PyTorch do; they are not used.
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
        problem = f"these weights do not fit {pipeline}: {listed(problems)}"
        other = looks_like(file_names) or looks_like(tensors)
        fix = f"give a checkpoint of {pipeline}, or name the network that this one is of; "
        fix += "`mottool weights list` shows where each is published"
        if other is not None and not pipeline.startswith(other):
            fix = f"they look like weights of {other}: choose a pipeline or a file that fits"
        raise CheckpointError(problem, fix)
    need_finite(given)
    network.load_state_dict(given)


def need_finite(tensors: Mapping[str, Tensor]) -> None:
    """Raise `NotFiniteError` with the names of tensors that hold NaN or infinity."""
    bad = [name for name, value in tensors.items() if not value.isfinite().all()]
    if bad:
        fix = "take a checkpoint from before its training diverged, or download it again"
        raise NotFiniteError(f"these weights hold NaN or infinity, in {listed(bad)}", fix)


def _misfits(needed: Mapping[str, tuple[int, ...]], given: Mapping[str, Tensor]) -> list[str]:
    """Describe what is wrong with each name, taking missing, unexpected and misshapen in turn."""
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
    """Return the size of tensor `name` along `axis`, `default` if it has no such axis."""
    shape = tensors[name].shape if name in tensors else ()
    return shape[axis] if axis < len(shape) else default


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "a single number"


def listed(items: list[str]) -> str:
    """Join the first names of a list, and append the number of the others."""
    more = len(items) - MAX_LISTED
    return ", ".join(items[:MAX_LISTED]) + (f" and {more} more" if more > 0 else "")
