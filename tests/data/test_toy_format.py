"""Adding a dataset format takes one reader file and one entry in the registry."""

import importlib.util

import datasets
import pytest
from click.testing import CliRunner

from mottool.data.distilled_labels import DistilledLabels
from mottool.data.formats import DATASET_FORMATS, DatasetFormat, format_names, open_dataset

READER = """
from mottool.data.dataset import DatasetBuilder


def recognises(path):
    return path.suffix == ".toy"


def read(path, warn, root=None):
    builder = DatasetBuilder(path.stem)
    name = path.read_text().split()[0]
    builder.add(path.parent / name, (64, 48), [[10, 8, 30, 38]])
    return builder.dataset(warn)
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """Write a dataset in a toy format, and register its reader with one entry."""
    (tmp_path / "toy_reader.py").write_text(READER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(DATASET_FORMATS, "toy", DatasetFormat("toy_reader", "toy text files"))
    datasets.photo(tmp_path / "a.png")
    (tmp_path / "set.toy").write_text("a.png 64 48")
    return tmp_path / "set.toy"


def stage():
    """Import `distill-labels` again, because its help text is made at import."""
    spec = importlib.util.find_spec("mottool.stages.distill_labels")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_registered_format_is_read_listed_in_help_and_distilled(toy, tmp_path):
    assert open_dataset(toy, print).boxes.tolist() == [[10, 8, 30, 38]]
    assert format_names().endswith("toy text files")
    command = stage().command
    help_text = CliRunner().invoke(command, ["--help"]).output
    assert "toy text files" in " ".join(help_text.split())
    out = tmp_path / "set.h5"
    arguments = [str(toy), "--teacher", "histogram", "--out", str(out)]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert len(DistilledLabels(out)) == 1


@pytest.mark.parametrize("entry", DATASET_FORMATS.values(), ids=DATASET_FORMATS)
def test_every_entry_names_a_reader(entry):
    reader = importlib.import_module(entry.reader)
    assert callable(reader.recognises)
    assert callable(reader.read)
