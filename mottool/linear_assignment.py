"""SciPy's solver of the assignment problem, without the import of `scipy.optimize`.

That package imports all of SciPy's optimisation and linear algebra, which takes longer than to
associate a video. The solver is one compiled file of it, which needs NumPy only.
"""

from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["linear_sum_assignment"]

Solver = Callable[..., tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]


def _solver() -> Solver:
    """Return `scipy.optimize.linear_sum_assignment`, if possible from its own file."""
    package = find_spec("scipy")
    for root in (package and package.submodule_search_locations) or ():
        for suffix in EXTENSION_SUFFIXES:
            path = Path(root, "optimize", f"_lsap{suffix}")
            spec = spec_from_file_location("mottool._lsap", path) if path.is_file() else None
            if spec is not None and spec.loader is not None:
                module: Any = module_from_spec(spec)
                spec.loader.exec_module(module)
                solver: Solver = module.linear_sum_assignment
                return solver
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment


linear_sum_assignment = _solver()
