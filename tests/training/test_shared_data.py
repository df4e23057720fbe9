"""Images that are trained on and validated on, by whichever path they are named."""

import cv2
import numpy as np

from mottool.data.formats import open_datasets, open_held_out
from mottool.training.validation import warn_of_shared


def messages(data, validation):
    received = []
    datasets = open_datasets([str(data)], lambda message: None)
    warn_of_shared(datasets, *open_held_out([str(validation)], print), received.append)
    return received


def test_shared_images_are_reported_but_not_other_halves(tmp_path):
    sequence = tmp_path / "data" / "A"
    (sequence / "img1").mkdir(parents=True)
    (sequence / "gt").mkdir()
    for number in range(1, 5):
        cv2.imwrite(str(sequence / f"img1/{number:06d}.png"), np.zeros((32, 32, 3), np.uint8))
    rows = (f"{number},1,2,2,10,20,1,1,1\n" for number in range(1, 5))
    (sequence / "gt" / "gt.txt").write_text("".join(rows))
    (tmp_path / "link").symlink_to(tmp_path / "data")
    (message,) = messages(tmp_path / "data", tmp_path / "link/A")
    assert message.startswith("--data and --validate share 4 images of A")
    (message,) = messages(f"{sequence}@first", tmp_path / "data")
    assert "share 2 images of A" in message
    assert messages(f"{sequence}@first", f"{sequence}@second") == []
