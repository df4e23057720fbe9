"""KITTI's and BDD100K's rules: the scores of random labels and tracks are TrackEval's.

They were computed by TrackEval 162cdd0 (`Kitti2DBox` and `BDD100K`) from the same files; they
equal ours to the last digit (largest difference 2e-16).
"""

import json

import numpy as np
import pytest

from mottool.metrics.ground_truth import load_ground_truth
from mottool.metrics.ground_truth_files import find_ground_truth
from mottool.metrics.track_evaluation import score_tracks
from mottool.motchallenge.rows import Rows

FRAMES, WIDTH, HEIGHT = 20, 1242, 375
KINDS = ("Pedestrian", "Pedestrian", "Car", "Car", "Van", "Person", "Cyclist", "Pedestrian")
TRACKED = {"Van": "Car", "Person": "Pedestrian", "Cyclist": "Pedestrian"}
BDD_NAMES = {
    "Pedestrian": "pedestrian",
    "Car": "car",
    "Van": "truck",
    "Person": "other person",
    "Cyclist": "rider",
}


def scene():
    """Return objects (frame, id, type, truncated, occluded, box), regions too, and tracks."""
    draw = np.random.default_rng(5)
    start = draw.uniform(0, 1, (len(KINDS), 2)) * [WIDTH - 150, HEIGHT - 120]
    size, pace = draw.uniform(20, 120, (len(KINDS), 2)), draw.uniform(-3, 3, (len(KINDS), 2))
    objects, tracks = [], []
    for frame in range(FRAMES):
        for identity, kind in enumerate(KINDS):
            corner = start[identity] + pace[identity] * frame
            box = np.concatenate([corner, corner + size[identity]])
            truncated, occluded = int(draw.random() < 0.1), int(draw.integers(0, 4))
            objects.append((frame, identity, kind, truncated, occluded, *box.round(3).tolist()))
            if draw.random() < 0.85:
                moved = (box + draw.normal(0, 4, 4)).round(3).tolist()
                switched = identity + 20 * int(draw.random() < 0.05)
                tracks.append((frame, switched, TRACKED.get(kind, kind), *moved))
        for number in range(8):
            corner = draw.uniform(0, 1, 2) * [WIDTH - 200, HEIGHT - 100]
            sides = draw.uniform(10, 60, 2) if number else draw.uniform(100, 200, 2)
            box = np.concatenate([corner, corner + sides]).round(3).tolist()
            if number < 2:
                objects.append((frame, -1, "DontCare", -1, -1, *box))
            else:
                tracks.append((frame, 100 + number + 8 * frame, KINDS[number % 3], *box))
    return objects, tracks


def write_kitti(folder, objects):
    lines = [
        f"{frame} {identity} {kind} {truncated} {occluded} -10 {x1} {y1} {x2} {y2} 1 1 1 0 0 0 0\n"
        for frame, identity, kind, truncated, occluded, x1, y1, x2, y2 in objects
    ]
    (folder / "label_02").mkdir(parents=True)
    (folder / "label_02/0000.txt").write_text("".join(lines))
    return folder


def write_bdd100k(folder, objects):
    frames = [{"name": f"{index}.jpg", "index": index, "labels": []} for index in range(FRAMES)]
    for number, (frame, identity, kind, _, _, *box) in enumerate(objects):
        crowd = kind == "DontCare"
        frames[frame]["labels"].append(
            {
                "id": str(1000 + number if crowd else identity),
                "category": "pedestrian" if crowd else BDD_NAMES[kind],
                "attributes": {"Crowd": crowd},
                "box2d": dict(zip(("x1", "y1", "x2", "y2"), box, strict=True)),
            }
        )
    folder.mkdir()
    (folder / "0000.json").write_text(json.dumps(frames))
    return folder


# TP, FP, FN, IDSW, IDF1, HOTA
OFFICIAL = {
    ("kitti", "pedestrian"): [31, 50, 12, 4, 0.46774193548387094, 0.3429711250108108],
    ("kitti", "car"): [26, 24, 0, 2, 0.6578947368421053, 0.547159948162345],
    ("bdd100k", "pedestrian"): [46, 87, 14, 4, 0.45595854922279794, 0.3569914335595946],
    ("bdd100k", "car"): [36, 54, 4, 2, 0.5384615384615384, 0.4529014648054615],
}


@pytest.mark.parametrize(("benchmark", "kind"), OFFICIAL)
def test_scores_are_those_of_trackeval(tmp_path, benchmark, kind):
    objects, tracks = scene()
    folder = {"kitti": write_kitti, "bdd100k": write_bdd100k}[benchmark](tmp_path / "gt", objects)
    (file,) = find_ground_truth([folder], (kind,)).values()
    rows = [row for row in tracks if row[2].lower() == kind]
    table = np.array([[frame + 1, identity, *box] for frame, identity, _, *box in rows])
    tlwh = np.hstack([table[:, 2:4], table[:, 4:] - table[:, 2:4]])
    numbers = table[:, :2].astype(np.int64)
    results = Rows(numbers[:, 0], numbers[:, 1], tlwh, np.ones((len(rows), 1)))
    metrics = score_tracks(results, load_ground_truth(file, "0000"), FRAMES, None).metrics()
    names = ("TP", "FP", "FN", "IDSW", "IDF1", "HOTA")
    assert [metrics[name] for name in names] == pytest.approx(OFFICIAL[benchmark, kind], abs=1e-12)
