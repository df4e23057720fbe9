"""The recipes in `examples/recipes`: all can be read, and that of the drawn scene runs."""

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from drawn import scene

from mottool.cli.main import cli
from mottool.recipes.recipe import read_recipe

FOLDER = Path(__file__).parents[2] / "examples" / "recipes"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_a_recipe_can_be_read(path):
    recipe = read_recipe(path)
    assert len(recipe.pipelines) > 1
    assert len(recipe.trackers) > 1
    lines = path.read_text().splitlines()
    assert any(f"mottool run examples/recipes/{path.name}" in line for line in lines)


def test_the_recipe_of_the_drawn_scene_runs_as_it_stands(tmp_path, monkeypatch):
    scene(tmp_path / "mottool-work/scene", frames=4)
    shutil.copytree(FOLDER, tmp_path / "examples/recipes")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MOTTOOL_WORK", raising=False)
    done = CliRunner().invoke(cli, ["run", "examples/recipes/scene.toml", "--jobs", "1"])
    assert done.exit_code == 0, done.output
    assert "public.outrack left out: no embeddings" in done.stderr
    rows = [
        line.split() for line in done.stdout.splitlines() if "bytetrack@track_thresh=0.3" in line
    ]
    assert "mottool-s" in {row[0] for row in rows}
    page = (tmp_path / "mottool-work/comparison/scene.html").read_text()
    assert "public+histogram" in page
