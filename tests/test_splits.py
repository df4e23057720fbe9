"""Names of splits, and the frames of halves."""

from pathlib import Path

import pytest

from mottool.errors import InputError, SettingError
from mottool.splits import (
    SPLITS,
    frames_of_half,
    name_of_half,
    parse_source,
    splits_help,
    video_name,
    without_half,
)

MOT15 = {
    *("TUD-Stadtmitte", "TUD-Campus", "PETS09-S2L1", "ETH-Bahnhof", "ETH-Sunnyday"),
    *("ETH-Pedcross2", "ADL-Rundle-6", "ADL-Rundle-8", "KITTI-13", "KITTI-17", "Venice-2"),
}


def test_2dmot15_is_split_into_5_and_6_videos():
    train, validate = (set(SPLITS[name].videos) for name in ("train5", "validate6"))
    assert train == {"TUD-Stadtmitte", "ETH-Bahnhof", "ADL-Rundle-6", "KITTI-13", "PETS09-S2L1"}
    assert train | validate == MOT15
    assert (len(train), len(validate)) == (5, 6)
    assert set(SPLITS["jde6"].videos) < MOT15
    assert len(SPLITS["jde6"].videos) == 6


@pytest.mark.parametrize(
    ("count", "first", "second"),
    # FairMOT's mot17.half and mot17.val have 418 and 419 of the 837 frames of MOT17-05.
    [(837, (1, 418), (419, 837)), (600, (1, 300), (301, 600)), (2, (1, 1), (2, 2))],
)
def test_the_second_half_of_an_odd_number_has_one_frame_more(count, first, second):
    assert frames_of_half(count, "first", "seq") == first
    assert frames_of_half(count, "second", "seq") == second


def test_a_single_frame_is_not_halved():
    with pytest.raises(InputError, match="seq has 1 frames, which cannot be halved"):
        frames_of_half(1, "first", "seq")


def test_a_source_is_a_path_and_a_split(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "odd@first").mkdir()
    assert parse_source(tmp_path / "set") == (tmp_path / "set", None)
    assert parse_source(f"{tmp_path}/set@second") == (tmp_path / "set", SPLITS["second"])
    assert parse_source(f"{tmp_path}/MOT*@train5") == (tmp_path / "MOT*", SPLITS["train5"])
    assert parse_source(f"{tmp_path}/odd@first") == (tmp_path / "odd@first", None)
    assert parse_source(f"{tmp_path}/odd@first@second") == (
        tmp_path / "odd@first",
        SPLITS["second"],
    )
    assert parse_source("user@host/video.mp4") == (Path("user@host/video.mp4"), None)
    assert parse_source("missing@home") == (Path("missing@home"), None)


@pytest.mark.parametrize("source", ["set@fisrt", "s*t@fisrt"])
def test_an_unknown_split_is_refused_with_the_names(tmp_path, source):
    (tmp_path / "set").mkdir()
    with pytest.raises(SettingError) as caught:
        parse_source(f"{tmp_path}/{source}")
    assert "there is no split 'fisrt'" in str(caught.value)
    assert "did you mean 'first'" in str(caught.value)
    assert ", ".join(SPLITS) in str(caught.value)


def test_a_split_selects_one_copy_of_its_videos_with_its_halves():
    names = ["MOT17-02-SDP", "MOT17-02-DPM", "KITTI-13", "KITTI-13@second"]
    with pytest.raises(InputError, match=r"data has no MOT17-04, .*MOT17-13, which the split"):
        SPLITS["mot17-first"].select(names, "data")
    copies = [f"{video}-FRCNN" for video in SPLITS["mot17-first"].videos]
    chosen = SPLITS["mot17-first"].select([*names, *copies, "MOT17-02-SDP@first"], "data")
    assert chosen == ["MOT17-02-SDP", *copies[1:], "MOT17-02-SDP@first"]
    assert SPLITS["first"].select(names, "data") == names
    videos = [*SPLITS["train5"].videos, "KITTI-13@second"]
    assert SPLITS["train5"].select([*videos, "KITTI-17"], "data") == videos


def test_names_of_halves():
    assert name_of_half("MOT17-02", "first") == "MOT17-02@first"
    assert name_of_half("MOT17-02", "") == "MOT17-02"
    assert without_half("MOT17-02@first") == ("MOT17-02", "first")
    assert without_half("a@b") == ("a@b", "")
    assert video_name("MOT17-02-FRCNN") == "MOT17-02"
    assert video_name("MOT16-02") == "MOT16-02"


def test_help_lists_every_split():
    text = splits_help()
    for split in SPLITS.values():
        assert f"@{split.name} " in text
        assert split.summary in text
