"""`mottool train`: written files, resuming after a kill, starting weights, refused settings."""

import csv
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from figures import street
from killed import exit_code, kill_in_step
from safetensors.torch import load_file

from mottool.cache.reader import Cache
from mottool.cli.main import cli
from mottool.errors import (
    CheckpointError,
    InputError,
    OutputError,
    SettingError,
    TrainingError,
)
from mottool.networks.outrack import OUTrackLearning
from mottool.networks.tdt import TDTLearning
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.learners import fairmot

NAME = "fairmot-yolov5s"
SMALL = {"epochs": 3, "batch": 2, "input": (64, 64), "workers": 0, "device": "cpu"}
pytestmark = pytest.mark.usefixtures("narrow_backbone")  # checkpoints are small


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=4, size=(96, 64))


def trained(scene, out, warn=lambda message: None, **changed):
    return train.run(NAME, [scene], out, Config(**{**SMALL, **changed}), warn=warn)


def state(out):
    return torch.load(out / "training.pt", weights_only=True)


def rows(out):
    with (out / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_training_writes_weights_card_log_curves_and_state(scene, tmp_path):
    weights = trained(scene, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        f"{NAME}.safetensors", f"{NAME}.toml", "log.csv", "curves.png", "training.pt",
    }  # fmt: skip
    epochs = rows(tmp_path)
    assert [row["epoch"] for row in epochs] == ["1", "2", "3"]
    # A tenth after two thirds of the epochs.
    assert [float(row["lr"]) for row in epochs] == pytest.approx([1e-4, 1e-4, 1e-5])
    assert float(epochs[2]["total"]) < float(epochs[0]["total"])
    assert torch.equal(
        load_file(weights)["heatmap.2.bias"], state(tmp_path)["learner"]["network.heatmap.2.bias"]
    )


def test_killed_training_resumes_with_the_result_of_an_uninterrupted_one(scene, tmp_path):
    torch.set_num_threads(1)
    trained(scene, tmp_path / "whole", epochs=4, ema=0.9)
    # The sixth step is the second one of the third epoch.
    killed = (NAME, scene, tmp_path / "killed", Config(**{**SMALL, "epochs": 4, "ema": 0.9}))
    assert exit_code(kill_in_step, 6, *killed) == -signal.SIGKILL
    assert state(tmp_path / "killed")["epoch"] == 2
    messages = []
    trained(scene, tmp_path / "killed", messages.append, epochs=4, ema=0.9)
    assert any("resuming after epoch 2" in line for line in messages)
    whole, killed = state(tmp_path / "whole"), state(tmp_path / "killed")
    for part in ("learner", "average"):
        assert whole[part].keys() == killed[part].keys()
        for name, value in whole[part].items():
            assert torch.equal(value, killed[part][name]), name
    moments = whole["optimiser"]["state"], killed["optimiser"]["state"]
    for one, other in zip(*(each.values() for each in moments), strict=True):
        assert torch.equal(one["exp_avg_sq"], other["exp_avg_sq"])
    losses = [[row["total"] for row in rows(tmp_path / name)] for name in ("whole", "killed")]
    assert losses[0] == losses[1]
    files = [(tmp_path / name / f"{NAME}.safetensors").read_bytes() for name in ("whole", "killed")]
    assert files[0] == files[1]


def test_finished_training_is_not_repeated(scene, tmp_path):
    trained(scene, tmp_path)
    before = (tmp_path / "training.pt").read_bytes()
    trained(scene, tmp_path)
    assert (tmp_path / "training.pt").read_bytes() == before


def test_training_with_other_settings_is_not_resumed(scene, tmp_path):
    trained(scene, tmp_path, epochs=1)
    with pytest.raises(CheckpointError, match=r"training with lr None instead of 0.01.*--overwr"):
        trained(scene, tmp_path, epochs=1, lr=0.01)
    config = Config(**{**SMALL, "epochs": 1, "lr": 0.01})
    train.run(NAME, [scene], tmp_path, config, overwrite=True)
    assert float(rows(tmp_path)[0]["lr"]) == 0.01


def test_damaged_training_state_is_refused(scene, tmp_path):
    (tmp_path / "training.pt").write_bytes(b"no training")
    with pytest.raises(CheckpointError, match="training.pt is damaged"):
        trained(scene, tmp_path)
    torch.save({"epoch": 1}, tmp_path / "training.pt")
    with pytest.raises(CheckpointError, match="not a training state of schema"):
        trained(scene, tmp_path)


def test_full_disk_keeps_the_last_checkpoint(scene, tmp_path):
    trained(scene, tmp_path, epochs=1)
    before = (tmp_path / "training.pt").read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limit[1]))
    try:
        with pytest.raises(OutputError, match=r"no room left on the disk to write .*training\.pt"):
            train.run(
                NAME, [scene], tmp_path, Config(**{**SMALL, "epochs": 1, "seed": 1}), overwrite=True
            )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert (tmp_path / "training.pt").read_bytes() == before
    assert not list(tmp_path.glob(".*"))


