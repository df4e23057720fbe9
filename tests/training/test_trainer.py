"""Epochs that end in weights that are not finite, and what several processes have to agree on."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from figures import street

from mottool.data.batches import batches
from mottool.data.formats import open_dataset
from mottool.data.samples import Samples
from mottool.errors import SettingError, TrainingError
from mottool.models.preprocessing import ClampedLetterbox
from mottool.networks.jde import JDE, JDELearning
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.learners import fairmot
from mottool.training.learners.jde import JDELearner
from mottool.training.trainer import Trainer, TrainerSettings

NAME = "fairmot-yolov5s"
SMALL = {"epochs": 2, "batch": 2, "input": (64, 64), "workers": 0, "device": "cpu"}
pytestmark = pytest.mark.usefixtures("narrow_backbone")  # checkpoints are small


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=4, size=(96, 64))


@pytest.mark.parametrize(("where", "kept"), [(2, 0), (4, 1)])
def test_non_finite_weights_are_not_saved(where, kept, scene, tmp_path, monkeypatch):
    """The loss of an epoch's last batch is a number, and the step it leads to is none."""
    plain, calls = fairmot.FairMOTLearner.forward, []

    def forward(self, images, targets):
        calls.append(None)
        terms = plain(self, images, targets)
        if len(calls) == where:
            weight = self.network.offset[2].weight.sum()
            terms["total"] = terms["total"] + (weight - weight).sqrt()  # 0, of slope infinity
        return terms

    monkeypatch.setattr(fairmot.FairMOTLearner, "forward", forward)
    message = (
        rf"epoch {kept + 1} the weights network.offset.2.weight are NaN or infinite.*lower --lr"
    )
    with pytest.raises(TrainingError, match=message) as caught:
        train.run(NAME, [scene], tmp_path, Config(**SMALL))
    assert ("the weights of epoch 1 are saved: start from them" in caught.value.fix) == bool(kept)
    assert (tmp_path / "training.pt").exists() == bool(kept)
    if kept:
        state = torch.load(tmp_path / "training.pt", weights_only=True)
        assert state["epoch"] == kept
        assert all(value.isfinite().all() for value in state["learner"].values())


def test_a_loss_that_explodes_but_stays_finite_is_an_error(scene, tmp_path, monkeypatch):
    plain, factors = fairmot.FairMOTLearner.forward, iter([1, 1, 1, 1e9])

    def forward(self, images, targets):
        factor = next(factors)
        return {name: factor * term for name, term in plain(self, images, targets).items()}

    monkeypatch.setattr(fairmot.FairMOTLearner, "forward", forward)
    with pytest.raises(
        TrainingError, match=r"the loss rose from \S+ to \S+ in epoch 2. Fix: lower"
    ):
        train.run(NAME, [scene], tmp_path, Config(**SMALL))
    assert torch.load(tmp_path / "training.pt", weights_only=True)["epoch"] == 1


def test_an_unsupported_device_is_not_used(scene, tmp_path, monkeypatch):
    """Apple's: accelerate would take it, and validation would look for the network elsewhere."""
    for name in ("is_available", "is_built"):
        monkeypatch.setattr(torch.backends.mps, name, lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = Config(**{**SMALL, "epochs": 1, "device": "auto"})
    train.run(NAME, [scene], tmp_path, config, validation=[scene])
    assert torch.load(tmp_path / "training.pt", weights_only=True)["epoch"] == 1


def test_a_batch_of_jde_triplets_has_half_as_many_pairs(scene):
    dataset = open_dataset(scene, print)
    learner = JDELearner("jde-576x320", dataset, (64, 64), JDELearning("triplet"))
    samples = Samples(dataset, ClampedLetterbox(64, 64), JDE.augmentation, learner.pairs)
    plan = TrainerSettings(replace(JDE.recipe, epochs=1, batch=4), device=torch.device("cpu"))
    trainer = Trainer(learner, samples, plan)
    (batch,) = batches(trainer.loader)  # 4 frames: one epoch is one batch
    assert batch.inputs.shape == (4, 3, 64, 64)
    with pytest.raises(SettingError, match=r"3 images .* in samples of 2 images.*--batch 4"):
        Trainer(learner, samples, replace(plan, recipe=replace(plan.recipe, batch=3)))


FOLDERS = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "helpers")]
SCRIPT = """
import json, os, sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
from narrow_backbone import use_narrow_backbone
from test_trainer import NAME, SMALL
use_narrow_backbone()
from mottool.stages import train
from mottool.training.trainer import Trainer
scene, out, rank = sys.argv[1], Path(sys.argv[2]), os.environ["RANK"]
plain, totals, kept = Trainer._terms, [], []
def terms(self, batch, number):
    found = plain(self, batch, number)
    totals.append(found["total"].item())
    kept[:] = [self.state.history]
    return found
Trainer._terms = terms
train.run(NAME, [scene], out / rank, train.Config(**SMALL))
logged = [row["total"] for row in kept[0]]
(out / f"{rank}.json").write_text(json.dumps({"own": totals, "logged": logged}))
"""


def two_processes(tmp_path, scene):
    script = tmp_path / "two.py"
    script.write_text(SCRIPT)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(script), str(scene), str(tmp_path), *FOLDERS,
    ]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=600)


@pytest.mark.heavy
def test_the_log_is_of_all_processes(scene, tmp_path):
    done = two_processes(tmp_path, scene)
    assert done.returncode == 0, done.stderr
    one, other = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert one["logged"] == other["logged"]
    assert one["own"] != other["own"]
    first, second = (np.reshape(each["own"], (2, 2)).mean(1) for each in (one, other))
    assert one["logged"] == pytest.approx((first + second) / 2)


@pytest.mark.heavy
def test_processes_cannot_resume_from_different_epochs(scene, tmp_path):
    """As on two machines that do not share the folder of a training that was stopped."""
    train.run(NAME, [scene], tmp_path / "0", Config(**SMALL))
    done = two_processes(tmp_path, scene)
    assert done.returncode != 0
    assert "some processes would resume after epoch 2, some after 0" in done.stderr
    assert not (tmp_path / "1").exists()
