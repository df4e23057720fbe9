"""Every command of mottool with small valid inputs, to be run on damaged ones."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from archives import archive
from benchmarks.kill_cases import make_checkpoint, make_results, make_rows, make_street
from datasets import coco, crowdhuman, train_list, yolo
from footage import seqinfo, video
from layouts import bdd100k, cvat_xml, kitti, visdrone
from recipe_project import RECIPE
from rowed import rowed_pair

from mottool.stages.run import run

__all__ = ["COMMANDS", "Command"]

SETTINGS = '[default]\nconf_thres = 0.5\n["a*"]\nfirst_assoc = 0.5\n'


@dataclass(frozen=True)
class Command:
    """A command with small inputs.

    `make` writes the inputs into the current folder. The command with `arguments` writes to `out`
    only. `damaged` are patterns of the inputs to damage. `share` is the share of runs that it gets:
    slow commands get fewer. An `exact` command writes the same bytes or refuses a damaged input.
    """

    arguments: str
    make: Callable[[], object]
    damaged: tuple[str, ...]
    share: float = 1.0
    exact: bool = False


def _settings() -> None:
    make_results()
    Path("s.toml").write_text(SETTINGS)


def _video() -> None:
    video(Path("a.mp4"), 12)
    Path("boxes").mkdir()
    rows = make_rows(12).replace(",1,1,1\n", ",0.9,-1,-1,-1\n")
    Path("boxes", "a.txt").write_text(rows)


def _zips() -> None:
    make_results()
    archive(Path("server.zip"), {f"{name}.txt": make_rows(8) for name in ("a", "b")})
    archive(Path("cvat.zip"), {"gt/gt.txt": make_rows(8), "gt/labels.txt": "person\ncar\n"})


def _layout(write: Callable[[Path], Path]) -> Callable[[], Path]:
    return lambda: write(Path("data"))


def _kitti() -> None:
    kitti(Path("data"))
    Path("results").mkdir()
    Path("results", "0000.txt").write_text(make_rows(4).replace(",1,1,1\n", ",0.9,1,-1,-1\n"))


def _sizes() -> None:
    make_results()
    for name in ("a", "b"):
        seqinfo(Path("truth", name), name=name, seqLength=20)


def _datasets() -> None:
    for name, write in (("coco", coco), ("crowd", crowdhuman), ("list", train_list)):
        write(Path(name))
    yolo(Path("yolo"))
    make_street()


def _recipe() -> None:
    rowed_pair(Path("data"))
    Path("r.toml").write_text(RECIPE)


def _results_of_recipe() -> None:
    _recipe()
    run(Path("r.toml"), Path("out"))


def _work() -> None:
    make_results()
    Path("work").mkdir()
    Path("caches").rename("work/caches")
    Path("results").rename("work/tracks")


PUBLIC = "--pipeline public --embedder histogram --work out"
IMAGES = "street/img1/000002.png"

COMMANDS = {
    "detect-embed": Command(
        f"detect-embed street {PUBLIC}",
        make_street,
        (IMAGES, "street/seqinfo.ini", "street/det/det.txt"),
    ),
    "detect-embed video": Command(
        f"detect-embed a.mp4 --detections boxes {PUBLIC}", _video, ("a.mp4", "boxes/a.txt")
    ),
    "detect-embed network": Command(
        "detect-embed street --work out", make_street, (IMAGES, "street/seqinfo.ini"), 0.1
    ),
    "camera-motion": Command(
        "camera-motion street --work out", make_street, (IMAGES, "street/seqinfo.ini"), 0.3
    ),
    "track": Command(
        "track street --pipeline public --embedder histogram --tracker deepsort --render "
        "--work out",
        make_street,
        (IMAGES, "street/seqinfo.ini", "street/det/det.txt"),
        0.3,
    ),
    "associate": Command(
        "associate caches/pipe --tracker fairmot --jobs 1 --out out",
        make_results,
        ("caches/pipe/*.h5",),
        exact=True,
    ),
    "associate with settings": Command(
        "associate caches/pipe --tracker fairmot --jobs 1 --settings s.toml --out out",
        _settings,
        ("s.toml",),
    ),
    "evaluate": Command(
        "evaluate results --gt truth --csv out/s.csv",
        make_results,
        ("results/*.txt", "truth/a/gt/gt.txt", "truth/a/seqinfo.ini"),
    ),
    "evaluate caches": Command(
        "evaluate --caches caches/pipe --gt truth", make_results, ("caches/pipe/*.h5",)
    ),
    "evaluate zip": Command("evaluate server.zip --gt truth", _zips, ("server.zip",)),
    "evaluate KITTI": Command(
        "evaluate results --gt data/KITTI/training --classes pedestrian",
        _kitti,
        ("data/KITTI/training/label_02/*.txt",),
    ),
    "convert VisDrone": Command(
        "convert data/VisDrone2019-MOT-val --out out",
        _layout(visdrone),
        ("data/**/annotations/*.txt",),
    ),
    "convert BDD100K": Command(
        "convert data/bdd100k/labels/box_track_20/val --to coco --out out/a.json",
        _layout(bdd100k),
        ("data/**/*.json",),
    ),
    "convert CVAT for video": Command(
        "convert data/cvat/annotations.xml --out out",
        _layout(cvat_xml),
        ("data/cvat/annotations.xml",),
    ),
    "convert server": Command("convert server.zip --out out", _zips, ("server.zip",)),
    "convert CVAT": Command("convert cvat.zip --to coco --out out/a.json", _zips, ("cvat.zip",)),
    "convert to YOLO": Command(
        "convert results --to yolo --dataset truth --out out",
        _sizes,
        ("results/*.txt", "truth/a/seqinfo.ini"),
    ),
    "compare": Command(
        "compare caches/pipe --gt truth --tracker sort --csv out/c.csv --html out/c.html",
        make_results,
        ("caches/pipe/*.h5", "truth/a/gt/gt.txt"),
        0.5,
    ),
    "run": Command(
        "run r.toml --jobs 1 --work out", _recipe, ("r.toml", "data/*/*.*", "data/*/*/*.txt"), 0.3
    ),
    "run again": Command(
        "run r.toml --jobs 1 --work out",
        _results_of_recipe,
        ("out/**/*.json", "out/.known-files.json", "out/scores/*/*.*", "out/tracks/*/*.txt"),
        0.3,
        exact=True,
    ),
    "render": Command(
        "render a.mp4 --tracks results --work out", make_results, ("a.mp4", "results/a.txt"), 0.5
    ),
    "render --gt": Command(
        "render a.mp4 --tracks results --gt truth --frames 1-3 --work out",
        make_results,
        ("results/a.txt", "truth/a/gt/gt.txt"),
        0.5,
    ),
    "plot timelines": Command(
        "plot timelines results --gt truth --work out",
        make_results,
        ("results/a.txt", "truth/a/gt/gt.txt"),
        0.1,
    ),
    "plot frames": Command(
        "plot frames caches/pipe/a.h5 --at 1 2 --gt truth --work out",
        make_results,
        ("caches/pipe/a.h5", "truth/a/gt/gt.txt"),
        0.1,
    ),
    "tune": Command(
        "tune caches/pipe/a.h5 --gt truth --tracker sort --trials 2 --jobs 1 --out out/tune",
        make_results,
        ("caches/pipe/a.h5", "truth/a/gt/gt.txt"),
        0.3,
    ),
    "distill-labels": Command(
        "distill-labels street --teacher histogram --out out/street.h5",
        make_street,
        (IMAGES, "street/gt/gt.txt", "street/seqinfo.ini"),
    ),
    "validate": Command(
        "validate list/lists/town.train street --pipeline gt+histogram",
        _datasets,
        ("list/**/*.*", "street/gt/gt.txt", "street/img1/000002.png"),
    ),
    "train": Command(
        "train fairmot-yolov5s --data yolo --data street --epochs 1 --batch 2 --input 64x64 "
        "--workers 0 --device cpu --out out",
        _datasets,
        ("yolo/**/*.*", "street/**/*.*"),
        0.02,
    ),
    "weights verify": Command(
        "weights verify fairmot-yolov5s.pth --pipeline fairmot-yolov5s",
        make_checkpoint,
        ("*.pth",),
        0.1,
    ),
    "inspect": Command(
        "inspect work/caches/pipe/a.h5 work/tracks/a.txt",
        _work,
        ("work/*/pipe/a.h5", "work/*/*.txt"),
    ),
    "inspect datasets": Command(
        "inspect coco/annotations/instances_val2017.json crowd/annotation_train.odgt "
        "list/lists/town.train yolo street",
        _datasets,
        ("coco/**/*.*", "crowd/**/*.*", "list/**/*.*", "yolo/**/*.*", "street/gt/gt.txt"),
    ),
    "status": Command("status --work work", _work, ("work/caches/pipe/a.h5", "work/tracks/*")),
}