def test_nan_loss_stops_with_its_term_epoch_and_batch(scene, tmp_path, monkeypatch):
    plain, calls = fairmot.FairMOTLearner.forward, []

    def forward(self, images, targets):
        calls.append(None)
        terms = plain(self, images, targets)
        if len(calls) == 4:  # the second batch of the second epoch
            terms["identity"] = terms["identity"] * float("nan")
        return terms

    monkeypatch.setattr(fairmot.FairMOTLearner, "forward", forward)
    with pytest.raises(TrainingError) as caught:
        trained(scene, tmp_path)
    assert "nan in its term identity, in epoch 2, batch 2 (0" in caught.value.problem
    assert caught.value.fix == (
        "lower --lr; the weights of epoch 1 are saved: start from them with --init, "
        "in another --out"
    )
    assert state(tmp_path)["epoch"] == 1


def test_accumulated_batches_make_one_step(scene, tmp_path):
    trained(scene, tmp_path, batch=4, accumulate=2, epochs=2, augment=False)
    assert state(tmp_path)["step"] == 2
    with pytest.raises(SettingError, match=r"4 images cannot be divided.*--batch 3"):
        trained(scene, tmp_path / "uneven", batch=4, accumulate=3)


def test_bf16_with_a_worker_process_gives_a_similar_loss(scene, tmp_path):
    trained(scene, tmp_path / "one", epochs=1)
    trained(scene, tmp_path / "two", epochs=1, workers=1, precision="bf16")
    one, two = (float(rows(tmp_path / name)[0]["total"]) for name in ("one", "two"))
    assert one != two
    assert one == pytest.approx(two, rel=0.05)


def test_init_loads_all_weights_of_a_checkpoint(scene, tmp_path):
    weights = trained(scene, tmp_path / "first", epochs=1)
    messages = []
    again = trained(scene, tmp_path / "again", messages.append, epochs=1, lr=0.0, init=str(weights))
    names = [name for name in load_file(weights) if "running" not in name and "num_b" not in name]
    assert all(torch.equal(load_file(weights)[name], load_file(again)[name]) for name in names)
    assert any("tensors are taken from it" in line and "random" not in line for line in messages)


