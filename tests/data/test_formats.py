"""The registry of annotation formats: all give the same boxes; other inputs are refused."""

import datasets
import numpy as np
import pytest
from datasets import load, refusal

from mottool.data.formats import open_datasets
from mottool.errors import SettingError


@pytest.mark.parametrize("form", datasets.FORMATS)
def test_every_format_gives_boxes_in_pixels(tmp_path, form):
    dataset, warnings = load(datasets.FORMATS[form](tmp_path / "set"))
    labelled = [image for image in dataset if len(image.boxes)]
    assert len(labelled) == 1
    assert labelled[0].boxes.dtype == np.float32
    np.testing.assert_allclose(labelled[0].boxes, [[10, 8, 30, 38]], atol=1e-4)
    assert labelled[0].pixels().shape == (48, 64, 3)
    assert labelled[0].identities.tolist() == ([0] if form == "motchallenge" else [-1])
    assert labelled[0].visibility.tolist() == ([0.5] if form == "crowdhuman" else [1.0])
    assert not warnings


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: at / "nothing", "there is no file or folder"),
        (lambda at: at, "is not a dataset. Fix: give one of: Penn-Fudan, MOTChallenge"),
    ],
)
def test_path_without_a_dataset_is_refused(tmp_path, make, message):
    assert message in refusal(make(tmp_path))


@pytest.mark.parametrize("name", ["HiEve", "HIE20"])
def test_hieve_is_refused_with_what_to_do(tmp_path, name):
    (tmp_path / name / "labels").mkdir(parents=True)
    message = refusal(tmp_path / name / "labels")
    assert "looks like HiEve, whose annotations mottool does not read" in message
    assert "convert them to MOTChallenge's gt/gt.txt" in message


def test_dataset_given_twice_is_refused(tmp_path):
    folder = datasets.motchallenge(tmp_path / "seq")
    for sources in ([folder, folder], [folder, f"{folder}@first"]):
        with pytest.raises(SettingError, match="is given twice"):
            open_datasets(sources, print)
    with pytest.raises(SettingError, match="no dataset is given"):
        open_datasets([], print)
