import os
import subprocess
import sys
from pathlib import Path

import pytest
from figures import street
from recipes import QUICK, fresh_student

from mottool.training.settings import LEARNERS

FOLDER = Path(__file__).parents[2] / "examples/training"
RECIPES = sorted(FOLDER.glob("*.sh"))
SMALLEST = {
    "mottool-s": ("mottool-s", ""),
    "fairmot": ("fairmot-yolov5s", ""),
    "jde": ("jde-576x320", ""),
    "cstrack": ("cstrack-s", ""),
    "outrack": ("outrack", ""),
    "otrack": ("otrack", ""),
    "tdt": ("tdt-mobilenet", " --embedding-size 32"),
}


def ran(recipe, *arguments, **variables):
    environment = {**os.environ, "MOTTOOL_PYTHON": sys.executable, **variables}
    return subprocess.run(
        ["sh", str(recipe), *arguments], env=environment, capture_output=True, text=True
    )


def test_every_family_has_a_recipe():
    families = {name.partition("-")[0] for name in LEARNERS if name != "mottool-s"}
    assert {path.stem for path in RECIPES} == {*families, "mottool-s"}


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_without_arguments_a_recipe_tells_how_it_is_used(recipe):
    result = ran(recipe)
    assert result.returncode == 2
    assert f"sh examples/training/{recipe.stem}.sh VALIDATION DATASET..." in result.stderr
    assert "run the same command again to continue." in result.stderr
    assert "set -eu" not in result.stderr


@pytest.mark.heavy
@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_runs(recipe, tmp_path):
    scene = street(tmp_path / "street", 4, size=(96, 64))
    pipeline, more = SMALLEST[recipe.stem]
    work = tmp_path / "work"
    variables = {"PIPELINE": pipeline, "FLAGS": QUICK + more, "MOTTOOL_WORK": str(work)}
    if recipe.stem == "tdt":
        # Not from ImageNet's weights, so that nothing is downloaded.
        variables |= {"TEACHER": "histogram", "INIT": str(fresh_student(tmp_path))}
    result = ran(recipe, str(scene), str(scene), **variables)
    assert result.returncode == 0, result.stderr
    assert (work / "training" / pipeline / f"{pipeline}.toml").is_file()
