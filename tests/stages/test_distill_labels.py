"""`mottool distill-labels`: embeddings of every box in annotated and unlabelled data."""

import json
import os
import subprocess
import sys
from pathlib import Path
from signal import SIGKILL
from urllib.error import URLError

import datasets
import footage
import numpy as np
import pytest
from benchmarks.kill_cache import content
from click.testing import CliRunner
from exports import colours_onnx, fixed_boxes_onnx
from PIL import Image
from untrained import checkpoint

from mottool.cache.reader import Cache
from mottool.data.dataset import UNKNOWN
from mottool.data.distilled_labels import DistilledLabels
from mottool.data.formats import open_dataset
from mottool.errors import MottoolError
from mottool.pipelines.embedders.histogram import Histogram
from mottool.stages import distill_labels, inspect

ROWS = [
    f"{frame},{who},{6 * who},8,12,30,1,1,1"
    for frame in range(1, 60)
    if frame % 4  # some images have no boxes
    for who in range(1, 8)
]


def invoke(*arguments, code=0, of=distill_labels):
    result = CliRunner().invoke(of.command, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def distill(*arguments, **more):
    return invoke(*arguments, "--teacher", "histogram", **more)


def refused(*arguments):
    with pytest.raises(MottoolError) as caught:
        distill(*arguments)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def film(tmp_path):
    return datasets.motchallenge(tmp_path / "film", ROWS, frames=60)


def test_every_box_has_the_teachers_embedding(film, tmp_path):
    result = distill(film, "--work", tmp_path / "work")
    path = tmp_path / "work/labels/histogram/film.h5"
    dataset = open_dataset(film, print)
    assert f"{path}  {len(ROWS)} boxes, 144-d embeddings of histogram, " in result.output
    labels = DistilledLabels.of(dataset, path, size=144)
    for image in dataset:
        (wanted,) = Histogram().embed([image.pixels()], [image.boxes])
        np.testing.assert_allclose(labels(image.rows), wanted, atol=2.5e-4)


def test_size_of_the_labels_is_reported(film, tmp_path):
    (done,) = json.loads(distill(film, "--out", tmp_path / "a.h5", "--json").stdout)["done"]
    images = sum(file.stat().st_size for file in (film / "img1").iterdir())
    size = (tmp_path / "a.h5").stat().st_size
    assert (done["boxes"], done["embedding_size"]) == (len(ROWS), 144)
    assert (done["label_bytes"], done["image_bytes"]) == (size, images)
    assert done["overhead"] == pytest.approx(size / images, abs=1e-6)


def test_a_complete_file_is_kept_and_another_teacher_is_refused(film, tmp_path):
    out = tmp_path / "a.h5"
    distill(film, "--out", out)
    made = out.stat().st_mtime_ns
    assert "is complete already" in distill(film, "--out", out).output
    assert out.stat().st_mtime_ns == made
    weights = colours_onnx(tmp_path / "reid.onnx")
    reid = "--teacher", "reid", "--teacher-weights", weights, "--teacher-pixels", "rgb1"
    output = invoke(film, "--out", out, *reid, code=1).output
    assert "was made with other pixels (None, now 'rgb1'), teacher ('histogram'" in output
    invoke(film, "--out", out, *reid, "--overwrite")
    assert DistilledLabels(out).size == 3


def test_changed_data_are_refused_by_writer_and_reader(film, tmp_path):
    out = tmp_path / "a.h5"
    distill(film, "--out", out)
    (film / "gt" / "gt.txt").write_text("\n".join(ROWS[:-1]))
    output = distill(film, "--out", out, code=1).output
    assert f"boxes ({len(ROWS)}, now {len(ROWS) - 1}), fingerprint (" in output
    with pytest.raises(MottoolError, match="another version of it"):
        DistilledLabels.of(open_dataset(film, print), out)


KILLED = """
import os, sys
from pathlib import Path
from signal import SIGKILL
from mottool.cache import shards
from mottool.data.formats import open_dataset
from mottool.pipelines.embedders.histogram import Histogram
from mottool.stages.distill_labels import run

remaining, replace_file = int(sys.argv[3]), shards.replace_file

def replace(temporary, path):
    global remaining
    remaining -= 1
    if not remaining:
        os.kill(os.getpid(), SIGKILL)
    replace_file(temporary, path)

shards.replace_file = replace
run(open_dataset(sys.argv[1], print), Path(sys.argv[2]), Histogram())
"""


def test_a_killed_run_is_resumed_with_the_result_of_an_uninterrupted_one(film, tmp_path):
    complete, killed = tmp_path / "complete.h5", tmp_path / "killed.h5"
    distill(film, "--out", complete)
    committed = []
    for renames in (1, 2, 2):
        command = [sys.executable, "-c", KILLED, str(film), str(killed), str(renames)]
        assert subprocess.run(command, env=os.environ).returncode == -SIGKILL
        assert not killed.exists()
        if committed or renames > 1:
            facts = inspect.run(tmp_path / "killed.part")
            assert (facts["state"], facts["boxes"]) == ("unfinished", len(ROWS))
            committed.append(facts["embeddings"])
    assert committed == sorted(committed)
    assert committed[0] > 0
    assert "complete already" not in distill(film, "--out", killed).output
    assert content(killed) == content(complete)
    assert not list(tmp_path.glob("*.part*"))


def test_the_teacher_has_a_runtime_which_a_resumed_run_keeps(tmp_path):
    film = datasets.motchallenge(tmp_path / "film", ROWS[:140], frames=60)
    weights = checkpoint("osnet_x0_25", tmp_path)
    image, out = film / "img1" / "000025.png", tmp_path / "a.h5"
    pixels = image.read_bytes()
    image.write_bytes(b"x" * len(pixels))
    teacher = film, "--out", out, "--teacher", "osnet_x0_25", "--teacher-weights", weights
    invoke(*teacher, "--runtime", "channels-last", code=1)
    assert 0 < inspect.run(tmp_path / "a.part")["embeddings"] < 140
    image.write_bytes(pixels)
    output = invoke(*teacher, "--runtime", "torch").output
    assert "osnet_x0_25: continuing with the runtime channels-last" in output
    assert DistilledLabels(out).header.settings == {"runtime": "channels-last"}
    assert "is complete already" in invoke(*teacher).output


def test_damaged_image_stops_the_run_and_earlier_labels_are_kept(film, tmp_path):
    image = film / "img1" / "000050.png"
    pixels = image.read_bytes()
    image.write_bytes(b"x" * len(pixels))  # the fingerprint depends on file sizes only
    output = distill(film, "--out", tmp_path / "a.h5", code=1).output
    assert "000050.png cannot be read as an image" in output
    image.write_bytes(pixels)
    assert 0 < inspect.run(tmp_path / "a.part")["embeddings"] < len(ROWS)
    distill(film, "--out", tmp_path / "a.h5")
    distill(film, "--out", tmp_path / "b.h5")
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")


def test_failed_dataset_does_not_stop_the_others(film, tmp_path):
    nobody = datasets.penn_fudan(tmp_path / "nobody")
    (nobody / "Annotation" / "FudanPed00001.txt").write_text("Objects with ground truth : 0\n")
    crops = datasets.crops(tmp_path / "crops")
    output = distill(nobody, tmp_path / "none", crops, "--work", tmp_path / "work", code=1).output
    assert "nobody has 1 images but no boxes of people" in output
    assert "there is no file or folder" in output
    assert len(DistilledLabels(tmp_path / "work/labels/histogram/crops.h5")) == 2


def test_two_datasets_of_one_name_are_refused(tmp_path):
    one = datasets.crops(tmp_path / "a" / "train")
    two = datasets.crops(tmp_path / "b" / "train", ["0003_c1s1_1_0"])
    output = refused(one, two, "--work", tmp_path / "work")
    assert "are both named train. Fix: run one of them separately, with --out" in output
    assert not (tmp_path / "work").exists()
    assert "--out is one file for 2 datasets" in refused(one, two, "--out", tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--teacher", "osnet_x1_0"], "Fix: run `mottool weights fetch osnet_x1_0`, or give its "),
        (["--teacher", "osnet"], "there is no teacher 'osnet'. Fix: did you mean 'osnet_"),
        (["--teacher", "histogram", "--teacher-weights", "."], "--teacher-weights does not apply"),
        (["--runtime", "onnx"], "--runtime does not apply to histogram"),
        (["--every", "2"], "--every does not apply without --detector"),
        (["--detector", "public"], "there is no detector 'public' that reads images"),
        (["--detector", "yolox"], "its .onnx or .xml file with --detector-weights"),
        (["--detector", "yolox", "--root", "/"], "--root does not apply with --detector"),
    ],
)
def test_options_that_do_not_apply_are_refused(film, tmp_path, arguments, message):
    if "--teacher" not in arguments:
        arguments = ["--teacher", "histogram", *arguments]
    with pytest.raises(MottoolError) as caught:
        invoke(film, "--work", tmp_path / "work", *arguments)
    assert message in str(caught.value)
    assert "--embedder" not in str(caught.value)
    assert not (tmp_path / "work").exists()


