"""Weights files and their cards: written together, and checked when read."""

import resource
import tomllib

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.checkpoints.cards import Card, card_path, read_card, save_weights
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError, OutputError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(7)}
TEXTS = st.text(st.characters(codec="utf-8"))


@settings(derandomize=True, deadline=None, max_examples=50)
@given(
    origin=TEXTS,
    data=st.dictionaries(TEXTS, TEXTS),
    metrics=st.dictionaries(TEXTS, st.floats(allow_nan=False)),
)
def test_card_round_trips_with_any_texts(tmp_path_factory, origin, data, metrics):
    path = tmp_path_factory.mktemp("w") / "w.safetensors"
    written = save_weights(path, TENSORS, "toy", origin, data, metrics)
    assert read_card(path) == written
    assert (written.origin, written.training_data, written.metrics) == (origin, data, metrics)


def test_the_card_is_plain_toml_and_has_the_file_s_sha256(tmp_path):
    path = tmp_path / "new" / "w.safetensors"
    save_weights(path, TENSORS, "toy", "made up", {"MOT17": "CC BY-NC-SA 3.0"}, {"MOTA in %": 73})
    assert card_path(path) == tmp_path / "new" / "w.toml"
    assert tomllib.loads(card_path(path).read_text()) == {
        "schema": "mottool/card/1",
        "pipeline": "toy",
        "sha256": read(path).sha256,
        "origin": "made up",
        "training_data": {"MOT17": "CC BY-NC-SA 3.0"},
        "metrics": {"MOTA in %": 73.0},
    }
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["w.safetensors", "w.toml"]


def test_card_may_have_the_input_size(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, TENSORS, "toy", "made up", size=(96, 64))
    assert tomllib.loads(card_path(path).read_text())["input"] == "96x64"
    assert read_card(path).input == "96x64"
    card_path(path).write_text(card_path(path).read_text().replace("96x64", "large"))
    with pytest.raises(CheckpointError, match="missing, unknown or misshapen"):
        read_card(path)


def test_tensors_that_share_memory_round_trip(tmp_path):
    tensors = TENSORS | {"turned": TENSORS["a.weight"].T, "half": torch.ones(2).half()}
    save_weights(tmp_path / "w.safetensors", tensors, "toy", "made up")
    loaded = read(tmp_path / "w.safetensors").tensors
    assert loaded.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(loaded[name], value)
        assert loaded[name].dtype == value.dtype


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, TENSORS, "toy", "first")
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        save_weights(path, {"a": "no tensor"}, "toy", "second")
    assert path.read_bytes() == before
    assert read_card(path).origin == "first"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_unwritable_path_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        save_weights(tmp_path / "file" / "w.safetensors", TENSORS, "toy", "made up")


def test_without_a_card_the_result_is_none(tmp_path):
    assert read_card(tmp_path / "w.pth") is None
    assert read_card(tmp_path / "w.toml") is None


GOOD = 'schema = "mottool/card/1"\npipeline = "toy"\nsha256 = "ab"\norigin = "here"\n'


def test_empty_tables_may_be_missing(tmp_path):
    (tmp_path / "w.toml").write_text(GOOD)
    assert read_card(tmp_path / "w.pth") == Card("toy", "ab", "here")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("schema = ", "cannot read the card"),
        ("\xff", "cannot read the card"),
        ('name = "a Python project"', "not a card of the schema"),
        (GOOD.replace("card/1", "card/2"), "not a card of the schema"),
        (GOOD.replace('sha256 = "ab"\n', ""), "missing, unknown or misshapen"),
        (GOOD.replace('"here"', "3"), "missing, unknown or misshapen"),
        (GOOD + "colour = 'red'", "missing, unknown or misshapen"),
        (GOOD + "metrics = 3", "missing, unknown or misshapen"),
        (GOOD + '[metrics]\nMOTA = "high"', "missing, unknown or misshapen"),
        (GOOD + "[training_data]\nMOT17 = 3", "missing, unknown or misshapen"),
    ],
)
def test_a_broken_card_is_an_error(tmp_path, text, words):
    (tmp_path / "w.toml").write_text(text, encoding="latin-1")
    with pytest.raises(CheckpointError, match=words):
        read_card(tmp_path / "w.safetensors")


def test_the_card_of_another_file_is_an_error(tmp_path):
    path = tmp_path / "w.safetensors"
    card = save_weights(path, TENSORS, "toy", "made up")
    card.check(path, read(path).sha256)
    with pytest.raises(CheckpointError, match="is not the file that its card describes"):
        card.check(path, "0" * 64)


def test_a_full_disk_is_an_error_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, {"a": torch.zeros(2)}, "fairmot-dla34", "a test")
    before = path.read_bytes()
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, limit[1]))
    try:
        with pytest.raises(OutputError, match="no room left on the disk"):
            save_weights(path, {"a": torch.zeros(1 << 16)}, "fairmot-dla34", "a test")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["w.safetensors", "w.toml"]
