"""A runtime is chosen by name, by measurement, or as an earlier run did."""

import gc
import json
import threading
import weakref

import pytest
import torch
from torch import nn

from mottool.errors import SettingError
from mottool.locks import locked
from mottool.models.device import Compute
from mottool.networks.registry import load
from mottool.runtimes import choice, measure
from mottool.runtimes.agreement import agree
from mottool.runtimes.choice import Runtimes
from mottool.runtimes.interfaces import LoadedNetwork
from mottool.runtimes.registry import RUNTIMES, RuntimeEntry, recorded_runtime

CPU = Compute(torch.device("cpu"))
CALLS: list[str] = []
DAMAGED = json.dumps({"runtime": "toy", "milliseconds": [1]})


class Doubling(nn.Module):
    def forward(self, images):
        return {"head": images * 2}


def open_toy(network):
    CALLS.append("open")
    return lambda images: {"head": images + images}


def open_wrong(network):
    return lambda images: {"head": images * 2.1}


def open_broken(network):
    raise RuntimeError("no such\n operation")


def open_failing(network):
    def forward(images):
        raise ValueError

    return forward


def load_toy(path):
    """Load a function of this module, or of mottool's."""
    module, _, name = path.partition(":")
    return globals()[name] if module == __name__ else load(path)


@pytest.fixture(autouse=True)
def toys(monkeypatch, tmp_path):
    """Replace the runtimes by eager PyTorch and toys, of which the toy is the fastest."""
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MOTTOOL_RUNTIME")
    for name in [*RUNTIMES][1:]:
        monkeypatch.delitem(RUNTIMES, name)
    for name in ("toy", "wrong", "broken", "failing"):
        monkeypatch.setitem(RUNTIMES, name, RuntimeEntry(name, f"{__name__}:open_{name}"))
    monkeypatch.setitem(RUNTIMES, "away", RuntimeEntry("", "", packages=("no_such_package",)))
    monkeypatch.setattr(choice, "load", load_toy)
    times = {"torch": 0.05, "toy": 0.02}
    monkeypatch.setattr(
        measure, "_time", lambda network, forwards, images: {name: times[name] for name in forwards}
    )
    CALLS.clear()


def network(dtype=torch.float32, weights="0"):
    return LoadedNetwork("toy-network", weights, Doubling(), Compute(CPU.device, dtype), (8, 8))


def start(requested="auto", recorded="", images=1000, **arguments):
    """Return the chosen runtime and the messages."""
    messages = []
    started = Runtimes(network(**arguments), requested).start(messages.append, recorded, images)
    return started.runtime, messages


def test_auto_takes_the_fastest_that_agrees_and_says_why():
    chosen, messages = start()
    assert chosen == "toy"
    assert messages == [
        "toy-network: runtime wrong is not used: its results are inexact",
        "toy-network: runtime broken is not used: broken cannot run toy-network "
        "(no such operation)",
        "toy-network: runtime failing is not used: failing cannot run toy-network (ValueError)",
        "toy-network: runtime toy, 20 ms an image here (torch 50); see --runtime",
    ]


def test_auto_measures_pytorch_as_runs_call_it(monkeypatch):
    timed = {}

    def time(network, forwards, images):
        timed.update(forwards)
        return dict.fromkeys(forwards, 1.0)

    monkeypatch.setattr(measure, "_time", time)
    runtimes = Runtimes(network(torch.bfloat16))
    assert runtimes.start(print, images=1000).runtime == "torch"
    assert timed["torch"] is runtimes.open("torch")


def test_runtimes_that_are_not_chosen_are_closed(monkeypatch):
    opened = {}

    def watched(name, open_runtime):
        def open_watched(network):
            forward = open_runtime(network)
            opened[name] = weakref.ref(forward)
            return forward

        return open_watched

    for name in ("toy", "wrong"):
        key = f"open_{name}"
        monkeypatch.setitem(globals(), key, watched(name, globals()[key]))
    runtimes = Runtimes(network())
    assert runtimes.start(print, images=1000).runtime == "toy"
    gc.collect()
    assert opened["toy"]() is not None
    assert opened["wrong"]() is None
    runtimes.open("toy")
    assert len(CALLS) == 1


def test_a_runtime_that_does_not_fit_into_the_memory_is_left_out(monkeypatch):
    def full(network):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setitem(globals(), "open_broken", full)
    _, messages = start()
    assert (
        "toy-network: runtime broken is not used: the memory of the device cpu is too small, or in "
        "use by others"
    ) in messages
    with pytest.raises(SettingError, match="Fix: give a smaller --batch"):
        Runtimes(network(), "broken").open("broken")


def test_auto_remembers_its_measurement():
    first, messages = start()
    CALLS.clear()
    assert start(images=1) == (first, messages[-1:])
    assert not CALLS
    assert start(images=1, weights="1")[0] == "torch"


def test_a_damaged_memory_is_measured_again(tmp_path):
    start()
    (path,) = (tmp_path / "cache" / "measured").iterdir()
    huge = json.dumps({"runtime": "toy", "milliseconds": {"toy": 10**400}})
    known = json.dumps({"runtime": "toy"}), json.dumps({"runtime": 3}), DAMAGED, huge
    for content in ("{", "[]", "[" * 100000, *known):
        path.write_text(content)
        assert start()[0] == "toy"
        assert len(json.loads(path.read_text())["milliseconds"]) == 2


