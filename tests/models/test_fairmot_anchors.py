"""FairMOT's anchors: sizes against the description, decoding by hand, learning by JDE's loss."""

import pytest
import torch
from goldens import synth_image
from torch.nn import functional as F
from torchvision.ops import box_convert

from mottool.data.targets.jde import jde_targets
from mottool.data.targets.labels import Labels
from mottool.errors import CheckpointError
from mottool.losses.jde import JDELoss
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import FairMOT
from mottool.models.fairmot_anchors import ANCHORS, FairMOTAnchors
from mottool.models.preprocessing import Letterbox
from mottool.networks.registry import describe
from mottool.pipelines.load_network import load_network

WIDTH, HEIGHT = 192, 160
STRIDES = (4, 8)


@pytest.fixture(scope="module", params=STRIDES)
def network(request):
    torch.manual_seed(0)
    return FairMOTAnchors(request.param, embedding_size=16).eval()


@pytest.fixture(scope="module")
def picture():
    """A small network input, (1, 3, 160, 192)."""
    return torch.from_numpy(Letterbox(WIDTH, HEIGHT).image(synth_image())[None])


def blank(stride, images=1):
    """Heads of images without people, boxes equal to the anchors, another embedding per cell."""
    grid = HEIGHT // stride, WIDTH // stride
    detection = torch.zeros(images, len(ANCHORS), 6, *grid)
    detection[:, :, 4] = 20.0
    generator = torch.Generator().manual_seed(1)
    return {
        f"detection_{stride}": detection.flatten(1, 2),
        f"embedding_{stride}": torch.randn(images, 16, *grid, generator=generator),
    }


def put(heads, stride, anchor, row, column, score, offsets=(0, 0, 0, 0), image=0):
    """Set the box offsets and the score of one anchor."""
    values = torch.tensor([*offsets, 0, torch.tensor(score).logit()])
    heads[f"detection_{stride}"][image, 6 * anchor : 6 * anchor + 6, row, column] = values


def convolution(before, after, side):
    return before * after * side * side + after


@pytest.mark.parametrize(("stride", "channels"), [(4, 64), (8, 128)])
def test_parameters_are_those_of_the_heads_counted_by_hand(stride, channels):
    with torch.device("meta"):
        network, features = FairMOTAnchors(stride, 128), DLA34(stride)
    assert len(ANCHORS) == 12
    detection = convolution(channels, 256, 3) + convolution(256, 12 * (4 + 2), 1)
    identity = convolution(channels, 256, 3) + convolution(256, 128, 1)
    counted, below = (sum(p.numel() for p in part.parameters()) for part in (network, features))
    assert counted == below + detection + identity


def test_heads_have_the_documented_shapes(network, picture):
    stride = network.stride
    with torch.inference_mode():
        heads = network(picture)
    grid = HEIGHT // stride, WIDTH // stride
    assert {name: tuple(head.shape) for name, head in heads.items()} == {
        f"detection_{stride}": (1, 72, *grid),
        f"embedding_{stride}": (1, 16, *grid),
    }


@pytest.mark.parametrize("anchor", range(12))
def test_an_anchor_that_is_sure_gives_its_own_box_and_its_cells_embedding(network, anchor):
    stride, row, column = network.stride, 9, 5
    heads = blank(stride)
    put(heads, stride, anchor, row, column, 0.75)
    (decoded,) = network.decode(heads, 0.1)
    width, height = ANCHORS[anchor]
    expected = torch.tensor([[column * stride, row * stride, width, height]]).float()
    torch.testing.assert_close(decoded.boxes, box_convert(expected, "cxcywh", "xyxy"))
    torch.testing.assert_close(decoded.scores, torch.tensor([0.75]))
    assert decoded.classes.tolist() == [0]
    message = heads[f"embedding_{stride}"][0, :, row, column]
    torch.testing.assert_close(decoded.embeddings[0], F.normalize(message, dim=0))


