"""Write small folders in exactly the layouts of published tracking datasets.

Every one has a sequence of four frames, 64x48. A person, who walks right, and a car are scored;
where the benchmark has them, another person is ignored and a region has no labels.
"""

import json
from pathlib import Path

from datasets import photo
from footage import seqinfo

__all__ = ["FRAMES", "LAYOUTS", "PERSON", "REGION"]

FRAMES = 4
PERSON, CAR = (4, 8, 10, 30), (20, 10, 20, 28)  # left, top, width, height; frame 1
IGNORED, REGION = (50, 8, 10, 30), (42, 0, 8, 48)


def _moved(box, frame):
    return [box[0] + 2 * (frame - 1), *box[1:]]


def _motchallenge(folder: Path, name: str) -> None:
    for frame in range(1, FRAMES + 1):
        photo(folder / "img1" / name.format(frame))
    rows = [[frame, 1, *_moved(PERSON, frame), 1, 1, 1] for frame in range(1, FRAMES + 1)]
    (folder / "gt").mkdir()
    (folder / "gt/gt.txt").write_text("".join(", ".join(map(str, row)) + "\n" for row in rows))
    seqinfo(folder, seqLength=FRAMES, frameRate=20, imWidth=64, imHeight=48, imExt=".jpg")


def dancetrack(root: Path) -> Path:
    _motchallenge(root / "dancetrack/train/dancetrack0001", "{:08d}.jpg")
    (root / "dancetrack/train_seqmap.txt").write_text("name\ndancetrack0001\n")
    return root / "dancetrack/train"


def sportsmot(root: Path) -> Path:
    _motchallenge(root / "sportsmot_publish/dataset/train/v_-6Os86HzwCs_c001", "{:06d}.jpg")
    (root / "sportsmot_publish/splits_txt").mkdir()
    (root / "sportsmot_publish/splits_txt/train.txt").write_text("v_-6Os86HzwCs_c001\n")
    return root / "sportsmot_publish/dataset/train"


def kitti(root: Path) -> Path:
    """The third person is truncated; velodyne and image_03 are not read."""
    split, lines = root / "KITTI/training", []
    objects = {0: ("Pedestrian", 0, PERSON), 1: ("Car", 0, CAR), 2: ("Pedestrian", 1, IGNORED)}
    for frame in range(FRAMES):
        for camera in ("image_02", "image_03"):
            photo(split / camera / "0000" / f"{frame:06d}.png")
        for identity, (kind, truncated, box) in objects.items():
            left, top, width, height = _moved(box, frame + 1) if identity < 1 else box
            sides = f"{left:.6f} {top:.6f} {left + width:.6f} {top + height:.6f}"
            lines.append(
                f"{frame} {identity} {kind} {truncated} 0 -1.793451 {sides} "
                "1.739063 0.600591 0.826549 -4.552284 1.858523 13.410495 -2.115488\n"
            )
        left, top, width, height = REGION
        lines.append(
            f"{frame} -1 DontCare -1 -1 -10.000000 {left} {top} {left + width} {top + height} "
            "-1000.000000 -1000.000000 -1000.000000 -10.000000 -1.000000 -1.000000 -1.000000\n"
        )
    (split / "label_02").mkdir()
    (split / "label_02/0000.txt").write_text("".join(lines))
    (split / "velodyne/0000").mkdir(parents=True)
    (split / "velodyne/0000/000000.bin").write_bytes(bytes(64))
    return split


def visdrone(root: Path) -> Path:
    split, name = root / "VisDrone2019-MOT-val", "uav0000086_00000_v"
    rows = []
    for frame in range(1, FRAMES + 1):
        photo(split / "sequences" / name / f"{frame:07d}.jpg")
        rows += [
            [frame, 0, *_moved(PERSON, frame), 1, 1, 0, 0],
            [frame, 1, *CAR, 1, 4, 0, 1],
            [frame, 2, *IGNORED, 0, 2, 0, 2],
            [frame, 3, *REGION, 0, 0, 0, 0],
        ]
    (split / "annotations").mkdir()
    text = "".join(",".join(map(str, row)) + "\n" for row in rows)
    (split / "annotations" / f"{name}.txt").write_text(text)
    return split