def test_auto_waits_for_another_process_that_measures_and_takes_its_choice(tmp_path):
    waiting, messages, chosen = threading.Event(), [], []

    def warn(message):
        messages.append(message)
        waiting.set()

    thread = threading.Thread(
        target=lambda: chosen.append(Runtimes(network()).start(warn, images=1000).runtime)
    )
    with locked(tmp_path / "cache" / "measuring.lock", pytest.fail):
        thread.start()
        assert waiting.wait(60)
        result = measure.Measured("torch", {"torch": 1, "toy": 2})
        measure.remember(network(), ["toy", "wrong", "broken", "failing"], result)
    thread.join()
    assert chosen == ["torch"]
    assert messages[0] == "toy-network: waiting for another process that measures runtimes"
    assert not CALLS


def test_auto_measures_without_a_folder_to_write(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path / "file" / "cache"))
    chosen, messages = start()
    assert chosen == "toy"
    assert any("is not kept" in message for message in messages)


def test_auto_does_not_measure_for_few_images():
    assert start(images=10) == ("torch", [])
    assert start(images=None) == ("torch", [])
    assert not CALLS


def test_auto_measures_for_many_short_sequences():
    runtimes = Runtimes(network())
    chosen = [runtimes.start(print, images=120).runtime for _ in range(4)]
    assert chosen == ["torch", "torch", "toy", "toy"]


def test_auto_keeps_pytorch_if_the_gain_is_small(monkeypatch):
    monkeypatch.setattr(measure, "GAIN", 0.3)
    assert start()[0] == "torch"


def test_the_variable_replaces_auto_only(monkeypatch):
    monkeypatch.setenv("MOTTOOL_RUNTIME", "toy")
    assert start() == ("toy", [])
    assert start("torch") == ("torch", [])
    monkeypatch.setenv("MOTTOOL_RUNTIME", "")
    assert start()[0] == "toy"
    monkeypatch.setenv("MOTTOOL_RUNTIME", "tou")
    with pytest.raises(SettingError, match=r"'tou' \(\$MOTTOOL_RUNTIME\)"):
        start()


def test_a_resumed_run_keeps_its_runtime():
    assert start(recorded="toy") == ("toy", [])
    chosen, messages = start("torch", recorded="toy")
    assert chosen == "toy"
    assert "continuing with the runtime toy" in messages[0]


def test_a_run_that_cannot_keep_its_runtime_says_so_once():
    messages = []
    runtimes = Runtimes(network(), "toy")
    for _ in range(2):
        assert runtimes.start(messages.append, "away").runtime == "toy"
    (message,) = messages
    assert "begun with the runtime away, but" in message
    assert "no_such_package; use --overwrite" in message


def test_caches_without_a_runtime_were_computed_by_pytorch():
    assert recorded_runtime({}) == ""
    assert recorded_runtime({"input": "64x64"}) == "torch"
    assert recorded_runtime({"runtime": "toy", "embedder_runtime": "other"}) == "toy"
    assert recorded_runtime({"embedder_runtime": "toy"}, "embedder_runtime") == "toy"


def test_a_runtime_is_opened_once_and_only_when_it_computes():
    runtimes = Runtimes(network(), "toy")
    computed, _ = (runtimes.start(print)[1] for _ in range(2))
    assert not CALLS
    images = torch.ones(1, 3, 8, 8)
    assert torch.equal(computed.forward(images)["head"], images * 2)
    runtimes.start(print).network(images)
    assert CALLS == ["open"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tou", "there is no runtime 'tou'. Fix: .*toy"),
        ("away", "needs the package no_such_package. Fix: install it: pip install no_such_package"),
        ("broken", "cannot run toy-network .*--runtime torch"),
        (
            "failing",
            "cannot run toy-network .ValueError.. Fix: give --runtime torch, .*--overwrite",
        ),
    ],
)
def test_a_named_runtime_that_cannot_be_used_is_an_error_with_a_fix(name, message):
    with pytest.raises(SettingError, match=message):
        Runtimes(network(), name).start(print).network(torch.ones(1, 3, 8, 8))


def test_devices_and_precisions_are_checked(monkeypatch):
    monkeypatch.setitem(RUNTIMES, "toy", RuntimeEntry("", "", ("cuda",)[:0], ("cuda",)))
    with pytest.raises(SettingError, match="does not run on cpu. Fix: give --device cuda"):
        Runtimes(network(), "toy")
    monkeypatch.setitem(RUNTIMES, "toy", RuntimeEntry("", "", precisions=("fp32",)))
    with pytest.raises(SettingError, match="does not compute in bfloat16. Fix: .*fp32"):
        Runtimes(network(torch.bfloat16), "toy")


def test_bfloat16_on_a_cpu_without_units_for_it_is_warned_of(monkeypatch):
    capabilities = {"architecture": "x86_64", "avx512_bf16": False, "amx_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert "ten times" in start("torch", dtype=torch.bfloat16)[1][0]
    assert not start("torch")[1]
    capabilities["amx_bf16"] = True
    assert not start("torch", dtype=torch.bfloat16)[1]


def test_heads_agree_within_the_rounding_of_the_precision():
    exact = {"a": torch.tensor([1.0, 2.0])}
    eager = {"a": torch.tensor([1.01, 2.0])}
    assert agree({"a": torch.tensor([1.001, 2.003])}, exact)
    assert not agree({"a": torch.tensor([1.005, 2.0])}, exact)
    assert agree({"a": torch.tensor([1.03, 1.98])}, eager, exact)
    assert not agree({"a": torch.tensor([1.04, 2.0])}, eager, exact)
    assert not agree({"a": torch.tensor([torch.nan, 2.0])}, exact)
    assert not agree({"b": exact["a"]}, exact)
    assert not agree({"a": exact["a"][:1]}, exact)
