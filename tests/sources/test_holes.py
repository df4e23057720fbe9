"""Frames that damaged videos have lost: their numbers, and what is said about them."""

import av
import numpy as np
import pytest
from footage import grey, video

from mottool.errors import SegmentError
from mottool.sources.video import decode, probe
from mottool.sources.video_index import read_index


def read(path):
    """Return the numbers, the grey levels of the last rows, and the warnings."""
    warnings = []
    frames = list(decode(path, warnings.append))
    levels = np.array([image[-16:, -16:].mean() for _, _, image in frames])
    return [number for number, _, _ in frames], levels, warnings


def damage(path, begin=0.5, size=0.08):
    """Overwrite a share of the bytes of a file by zeros, from `begin` on."""
    data = bytearray(path.read_bytes())
    first, count = int(len(data) * begin), int(len(data) * size)
    data[first : first + count] = bytes(count)
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["a.mpg", "a.mxf"])
def test_holes_that_only_the_decoder_reports_are_found(tmp_path, name):
    path = video(tmp_path / name, 120, codec="mpeg2video")
    assert read(path)[0] == [*range(1, 121)]
    damage(path)
    numbers, levels, warnings = read(path)
    assert len(numbers) < 120
    assert numbers[-1] == 120
    later = np.array(numbers) > 96  # two key frames later
    expected = [grey(number - 1) for number in numbers]
    np.testing.assert_allclose(levels[later], np.array(expected)[later], atol=8)
    assert "missing after frame" in warnings[-1]
    with pytest.raises(SegmentError, match="only decoding finds"):
        read_index(path)


def test_frames_that_were_never_written_are_no_holes(tmp_path):
    ticks = [index for index in range(64) if index not in (20, 21, 50)]
    for name in ("a.mpg", "a.ts", "a.mkv"):
        codec = "libx264" if name == "a.mkv" else "mpeg2video"
        path = video(tmp_path / name, 60, codec=codec, ticks=ticks)
        assert read(path)[0] == [*range(1, 61)]
        assert read(path)[2] == []


def test_the_intervals_of_a_variable_rate_are_no_holes_if_there_is_damage_elsewhere(tmp_path):
    steps = np.random.default_rng(1).choice([1, 1, 2, 5], 120)
    path = video(tmp_path / "a.mkv", 120, ticks=[0, *np.cumsum(steps)[:-1].tolist()])
    assert read(path)[2] == []
    damage(path)
    numbers, _, warnings = read(path)
    assert 60 < len(numbers) < 120
    assert numbers == [*range(1, len(numbers) + 1)]
    assert "where its frame rate varies: later frames may have too low numbers" in warnings[-1]


def test_a_long_interval_does_not_hide_a_later_hole(tmp_path):
    ticks = [0, 1, 2, 5, *range(6, 122)]
    path = video(tmp_path / "a.mp4", 120, ticks=ticks)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for begin, size in packets[50:56]:
        data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)
    numbers, levels, _ = read(path)
    assert len(numbers) < 120
    assert numbers[-1] == 120
    assert abs(levels[-1] - grey(119)) < 5


def test_recordings_that_were_joined_with_a_pause_have_no_frames_between(tmp_path):
    first = video(tmp_path / "a.ts", 40).read_bytes()
    second = video(tmp_path / "b.ts", 20, ticks=[30 * 3600 + index for index in range(20)])
    path = tmp_path / "c.ts"
    path.write_bytes(first[: -2 * 188] + second.read_bytes())
    numbers, _, warnings = read(path)
    assert numbers == [*range(1, len(numbers) + 1)]
    assert len(numbers) in range(50, 61)
    assert any("its times jump after frame" in warning for warning in warnings)


def test_the_number_of_frames_in_a_long_hole_does_not_add_up_rounded_times(tmp_path):
    path = video(tmp_path / "a.mkv", 300)  # times are rounded to 33 and 34 ms
    damage(path, 0.3, 0.5)
    numbers, levels, _ = read(path)
    assert max(np.diff(numbers)) > 100
    assert numbers[-1] == 300
    assert abs(levels[-1] - grey(299)) < 5


def test_a_flash_video_whose_first_frame_is_late_is_whole(tmp_path):
    for start in (0, 50):  # the first frame is shown two periods after the first packet
        ticks = [start + index for index in range(60)]
        path = video(tmp_path / "a.flv", 60, ticks=ticks)
        assert read(path)[2] == []
        assert probe(path).frames == 60


def test_damage_of_a_raw_stream_that_the_decoder_conceals_is_reported(tmp_path):
    path = video(tmp_path / "a.h264", 60, form="h264")
    assert read(path)[2] == []
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + data[half + len(data) // 12 :])
    assert "is damaged; it has no times" in read(path)[2][0]
