"""Imports: association, scoring and plans load no library that takes longer than their work."""

import subprocess
import sys

import pytest

SLOW = {"scipy", "av", "cv2", "torch", "pandas", "matplotlib", "dask", "distributed"}
ASSOCIATE = ("mottool.stages.associate", "mottool.association.run_tracker")
WORKER = ("mottool.engines.worker", "mottool.association.job", "mottool.association.run_tracker")
DETECT_EMBED = ("mottool.pipelines.one_shot", "mottool.models.mottool_s")
TRACKERS = ("mottool.association.fairmot", "mottool.association.sort")


@pytest.mark.parametrize(
    ("modules", "slow"),
    [
        ((*ASSOCIATE, *TRACKERS), SLOW),
        ((*WORKER, *TRACKERS), SLOW | {"click"}),
        (("mottool.metrics.evaluate",), SLOW | {"h5py"}),
        (("mottool.stages.run",), SLOW | {"h5py", "numpy", "requests"}),
        (DETECT_EMBED, {"torchvision", "openvino", "pandas", "matplotlib", "dask", "distributed"}),
    ],
    ids=["associate", "worker", "evaluate", "run", "detect-embed"],
)
def test_slow_libraries_are_not_imported(modules, slow):
    code = f"import sys, {', '.join(modules)}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {name.split(".")[0] for name in done.stdout.split()} & slow
