"""The repository: layout, packages, docstrings, public names, and sizes of files."""

import ast
import re
import tomllib
from configparser import ConfigParser
from functools import cache
from importlib import import_module
from pathlib import Path

import torch
import torchvision
from setuptools import find_packages

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*ROOT.glob("stages/*.py"), *ROOT.glob("mottool/**/*.py")])
SOURCES = [path for path in SOURCES if path.parent.resolve() == path.parent]  # without links
CEILING = 400  # lines


def test_package_list_equals_the_packages_found():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    result = {f"mottool.{name}" for name in find_packages(ROOT / "mottool")}
    assert listed == sorted(listed)
    assert set(listed) == {"mottool", "mottool.stages", "mottool.weights", *result}


def test_links_point_to_the_top_level_folders():
    for name in ("stages", "weights"):
        link = ROOT / "mottool" / name
        assert link.is_symlink()
        assert str(link.readlink()) == f"../{name}"


def test_every_file_has_a_docstring_and_at_most_400_lines():
    for path in SOURCES:
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path
        assert len(text.splitlines()) <= CEILING, path


@cache
def listed(path):
    """Return the names in a file's `__all__`."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "__all__":
            return ast.literal_eval(node.value)
    return []


def test_imported_names_are_public_in_their_module():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            module = getattr(node, "module", None) or ""
            if not isinstance(node, ast.ImportFrom) or not module.startswith("mottool"):
                continue
            target = ROOT / module.replace(".", "/")
            file = target / "__init__.py" if target.is_dir() else target.with_suffix(".py")
            for alias in node.names:
                is_module = (target / f"{alias.name}.py").exists() or (target / alias.name).is_dir()
                assert is_module or alias.name in listed(file), f"{path}: {alias.name} of {file}"


def test_public_names_exist_and_are_listed_once():
    for path in SOURCES:
        names = listed(path)
        assert len(names) == len(set(names)), path
        if names:
            target = path.relative_to(ROOT).with_suffix("")
            parts = target.parts if target.parts[0] == "mottool" else ("mottool", *target.parts)
            module = import_module(".".join(parts).removesuffix(".__init__"))
            assert not [name for name in names if not hasattr(module, name)], path


def test_torch_and_torchvision_are_compatible():
    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 1, 11, 11], [50, 50, 60, 60]])
    kept = torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5)
    assert kept.tolist() == [0, 2]
    images = torch.arange(16.0).reshape(1, 1, 4, 4)
    shift = torch.zeros(1, 2, 4, 4)
    shift[:, 1] = 1  # one pixel to the right
    moved = torchvision.ops.deform_conv2d(images, shift, torch.ones(1, 1, 1, 1))
    assert torch.equal(moved[..., :3], images[..., 1:])


def test_repository_has_no_large_files_and_no_photographs():
    folders = ("mottool", "stages", "weights", "examples", "tests")
    files = [path for folder in folders for path in (ROOT / folder).rglob("*")]
    files = [path for path in files if path.is_file() and "__pycache__" not in path.parts]
    assert not [path for path in files if path.suffix in {".mp4", ".avi", ".jpg", ".ipynb"}]
    weights = [path.stat().st_size for path in (ROOT / "weights").rglob("*") if path.is_file()]
    assert sum(weights) < 25e6
    assert not [path for path in (ROOT / "tests").rglob("*") if path.stat().st_size > 700e3]


def test_array_archives_are_opened_by_read_npz_only():
    """Only `read_npz` opens archives: an open one raises a ResourceWarning in a later test."""
    files = [path.name for path in (ROOT / "tests").rglob("*.py") if "np.load(" in path.read_text()]
    assert sorted(files) == ["goldens.py", "test_repository.py"]


def test_version_is_in_the_changelog():
    version = re.search(r'__version__ = "(.+)"', (ROOT / "mottool/_version.py").read_text())[1]
    assert re.search(rf"^## {re.escape(version)}", (ROOT / "CHANGELOG.md").read_text(), re.M)


def test_project_metadata_has_python_versions_and_the_command():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert "mottool" in project["scripts"]
