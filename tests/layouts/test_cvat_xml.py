"""CVAT for video 1.1: boxes between key frames, and files that are none of one video's boxes."""

import numpy as np
import pytest

from mottool.errors import InputError
from mottool.layouts import cvat_xml
from mottool.layouts.registry import layout_of, name_of

BOX = '<box frame="{}" outside="{}" occluded="{}" xtl="{}" ytl="10" xbr="{}" ybr="30"/>'


def track(*boxes, identity=0, more=""):
    """Return a track of 10x20 boxes, given as frame, outside, occluded and left side."""
    shapes = "".join(BOX.format(*box, box[3] + 10) for box in boxes)
    return f'<track id="{identity}" label="Person"{more}>{shapes}</track>'


def written(folder, *parts, task="<stop_frame>9</stop_frame>"):
    path = folder / "annotations.xml"
    meta = f"<version>1.1</version><meta><task>{task}</task></meta>"
    path.write_text(f"<annotations>{meta}{''.join(parts)}</annotations>")
    return path


def test_boxes_between_key_frames_are_interpolated_while_the_object_is_inside(tmp_path):
    boxes = (0, 0, 0, 100), (2, 0, 1, 104), (4, 1, 0, 0), (7, 0, 0, 50)
    labels = cvat_xml.read(written(tmp_path, track(*boxes[::-1], identity=4)))
    assert labels.rows.frames.tolist() == [1, 2, 3, 4, 8]
    assert labels.rows.ids.tolist() == [5] * 5
    np.testing.assert_allclose(labels.rows.tlwh[:, 0], [100, 102, 104, 104, 50])
    np.testing.assert_allclose(labels.rows.tlwh[:, 1:], [[10, 10, 20]] * 5)
    assert labels.rows.rest[:, 0].tolist() == [1, 1, 0.5, 0.5, 1]
    assert (labels.length, {*labels.classes}) == (10, {"person"})


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("<source>a/street.mp4</source>", "street"),
        ("<source>C:\\a\\street.mp4</source>", "street"),
        ("", "folder"),
    ],
)
def test_the_sequence_has_the_name_of_the_video(tmp_path, source, name):
    folder = tmp_path / "folder"
    folder.mkdir()
    path = written(folder, source, track((0, 0, 0, 1)))
    assert layout_of(path).name == "CVAT for video"
    assert name_of(path) == name
    assert cvat_xml.labels_of(folder / "images") == path
    assert cvat_xml.labels_of(folder / "other") is None


ONE = track((0, 0, 0, 5))


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (['<image id="0" name="a.png"/>'], "labels images, which have no identities"),
        ([ONE.replace("box", "polygon")], "track 0 has shapes other than boxes .polygon"),
        ([ONE.replace("outside", 'rotation="30" outside')], "a rotated box in frame 0"),
        ([ONE.replace('xtl="5"', 'xtl="inf"')], "has 0, 0, inf, 10, 15, 30 in place of numbers"),
        ([ONE.replace('frame="0"', 'frame="1e300"')], r"a box in frame 1e\+300"),
        ([ONE.replace('frame="0"', 'frame="-1"')], "a box in frame -1"),
        ([track((3, 0, 0, 5), (3, 0, 0, 6))], "track 0 has two boxes in frame 3"),
        ([track((0, 0, 0, 1), more=f' task_id="{n}"') for n in (1, 2)], "tracks of several tasks"),
        ([track((0, 0, 0, 5), (90_000_000, 0, 0, 6))], "key frames very far apart"),
        (["<a>" * 50 + "</a>" * 50], "has elements within 20 others"),
        ([ONE, "</task>"], "is damaged XML: mismatched tag"),
        (["<frame_filter>step=5</frame_filter>"], "labels of every n-th frame only .step=5"),
    ],
)
def test_files_of_other_content_are_refused(tmp_path, parts, message):
    with pytest.raises(InputError, match=message):
        cvat_xml.read(written(tmp_path, *parts))


@pytest.mark.parametrize("encoding", ["uinftf-8", "euc_jp", "utf-16"])
def test_other_encodings_are_refused(tmp_path, encoding):
    path = written(tmp_path, ONE)
    path.write_text(f'<?xml version="1.0" encoding="{encoding}"?>\n' + path.read_text())
    with pytest.raises(InputError, match="is damaged XML"):
        cvat_xml.read(path)


def test_all_frames_may_be_asked_for(tmp_path):
    step = "<frame_filter>step=1</frame_filter>"
    assert len(cvat_xml.read(written(tmp_path, ONE, task=step)).rows) == 1


def test_entities_do_not_fill_the_memory(tmp_path):
    path = tmp_path / "annotations.xml"
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 20}">' for n in range(1, 9))
    path.write_text(
        f'<!DOCTYPE annotations [<!ENTITY e0 "{"x" * 99}">{entities}]><annotations>'
        f"<version>&e8;</version></annotations>"
    )
    with pytest.raises(InputError, match="is damaged XML"):
        cvat_xml.read(path)
