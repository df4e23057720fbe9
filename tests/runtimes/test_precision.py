"""Weights are cast once to the precision of autocast, and heads keep all their bits."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models.feature_extraction import create_feature_extractor
from untrained import deployed

from mottool.models.backbones.deformable import DeformableConv2d
from mottool.models.device import Compute
from mottool.models.otrack import Recurrence
from mottool.runtimes import precision
from mottool.runtimes.choice import Runtimes
from mottool.runtimes.eager import open_channels_last, open_torch
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.precision import cast_weights, shared_copy

NAMES = ["mottool-s", "fairmot-dla34", "tdt-mobilenet", "otrack", "cstrack-s", "osnet_x0_25"]
LOWER = [torch.bfloat16, torch.float16]
OTHERS = [  # another backbone or head each
    pytest.param(name, marks=pytest.mark.heavy)
    for name in ("jde-576x320", "fairmot-hrnet18", "outrack", "fairmot-yolov5s", "tdt-r34")
]


def loaded(module, dtype=torch.bfloat16, **arguments):
    compute = Compute(torch.device("cpu"), dtype)
    arguments = {"size": (64, 32), "channels": getattr(module, "input_channels", (3,)), **arguments}
    return LoadedNetwork("network", "0", module.eval(), compute, **arguments)


@torch.inference_mode()
def heads_of(network, forward, *images):
    """Call as pipelines do."""
    with network.compute.autocast():
        return forward(*images)


def assert_same_bits(heads, expected):
    assert [*heads] == [*expected]
    for name, head in expected.items():
        assert heads[name].dtype == head.dtype
        assert torch.equal(heads[name], head), name


@pytest.mark.parametrize("dtype", LOWER)
@pytest.mark.parametrize("name", [*NAMES, *OTHERS])
def test_heads_have_the_bits_that_autocast_computes(name, dtype):
    network = loaded(deployed(name), dtype)
    before = {key: value.clone() for key, value in network.module.state_dict().items()}
    images = network.example()
    expected = heads_of(network, network.heads, *images)
    forward = open_torch(network)
    for _ in range(2):
        assert_same_bits(heads_of(network, forward, *images), expected)
    for key, value in network.module.state_dict().items():
        assert value.dtype == before[key].dtype
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", NAMES)
def test_only_weights_of_convolutions_and_linear_layers_are_cast(name):
    network = loaded(deployed(name))
    copy = cast_weights(network).module
    layers = [nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear]
    unused = {}  # `forward` leaves them out: TDT embeds selected anchors only
    for path, part in network.module.named_modules():
        for key, value in part.named_parameters(recurse=False):
            twin = copy.get_submodule(path).get_parameter(key)
            if type(part) in layers and twin.dtype is torch.float32:
                unused[f"{path}.{key}"] = twin
            elif type(part) in layers:
                assert twin.dtype is torch.bfloat16
                continue
            assert twin is value
    assert [*unused] == [path for path in unused if path.startswith("embedder.embedding")]
    for value, twin in zip(network.module.buffers(), copy.buffers(), strict=True):
        assert twin is value


@pytest.mark.parametrize("open_runtime", [open_torch, open_channels_last])
def test_calls_cast_no_weights(open_runtime):
    network = loaded(deployed("mottool-s"))
    forward = open_runtime(network)
    uses = precision._Uses(network.module, network.compute.dtype)
    with torch.no_grad(), network.compute.autocast():
        with uses:
            forward(*network.example())
        assert not uses.cast
        with uses:
            network.heads(*network.example())
        assert uses.cast


class Mixed(nn.Module):
    """Uses weights in every way that a cast must respect."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.twice = nn.Conv2d(3, 3, 3, padding=1)
        self.again = self.twice
        self.layers = [self.twice]
        self.exact = nn.Conv2d(3, 3, 1)
        self.both = nn.Conv2d(3, 3, 1)
        self.measured = nn.Conv2d(3, 3, 1, bias=False)
        self.weight = nn.Parameter(torch.randn(3, 3, 1, 1))
        self.norm = nn.BatchNorm2d(3)
        self.deformable = DeformableConv2d(3, 3)
        nn.init.normal_(self.deformable.conv_offset_mask.weight)
        self.recurrent = nn.LSTM(3, 4, batch_first=True)

    def forward(self, images):
        x = self.layers[0](self.again(self.twice(images)))
        with torch.autocast("cpu", enabled=False):
            x = self.both(self.exact(x.float()))
        x = self.both(self.norm(x))
        x = self.measured(x) / self.measured.weight.norm()
        x = self.deformable(F.conv2d(x, self.weight))
        return {"map": x, "sequence": self.recurrent(x.flatten(2).mT)[0]}


@pytest.mark.parametrize("dtype", LOWER)
def test_weights_that_are_also_used_in_float32_stay(dtype):
    network = loaded(Mixed(), dtype)
    images = network.example()
    expected = heads_of(network, network.heads, *images)
    cast = cast_weights(network)
    assert_same_bits(heads_of(network, cast.heads, *images), expected)
    lower = {key for key, value in cast.module.named_parameters() if value.dtype is dtype}
    assert {"twice.weight", "twice.bias", "weight"} <= lower
    kept = {"exact.weight", "both.weight", "measured.weight", "norm.weight", "deformable.weight"}
    assert not kept & lower
    assert cast.module.again is cast.module.twice is cast.module.layers[0]


def test_weights_are_cast_while_a_caller_has_them_in_the_cache_of_autocast():
    network = loaded(Mixed())
    with torch.inference_mode(), network.compute.autocast():
        network.heads(*network.example())
        cast = cast_weights(network).module
    assert cast.twice.weight.dtype is torch.bfloat16
    assert not cast.twice.weight.is_inference()


def test_in_float32_nothing_is_copied():
    network = loaded(Mixed(), torch.float32)
    assert cast_weights(network) is network
    assert Runtimes(network, "torch").start(print).network is network.module


def test_a_copy_shares_what_a_network_keeps_beside_its_parameters():
    module = Mixed().eval()
    module.kept = torch.ones(2)
    copy = shared_copy(module)
    module.kept[0] = 2
    copy.norm.eps = 1.0
    assert copy.kept.tolist() == [1, 1]
    assert module.norm.eps != 1
    assert copy.norm.running_mean is module.norm.running_mean
    assert copy.layers[0].weight is module.twice.weight


def test_a_copy_of_a_traced_network_is_in_the_mode_of_the_network():
    layers = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    module = create_feature_extractor(layers, ["1"]).eval()  # as in the backbones of TDT
    copy = shared_copy(module)
    assert not any(part.training for part in copy.modules())


def test_channels_last_has_the_bits_that_autocast_computes():
    network = loaded(deployed("fairmot-dla34"))
    images = [part.contiguous(memory_format=torch.channels_last) for part in network.example()]
    expected = heads_of(network, network.heads, *images)
    assert_same_bits(heads_of(network, open_channels_last(network), *images), expected)


def test_a_recurrent_network_is_processed_as_before():
    network = loaded(deployed("otrack"))
    images = torch.rand(3, 3, 32, 64)
    started = Runtimes(network, "torch").start(print).network
    assert started is not network.module
    expected = heads_of(network, Recurrence(network.module).forward, images)
    assert_same_bits(heads_of(network, Recurrence(started).forward, images), expected)