@pytest.fixture
def detector(tmp_path):
    """Write a detector that returns two boxes with high scores and one with a low score."""
    boxes = np.array([[8, 8, 24, 40], [40, 8, 56, 40], [28, 8, 36, 40]])
    boxes = boxes * 608 / 48  # its input is 608 pixels high
    weights = fixed_boxes_onnx(tmp_path / "det.onnx", boxes, np.array([0.9, 0.7, 0.3]))
    return "--detector", "onnx", "--detector-weights", weights


def test_a_video_becomes_a_dataset_with_labels(tmp_path, detector):
    video = footage.video(tmp_path / "street.mp4", 24)
    out = tmp_path / "made" / "street.h5"
    result = distill(video, *detector, "--every", 10, "--out", out)
    assert f"{out}  6 boxes, 144-d embeddings" in result.output
    dataset = open_dataset(out.with_suffix(".json"), print)
    assert dataset.frames.tolist() == [1, 11, 21]
    assert dataset.videos.tolist() == [0, 0, 0]
    assert (dataset.identities == UNKNOWN).all()
    labels = DistilledLabels.of(dataset, out)
    for image in dataset:
        grey = footage.grey(image.frame - 1)
        assert abs(int(image.pixels()[-4, -4, 0]) - grey) < 6
        (wanted,) = Histogram().embed([image.pixels()], [image.boxes])
        np.testing.assert_allclose(labels(image.rows), wanted, atol=2.5e-4)
    with Cache(tmp_path / "made" / "street.boxes.h5") as cache:
        assert (cache.frame_count, cache.detection_count) == (3, 9)


