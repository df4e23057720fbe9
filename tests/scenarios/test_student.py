"""A TDT student learns its teacher's embeddings without identities.

The identities of the training video are random in every frame. SGD and the default momentum of
batch norm need thousands of steps from random weights, so the test uses Adam and a higher momentum;
everything else is done by the commands.
"""

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from crowds import crowd, searched
from untrained import checkpoint

from mottool.cache.reader import Cache
from mottool.cli.main import cli
from mottool.networks.tdt import TDTLearning
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.learners.tdt import TDTLearner

PIPELINE, TEACHER = "tdt-mobilenet", "histogram"
SIZE, PEOPLE, LIGHT = (128, 96), 5, 0.15
TAUGHT = 128  # of the teacher's 144 dimensions


@pytest.fixture
def quick(monkeypatch):
    plain = TDTLearner.__init__

    def init_with_momentum(self, *arguments):
        plain(self, *arguments)
        for module in self.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.3

    def optimiser(self, lr):
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], lr)

    monkeypatch.setattr(TDTLearner, "__init__", init_with_momentum)
    monkeypatch.setattr(TDTLearner, "optimiser", optimiser)


def embeddings(cache, size):
    """The first `size` dimensions of all embeddings in a cache, (n, size) of unit length."""
    with Cache(cache) as opened:
        result = np.concatenate([each.embeddings for each in opened.frames()])[:, :size]
    return result / np.linalg.norm(result, axis=1, keepdims=True)


@pytest.mark.heavy
@pytest.mark.usefixtures("quick", "last_epoch_only")
def test_a_students_embeddings_approximate_its_teachers(tmp_path):
    settings = {"people": PEOPLE, "size": SIZE, "light": LIGHT}
    film = crowd(tmp_path / "film", 60, seed=10, named=False, **settings)
    later = crowd(tmp_path / "later", 40, seed=110, **settings)
    labels = tmp_path / "film.h5"
    arguments = ["distill-labels", str(film), "--teacher", TEACHER, "--out", str(labels)]
    result = CliRunner().invoke(cli, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    config = Config(epochs=18, batch=4, lr=2e-3, input=SIZE, workers=0, augment=False, device="cpu")
    learning = TDTLearning(embedding_size=TAUGHT)
    weights = train.run(PIPELINE, [film], tmp_path / "trained", config, learning, labels=[labels])
    (tmp_path / "random").mkdir()
    untrained = checkpoint(PIPELINE, tmp_path / "random", TAUGHT)
    networks = {"teacher": (TEACHER, None), "student": (PIPELINE, weights)}
    networks["random"] = PIPELINE, untrained
    print("\nnetwork  film   rank-1    mAP")
    outcome = {}
    for scene, truth in ((film, film.with_suffix(".txt")), (later, None)):
        for name, (embedder, file) in networks.items():
            work = tmp_path / f"work-{scene.name}-{name}"
            outcome[scene, name] = searched(embedder, scene, work, file, truth=truth)
            rank_1, precision = outcome[scene, name]
            print(f"{name:8} {scene.name:6}{rank_1:7.3f}{precision:7.3f}")
    # Near where the teacher taught, less so in another film of the same people.
    for scene, near in ((film, 0.85), (later, 0.6)):
        teacher, student, random = (outcome[scene, name] for name in networks)
        assert 3 / PEOPLE < teacher[0] < 1
        assert student[0] > near * teacher[0]
        assert student[1] > 0.9 * near * teacher[1]
        assert student[0] > random[0] + 0.25
        assert student[1] > random[1] + 0.2
    # What was learned are the teacher's first dimensions, one by one.
    taught, learned, guessed = (
        embeddings(next((tmp_path / f"work-later-{name}").rglob("later.h5")), TAUGHT)
        for name in networks
    )
    assert learned.shape == taught.shape == (40 * PEOPLE, TAUGHT)
    likeness = (taught * learned).sum(1).mean()
    print(f"mean cosine with the teacher's first {TAUGHT} dimensions: {likeness:.3f}")
    assert likeness > 0.65 > (taught * guessed).sum(1).mean() + 0.3