def test_offsets_are_in_anchor_sides_and_sizes_are_logarithms(network):
    stride = network.stride
    heads = blank(stride)
    put(heads, stride, 4, 8, 6, 0.9, offsets=(0.5, -0.25, 0.6931472, 0))  # of 32 x 96
    (decoded,) = network.decode(heads, 0.1)
    x, y = 6 * stride + 16, 8 * stride - 24
    torch.testing.assert_close(decoded.boxes, torch.tensor([[x - 32.0, y - 48, x + 32, y + 48]]))


def test_of_two_on_one_spot_the_better_stays_and_the_best_comes_first(network):
    stride = network.stride
    heads = blank(stride)
    put(heads, stride, 4, 4, 2, 0.5)
    put(heads, stride, 4, 4, 3, 0.6)
    put(heads, stride, 4, 4, 18, 0.7)
    put(heads, stride, 8, 15, 4, 0.3)
    (decoded,) = network.decode(heads, 0.4)
    torch.testing.assert_close(decoded.scores, torch.tensor([0.7, 0.6]))
    (more,) = network.decode(heads, 0.2)
    assert len(more.scores) == 3


def test_images_of_a_batch_keep_their_own_people(network):
    stride = network.stride
    heads = blank(stride, images=3)
    put(heads, stride, 8, 4, 2, 0.5, image=0)
    put(heads, stride, 9, 4, 2, 0.9, image=2)
    decoded = network.decode(heads, 0.1)
    assert [len(each.boxes) for each in decoded] == [1, 0, 1]
    assert decoded[1].boxes.shape == (0, 4)
    assert decoded[1].embeddings.shape == (0, 16)
    for image in (0, 2):
        message = heads[f"embedding_{stride}"][image, :, 4, 2]
        torch.testing.assert_close(decoded[image].embeddings[0], F.normalize(message, dim=0))


def test_an_untrained_network_gives_no_more_than_its_most(network, picture):
    with torch.inference_mode():
        (decoded,) = network.decode(network(picture), 0.0)
    assert 0 < len(decoded.scores) <= 500
    assert (decoded.scores.diff() <= 0).all()
    torch.testing.assert_close(decoded.embeddings.norm(dim=1), torch.ones(len(decoded.scores)))


def test_a_batch_says_what_each_image_says_alone(network, picture):
    pair = torch.cat((picture, picture.flip(3)))
    with torch.inference_mode():
        heads = network(pair)
        together = network.decode(heads, 0.5)
        for i, both in enumerate(together):
            alone_heads = network(pair[i : i + 1])
            for name, head in alone_heads.items():
                torch.testing.assert_close(heads[name][[i]], head, atol=2e-3, rtol=1e-3)
            (alone,) = network.decode(heads | {n: h[[i]] for n, h in heads.items()}, 0.5)
            torch.testing.assert_close(both.boxes, alone.boxes)
            torch.testing.assert_close(both.embeddings, alone.embeddings)


def test_half_precision_heads_are_decoded_in_single(network, picture):
    with torch.inference_mode():
        heads = {name: head.bfloat16() for name, head in network(picture).items()}
        (decoded,) = network.decode(heads, 0.1)
    assert {decoded.boxes.dtype, decoded.scores.dtype, decoded.embeddings.dtype} == {torch.float32}


def test_given_boxes_are_embedded_where_their_anchors_stand(network):
    stride = network.stride
    heads = blank(stride, images=2)
    centres = torch.tensor([[5.4, 7.0], [4.6, 6.7], [-9.0, 500.0]]) * stride
    boxes = box_convert(
        torch.cat((centres, torch.full((3, 2), 20.0)), 1), "cxcywh", "xyxy"
    )  # (3, 4)
    none, some = network.embed_at(heads, [torch.zeros(0, 4), boxes])
    assert none.shape == (0, 16)
    cells = heads[f"embedding_{stride}"][1]
    last = HEIGHT // stride - 1
    expected = torch.stack((cells[:, 7, 5], cells[:, 7, 5], cells[:, last, 0]))
    torch.testing.assert_close(some, F.normalize(expected, dim=1))


