"""Which cells networks read the embeddings of given boxes from, on heads made by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mottool.models.backbones.dla import DLA34
from mottool.models.cstrack import CSTrack
from mottool.models.fairmot import FairMOT
from mottool.models.jde import JDE
from mottool.models.preprocessing import Letterbox
from mottool.models.tdt import TDT


def telling(height, width, stride):
    """A head (1, 3, h, w) whose cells say where they are: 1, column and row, and their stride."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack((torch.full_like(rows, stride), columns, rows))[None].float()


def cells_of(embeddings, stride):
    """Column and row (n, 2) that unit embeddings of `telling` heads tell."""
    return (embeddings[:, 1:] / embeddings[:, :1] * stride).round().long().tolist()


@pytest.mark.parametrize(
    ("network", "stride"), [(lambda: FairMOT(DLA34()), 4), (lambda: CSTrack(0.3, 0.3), 8)]
)
def test_heatmap_networks_read_the_cell_of_the_centre(network, stride):
    boxes = torch.tensor(
        [[8.0, 8, 24, 40], [30, 0, 34, 10], [-90, -90, -50, -50], [900, 9, 999, 11]]
    )
    heads = {"identity": torch.cat((telling(20, 30, stride), telling(20, 30, stride)))}
    result, none = network().embed_at(heads, [boxes, boxes[:0]])
    centres = [(16, 24), (32, 5), (0, 0), (29 * stride, 10)]
    assert cells_of(result, stride) == [[x // stride, y // stride] for x, y in centres]
    torch.testing.assert_close(result.norm(dim=1), torch.ones(4))
    assert none.shape == (0, 3)


def test_jde_reads_the_level_that_learns_boxes_of_that_size():
    network = JDE((1088, 608), embedding_size=3)
    heads = {
        f"embedding_{stride}": telling(608 // stride, 1088 // stride, stride)
        for stride in (32, 16, 8)
    }
    boxes = torch.tensor(
        [[96.0, 95, 106, 125], [100, 100, 164, 292], [300, 50, 600, 600], [-99, -99, -90, -70]]
    )
    (result,) = network.embed_at(heads, [boxes])
    strides = [8, 16, 32, 8]
    for each, box, stride in zip(result, boxes, strides, strict=True):
        centre = (box[:2] + box[2:]) / 2
        cell = (centre / stride).round().clamp(min=0).long().tolist()
        assert cells_of(each[None], stride) == [cell]


def test_tdt_reads_the_anchor_nearest_to_the_box():
    torch.manual_seed(0)
    network = TDT("tdt-mobilenet", embedding_size=8).eval()
    with torch.inference_mode():
        heads = network(torch.randn(2, 3, 64, 96))
        rows = torch.tensor([3, 400, 801])
        boxes = heads["anchors"][rows]
        first, second = network.embed_at(heads, [boxes[:2], boxes[2:]])
        expected = F.normalize(network.embed(heads, torch.tensor([0, 0, 1]), rows), dim=1)
    torch.testing.assert_close(torch.cat((first, second)), expected)


def test_boxes_are_scaled_from_the_frame_to_the_network_input():
    box = Letterbox(320, 192)
    boxes = np.random.default_rng(0).uniform(-20, 500, (50, 4)).astype(np.float32)
    there = box.from_frame(boxes, 480, 270)
    np.testing.assert_allclose(box.to_frame(there, 480, 270), boxes, atol=1e-3)
    assert there.dtype == np.float32
