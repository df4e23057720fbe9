"""Run a recipe on a Slurm cluster: networks on GPU nodes, trackers and scores on CPU nodes.

    pip install 'mottool[dask]' dask-jobqueue
    python examples/scale/slurm.py comparison.toml --gpus 4 --cpus 64

It has not been run on a real Slurm: adapt queues, memory and times to yours. The folder that it is
started in, and mottool's environment, must be shared by all nodes. Start it on a node that the
others can reach; the scheduler and `mottool run` stay on that node.

For PBS or LSF, replace `SLURMCluster` by `PBSCluster` or `LSFCluster` of dask-jobqueue, `--gres` by
`-l ngpus=1` or `-gpu num=1`, and the `sbatch` of the CPU workers by an array of `qsub` or `bsub`.
"""

import argparse
import subprocess
import sys

from dask_jobqueue import SLURMCluster

HOURS = "12:00:00"


def start_cpu_workers(scheduler: str, count: int) -> None:
    """Submit an array of jobs, each with one worker that does not run networks."""
    worker = f"{sys.executable} -m distributed.cli.dask_worker {scheduler}"
    worker += " --nthreads 1 --resources cpu=1 --death-timeout 600"
    array = [f"--array=1-{count}", "--cpus-per-task=1", "--mem=4G", f"--time={HOURS}"]
    subprocess.run(["sbatch", *array, "--wrap", worker], check=True)


def main() -> int:
    """Start the workers, run the recipe, and return the exit code of `mottool run`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("recipe")
    parser.add_argument("--gpus", type=int, default=1, help="number of GPU workers")
    parser.add_argument("--cpus", type=int, default=8, help="number of CPU workers")
    given = parser.parse_args()
    cluster = SLURMCluster(
        cores=1,
        processes=1,
        memory="16GB",
        walltime=HOURS,
        job_extra_directives=["--gres=gpu:1", "--cpus-per-task=4"],
        worker_extra_args=["--nthreads", "1", "--resources", "network=1"],
    )
    with cluster:
        cluster.scale(given.gpus)
        start_cpu_workers(cluster.scheduler_address, given.cpus)
        print(f"workers and tasks: {cluster.dashboard_link}")
        command = ["mottool", "run", given.recipe, "--engine", "dask"]
        return subprocess.run([*command, "--scheduler", cluster.scheduler_address]).returncode


if __name__ == "__main__":
    sys.exit(main())