def test_a_checkpoint_is_loaded_value_for_value_and_recognised(network, tmp_path):
    torch.save(network.state_dict(), tmp_path / "net.pth")
    loaded = load_network(tmp_path / "net.pth")
    assert loaded.name == f"fairmot-dla34-anchors{network.stride}"
    again = loaded.network
    assert (again.stride, again.embedding_size) == (network.stride, 16)
    tensors = network.state_dict()
    assert again.state_dict().keys() == tensors.keys()
    assert all(torch.equal(value, tensors[name]) for name, value in again.state_dict().items())


def test_the_other_stride_s_file_is_refused():
    with torch.device("meta"):
        tensors = FairMOTAnchors(8).state_dict()
    with pytest.raises(CheckpointError) as caught:
        FairMOTAnchors.from_checkpoint(tensors, stride=4)
    assert "do not fit fairmot-dla34-anchors4" in caught.value.problem
    assert "backbone.merge.joins" in caught.value.problem


def test_files_with_and_without_anchors_are_told_apart():
    with torch.device("meta"):
        anchored, centred = FairMOTAnchors().state_dict(), FairMOT(DLA34()).state_dict()
    assert describe(anchored) == "fairmot-dla34-anchors"
    assert describe(centred) == "fairmot-dla34"
    with pytest.raises(CheckpointError, match="look like weights of fairmot-dla34-anchors"):
        FairMOT.from_checkpoint(anchored)
    with pytest.raises(CheckpointError, match="heatmap.0.weight is unexpected"):
        FairMOTAnchors.from_checkpoint(centred)


@pytest.mark.parametrize("stride", STRIDES)
def test_a_step_of_training_lowers_jdes_loss_and_reaches_every_parameter(stride, picture):
    torch.manual_seed(0)
    network = FairMOTAnchors(stride, embedding_size=16).train()
    people = torch.tensor([[20.0, 30, 50, 120], [100, 20, 145, 155]])
    labels = [Labels(people, torch.tensor([0, 1])), Labels(people + 4, torch.tensor([1, 0]))]
    targets = jde_targets(labels, (WIDTH, HEIGHT), {stride: ANCHORS})
    assert (targets.levels[stride].foreground == 1).any()
    loss = JDELoss(16, 2, strides=[stride])
    parameters = [*network.parameters(), *loss.parameters()]
    optimiser = torch.optim.Adam(parameters, 1e-4)
    images = torch.cat((picture, picture))
    before = loss(network(images), targets)
    assert before.keys() == {
        f"classification_{stride}", f"box_{stride}", f"identity_{stride}", "total"
    }  # fmt: skip
    before["total"].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)
    optimiser.step()
    with torch.no_grad():
        after = loss(network(images), targets)
    assert after["total"] < before["total"]


def test_the_truth_is_decoded_to_the_people(network):
    """Targets written into the heads as the loss wants them come out as the labelled boxes."""
    stride = network.stride
    people = torch.tensor([[20.0, 30, 50, 120], [100, 20, 145, 155]])
    labels = [Labels(people, torch.tensor([0, 1]))]
    target = jde_targets(labels, (WIDTH, HEIGHT), {stride: ANCHORS}).levels[stride]
    logits = torch.tensor([-9.0, 9]) * (2 * (target.foreground[..., None] == 1) - 1.0)
    message = torch.cat((target.boxes, logits), -1).permute(0, 1, 4, 2, 3)  # (1, 12, 6, h, w)
    heads = blank(stride) | {f"detection_{stride}": message.flatten(1, 2)}
    (decoded,) = network.decode(heads, 0.5)
    found_boxes = decoded.boxes[decoded.boxes[:, 0].argsort()]
    torch.testing.assert_close(found_boxes, people, atol=1e-3, rtol=1e-4)
