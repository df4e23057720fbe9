"""The layout of caches: what readers must refuse, and the archived file they must open."""

import json

import h5py
import numpy as np
import pytest
from caches import made, write
from goldens import HERE

from mottool.cache.reader import Cache
from mottool.errors import CacheError


def external_link(file):
    del file["boxes"]
    file["boxes"] = h5py.ExternalLink("/etc/passwd.h5", "/boxes")


def soft_link(file):
    file.move("scores", "others")
    file["scores"] = h5py.SoftLink("/others")


def nested_link(file):
    del file["occlusion/centres"]
    file["occlusion/centres"] = h5py.ExternalLink("elsewhere.h5", "/centres")


def external_storage(file):
    del file["classes"]
    file.create_dataset("classes", (6,), "<u2", external=[("/etc/passwd", 0, 12)])


def virtual(file):
    del file["pts"]
    layout = h5py.VirtualLayout((2,), "<f8")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "pts", (2,))
    file.create_virtual_dataset("pts", layout)


def group_for_data(file):
    del file["pts"]
    file.create_group("pts")


def put(name, values):
    def change(file):
        del file[name]
        file[name] = values

    return change


def claim(file):
    del file["boxes"]
    file.create_dataset("boxes", (6, 4), "<f4", chunks=(6, 4))


def maps(kind, shape, written=0):
    def change(file):
        dataset = file["occlusion"].create_dataset(
            "maps", shape, kind, chunks=(1, *shape[1:]), compression="gzip"
        )
        dataset[:written] = 1
        dataset.attrs["stride"] = 4

    return change


def attribute(name, value):
    return lambda file: file.attrs.__setitem__(name, value)


def no_time(file):
    del file.attrs["checksum"]
    file.attrs["fps"] = 0.0


DAMAGE = {
    "another schema": (attribute("schema", "mottool/detections/2"), "is of schema '.*/2'"),
    "no schema": (lambda file: file.attrs.__delitem__("schema"), "is not a mottool cache"),
    "schema of another kind": (attribute("schema", 7), "is not a mottool cache"),
    "external link": (external_link, "/boxes is a link"),
    "soft link": (soft_link, "/scores is a link"),
    "external link below": (nested_link, "/centres is a link"),
    "external storage": (external_storage, "/classes does not keep its data in this file"),
    "virtual dataset": (virtual, "/pts does not keep its data in this file"),
    "missing dataset": (lambda file: file.__delitem__("boxes"), "boxes"),
    "missing group": (lambda file: file.__delitem__("occlusion"), "occlusion"),
    "group for data": (group_for_data, "/pts does not keep"),
    "missing attribute": (lambda file: file.attrs.__delitem__("width"), "width"),
    "number for text": (attribute("sequence", 3), "attribute sequence is not text"),
    "text for number": (attribute("fps", "fast"), "could not convert"),
    "no time between frames": (no_time, "not all above 0"),
    "another frame rate": (attribute("fps", 24.0), "attributes differ from their checksum"),
    "settings that are no JSON": (attribute("settings", "{"), "Expecting"),
    "settings that are a list": (attribute("settings", "[]"), "settings is not a JSON object"),
    "fewer rows": (put("scores", np.zeros(5, "f4")), r"/scores is float32 \(5,\)"),
    "another type": (put("boxes", np.zeros((6, 4))), r"/boxes is float64"),
    "falling pointer": (put("frame_ptr", np.array([0, 9, 6])), "/frame_ptr does not rise"),
    "pointer not from 0": (put("frame_ptr", np.array([1, 3, 6])), "/frame_ptr does not rise"),
    "empty pointer": (put("frame_ptr", np.zeros(0, "i8")), "/frame_ptr does not rise"),
    "flat embeddings": (put("embeddings", np.zeros(6, "f2")), "/embeddings is"),
    "other frames": (put("occlusion/ptr", np.array([0, 0])), "count different frames"),
    "claims without data": (claim, "/boxes is shorter than it says"),
    "claims maps without data": (maps("u1", (2, 3, 4), 1), "/occlusion/maps is shorter than"),
    "maps of other frames": (maps("u1", (3, 3, 4), 3), r"/occlusion/maps is uint8 \(3, 3, 4\)"),
    "maps of another type": (maps("f4", (2, 3, 4), 2), "/occlusion/maps is float32"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGE.values(), ids=DAMAGE)
def test_readers_refuse(tmp_path, damage, message):
    path = write(tmp_path / "a.h5", [made(), made()])
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(CacheError, match=message) as refused:
        Cache(path)
    assert "detect-embed" in refused.value.fix
    with h5py.File(path, "r+"):  # the refused file was let go
        pass


def test_the_archived_cache_still_opens():
    expected = json.loads((HERE / "cache-v1" / "cache-v1.json").read_text())
    with Cache(HERE / "cache-v1" / "cache-v1.h5") as cache:
        frames = list(cache.frames())
        assert cache.header.settings == expected["settings"]
        assert cache.header.sequence == expected["sequence"]
        assert cache.pts.tolist() == expected["pts"]
    for detections, frame in zip(frames, expected["frames"], strict=True):
        assert detections.boxes.tolist() == frame["boxes"]
        assert detections.scores.tolist() == frame["scores"]
        assert detections.classes.tolist() == frame["classes"]
        assert detections.embeddings.tolist() == frame["embeddings"]
        assert detections.occlusion_centres.tolist() == frame["occlusion_centres"]


def test_older_readers_can_open_it(tmp_path):
    write(tmp_path / "a.h5", [made()])
    assert (tmp_path / "a.h5").read_bytes()[8] == 0  # superblock of HDF5 1.0 to 1.8
