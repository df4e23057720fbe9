"""TDT: sizes against the paper, decoding on hand-made heads, embeddings at chosen anchors."""

import pytest
import torch
from torch.nn import functional as F
from torchvision.ops import box_iou

from mottool.errors import CheckpointError
from mottool.models.backbones.mobilenet_v1 import MobileNetV1
from mottool.models.retinanet import deltas_from_boxes
from mottool.models.tdt import ANCHORS, TDT, VARIANTS

# Parameters of classifiers as published, less their last layer, and C3, C4, C5. MobileNet (v1) has
# 4.2 million (Table 8 of its paper): 4,231,976 in Keras, 1024 · 1000 + 1000 in the last layer.
TRUNKS = {
    "tdt-r34": (21_797_672 - 512 * 1000 - 1000, (128, 256, 512)),
    "tdt-r50": (25_557_032 - 2048 * 1000 - 1000, (512, 1024, 2048)),
    "tdt-mobilenet": (4_231_976 - 1024 * 1000 - 1000, (256, 512, 1024)),
    "tdt-mobilenet-nofpn": (4_231_976 - 1024 * 1000 - 1000, (256, 512, 1024)),
    "tdt-mobilenet-v2": (3_504_872 - 1280 * 1000 - 1000, (32, 96, 1280)),
}
CELLS = {3: (12, 20), 4: (6, 10), 5: (3, 5), 6: (2, 3), 7: (1, 2)}  # 160×96
COUNT = 9 * sum(height * width for height, width in CELLS.values())


@pytest.fixture(scope="module")
def student():
    torch.manual_seed(0)
    network = TDT("tdt-mobilenet", embedding_size=64).eval()
    torch.nn.init.normal_(network.embedder.embedding.weight, std=0.05)  # 1e-5 before training
    torch.nn.init.normal_(network.embedder.embedding.bias, std=0.05)
    return network


def blank(images=1, seed=0):
    """Heads of `images` empty frames: no score, boxes equal to the anchors, random features."""
    generator = torch.Generator().manual_seed(seed)
    strides = [2**level for level in CELLS]
    return {
        "scores": torch.full((images, COUNT), -20.0),
        "boxes": torch.zeros(images, COUNT, 4),
        "anchors": ANCHORS.boxes(list(CELLS.values()), strides),
    } | {
        f"embedder_{level}": torch.rand(images, 256, *size, generator=generator)
        for level, size in CELLS.items()
    }


def convolution(before, after, side):
    return before * after * side * side + after


@pytest.mark.parametrize("variant", VARIANTS)
def test_parameters_are_those_of_the_paper_counted_by_hand(variant):
    trunk, stages = TRUNKS[variant]
    lateral = sum(convolution(size, 256, 1) + convolution(256, 256, 3) for size in stages)
    coarse = 2 * convolution(256, 256, 3)  # P6 on P5 and P7 on P6
    norms = 5 * 2 * 256  # gain and bias on each of five levels
    tower = convolution(256, 128, 3) + 3 * convolution(128, 128, 3) + 4 * 5 * 2 * 128
    subnets = 2 * tower + convolution(128, 9, 3) + convolution(128, 9 * 4, 3)
    embedder = 256 * 256 * 9 + 5 * 2 * 256 + convolution(256, 9 * 128, 3)
    detector = trunk + lateral + coarse + norms + subnets
    counted = [
        sum(weight.numel() for weight in TDT(variant, size).parameters()) for size in (0, 128)
    ]
    assert counted == [detector, detector + embedder]


