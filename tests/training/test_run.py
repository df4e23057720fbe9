"""What is kept after every epoch, and that no kill changes it: the best weights above all."""

import csv
import shutil
import signal
from functools import partial

import numpy as np
import pytest
import torch
from figures import street
from killed import exit_code, kill_after_epoch
from safetensors.torch import load_file

from mottool.checkpoints.cards import read_card
from mottool.data.distilled_labels import LabelHeader, LabelWriter
from mottool.data.formats import open_dataset
from mottool.errors import BusyError, CheckpointError, InputError, OutputError, SettingError
from mottool.networks.tdt import TDTLearning
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training import run
from mottool.training.validation import FIGURES, HIGHEST

NAME = "fairmot-yolov5s"
SMALL = {"epochs": 4, "batch": 2, "input": (64, 64), "workers": 0, "device": "cpu", "ema": 0.9}
SCORES = (0.2, 0.5, 0.5, 0.1)  # IDF1 of the epochs, in this file
pytestmark = pytest.mark.usefixtures("narrow_backbone")  # checkpoints are small


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=4, size=(96, 64))


@pytest.fixture
def scored(monkeypatch):
    """Validations give `SCORES`, in order of the epochs; the calls are counted."""
    calls = []

    def score(self, network):
        calls.append(None)
        return figures(SCORES[len(calls) - 1])

    monkeypatch.setattr(run.Validation, "__call__", score)
    return calls


@pytest.fixture(scope="module")
def whole(scene, tmp_path_factory):
    """A training that nothing stopped."""
    out, scores = tmp_path_factory.mktemp("whole"), iter(SCORES)
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run.Validation, "__call__", lambda *_: figures(next(scores)))
        trained(scene, out)
    return out


def figures(value):
    return {**dict.fromkeys(FIGURES, 1 - value), "IDF1": value, HIGHEST: 0.9}


def trained(scene, out, warn=lambda message: None, validation=True, **changed):
    config = Config(**{**SMALL, **changed})
    return train.run(
        NAME, [scene], out, config, validation=[scene] if validation else [], warn=warn
    )


def rows(out):
    with (out / "log.csv").open() as file:
        return list(csv.DictReader(file))