def test_init_loads_the_tensors_that_fit_and_reports_the_others(scene, tmp_path):
    weights = trained(scene, tmp_path / "first", epochs=1)
    tensors = {name: value for name, value in load_file(weights).items() if "identity" not in name}
    torch.save({"state_dict": tensors | {"extra.weight": torch.zeros(3)}}, tmp_path / "part.pth")
    messages = []
    trained(scene, tmp_path / "again", messages.append, epochs=1, init=str(tmp_path / "part.pth"))
    assert any(
        "random weights remain in identity.0.weight, identity.0.bias" in line for line in messages
    )
    torch.save({"state_dict": {"extra.weight": torch.zeros(3)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match="none of this network.s"):
        trained(scene, tmp_path / "other", init=str(tmp_path / "other.pth"))
    with pytest.raises(CheckpointError, match="cannot read"):
        trained(scene, tmp_path / "other", init=str(tmp_path / "missing.pth"))


def test_identity_loss_with_one_identity_is_refused(tmp_path):
    scene = street(tmp_path / "one", frames=2, people=1, size=(96, 64))
    with pytest.raises(InputError, match="one identity only, but FairMOT.* give --single-images"):
        trained(scene, tmp_path / "out")


def test_validation_without_ground_truth_is_refused(scene, tmp_path):
    (tmp_path / "bare/img1").mkdir(parents=True)
    image = next((scene / "img1").iterdir())
    (tmp_path / "bare/img1/000001.png").write_bytes(image.read_bytes())
    with pytest.raises(InputError, match="no ground truth or no images to validate on"):
        train.run(NAME, [scene], tmp_path / "out", Config(**SMALL), validation=[tmp_path / "bare"])


def test_unknown_network_and_missing_package_are_refused(scene, tmp_path, monkeypatch):
    with pytest.raises(SettingError, match="did you mean 'fairmot-dla34'"):
        train.run("fairmot-dla43", [scene], tmp_path)
    monkeypatch.setattr("mottool.training.setup.find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install accelerate"):
        trained(scene, tmp_path)


def test_command_prints_the_data_the_losses_and_the_written_file(scene, tmp_path):
    arguments = ["train", NAME, "--data", str(scene), "--epochs", "1", "--batch", "4"]
    arguments += ["--input", "64x64", "--workers", "0", "--device", "cpu", "--json"]
    result = CliRunner().invoke(cli, [*arguments, "--work", str(tmp_path)])
    assert result.exit_code == 0, result.output
    folder = tmp_path / "training" / NAME
    assert str(folder / f"{NAME}.safetensors") in result.stdout
    assert "street: 4 images, 12 boxes, 3 identities" in result.stderr
    assert "epoch 1 of 1: loss " in result.stderr
    assert (folder / "curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.heavy
def test_two_processes_share_the_images(scene, tmp_path):
    """Two processes, started with torchrun, train one network with finite losses."""
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        "-m", "mottool", "train", NAME, "--data", str(scene), "--epochs", "2", "--batch", "2",
        "--input", "64x64", "--workers", "0", "--device", "cpu", "--out", str(tmp_path),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    assert state(tmp_path)["step"] == 4
    assert np.isfinite([float(row["total"]) for row in rows(tmp_path)]).all()


def test_input_too_small_for_batch_norm_is_refused(scene, tmp_path):
    """The coarsest level of TDT has a single cell for a 64x64 image."""
    made = ["distill-labels", str(scene), "--teacher", "histogram", "--work", str(tmp_path)]
    assert CliRunner().invoke(cli, made, catch_exceptions=False).exit_code == 0
    config = Config(**{**SMALL, "epochs": 1, "batch": 1})
    labels, learning = tmp_path / "labels/histogram/street.h5", TDTLearning(embedding_size=8)
    with pytest.raises(SettingError, match=r"64x64.*too small for batch norm.*larger --input"):
        train.run("tdt-mobilenet", [scene], tmp_path / "out", config, learning, labels=[labels])


def test_half_precision_needs_a_gpu(scene, tmp_path):
    with pytest.raises(SettingError, match="fp16 needs a GPU"):
        trained(scene, tmp_path, precision="fp16")


def test_more_epochs_are_trained_and_other_settings_are_refused(scene, tmp_path):
    trained(scene, tmp_path, epochs=1)
    messages = []
    trained(scene, tmp_path, messages.append, epochs=2)
    assert any("goes on to 2 epochs instead of 1: the rest has the" in line for line in messages)
    with pytest.raises(CheckpointError, match="holds a training with epochs 2 instead of 1"):
        trained(scene, tmp_path, epochs=1)
    other = street(tmp_path / "other", frames=3, size=(96, 64))
    with pytest.raises(CheckpointError, match="holds a training on other data"):
        trained(other, tmp_path, epochs=1)


def test_detect_embed_uses_the_input_size_of_training(scene, tmp_path):
    weights = trained(scene, tmp_path / "out", epochs=1)
    made = ["detect-embed", str(scene), "--pipeline", NAME, "--weights", str(weights), "--device"]
    made += ["cpu", "--work", str(tmp_path)]
    assert CliRunner().invoke(cli, made, catch_exceptions=False).exit_code == 0
    with Cache(tmp_path / f"caches/{NAME}/street.h5") as cache:
        assert cache.header.settings["input"] == "64x64"


def test_negative_pairs_of_videos_are_an_error(scene, tmp_path):
    learning = OUTrackLearning(negative=0.5)
    with pytest.raises(SettingError, match="all images are frames of videos"):
        train.run("outrack", [scene], tmp_path, Config(**SMALL), learning)


SHARED = """
import os, sys, torch
from pathlib import Path
from mottool.stages import train
from mottool.training.trainer import Trainer
from mottool.networks.tdt import TDTLearning
scene, labels, out = map(Path, sys.argv[1:])
plain = Trainer.wait
def wait(self):
    torch.save(self.bare.state_dict(), out / f"{os.environ['RANK']}.pt")
    plain(self)
Trainer.wait = wait
config = train.Config(epochs=2, batch=4, input=(64, 64), workers=0, device="cpu")
learning = TDTLearning(embedding_size=8)
train.run("tdt-mobilenet", [scene], out, config, learning, labels=[labels])
"""


@pytest.mark.heavy
def test_gradients_of_embeddings_computed_in_the_loss_are_averaged_over_processes(scene, tmp_path):
    """TDT's loss computes its embeddings; their gradients are averaged over processes too."""
    made = ["distill-labels", str(scene), "--teacher", "histogram", "--work", str(tmp_path)]
    assert CliRunner().invoke(cli, made, catch_exceptions=False).exit_code == 0
    (tmp_path / "shared.py").write_text(SHARED)
    labels = tmp_path / "labels/histogram/street.h5"
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2",
        str(tmp_path / "shared.py"), str(scene), str(labels), str(tmp_path),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    one, other = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    learned = [name for name in one if "running_" not in name and "num_batches" not in name]
    assert any(name.startswith("network.embedder.embedding") for name in learned)
    assert all(torch.equal(one[name], other[name]) for name in learned)
    # Batch norm's memory is each process's own: they saw different images.
    assert any(not torch.equal(one[name], other[name]) for name in one if "running_mean" in name)
