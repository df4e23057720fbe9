"""Occlusion refinding recovers people in frames without a detection of them.

A made scene of occlusions: in every lane two people walk to and fro behind three who stand, and
who is hidden by more than the 0.7 that make an occlusion is not detected. What OUTrack's network
would see in their place is the occlusion's centre, by the very rule of its targets.
"""

import csv

import numpy as np
import pytest
import torch
from caches import write
from click.testing import CliRunner

from mottool.boxes import intersection, tlwh_from_xyxy
from mottool.cache.writer import Header
from mottool.cli.main import cli
from mottool.data.targets.centre import occlusion_targets
from mottool.data.targets.labels import Labels
from mottool.detections import Detections

WIDTH, HEIGHT, STRIDE = 640, 480, 4
FRAMES, LANES, PEOPLE = 160, 4, 5  # people in each lane: three who stand, two who walk
ROOM = 480  # pixels that they walk across
HIDDEN = 0.7  # τ of the paper
NAME = "corridor"
SHOWN = ("Rcll", "DetA", "FN", "FP", "MOTA", "HOTA", "IDF1")


def walked(draw):
    """Boxes (FRAMES, LANES · PEOPLE, 4) x1 y1 x2 y2; who stands is nearer than who walks."""
    time = np.arange(FRAMES)[:, None]
    places = np.tile([0.2, 0.5, 0.8, *draw.uniform(0, 2, 2)], LANES)
    places += draw.uniform(-0.05, 0.05, len(places))
    pace = np.tile([0, 0, 0, 1, -1], LANES) * draw.uniform(2.0, 3.0, len(places))
    way = (places + pace * time / ROOM) % 2
    centre = (WIDTH - ROOM) / 2 + np.abs(1 - way) * ROOM  # there and back
    tall = np.repeat(draw.uniform(80, 95, LANES), PEOPLE) * np.tile([1, 1, 1, 0.94, 0.9], LANES)
    ground = np.repeat(95 + 90 * np.arange(LANES), PEOPLE) + np.tile([6, 6, 6, 2, 0], LANES)
    wide = 0.42 * tall
    x1, y1 = centre - wide / 2, np.broadcast_to(ground - tall, centre.shape)
    return np.stack((x1, y1, x1 + wide, y1 + tall), -1).astype(np.float32)


def covered(boxes):
    """The largest share (n,) of each box (n, 4) that one nearer to the camera hides."""
    shares = intersection(boxes, boxes) / (boxes[:, 2:] - boxes[:, :2]).prod(1)[:, None]
    nearer = boxes[None, :, 3] > boxes[:, None, 3]
    return (shares * nearer).max(1)


def centres(boxes):
    """Occlusion centres (k, 3) as OUTrack's targets have them, and its decoder reads them."""
    labels = [Labels(torch.from_numpy(boxes), torch.zeros(len(boxes), dtype=torch.int64))]
    result = occlusion_targets(labels, (WIDTH, HEIGHT), STRIDE, HIDDEN)
    cells = result.cells[0]
    columns = WIDTH // STRIDE
    corner = torch.stack((cells % columns, cells // columns), 1)
    places = ((corner + result.offset[0]) * STRIDE).numpy()
    return np.column_stack((places, np.full(len(places), 0.8))).astype(np.float32)


def seen(draw, boxes, before, looks, mirrored):
    """What a detector makes of one frame: noisy boxes of all but the hidden.

    `before` are the boxes of the frame before, where the offsets lead.
    """
    rows = np.flatnonzero(covered(boxes) <= HIDDEN)
    count = len(rows)
    embeddings = looks[rows] + 0.05 * draw.standard_normal((count, looks.shape[1]))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    hints = centres(boxes)
    if mirrored:
        hints[:, 0] = WIDTH - hints[:, 0]
    return Detections(
        boxes[rows] + draw.normal(0, 0.7, (count, 4)).astype(np.float32),
        draw.uniform(0.75, 0.95, count).astype(np.float32),
        np.zeros(count, np.uint16),
        embeddings.astype(np.float32),
        hints,
        centres=middles(boxes)[rows],
        offsets=(middles(before) - middles(boxes))[rows],
    )


def middles(boxes):
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def corridor(folder, seed, mirrored=False):
    """A cache of the scene under `folder`, its ground truth, and how many boxes are hidden."""
    draw = np.random.default_rng(seed)
    boxes = walked(draw)
    looks = draw.standard_normal((boxes.shape[1], 32))
    header = Header(NAME, "made", "/made", "ab12", WIDTH, HEIGHT, 30.0, "", {})
    frames = [
        seen(draw, each, before, looks, mirrored)
        for each, before in zip(boxes, boxes[[0, *range(FRAMES - 1)]], strict=True)
    ]
    write(folder / f"caches/made/{NAME}.h5", frames, header)
    rows = [
        ",".join(map(str, (frame, person + 1, *box, 1, 1, 1)))
        for frame, expected in enumerate(boxes, 1)
        for person, box in enumerate(tlwh_from_xyxy(expected).tolist())
    ]
    truth = folder / f"{NAME}.txt"
    truth.write_text("\n".join(rows) + "\n")
    return truth, sum(int((covered(expected) > HIDDEN).sum()) for expected in boxes)


def scored(folder, truth, *flags, tracker="outrack"):
    """The figures of `mottool associate` with this tracker and these flags."""
    tracks, table = folder / "out", folder / "scores.csv"
    for arguments in (
        ["associate", "--tracker", tracker, "--work", folder, "--out", tracks, *flags],
        ["evaluate", tracks, "--gt", truth, "--rules", "mot17", "--csv", table],
    ):
        result = CliRunner().invoke(cli, list(map(str, arguments)), catch_exceptions=False)
        assert result.exit_code == 0, result.output
    with table.open() as file:
        row = next(row for row in csv.DictReader(file) if row["seq"] == "COMBINED")
    return {name: float(row[name]) for name in SHOWN}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("tracker", ["outrack", "otrack"])
def test_refinding_increases_recall_at_occlusions(tmp_path, tracker, seed):
    truth, hidden = corridor(tmp_path, seed)
    print(f"\n{tracker}: {hidden} boxes hidden" + "".join(f"{name:>8}" for name in SHOWN))
    ways = {
        "none": ["--no-occlusion"],
        "code": ["--form", "code"],
        "code, 10 frames": ["--form", "code", "--lost-frame-range", 10],
        "paper": ["--form", "paper"],
    }
    figures = {}
    for name, flags in ways.items():
        figures[name] = scored(tmp_path, truth, *flags, tracker=tracker)
        print(f"{name:>27}" + "".join(f"{value:8.4g}" for value in figures[name].values()))
    none, code, _, paper = figures.values()
    # The code looks for a tracklet in its first two frames without a detection only.
    assert code["FN"] < 0.9 * none["FN"]
    assert code["Rcll"] > none["Rcll"] + 0.008
    assert paper["FN"] < 0.5 * none["FN"]
    assert paper["Rcll"] > none["Rcll"] + 0.03
    for better, worse in ((code, none), (paper, code)):
        assert all(better[name] > worse[name] for name in ("DetA", "MOTA", "HOTA"))
        assert better["FP"] <= worse["FP"] + 0.1 * (worse["FN"] - better["FN"])


def test_wrong_occlusion_centres_recover_few_tracks(tmp_path):
    truth, _ = corridor(tmp_path, 0, mirrored=True)
    none = scored(tmp_path, truth, "--no-occlusion")
    paper = scored(tmp_path, truth, "--form", "paper")
    print("\ncentres elsewhere", none, paper)
    assert none["FN"] - paper["FN"] < 0.1 * none["FN"]
