"""That the other papers' losses teach what their trackers need: a few frames, learned by heart.

SGD as in the papers takes thousands of steps from random weights, and batch norm's memory as many:
here the steps are Adam's and the memory is short. All else is what `train` does.
"""

import csv

import pytest
import torch
from click.testing import CliRunner
from figures import street

from mottool.cli import cli
from mottool.pipelines.registry import resolve
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.settings import LEARNERS, TDTLearning, family

SIZE = (192, 128)


def done(*arguments):
    result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.heavy
@pytest.mark.parametrize("pipeline", ["cstrack-s", "tdt-mobilenet"])
def test_a_few_frames_are_learned_by_heart(pipeline, tmp_path, monkeypatch):
    scene, work, learning, labels = street(tmp_path / "street", size=SIZE), tmp_path, None, []
    if pipeline.startswith("tdt"):
        done("distill-labels", scene, "--teacher", "histogram", "--work", work)
        learning, labels = TDTLearning(embedding_size=64), [*work.glob("labels/*/*.h5")]
    kind = resolve(LEARNERS[family(pipeline)])
    plain = kind.__init__

    def begun(self, *arguments):
        plain(self, *arguments)
        for module in self.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 0.3

    def optimiser(self, lr):
        return torch.optim.Adam([each for each in self.parameters() if each.requires_grad], lr)

    monkeypatch.setattr(kind, "__init__", begun)
    monkeypatch.setattr(kind, "optimiser", optimiser)
    config = Config(
        epochs=60, batch=4, lr=1e-3, ema=0.0, input=SIZE, workers=0, augment=False, device="cpu"
    )
    weights = train.run(pipeline, [scene], tmp_path / "out", config, learning, labels=labels)
    where = ["--work", work]
    done("detect-embed", scene, "--pipeline", pipeline, "--weights", weights, "--input", "192x128",
         "--device", "cpu", *where)  # fmt: skip
    done("associate", "--tracker", "fairmot", *where)
    done("evaluate", "--gt", scene, "--csv", tmp_path / "scores.csv", *where)
    with (tmp_path / "scores.csv").open() as file:
        combined = [row for row in csv.DictReader(file) if row["seq"] == "COMBINED"]
    assert float(combined[0]["MOTA"]) > 0.95
    assert float(combined[0]["IDF1"]) > 0.95