@pytest.mark.parametrize("variant", VARIANTS)
def test_batch_norm_is_that_of_the_supplement(variant):
    """ε = 0.001, momentum 0.997, γ from 1, everywhere; each level has its own statistics."""
    network = TDT(variant, 64)
    norms = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, torch.nn.BatchNorm2d)
    }
    assert {module.eps for module in norms.values()} == {1e-3}
    assert {round(module.momentum, 9) for module in norms.values()} == {0.003}
    assert all((module.weight == 1).all() and module.affine for module in norms.values())
    for part, expected in (("pyramid", 5), ("classes", 20), ("boxes", 20), ("embedder", 5)):
        assert sum(name.startswith(part) for name in norms) == expected
    shorter = TDT(variant, 64, norm_momentum=0.75).modules()
    assert {each.momentum for each in shorter if isinstance(each, torch.nn.BatchNorm2d)} == {0.25}


def test_mobilenet_v1_has_thirteen_separable_blocks():
    """Table 1 of its paper: outputs and strides of the blocks, after 32 channels at stride 2."""
    network = MobileNetV1()
    table = [64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024]
    assert [block.pointwise.out_channels for block in network.blocks] == table
    assert [block.depthwise.stride[0] for block in network.blocks] == [
        1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1,
    ]  # fmt: skip
    assert all(block.depthwise.groups == block.depthwise.in_channels for block in network.blocks)
    maps = network(torch.zeros(1, 3, 64, 96))
    assert {name: tuple(stage.shape[1:]) for name, stage in maps.items()} == {
        "2": (128, 16, 24), "3": (256, 8, 12), "4": (512, 4, 6), "5": (1024, 2, 3),
    }  # fmt: skip


def test_a_finer_level_has_anchors_half_as_large():
    network = TDT("tdt-mobilenet", 64, finest_level=2).eval()
    with torch.inference_mode():
        heads = network(torch.zeros(1, 3, 96, 160))
        decoded = network.decode(heads, 0.0)[0]
    finest = 9 * 24 * 40
    assert len(heads["anchors"]) == COUNT + finest
    assert torch.equal(heads["anchors"][finest:], blank()["anchors"])
    assert (heads["anchors"][2, 2:] - heads["anchors"][2, :2]).tolist() == [16, 16]
    assert heads["embedder_2"].shape == (1, 256, 24, 40)
    assert decoded.embeddings.shape[1] == 64
    again = TDT.from_checkpoint(network.state_dict())
    assert again.levels == (2, 3, 4, 5, 6, 7)


