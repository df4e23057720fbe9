"""Paths on the command line: missing ones are reported before heavy imports, empty ones refused."""

import subprocess
import sys

import pytest
from drawn import scene

PATHS_FIRST = """
import sys
sys.modules.update(dict.fromkeys({blocked!r}))  # importing one of them fails
from mottool.cli.main import main
main()
"""
TORCH = ["torch", "torchvision", "onnxruntime"]
HEAVY = [*TORCH, "numpy", "cv2", "h5py", "av"]
NO_FILE = "there is no file or folder no.pth. Fix: check the path."


def without(blocked, folder, *arguments):
    """Run mottool where modules cannot be imported; return the status and standard error."""
    done = subprocess.run(
        [sys.executable, "-c", PATHS_FIRST.format(blocked=blocked), *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=folder,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["track", "a.mp4", "--pipeline", "fairmot-dla34", "--weights", "no.pth"],
        ["detect-embed", "a.mp4", "--pipeline", "onnx+reid", "--embedder-weights", "no.pth"],
        ["detect-embed", "a.mp4", "--detections", "no.pth"],
        ["validate", "a.json", "--pipeline", "jde-1088x608", "--weights", "no.pth"],
        ["benchmark", "--pipeline", "jde-1088x608", "--weights", "no.pth"],
        ["distill-labels", "a.odgt", "--teacher-weights", "no.pth"],
        ["distill-labels", "a.mp4", "--detector", "onnx", "--detector-weights", "no.pth"],
        ["train", "fairmot-dla34", "--data", "a.json", "--init", "no.pth"],
        ["train", "tdt-r34", "--data", "a.json", "--labels", "no.pth"],
        ["plot", "similarity", "a.mp4", "--weights", "no.pth", "--at", "1", "2"],
    ],
)
def test_missing_file_of_an_option_is_reported_before_heavy_imports(arguments, tmp_path):
    assert without(HEAVY, tmp_path, *arguments) == (1, f"mottool: {NO_FILE}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["detect-embed", "a.mp4", "--pipeline", "onnx=no.pth"],
        ["weights", "verify", "no.pth"],
        ["weights", "convert", "no.pth", "--out", "new.safetensors"],
    ],
)
def test_missing_weights_of_other_forms_are_reported_before_torch(arguments, tmp_path):
    status, error = without(TORCH, tmp_path, *arguments)
    assert (status, error.count("\n")) == (1, 1)
    assert NO_FILE in error


@pytest.mark.parametrize("pipeline", ["onnx", "fairmot-dla34", "public+reid", "public+osnet_x0_25"])
def test_weights_that_are_not_given_are_reported_before_torch(pipeline, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTTOOL_WEIGHTS", str(tmp_path / "none"))
    scene(tmp_path / "street", frames=2)
    status, error = without(TORCH, tmp_path, "detect-embed", "street", "--pipeline", pipeline)
    part = pipeline.rpartition("+")[2]
    assert (status, error.count("\n")) == (2, 1)
    assert f"{part} needs its weights. Fix: " in error


def test_weights_of_every_pipeline_are_checked_before_the_first_is_loaded(tmp_path, monkeypatch):
    monkeypatch.setenv("MOTTOOL_WEIGHTS", str(tmp_path / "none"))
    scene(tmp_path / "street", frames=2)
    pipelines = ["--pipeline", "mottool-s", "--pipeline", "fairmot-dla34"]
    status, error = without(TORCH, tmp_path, "detect-embed", "street", *pipelines)
    assert (status, error.count("\n")) == (2, 1)
    assert "fairmot-dla34 needs its weights" in error


def test_names_of_initial_weights_are_no_files(tmp_path):
    for name in ("imagenet", "mottool-s"):
        _, error = without([], tmp_path, "train", "mottool-s", "--data", "a.json", "--init", name)
        assert "there is no file or folder 'a.json'" in error


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["associate", "--work", ""], "--work is empty"),
        (["evaluate", "--gt", "truth", "--csv="], "--csv is empty"),
        (["inspect", ""], "an argument is empty"),
        (["track", ""], "a source is empty"),
        (["distill-labels", "street", "--out", ""], "--out is empty"),
        (["detect-embed", "street", "--weights", ""], "--weights is empty"),
    ],
)
def test_empty_paths_are_not_the_current_folder(tmp_path, arguments, problem):
    code, errors = without([], tmp_path, *arguments)
    assert code == 2
    assert errors == f"mottool: {problem}. Fix: give a path, or . for the current folder.\n"
