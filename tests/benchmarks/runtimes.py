"""Compare the runtimes of networks with random weights on this machine. Run it by hand:

    python tests/benchmarks/runtimes.py mottool-s fairmot-dla34 osnet_x0_25
    python tests/benchmarks/runtimes.py --scale 0.5 --precision bf16 --runtime openvino

Without names it measures one network of each family and OSNet. For each it prints the milliseconds
an image of eager PyTorch in float32, then for each runtime the milliseconds, how many times faster
that is, the rate of its operations, and the largest difference of any head. The runtimes take
turns, and the shortest time of each counts. With --cpu-time it is the time of the processor, for
machines that do other work too.

The first line gives the rate of a single convolution in float32 with many channels, about the most
that the machine computes. Rates of networks count the multiplications and additions of eager
PyTorch. A network whose eager rate is near the first line cannot become much faster in float32.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import click
import torch
from torch.utils.flop_counter import FlopCounterMode

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
def operations(forward: Callable[[], object]) -> int:
    """Return the multiplications and additions of convolutions and matrix products in a call."""
    with FlopCounterMode(display=False) as counter:
        forward()
    return counter.get_total_flops()


@torch.inference_mode()
def highest_rate(compute: Compute, rounds: int, clock: Callable[[], float]) -> float:
    """Return the operations per second of a convolution with many channels in float32."""
    convolution = torch.nn.Conv2d(256, 256, 3, padding=1).to(compute.device)
    features = torch.rand(1, 256, 76, 136, device=compute.device)
    seconds = []
    for _ in range(rounds):
        start = clock()
        convolution(features)
        compute.wait()
        seconds.append(clock() - start)
    return operations(lambda: convolution(features)) / min(seconds)


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
    work = operations(lambda: network.heads(*images))
    for runtime, time in seconds.items():
        ratio = seconds["eager fp32"] / time
        figures = f"{1000 * time / network.batch:10.1f}{ratio:8.2f}{work / time / 1e9:10.0f}"
        figures += f"{differences[runtime]:12.1e}"
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
    clock = process_time if cpu_time else perf_counter
    rate = highest_rate(compute, 4 * rounds, clock)
    print(f"a convolution of 256 channels in float32: {rate / 1e9:.0f} GFLOP/s", flush=True)
    columns = f"{'ms':>10}{'times':>8}{'GFLOP/s':>10}{'difference':>12}"
    print(f"{'network':24}{'runtime':>15}{'input':>10}{columns}")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MOTTOOL_RUNTIME_CACHE"] = folder
        for name in names or NAMES:
            compare(loaded(name, scale, compute), chosen, rounds, clock)


if __name__ == "__main__":
    main()
