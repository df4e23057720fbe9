"""A network that is declared with one entry is known to every command."""

import subprocess
import sys

import pytest
import torch
from click.testing import CliRunner
from figures import street
from toy_network import TOY

from mottool.checkpoints.manifest import listings
from mottool.models.backbones.yolov5 import YOLOv5s
from mottool.models.fairmot import FairMOT
from mottool.networks.registry import NETWORKS, identify
from mottool.pipelines.load_network import load_network
from mottool.stages.detect_embed import command as detect_embed
from mottool.stages.train import command as train


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(NETWORKS, "toy", TOY)
    return TOY


def ran(command, *arguments):
    result = CliRunner().invoke(command, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_help_names_it():
    script = (
        "import sys\n"
        "from toy_network import TOY\n"
        "from mottool.networks.registry import NETWORKS\n"
        "NETWORKS['toy'] = TOY\n"
        "from mottool.cli.main import main\n"
        "sys.argv[1:] = [{command!r}, '--help']\n"
        "main()\n"
    )
    for command in ("train", "detect-embed"):
        child = subprocess.run(
            [sys.executable, "-c", script.format(command=command)],
            capture_output=True,
            text=True,
            env={"PYTHONPATH": ":".join(sys.path)},
        )
        assert "Toy: toy" in child.stdout, child.stderr


def test_it_is_listed_identified_trained_and_run(toy, tmp_path):
    listing = next(listing for listing in listings() if listing.name == "toy")
    assert listing.command == "mottool detect-embed SOURCE --pipeline toy --weights FILE"
    scene = street(tmp_path / "street", frames=4, size=(64, 64))
    shared = ["--work", tmp_path, "--device", "cpu"]
    ran(train, "toy", "--data", scene, "--epochs", 1, "--batch", 2, "--workers", 0, *shared)
    weights = tmp_path / "training/toy/toy.safetensors"
    loaded = load_network(weights)
    assert "toy" in (loaded.name, *identify(loaded.checkpoint.tensors))
    output = ran(detect_embed, scene, "--pipeline", "toy", "--weights", weights, *shared)
    assert (tmp_path / "caches/toy/street.h5").exists(), output


def test_its_checkpoint_is_identified(toy, tmp_path):
    names = FairMOT(YOLOv5s(), 24).state_dict()
    assert "toy" in identify(names)
    torch.save(names, tmp_path / "toy.pth")
    assert load_network(tmp_path / "toy.pth", "toy").network.embedding_size == 24
