"""A recipe of which all results are made."""

import shutil

import pytest
from recipe_project import Project
from rowed import rowed_pair


@pytest.fixture(scope="package")
def made(tmp_path_factory):
    """A project with all results, which tests do not change."""
    folder = tmp_path_factory.mktemp("made")
    rowed_pair(folder / "data")
    project = Project(folder)
    assert project.make(page=True) == []
    return project


@pytest.fixture
def project(made, tmp_path):
    """A copy of a project with all results: times of files are kept, inodes are not."""
    shutil.copytree(made.folder, tmp_path / "p")
    text = (tmp_path / "p/work/.known-files.json").read_text()
    (tmp_path / "p/work/.known-files.json").write_text(text.replace(str(made.folder), "/moved"))
    return Project(tmp_path / "p")
