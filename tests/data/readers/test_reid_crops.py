"""Folders of re-identification crops: one box an image, identities from file names."""

import datasets
import numpy as np
from datasets import load, refusal


def test_box_fills_the_crop_and_junk_has_no_identity(tmp_path):
    names = ("0002_c1s1_000451_03", "-1_c1s1_1_00", "0000_c3s1_2_00", "0007_c2s1_1_00")
    root = tmp_path / "Market"
    datasets.crops(root / "bounding_box_train", names)
    datasets.crops(root / "query", ("0009_c1s1_000451_03",))
    dataset, _ = load(root)
    assert dataset.identities.tolist() == [-1, 0, 1, -1]
    np.testing.assert_array_equal(dataset[0].boxes, [[0, 0, 20, 40]])
    assert len(load(datasets.crops(tmp_path / "CUHK03", ("0099_09",)))[0]) == 1


def test_file_name_without_a_person_number_is_refused(tmp_path):
    folder = datasets.crops(tmp_path, ["0001_c1_1", "me"])
    assert "does not give a person" in refusal(folder)