def bdd100k(root: Path) -> Path:
    """A crowd and an other person have no labels of their own."""
    name, frames = "b1c66a42-6f7d68ca", []
    for frame in range(1, FRAMES + 1):
        photo(root / "bdd100k/images/track/val" / name / f"{name}-{frame:07d}.jpg")
        objects = {
            "00091078": ("pedestrian", False, _moved(PERSON, frame)),
            "00091079": ("car", False, CAR),
            "00091080": ("other person", False, IGNORED),
            "00091081": ("pedestrian", True, REGION),
        }
        labels = [
            {
                "id": identity,
                "category": category,
                "attributes": {"occluded": False, "truncated": False, "crowd": crowd},
                "box2d": {"x1": x, "y1": y, "x2": x + width, "y2": y + height},
            }
            for identity, (category, crowd, (x, y, width, height)) in objects.items()
        ]
        frames.append(
            {
                "name": f"{name}-{frame:07d}.jpg",
                "videoName": name,
                "frameIndex": frame - 1,
                "labels": labels,
            }
        )
    folder = root / "bdd100k/labels/box_track_20/val"
    folder.mkdir(parents=True)
    (folder / f"{name}.json").write_text(json.dumps(frames))
    return root / "bdd100k"


def ultralytics(root: Path) -> Path:
    for frame in range(1, FRAMES + 1):
        photo(root / "set/images/film" / f"{frame:06d}.jpg")
        lines = []
        for number, identity, box in ((0, 1, _moved(PERSON, frame)), (2, 2, CAR)):
            left, top, width, height = box
            values = ((left + width / 2) / 64, (top + height / 2) / 48, width / 64, height / 48)
            lines.append(" ".join([f"{value:.6g}" for value in (number, *values, identity)]))
        file = root / "set/labels/film" / f"{frame:06d}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines))
    (root / "set/data.yaml").write_text("names: {0: person, 1: bicycle, 2: car}\n")
    return root / "set"


def cvat_xml(root: Path) -> Path:
    """The person has boxes at both ends only; CVAT interpolates those between."""
    tracks = ""
    for identity, (label, frames) in enumerate(
        {"person": (1, FRAMES), "car": range(1, FRAMES + 1)}.items()
    ):
        tracks += f'  <track id="{identity}" label="{label}" source="manual">\n'
        for frame in frames:
            left, top, width, height = CAR if identity else _moved(PERSON, frame)
            sides = f'xtl="{left}" ytl="{top}" xbr="{left + width}" ybr="{top + height}"'
            tracks += f'    <box frame="{frame - 1}" keyframe="1" outside="0" occluded="0" {sides} '
            tracks += 'z_order="0">\n      <attribute name="age">old</attribute>\n    </box>\n'
        tracks += "  </track>\n"
    for frame in range(FRAMES):
        photo(root / f"cvat/images/frame_{frame:06d}.PNG")
    (root / "cvat/annotations.xml").write_text(
        '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n  <meta>'
        f"\n    <task>\n      <name>Monday</name>\n      <size>{FRAMES}</size>\n"
        f"      <start_frame>0</start_frame>\n      <stop_frame>{FRAMES - 1}</stop_frame>\n"
        "      <frame_filter></frame_filter>\n    </task>\n    <source>street.mp4</source>\n"
        f"  </meta>\n{tracks}</annotations>\n"
    )
    return root / "cvat"


# Name of the sequence, frames per second, rules, and whether there is a car and a region.
LAYOUTS = {
    dancetrack: ("dancetrack0001", 20, "mot17", False, False),
    sportsmot: ("v_-6Os86HzwCs_c001", 20, "mot17", False, False),
    kitti: ("0000", 10, "kitti", True, True),
    visdrone: ("uav0000086_00000_v", 30, "visdrone", True, True),
    bdd100k: ("b1c66a42-6f7d68ca", 5, "bdd100k", True, True),
    ultralytics: ("film", 30, "mot15", True, False),
    cvat_xml: ("street", 30, "mot15", True, False),
}
