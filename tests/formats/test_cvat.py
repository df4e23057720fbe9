"""CVAT's zip files, as people export and pack them."""

import pytest
from archives import archive, no_warning

from mottool.formats.registry import read

TRUTH = "1,1,15,20,30,80,1,1,1\n2,1,16,20,30,80,1,1,1\n"


@pytest.mark.parametrize(
    "texts",
    [
        {"mot/gt/gt.txt": TRUTH, "mot/gt/labels.txt": "person\n"},
        {"gt\\gt.txt": TRUTH, "gt\\labels.txt": "person\n"},
        {"gt/gt.txt": TRUTH, "__MACOSX/gt/._gt.txt": "\x00\xb0", "gt/._gt.txt": "\x00"},
        {"gt.txt": TRUTH, "README.txt": "made on Monday"},
    ],
    ids=["in a folder", "backslashes", "macOS", "readme"],
)
def test_a_cvat_task_is_found_by_its_content(tmp_path, texts):
    (task,) = read(archive(tmp_path / "task.zip", texts), no_warning)
    assert (task.name, task.is_ground_truth) == ("task", True)
    assert task.rows.tlwh.tolist() == [[15, 20, 30, 80], [16, 20, 30, 80]]


def test_a_cvat_task_has_the_size_of_its_seqinfo(tmp_path):
    seqinfo = "[Sequence]\nframeRate=10\nimWidth=640\nimHeight=480\nseqLength=9\n"
    texts = {"mot/seqinfo.ini": seqinfo, "mot/gt/gt.txt": TRUTH}
    (task,) = read(archive(tmp_path / "task.zip", texts), no_warning)
    assert (task.info.width, task.info.height, task.info.frame_rate, task.length) == (
        640,
        480,
        10,
        9,
    )


def test_several_cvat_tasks_are_named_by_their_folders(tmp_path):
    texts = {"train/gt/gt.txt": TRUTH, "val/gt/gt.txt": TRUTH}
    tasks = read(archive(tmp_path / "all.zip", texts), no_warning)
    assert [task.name for task in tasks] == ["train", "val"]
