"""Compare the runtimes of networks with random weights on this machine. Run it by hand:

    python tests/benchmarks/runtimes.py mottool-s fairmot-dla34 osnet_x0_25
    python tests/benchmarks/runtimes.py --scale 0.5 --precision bf16 --runtime openvino

Without names it measures one network of each family and OSNet. For each it prints the milliseconds
an image of eager PyTorch in float32, then for each runtime the milliseconds, how many times faster
that is, and the largest difference of any head. The runtimes take turns, and the shortest time of
each counts. With --cpu-time it is the time of the processor, for machines that do other work too.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import click
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "helpers"))
from untrained import network as untrained

from mottool.errors import MottoolError
from mottool.models.device import Compute
from mottool.models.interfaces import Deployable
from mottool.networks.registry import NETWORKS
from mottool.pipelines.embedders.osnet import CPU_BATCH, HEIGHT, WIDTH
from mottool.runtimes.agreement import largest_difference
from mottool.runtimes.choice import Runtimes
from mottool.runtimes.interfaces import Forward, LoadedNetwork
from mottool.runtimes.registry import EAGER, RUNTIMES, measured_runtimes

NAMES = (
    *("mottool-s", "fairmot-dla34", "fairmot-resnet34", "fairmot-hrnet18", "fairmot-yolov5s"),
    *("fairmot-dla34-anchors4", "jde-1088x608", "cstrack", "cstrack-s", "outrack", "otrack"),
    *("tdt-r34", "tdt-mobilenet", "osnet_x0_25"),
)
STRIDE = 32


def loaded(name: str, scale: float, compute: Compute) -> LoadedNetwork:
    """Return the network with random weights, and an input of `scale` times its usual size."""
    module = untrained(name).eval()
    if isinstance(module, Deployable):
        module = module.deployed()
    module = module.to(compute.device)
    if name not in NETWORKS:
        module.classifier = torch.nn.Identity()
        return LoadedNetwork(name, "random", module, compute, (WIDTH, HEIGHT), CPU_BATCH)
    width, height = (
        max(round(side * scale / STRIDE), 2) * STRIDE for side in NETWORKS[name].input_size
    )
    channels = getattr(module, "input_channels", (3,))
    return LoadedNetwork(name, "random", module, compute, (width, height), 1, channels)


@torch.inference_mode()
def compare(
    network: LoadedNetwork, runtimes: list[str], rounds: int, clock: Callable[[], float]
) -> None:
    """Print a row for each runtime of a network."""
    name, compute, images = network.name, network.compute, network.example()
    exact = network.heads(*images)
    forwards: dict[str, Forward] = {"eager fp32": network.heads}
    differences = {"eager fp32": 0.0}
    for runtime in runtimes:
        try:
            forwards[runtime] = autocast(compute, Runtimes(network, runtime).open(runtime))
            differences[runtime] = largest_difference(forwards[runtime](*images), exact)
        except MottoolError as error:
            forwards.pop(runtime, None)
            print(f"{name:24}{runtime:>15}  {error.problem}", flush=True)
    seconds = dict.fromkeys(forwards, float("inf"))
    for _ in range(rounds):
        for runtime, forward in forwards.items():
            start = clock()
            forward(*images)
            compute.wait()
            seconds[runtime] = min(seconds[runtime], clock() - start)
    size = "x".join(map(str, network.size))
    for runtime, time in seconds.items():
        ratio = seconds["eager fp32"] / time
        figures = f"{1000 * time / network.batch:10.1f}{ratio:8.2f}{differences[runtime]:12.1e}"
        print(f"{name:24}{runtime:>15}{size:>10}{figures}", flush=True)


def autocast(compute: Compute, forward: Forward) -> Forward:
    """Return the forward in the precision of `compute`, as pipelines call it."""

    def inner(*images: torch.Tensor) -> dict[str, torch.Tensor]:
        with compute.autocast():
            return forward(*images)

    return inner


@click.command()
@click.argument("names", nargs=-1)
@click.option("--runtime", "runtimes", multiple=True, type=click.Choice([*RUNTIMES]))
@click.option("--precision", default="fp32", help="fp32, fp16 or bf16.")
@click.option("--scale", default=1.0, help="Size of the input relative to the network's own.")
@click.option("--rounds", default=5, help="Calls of each runtime that are measured.")
@click.option("--device", default="cpu", help="cpu, cuda or cuda:N.")
@click.option("--cpu-time", is_flag=True, help="Measure the time of the processor.")
def main(
    names: tuple[str, ...],
    runtimes: tuple[str, ...],
    precision: str,
    scale: float,
    rounds: int,
    device: str,
    cpu_time: bool,
) -> None:
    """Measure and print."""
    compute = Compute.named(device, precision)
    chosen = [*(runtimes or measured_runtimes(compute.device.type))]
    if precision == "fp32" and not runtimes:
        chosen.remove(EAGER)
    print(f"{'network':24}{'runtime':>15}{'input':>10}{'ms':>10}{'times':>8}{'difference':>12}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOTTOOL_RUNTIME_CACHE"] = folder
        for name in names or NAMES:
            clock = process_time if cpu_time else perf_counter
            compare(loaded(name, scale, compute), chosen, rounds, clock)


if __name__ == "__main__":
    main()
