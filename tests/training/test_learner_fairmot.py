"""Training of FairMOT: its schedule, and the forms of its size head."""

import pytest
import torch
from figures import street

from mottool.data.batches import collate
from mottool.data.formats import open_dataset
from mottool.data.samples import Samples
from mottool.errors import SettingError
from mottool.models.fairmot import FairMOT
from mottool.models.preprocessing import Letterbox
from mottool.networks.fairmot import FairMOTLearning
from mottool.networks.registry import NETWORKS
from mottool.stages import train
from mottool.training.learners.fairmot import FairMOTLearner

SIZE = (128, 96)
NAME = "fairmot-yolov5s"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    scene = street(tmp_path_factory.mktemp("data") / "street", frames=4, size=SIZE)
    return open_dataset(scene, print)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name.startswith("fairmot-")])
def test_the_learning_rate_falls_at_epochs_20_and_27_of_30(name):
    """§4.2: "1e-4 … decays to 1e-5 and 1e-6, at 20 and 27 epochs"; 12 images, 30 epochs."""
    recipe = NETWORKS[name].family.recipe
    assert (recipe.epochs, recipe.batch, recipe.lr) == (30, 12, 1e-4)
    rates = [recipe.lr * recipe.factor(epoch, 1) for epoch in range(30)]
    assert rates == pytest.approx([1e-4] * 20 + [1e-5] * 7 + [1e-6] * 3)


@pytest.mark.parametrize(("form", "channels"), [("ltrb", 4), ("wh", 2)])
def test_the_size_head_learns_four_distances_or_width_and_height(form, channels, dataset):
    torch.manual_seed(0)
    learner = FairMOTLearner(NAME, dataset, SIZE, FairMOTLearning(size_head=form))
    samples = Samples(dataset, Letterbox(*SIZE), None, learner.pairs, 0)
    examples = learner.examples(collate([samples[0, index] for index in (0, 2)]))
    sizes, valid = examples.targets.size, examples.targets.valid
    assert sizes.shape[2] == channels
    boxes = torch.cat([image.boxes[image.with_area] for image in (
        samples[0, 0].labels, samples[0, 2].labels)])  # fmt: skip
    sides = (boxes[:, 2:] - boxes[:, :2]) / 4  # in cells of stride 4
    shown = sizes[valid]
    if form == "ltrb":
        shown = shown[:, :2] + shown[:, 2:]
    torch.testing.assert_close(shown, sides)
    learner(examples.inputs, examples.targets)["total"].backward()
    assert learner.network.size[2].weight.grad.shape[0] == channels
    # A file of these weights is read as a network with the same head.
    again = FairMOT.from_checkpoint(learner.network.state_dict(), "yolov5s").eval()
    with torch.no_grad():
        heads = again(examples.inputs)
    assert heads["size"].shape[1] == channels
    assert again.decode(heads, 0.0)[0].boxes.shape[1] == 4


def test_the_variant_with_anchors_has_no_size_head(dataset, tmp_path):
    with pytest.raises(SettingError, match="size_head"):
        FairMOTLearning(size_head="xy")
    from click.testing import CliRunner

    words = ["fairmot-dla34-anchors8", "--data", str(tmp_path), "--size-head", "wh"]
    done = CliRunner().invoke(train.command, words)
    assert isinstance(done.exception, SettingError)
    assert "size_head" in done.exception.problem