def test_errors_of_a_detector_name_the_flags_of_this_command(tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise URLError("no route")

    monkeypatch.setattr("torchvision.models.WeightsEnum.get_state_dict", refuse)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = footage.images(tmp_path / "photos")
    assert "give the file with --detector-weights" in refused(folder, "--detector", "fcos")
    (tmp_path / "text.mp4").write_text("no video")
    # Without any sequence, the detector is not loaded.
    output = distill(tmp_path / "text.mp4", "--detector", "fcos", code=1).output
    assert "cannot be opened" in output
    assert "weights" not in output


def test_images_of_a_folder_are_referenced(tmp_path, detector):
    folder = footage.images(tmp_path / "photos", 5)
    distill(folder, *detector, "--every", 2, "--work", tmp_path / "work")
    made = tmp_path / "work" / "labels" / "histogram"
    assert sorted(file.name for file in made.iterdir()) == [
        "photos.boxes.h5",
        "photos.h5",
        "photos.json",
    ]
    dataset = open_dataset(made / "photos.json", print)
    assert [Path(name) for name in dataset.paths] == [folder / f"00000{n}.png" for n in (1, 3, 5)]


def test_rotated_photos_are_read_upright(tmp_path, detector):
    (tmp_path / "photos").mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(tmp_path / "photos/1.jpg", exif=turned)
    distill(tmp_path / "photos", *detector, "--out", tmp_path / "a.h5")
    image = open_dataset(tmp_path / "a.json", print)[0]
    assert (image.width, image.height) == (64, 48)
    assert image.pixels().shape == (48, 64, 3)


def test_another_score_threshold_reuses_the_detections(tmp_path, detector):
    folder = footage.images(tmp_path / "photos", 3)
    out = tmp_path / "a.h5"
    distill(folder, *detector, "--out", out)
    strict = (folder, *detector, "--out", out, "--detector-score", "0.8")
    output = distill(*strict, code=1).output
    assert "a.json was made with other min_score (0.5, now 0.8)" in output
    assert DistilledLabels(out).header.boxes == 6
    boxes = tmp_path / "a.boxes.h5"
    before = boxes.stat().st_mtime_ns
    distill(*strict, "--overwrite")
    assert DistilledLabels(out).header.boxes == 3
    assert boxes.stat().st_mtime_ns == before
    output = distill(*strict, "--every", 2, code=1).output
    assert "a.boxes.h5 was made with other" in output
    distill(*strict, "--every", 2, "--overwrite")
    assert DistilledLabels(out).header.boxes == 2
    (tmp_path / "a.json").write_text("[]")
    assert "does not record what it was made from" in distill(*strict, "--every", 2, code=1).output


def test_no_confident_detection_is_an_error(tmp_path, detector):
    folder = footage.images(tmp_path / "photos", 3)
    out = tmp_path / "a.h5"
    output = distill(folder, *detector, "--out", out, "--detector-score", "0.95", code=1).output
    assert "onnx detected no person in" in output
    assert "Fix: lower --detector-score" in output
    assert not out.exists()


def test_an_interrupted_detection_resumes(tmp_path, detector, monkeypatch):
    folder = footage.images(tmp_path / "photos", 70)
    broken = folder / "000068.png"
    pixels = broken.read_bytes()
    broken.write_bytes(b"no image")
    output = distill(folder, *detector, "--out", tmp_path / "a.h5", code=1).output
    assert "000068.png cannot be read as an image" in output
    facts = inspect.run(tmp_path / "a.boxes.part")
    assert facts["frames"] == 67
    broken.write_bytes(pixels)
    output = distill(folder, *detector, "--out", tmp_path / "a.h5", code=1).output
    assert "made with other frames (" in output  # another picture is another source
    distill(folder, *detector, "--out", tmp_path / "a.h5", "--overwrite")
    assert DistilledLabels(tmp_path / "a.h5").header.boxes == 140


def test_inspect_reports_the_inputs_of_labels(film, tmp_path):
    distill(film, "--out", tmp_path / "a.h5")
    output = invoke("--all", tmp_path / "a.h5", of=inspect).output
    assert "a.h5  labels, complete" in output
    dataset = open_dataset(film, print)
    facts = dict(line.split(maxsplit=1) for line in output.splitlines()[1:])
    assert facts["fingerprint"] == dataset.fingerprint()
    assert (facts["boxes"], facts["teacher"]) == (str(len(ROWS)), "histogram")
    (done,) = json.loads(invoke("--json", tmp_path / "a.h5", of=inspect).stdout)["done"]
    assert (done["sequence"], done["embeddings"], done["image_bytes"]) == (
        "film",
        len(ROWS),
        sum(file.stat().st_size for file in (film / "img1").iterdir()),
    )
