"""Halves of sequences and named splits of datasets as sources."""

import numpy as np
import pytest
from footage import images, seqinfo, video

from mottool.errors import InputError, SettingError
from mottool.sources.discovery import find_sequences
from mottool.sources.sequence import SubsampledSequence
from mottool.splits import SPLITS


def only(source):
    (sequence,) = find_sequences([source])
    return sequence


def test_a_half_of_a_folder_keeps_numbers_and_times(tmp_path):
    folder = seqinfo(tmp_path / "MOT17-02", seqLength=5)
    images(folder / "img1", 5)
    whole = only(folder)
    first, second = (only(f"{folder}@{half}") for half in ("first", "second"))
    assert (first.name, second.name) == ("MOT17-02@first", "MOT17-02@second")
    assert (first.whole_name, first.length, second.length) == ("MOT17-02", 2, 3)
    assert (first.first_frame, second.first_frame) == (1, 3)
    assert [frame.number for frame in first.frames()] == [1, 2]
    assert [frame.number for frame in second.frames()] == [3, 4, 5]
    assert [frame.number for frame in second.frames(start=4)] == [4, 5]
    assert [frame.number for frame in second.frames(pixels=False)] == [3, 4, 5]
    for frame, same in zip([*first.frames(), *second.frames()], whole.frames(), strict=True):
        assert frame.seconds == same.seconds
        np.testing.assert_array_equal(frame.image, same.image)
    assert len({part.fingerprint() for part in (whole, first, second)}) == 3
    assert first.fingerprint() == only(f"{folder}@first").fingerprint()


def test_the_frames_of_a_video_are_counted_to_halve_it(tmp_path):
    folder = seqinfo(tmp_path / "seq", imDir="film.mp4", seqLength=100)
    video(folder / "film.mp4", 7)
    first, second = (only(f"{folder}@{half}") for half in ("first", "second"))
    assert [frame.number for frame in first.frames()] == [1, 2, 3]
    assert [frame.number for frame in second.frames()] == [4, 5, 6, 7]
    assert [frame.number for frame in only(f"{folder}/film.mp4@second").frames()] == [4, 5, 6, 7]


def test_a_subsampled_half_has_the_numbers_of_the_subsampled_whole(tmp_path):
    folder = seqinfo(tmp_path / "seq", seqLength=11)
    images(folder / "img1", 11)
    whole = SubsampledSequence.of(only(folder), 2)
    second = SubsampledSequence.of(only(f"{folder}@second"), 2)  # frames 6 to 11
    # Frames 1 3 5 7 9 11 of the sequence are frames 1 to 6 of the subsampled one.
    assert [frame.number for frame in whole.frames()] == [1, 2, 3, 4, 5, 6]
    assert [frame.number for frame in second.frames()] == [4, 5, 6]
    assert (second.first_frame, second.length, whole.length) == (4, 3, 6)


def test_a_named_split_needs_all_its_videos(tmp_path):
    for name in ("KITTI-13", "KITTI-17", "PETS09-S2L1"):
        images(seqinfo(tmp_path / "train" / name) / "img1")
    missing = "train has no TUD-Stadtmitte, ETH-Bahnhof, ADL-Rundle-6, which the split"
    with pytest.raises(InputError, match=missing):
        find_sequences([f"{tmp_path}/train@train5"])
    for name in ("TUD-Stadtmitte", "ETH-Bahnhof", "ADL-Rundle-6"):
        images(seqinfo(tmp_path / "train" / name) / "img1")
    names = {sequence.name for sequence in find_sequences([f"{tmp_path}/train@train5"])}
    assert names == set(SPLITS["train5"].videos)
    errors = []
    with pytest.raises(SettingError, match="there is no split 'train6'"):
        find_sequences([f"{tmp_path}/train@train6"], refused=lambda *error: errors.append(error))
    find_sequences([f"{tmp_path}/train@jde6"], refused=lambda *error: errors.append(error))
    ((source, error),) = errors
    assert source.endswith("train@jde6")
    assert "TUD-Campus" in str(error)
