"""Every family's loss teaches what its tracker needs: a few frames are overfitted.

Each training starts from random weights and uses the commands: train, detect-embed, associate with
the family's tracker, evaluate; `pytest -rP` prints the metrics. The trackers of JDE and CSTrack
output a track from its second detection, so that MOTA is at most 1 - 1/n for people in all n
frames: their scenes have thirty and forty.

FairMOT, OUTrack and OTrack need nothing but the commands. The SGD of JDE, CSTrack and TDT takes
thousands of steps from random weights, and the averages of batch norm take a hundred. Where `Proof`
says so, the optimiser is Adam and the momentum of batch norm is higher. Anchors need people whose
boxes overlap one by half, and few anchors are positive, so these images are larger and the steps
more.

One pipeline is trained for each learner: CSTrack's differ in width and TDT's in the backbone.
DLA-34, FairMOT's backbone, is trained in OUTrack and OTrack. HRNet as FairMOT's backbone is not
tested here.
"""

import csv
from dataclasses import dataclass, field
from time import perf_counter

import pytest
import torch
from click.testing import CliRunner
from figures import street

from mottool.checkpoints.cards import read_card
from mottool.cli.main import cli
from mottool.networks.registry import families, load, trainable


@dataclass(frozen=True)
class Proof:
    """How a pipeline learns a scene, which is of the size (width, height) of its input.

    `scene` changes the scene; `adam` replaces the paper's optimiser;
    `memory` is the momentum of batch norm, 0 the network's own; `more` are flags of `train`.
    """

    pipeline: str
    epochs: int
    batch: int
    lr: float
    size: tuple[int, int]
    scene: dict = field(default_factory=dict)
    adam: bool = False
    memory: float = 0.0
    more: tuple = ()

    @property
    def tracker(self):
        return trainable(self.pipeline).family.tracker

    @property
    def learner(self):
        return load(trainable(self.pipeline).family.learner)

    def __str__(self):
        return self.pipeline


TWICE = {"frames": 16, "size": (128, 128)}  # as large as an input of 64x64
THIRTY = {"frames": 30, "people": 2, "seed": 8}
LONG = {"frames": 40, "people": 2, "seed": 8}  # both are seen throughout
# Few epochs of many frames: after each epoch, checkpoints and curves are written.
QUICK = Proof("fairmot-yolov5s", 12, 2, 1e-3, (64, 64), {**TWICE, "frames": 32}, memory=0.1)
PROOFS = [
    Proof("mottool-s", 30, 4, 4e-3, (192, 128), {"frames": 16}, memory=0.3),
    Proof("outrack", 16, 2, 5e-4, (64, 64), TWICE),
    Proof("otrack", 12, 2, 1e-3, (128, 96), {"frames": 16}),
    Proof("fairmot-dla34-anchors8", 18, 2, 4e-4, (128, 96), THIRTY, memory=0.2),
    Proof("jde-576x320", 16, 2, 1e-3, (128, 96), THIRTY, adam=True, memory=0.2),
    Proof(
        "cstrack-s", 10, 4, 2e-3, (128, 96), LONG, adam=True, memory=0.3, more=("--warmup", 0)
    ),
    Proof(
        "tdt-mobilenet", 60, 4, 1e-3, (192, 128), adam=True, memory=0.3,
        more=("--embedding-size", 64),
    ),
]  # fmt: skip


def invoke(*arguments):
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output


def train_and_score(proof, folder, *more):
    """Train and track; return the scene's MOTA and IDF1, and the weights file."""
    begun = perf_counter()
    scene = street(folder / "street", **{"size": proof.size, **proof.scene})
    work = ["--work", folder]
    if proof.tracker == "tdt":
        invoke("distill-labels", scene, "--teacher", "histogram", *work)
        more = (*more, "--labels", folder / "labels/histogram/street.h5")
    view = ["--input", "x".join(map(str, proof.size)), "--device", "cpu"]
    invoke(
        "train", proof.pipeline, "--data", scene, "--epochs", proof.epochs, "--batch", proof.batch,
        "--lr", proof.lr, "--ema", 0, "--no-augment", "--workers", 0,
        *proof.more, *more, *view, *work,
    )  # fmt: skip
    weights = folder / "training" / proof.pipeline / f"{proof.pipeline}.safetensors"
    invoke("detect-embed", scene, "--pipeline", proof.pipeline, "--weights", weights, *view, *work)
    invoke("associate", "--tracker", proof.tracker, *work)
    invoke("evaluate", "--gt", scene, "--csv", folder / "scores.csv", *work)
    with (folder / "scores.csv").open() as file:
        (combined,) = [row for row in csv.DictReader(file) if row["seq"] == "COMBINED"]
    mota, idf1 = float(combined["MOTA"]), float(combined["IDF1"])
    print(f"{proof}: MOTA {mota:.3f}, IDF1 {idf1:.3f} in {perf_counter() - begun:.0f} s")
    return mota, idf1, weights


@pytest.fixture
def proof(request, monkeypatch):
    """Return a proof, with its optimiser and momentum of batch norm set in the learner."""
    proof, kind = request.param, request.param.learner
    plain = kind.__init__

    def init_with_momentum(self, *arguments):
        plain(self, *arguments)
        for module in self.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = proof.memory

    def optimiser(self, lr):
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], lr)

    if proof.memory:
        monkeypatch.setattr(kind, "__init__", init_with_momentum)
    if proof.adam:
        monkeypatch.setattr(kind, "optimiser", optimiser)
    return proof


@pytest.mark.heavy
@pytest.mark.usefixtures("last_epoch_only")
@pytest.mark.parametrize("proof", PROOFS, ids=str, indirect=True)
def test_a_few_frames_are_overfitted(proof, tmp_path):
    mota, idf1, _ = train_and_score(proof, tmp_path)
    assert mota > 0.95
    assert idf1 > 0.95


@pytest.mark.parametrize("proof", [QUICK], ids=str, indirect=True)
def test_a_small_network_overfits_and_its_card_has_the_metrics(proof, tmp_path):
    validated = ["--validate", tmp_path / "street", "--validate-every", proof.epochs]
    mota, idf1, weights = train_and_score(proof, tmp_path, *validated, "--data-licence", "made up")
    assert mota > 0.95
    assert idf1 > 0.95
    card = read_card(weights)
    assert card.pipeline == proof.pipeline
    assert card.training_data == {"street": "made up"}
    assert card.metrics["MOTA"] == pytest.approx(mota)
    assert card.metrics["IDF1"] == pytest.approx(idf1)
    assert card.metrics["AP@0.5"] > 0.95


def test_every_learner_is_tested():
    proved = {trainable(proof.pipeline).family for proof in [QUICK, *PROOFS]}
    assert proved == {family for family in families() if family.learner}
