"""OUTrack learns to distinguish people from a video without identities.

The training video has the boxes of people; its identities are random in every frame, so a loss that
used them would learn nothing. Embeddings are scored on a second video of the same people in other
places and another light.

The baselines are random weights, random weights with batch norm's statistics of the training video,
and a training of detection only, which leaves the identity head random.

DLA-34 needs too many steps from random weights for a test, so OUTrack's heads, narrower ones, are
on YOLOv5s; everything else is done by the commands.
"""

from functools import partial

import pytest
import torch
from crowds import crowd, searched

from mottool.models.backbones.yolov5 import YOLOv5s
from mottool.models.outrack import OUTrack
from mottool.networks.outrack import OUTrackLearning
from mottool.networks.registry import NETWORKS
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.learners import outrack

SIZE, SCENE = (128, 96), {"people": 6, "size": (128, 96), "light": 0.3}
DETECTION = OUTrackLearning(intra=0, inter=0, cycle=0)
LEARNING = {  # epochs, learning rate, what is learned
    "random": (2, 0.0, DETECTION),
    "detection only": (8, 1e-3, DETECTION),
    "unsupervised": (8, 1e-3, OUTrackLearning()),
}

small = partial(OUTrack, embedding_size=64, hidden=64)


@pytest.fixture
def small_network(monkeypatch):
    plain = outrack.OUTrackLearner.__init__

    def init_with_momentum(self, *arguments):
        plain(self, *arguments)
        for module in self.modules():  # YOLOv5's batch norm remembers too many steps
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.1

    monkeypatch.setattr(outrack.OUTrackLearner, "__init__", init_with_momentum)
    monkeypatch.setattr(outrack, "DLA34", YOLOv5s)
    monkeypatch.setattr(outrack, "OUTrack", small)
    monkeypatch.setitem(NETWORKS["outrack"].arguments, "backbone", "yolov5s")


@pytest.mark.heavy
@pytest.mark.parametrize("seed", [0])
@pytest.mark.usefixtures("small_network", "last_epoch_only")
def test_identities_are_learned_from_unlabelled_video(tmp_path, seed):
    film = crowd(tmp_path / "film", 48, seed=10 + seed, wardrobe=seed, named=False, **SCENE)
    later = crowd(tmp_path / "later", 16, seed=110 + seed, wardrobe=seed, **SCENE)
    (tmp_path / "untrained").mkdir()
    networks = {"untrained": tmp_path / "untrained/outrack.pth"}
    torch.manual_seed(seed)
    torch.save({"state_dict": small(YOLOv5s()).state_dict()}, networks["untrained"])
    for name, (epochs, lr, learning) in LEARNING.items():
        config = Config(
            epochs=epochs, batch=2, lr=lr, input=SIZE, workers=0, augment=False, device="cpu",
            seed=seed,
        )  # fmt: skip
        networks[name] = train.run("outrack", [film], tmp_path / name, config, learning)
    result = {
        name: searched("outrack", later, tmp_path, weights) for name, weights in networks.items()
    }
    print("\nnetwork        rank-1    mAP")
    for name, (rank_1, precision) in result.items():
        print(f"{name:14}{rank_1:7.3f}{precision:7.3f}")
    # Seeds 0 to 4 gave at least 0.12 more rank-1 and 0.21 more mAP than the best of the others;
    # seed 0 on another processor 0.08 and 0.20. Rank-1 counts 96 queries, mAP all pairs.
    rank_1, precision = result.pop("unsupervised")
    for others_rank_1, others_precision in result.values():
        assert rank_1 > others_rank_1
        assert precision > others_precision + 0.15
