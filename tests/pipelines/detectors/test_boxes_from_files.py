"""What is said about files of boxes before they are tracked."""

import pytest
from footage import seqinfo

from mottool.pipelines.detectors.boxes_from_files import BoxesFromFiles
from mottool.sources.discovery import find_sequences


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{0},-1,10,5,8,20,0.9", None),
        ("{0},-1,10,5,8,20,0.9,{0}", "column 8 has the classes 1, 2, 3, all of which are tracked"),
        ("{0},10,5,18,25,0.9", "no box is more than 1 pixel high; check the columns"),
    ],
)
def test_rows_that_mean_something_else_are_reported(tmp_path, row, message):
    (sequence,) = find_sequences([seqinfo(tmp_path / "seq")])
    path, messages = tmp_path / "det.txt", []
    path.write_text("".join(row.format(frame) + "\n" for frame in (1, 2, 3)))
    BoxesFromFiles("public", path, None).start(sequence, messages.append)
    assert len(messages) == (message is not None)
    assert all(f"{path}: {message}" in text for text in messages)
