"""Which epoch is the best, and which licence a dataset has."""

import math
from types import SimpleNamespace

import pytest

from mottool.errors import SettingError
from mottool.training.checkpoint_writer import best_epoch, licences_of


def history(*values):
    return [{"epoch": 1 + place, "IDF1": value} for place, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "best"),
    [
        ((0.1, 0.3, 0.2), 2),
        ((0.3, 0.3, 0.2), 2),
        ((0.0, 0.0, 0.0), 3),
        ((-0.2, math.nan, -0.1), 3),
        ((-0.2, math.nan), 1),
        ((math.nan,), None),
        ((), None),
    ],
)
def test_the_best_epoch_is_the_last_of_the_highest(values, best):
    assert best_epoch(history(*values), "IDF1") == best
    assert best_epoch([{"epoch": 9}, *history(*values)], "IDF1") == best
    assert best_epoch(history(*values), "MOTA") is None


def licences(texts, sources=("mot/MOT17", "lists/prw.json"), names=("MOT17", "prw")):
    return licences_of(texts, sources, [SimpleNamespace(name=name) for name in names])


@pytest.mark.parametrize(
    ("texts", "first", "second"),
    [
        ([], "not stated", "not stated"),
        (["CC0"], "CC0", "CC0"),
        (["MOT17=CC BY-NC-SA 3.0"], "CC BY-NC-SA 3.0", "not stated"),
        (["CC0", "MOT17=CC BY-NC-SA 3.0"], "CC BY-NC-SA 3.0", "CC0"),
        (["lists/prw.json=a=b", "MOT17=x"], "x", "a=b"),
        (["prw=x", "lists/prw.json=x"], "not stated", "x"),
    ],
)
def test_a_licence_applies_to_all_datasets_or_to_one(texts, first, second):
    assert licences(texts) == {"MOT17": first, "prw": second}


def test_datasets_of_one_name_are_distinguished_by_path():
    message = licences(["b/train=x"], ("a/train", "b/train"), ("train", "train"))
    assert message == {"a/train": "not stated", "b/train": "x"}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["MOT71=x"], r"'MOT71=x' names no dataset.* did you mean 'MOT17'"),
        (["CC0", "CC BY"], "given twice for all datasets.*NAME=TEXT"),
        (["prw=x", "prw=y"], "given twice for prw"),
    ],
)
def test_a_licence_without_a_dataset_is_refused(texts, words):
    with pytest.raises(SettingError, match=words):
        licences(texts)