def assert_same_training(one, other):
    """Assert that two completed trainings are equal bit for bit, apart from their times."""
    for name in (f"{NAME}.safetensors", f"{NAME}.best.safetensors"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    for name in (f"{NAME}.toml", f"{NAME}.best.toml"):
        assert (one / name).read_text() == (other / name).read_text()
    logs = [[{**row, "seconds": ""} for row in rows(each)] for each in (one, other)]
    assert logs[0] == logs[1]
    states = [torch.load(each / "training.pt", weights_only=True) for each in (one, other)]
    for part in ("learner", "average"):
        for name, value in states[0][part].items():
            assert torch.equal(value, states[1][part][name]), name
    assert torch.equal(states[0]["random"], states[1]["random"])


def test_the_best_epoch_is_kept_beside_the_last(scene, tmp_path, scored):
    messages = []
    last = trained(scene, tmp_path, messages.append)
    best = tmp_path / f"{NAME}.best.safetensors"
    assert read_card(best).origin.endswith(", epoch 3, the best by IDF1")
    assert read_card(best).metrics["IDF1"] == 0.5
    assert read_card(last).origin.endswith(", 4 of 4 epochs")
    assert read_card(last).metrics["IDF1"] == 0.1
    assert not torch.equal(load_file(best)["heatmap.2.bias"], load_file(last)["heatmap.2.bias"])
    marked = [line for line in messages if "the best IDF1 so far" in line]
    assert [line.split(":")[0] for line in marked] == [f"epoch {n} of 4" for n in (1, 2, 3)]


def test_another_metric_can_select_the_best_epoch(scene, tmp_path, scored):
    trained(scene, tmp_path, best="AP")
    card = read_card(tmp_path / f"{NAME}.best.safetensors")
    assert card.origin.endswith(", epoch 4, the best by AP@0.5")


@pytest.mark.parametrize("where", ["validation", "before the last", "before the best"])
def test_an_epoch_is_kept_if_the_process_is_killed_after_it(where, scene, whole, tmp_path, scored):
    torch.set_num_threads(1)
    metrics = [figures(score) for score in SCORES]
    training = (NAME, scene, tmp_path / "killed", Config(**SMALL))
    assert exit_code(kill_after_epoch, where, metrics, *training) == -signal.SIGKILL
    state = torch.load(tmp_path / "killed/training.pt", weights_only=True)
    assert state["epoch"] == 3
    assert ("IDF1" in state["history"][-1]) == (where != "validation")
    card = read_card(tmp_path / f"killed/{NAME}.best.safetensors")
    assert "epoch 2, the best" in card.origin
    messages = []
    scored[:] = [None] * (2 if where == "validation" else 3)
    trained(scene, tmp_path / "killed", messages.append)
    assert not any("whose weights are not in" in line for line in messages)
    assert len(scored) == 4
    assert_same_training(whole, tmp_path / "killed")


def test_a_failed_validation_loses_no_epoch(scene, tmp_path, monkeypatch):
    def fail(self, network):
        raise InputError("frame 3 is torn", "copy it again")

    with monkeypatch.context() as patched:
        patched.setattr(run.Validation, "__call__", fail)
        with pytest.raises(InputError, match="frame 3"):
            trained(scene, tmp_path, epochs=1)
    messages = []
    trained(scene, tmp_path, messages.append, epochs=1)
    assert rows(tmp_path)[0]["AP@0.5"] != ""
    assert any("all 1 epochs are completed; the last is validated now" in line for line in messages)
    assert any("epoch 1 of 1: loss" in line for line in messages)


def test_a_completed_training_can_be_validated(scene, tmp_path, scored):
    trained(scene, tmp_path, validation=False, epochs=2)
    assert not (tmp_path / f"{NAME}.best.safetensors").exists()
    trained(scene, tmp_path, epochs=2)
    assert [row["IDF1"] for row in rows(tmp_path)] == ["", "0.2"]
    best, last = (tmp_path / f"{NAME}{kind}.safetensors" for kind in (".best", ""))
    assert best.read_bytes() == last.read_bytes()


def test_a_training_is_not_resumed_with_another_validation(scene, tmp_path, scored):
    """The best epoch would be chosen among metrics of different people."""
    trained(scene, tmp_path / "out", epochs=1)
    shutil.copytree(scene, tmp_path / "other" / scene.name)
    config = Config(**{**SMALL, "epochs": 2})
    again = partial(train.run, NAME, [scene], tmp_path / "out", config)
    again(validation=[tmp_path / "other" / scene.name])  # the same content
    truth = tmp_path / "other" / scene.name / "gt/gt.txt"
    truth.write_text("".join(truth.read_text().splitlines(keepends=True)[1:]))
    for changed in (
        {"validation": [tmp_path / "other" / scene.name]},
        {"validation": [scene], "tracking": {"conf_thres": "0.3"}},
    ):
        with pytest.raises(CheckpointError, match="validated on other data, or by other settings"):
            again(**changed)


def test_best_weights_of_another_training_are_removed(scene, tmp_path, scored):
    trained(scene, tmp_path, epochs=1)
    assert (tmp_path / f"{NAME}.best.safetensors").exists()
    config = Config(**{**SMALL, "epochs": 1})
    train.run(NAME, [scene], tmp_path, config, overwrite=True)
    assert not [*tmp_path.glob("*.best.*")]


@pytest.mark.parametrize("damage", ["deleted", "another figure", "torn"])
def test_missing_best_weights_are_reported(damage, scene, tmp_path, scored):
    scored.append(None)  # as if epoch 1 were the second: 0.5, 0.5, 0.1
    trained(scene, tmp_path, epochs=3)
    best = tmp_path / f"{NAME}.best.safetensors"
    if damage == "deleted":
        best.unlink()
    elif damage == "torn":
        best.with_suffix(".toml").write_text("schema")
    messages = []
    figure = "TPR" if damage == "another figure" else "IDF1"
    trained(scene, tmp_path, messages.append, epochs=3, best=figure)
    lost = [line for line in messages if "whose weights are not in" in line]
    # TPR is best in the last epoch, which is at hand.
    assert bool(lost) == (damage != "another figure")
    if lost:
        assert lost[0].startswith("the best epoch by IDF1 was 2, whose weights")


def test_an_unwritable_folder_is_an_error_before_the_first_epoch(scene, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(run.Trainer, "epochs", lambda self: pytest.fail("it trains already"))
    with pytest.raises(OutputError, match=r"cannot write .*file/out"):
        trained(scene, tmp_path / "file/out")


def test_a_folder_holds_one_training_at_a_time(scene, tmp_path):
    refused = []

    def train_again(message):
        if message.startswith("epoch 1 "):
            with pytest.raises(BusyError, match="another process is writing to"):
                trained(scene, tmp_path / "out", validation=False, seed=1)
            refused.append(message)

    trained(scene, tmp_path / "out", train_again, validation=False, epochs=1)
    assert len(refused) == 1
    assert len(rows(tmp_path / "out")) == 1


def test_an_unknown_best_metric_is_refused(scene, tmp_path):
    with pytest.raises(SettingError, match="best cannot be 'HOTA'"):
        trained(scene, tmp_path, best="HOTA")


def test_a_student_cannot_resume_with_another_teacher(scene, tmp_path):
    dataset = open_dataset(scene, print)
    config = Config(**{**SMALL, "epochs": 1})
    for teacher in ("one", "other"):
        header = LabelHeader.of(dataset, teacher, "", {})
        with LabelWriter(tmp_path / f"{teacher}.h5", header) as labels:
            labels.append(np.full((header.boxes, 8), 8**-0.5, np.float32))
            labels.finish()

    def student(teacher):
        files, learning = [tmp_path / f"{teacher}.h5"], TDTLearning(embedding_size=8)
        return train.run("tdt-mobilenet", [scene], tmp_path / "out", config, learning, labels=files)

    student("one")
    with pytest.raises(CheckpointError, match=r"with teacher one \(8-d\) instead of other \(8-d\)"):
        student("other")