def test_a_detector_alone_makes_no_embeddings():
    network = TDT("tdt-mobilenet", 0).eval()
    image = torch.rand(1, 3, 96, 160, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        heads = network(image)
        (decoded,) = network.decode(heads, 0.0)
    assert set(heads) == {"scores", "boxes", "anchors"}
    assert len(decoded.boxes) == 100
    assert decoded.embeddings is None
    again = TDT.from_checkpoint(network.state_dict()).eval()
    assert not again.embeds
    with torch.inference_mode():
        assert torch.equal(again(image)["scores"], heads["scores"])


@pytest.mark.parametrize("variant", VARIANTS)
def test_heads_have_the_documented_shapes(variant):
    network = TDT(variant, 64).eval()
    with torch.inference_mode():
        heads = network(torch.zeros(2, 3, 96, 160))
    assert {name: tuple(head.shape) for name, head in heads.items()} == {
        "scores": (2, COUNT),
        "boxes": (2, COUNT, 4),
        "anchors": (COUNT, 4),
    } | {f"embedder_{level}": (2, 256, *size) for level, size in CELLS.items()}
    assert torch.equal(heads["anchors"], blank()["anchors"])


@pytest.mark.parametrize("size", [(32, 32), (64, 224), (160, 96)])
def test_any_multiple_of_32_is_an_input(student, size):
    with torch.inference_mode():
        heads = student(torch.zeros(1, 3, *size))
    for level in CELLS:
        cells = tuple(-(-side // 2**level) for side in size)
        assert heads[f"embedder_{level}"].shape == (1, 256, *cells)
    assert heads["scores"].shape == heads["boxes"].shape[:2] == (1, len(heads["anchors"]))


@pytest.mark.parametrize("row", [0, 1234, 9 * 240 + 5, 9 * 300 + 77, COUNT - 1])
def test_a_hot_anchor_gives_exactly_its_box(student, row):
    heads = blank()
    heads["scores"][0, row] = 2.0
    (decoded,) = student.decode(heads, 0.05)
    assert torch.allclose(decoded.boxes, heads["anchors"][[row]], atol=1e-4)
    assert decoded.scores.tolist() == pytest.approx([0.880797])
    assert decoded.classes.tolist() == [0]
    assert decoded.embeddings.shape == (1, 64)


def test_deltas_move_the_box_beyond_the_image_if_they_say_so(student):
    heads = blank()
    wanted = torch.tensor([[-30.0, 10.0, 12.0, 120.0]])
    heads["scores"][0, 100] = 2.0
    heads["boxes"][0, 100] = deltas_from_boxes(wanted, heads["anchors"][[100]])[0]
    assert torch.allclose(student.decode(heads, 0.05)[0].boxes, wanted, atol=1e-3)


def test_an_embedding_at_an_anchor_is_the_dense_convolutions(student):
    heads = blank(images=2)
    rows = torch.arange(COUNT).repeat(2)
    images = torch.arange(2).repeat_interleave(COUNT)
    with torch.inference_mode():
        sparse = student.embed(heads, images, rows).reshape(2, COUNT, 64)
        dense = [student.embedder.embedding(heads[f"embedder_{level}"]) for level in CELLS]
    # 9 · D channels: the D of the first shape, then those of the next.
    dense = [level.reshape(2, 9, 64, -1).permute(0, 3, 1, 2).flatten(1, 2) for level in dense]
    assert torch.allclose(sparse, torch.cat(dense, dim=1), atol=1e-5)


def test_each_detection_carries_its_own_anchors_embedding(student):
    heads = blank(images=3)
    hot = [[5, 2000], [], [COUNT - 9]]
    for image, rows in enumerate(hot):
        heads["scores"][image, rows] = torch.linspace(3, 2, len(rows))
    decoded = student.decode(heads, 0.05)
    assert [len(one.boxes) for one in decoded] == [2, 0, 1]
    assert decoded[1].embeddings.shape == (0, 64)
    for image, rows in enumerate(hot):
        where = torch.full((len(rows),), image)
        raw = student.embed(heads, where, torch.tensor(rows, dtype=torch.int64))
        assert torch.allclose(decoded[image].embeddings, F.normalize(raw, dim=1), atol=1e-6)
        assert torch.allclose(decoded[image].embeddings.norm(dim=1), torch.ones(len(rows)))


def test_scores_must_be_above_the_threshold(student):
    heads = blank()
    heads["scores"][0, [10, 1500]] = torch.tensor([0.0, 0.1])  # 0.5 exactly, and a little more
    (decoded,) = student.decode(heads, 0.5)
    assert decoded.scores.tolist() == pytest.approx([0.524979])


def test_overlaps_are_suppressed_and_at_most_a_hundred_are_left(student):
    heads = blank()
    heads["scores"] = torch.randn(1, COUNT, generator=torch.Generator().manual_seed(1))
    heads["boxes"][..., 2:] = -2.0  # small boxes, so that more than a hundred fit
    (decoded,) = student.decode(heads, 0.05)
    assert len(decoded.boxes) == len(decoded.embeddings) == 100
    assert torch.equal(decoded.scores, decoded.scores.sort(descending=True).values)
    overlap = box_iou(decoded.boxes, decoded.boxes).fill_diagonal_(0)
    assert 0 < overlap.max() <= 0.5


def test_the_same_box_from_two_levels_is_one_detection(student):
    heads = blank()
    fine, coarse = 700, 9 * 240 + 200
    heads["scores"][0, [fine, coarse]] = torch.tensor([1.0, 2.0])
    box = heads["anchors"][[coarse]]
    heads["boxes"][0, fine] = deltas_from_boxes(box, heads["anchors"][[fine]])[0]
    (decoded,) = student.decode(heads, 0.05)
    assert torch.allclose(decoded.boxes, box, atol=1e-4)


def test_a_batch_gives_what_its_images_give_alone(student):
    images = torch.randn(3, 3, 96, 160, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        together = student(images)
        alone = [student(image[None]) for image in images]
        decoded = student.decode(together, 0.0)
        for name in set(together) - {"anchors"}:
            assert torch.allclose(
                together[name], torch.cat([heads[name] for heads in alone]), atol=1e-4
            )
        for image, both in enumerate(decoded):
            expected = {
                n: head if n == "anchors" else head[[image]] for n, head in together.items()
            }
            (single,) = student.decode(expected, 0.0)
            assert torch.allclose(both.boxes, single.boxes)
            assert torch.allclose(both.scores, single.scores)


def test_half_precision_heads_decode_in_float32():
    network = TDT("tdt-mobilenet-nofpn", 64).eval().to(torch.bfloat16)
    with torch.inference_mode():
        heads = network(torch.zeros(1, 3, 64, 64, dtype=torch.bfloat16))
        (decoded,) = network.decode(heads, 0.0)
    assert heads["scores"].dtype == torch.bfloat16
    assert heads["anchors"].dtype == torch.float32
    kinds = {decoded.boxes.dtype, decoded.scores.dtype, decoded.embeddings.dtype}
    assert kinds == {torch.float32}


def test_a_network_called_in_lower_precision_still_embeds(student):
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        with torch.autocast("cpu", torch.bfloat16):
            heads = student(images)
        decoded = student.decode(heads, 0.0)
        at = student.embed_at(heads, [each.boxes for each in decoded])
    for each, read in zip(decoded, at, strict=True):
        assert len(each.boxes)
        assert each.embeddings.dtype == read.dtype == torch.float32
        torch.testing.assert_close(each.embeddings.norm(dim=1), torch.ones(len(each.boxes)))


def test_distilling_one_embedding_teaches_the_whole_network():
    torch.manual_seed(3)
    network = TDT("tdt-mobilenet", 64).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    image, teacher = torch.randn(2, 3, 64, 64), F.normalize(torch.randn(2, 64), dim=1)
    losses = []
    for _ in range(24):
        learned = network.embed(network(image), torch.tensor([0, 1]), torch.tensor([40, 300]))
        loss = (learned - teacher).square().sum(dim=1).mean()
        losses.append(loss.item())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert network.backbone.get_parameter("stem.weight").grad.abs().sum() > 0
    assert losses[-1] < losses[0] / 4


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_tells_its_variant_and_its_embedding_size(variant):
    network = TDT(variant, 96).eval()
    again = TDT.from_checkpoint(network.state_dict()).eval()
    image = torch.zeros(1, 3, 32, 32)
    with torch.inference_mode():
        before, after = network(image), again(image)
    assert again.embedder.embedding_size == 96
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_another_networks_tensors_are_refused_by_name(student):
    tensors = student.state_dict()
    del tensors["classes.prediction.bias"]
    with pytest.raises(CheckpointError, match=r"classes\.prediction\.bias is missing"):
        TDT.from_checkpoint(tensors)
    with pytest.raises(CheckpointError, match="do not fit tdt-r34"):
        TDT.from_checkpoint({"conv1.weight": torch.zeros(3)})


@pytest.mark.parametrize("size", [64, 512])
def test_an_untrained_embedding_is_short(size):
    """Far longer ones than the teacher's would make gradients that other tasks are lost in."""
    torch.manual_seed(0)
    student = TDT("tdt-mobilenet", size).train()
    heads = student(torch.rand(2, 3, 96, 160))
    anchors = torch.arange(0, COUNT, 97)
    embeddings = student.embed(heads, torch.zeros_like(anchors), anchors)
    assert 0 < embeddings.norm(dim=1).mean() < 0.1
