"""One thread per test worker, set before anything imports a BLAS, and no downloaded weights."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ["MOTTOOL_WEIGHTS"] = os.path.join(os.devnull, "weights")  # a folder that never is
