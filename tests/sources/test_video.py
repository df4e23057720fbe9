"""Decoding videos: order and times of frames, rotation, damage, and files that are refused."""

import re
from concurrent.futures import ThreadPoolExecutor
from random import Random
from threading import Event

import av
import numpy as np
import pytest
from footage import grey, picture, video
from goldens import shared

from mottool.errors import InputError
from mottool.sources.holes import checked_container
from mottool.sources.video import decode, probe


def read(path, **options):
    warnings = []
    frames = list(decode(path, warnings.append, **options))
    return (
        [number for number, _, _ in frames],
        [time for _, time, _ in frames],
        [image for _, _, image in frames],
        warnings,
    )


def levels(images):
    return [int(image[-8, -8, 1]) for image in images]


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.mkv", "mpeg4"), ("a.ts", "libx264")]
)
def test_frames_are_in_order_with_their_times(tmp_path, name, codec):
    numbers, times, images, warnings = read(video(tmp_path / name, codec=codec))
    assert numbers == list(range(1, 25))
    np.testing.assert_allclose(levels(images), [grey(index) for index in range(24)], atol=4)
    np.testing.assert_allclose(np.array(times) - times[0], np.arange(24) / 30, atol=6e-4)
    assert warnings == []


def test_variable_frame_rate_keeps_its_times(tmp_path):
    ticks = [0, 1, 2, 10, 11, 40, 41, 42, 43, 90]
    _, times, _, warnings = read(video(tmp_path / "a.mp4", 10, ticks=ticks))
    np.testing.assert_allclose(times, np.array(ticks) / 30, atol=1e-6)
    assert warnings == []


def test_times_of_avi_frames_increase_without_presentation_times(tmp_path):
    path = video(tmp_path / "a.avi")
    with av.open(str(path)) as container:
        stamps = [frame.pts for frame in container.decode(video=0)]
    assert stamps != sorted(stamps)  # B-frames put FFmpeg's time stamps out of order
    _, times, images, _ = read(path)
    np.testing.assert_allclose(np.diff(times), 1 / 30, atol=1e-9)
    np.testing.assert_allclose(levels(images), [grey(index) for index in range(24)], atol=4)


@pytest.mark.parametrize("turned", [90, -90, 180])
def test_video_with_a_rotation_tag_is_upright(tmp_path, turned):
    path = video(tmp_path / "a.mp4", 3, turned=turned)
    upright = np.rot90(picture(0), turned // 90)  # both angles are counterclockwise
    image = read(path)[2][0]
    assert image.shape == upright.shape
    assert (probe(path).width, probe(path).height) == upright.shape[1::-1]
    assert np.abs(image.astype(int) - upright).mean() < 6
    assert image.flags.c_contiguous


def test_start_skips_frames_without_changing_the_others(tmp_path):
    path = video(tmp_path / "a.mp4")
    whole, rest = read(path), read(path, start=15)
    assert rest[0] == list(range(15, 25))
    assert rest[1] == whole[1][14:]
    np.testing.assert_array_equal(rest[2], whole[2][14:])
    assert read(path, start=25)[0] == []


@pytest.mark.parametrize(("name", "kept"), [("a.mkv", 0.6), ("a.mkv", 0.85)])
def test_truncated_video_gives_the_decodable_frames_and_a_warning(tmp_path, name, kept):
    path = video(tmp_path / name, 120)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    numbers, _, _, warnings = read(path)
    assert 20 < len(numbers) < 120
    assert len(warnings) == 1
    assert f"should contain 120 frames until 4.00 s; {len(numbers)} could be decoded" in warnings[0]


def test_frames_after_a_hole_in_an_avi_keep_their_numbers(tmp_path):
    path = video(tmp_path / "a.avi", 60, codec="mpeg4")
    with av.open(str(path)) as container:
        starts = [packet.pos - 8 for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    data[starts[20] : starts[24]] = bytes(starts[24] - starts[20])  # with their headers
    path.write_bytes(data)
    numbers, times, images, warnings = read(path)
    assert numbers == [*range(1, 21), *range(25, 61)]
    np.testing.assert_allclose(times, (np.array(numbers) - 1) / 30, atol=1e-9)
    np.testing.assert_allclose(
        levels(images)[24:], [grey(index) for index in range(28, 60)], atol=9
    )
    assert warnings == [
        f"{path} is damaged: 4 frames are missing after frame 20, 0.67 to 0.80 s; later frames "
        "keep their numbers, by their times"
    ]


@pytest.mark.parametrize("kept", [0.5, 0.8])
def test_truncated_avi_is_reported_by_its_count_of_frames(tmp_path, kept):
    path = video(tmp_path / "a.avi", 120, codec="mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    numbers, _, _, warnings = read(path)
    assert 20 < len(numbers) < 120
    assert f"should contain 120 frames; {len(numbers)} could be decoded" in warnings[-1]
    assert "it has no index, so after missing frames, later ones have too low" in warnings[-1]


def test_expected_frame_count_is_compared(tmp_path):
    path = video(tmp_path / "a.ts", 24)
    assert "should contain 30 frames; 24 could be decoded" in read(path, expected=30)[3][0]
    assert "should contain 20 frames; 24 could be decoded" in read(path, expected=20)[3][0]


def test_decoding_continues_after_damaged_packets(tmp_path):
    path = video(tmp_path / "a.mp4", 120)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for begin, size in packets[50:56]:
        data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)
    numbers, times, images, warnings = read(path)
    assert 100 < len(numbers) < 120
    assert abs(levels(images)[-1] - grey(119)) < 5
    assert (np.diff(times) > 0).all()
    assert numbers[-1] == 120
    np.testing.assert_allclose(times, (np.array(numbers) - 1) / 30, atol=1e-6)
    assert "damaged packets were skipped" in warnings[0]
    missing = [int(count) for count in re.findall(r"(\d+) frames? (?:is|are) missing", warnings[1])]
    assert sum(missing) == 120 - len(numbers)
    assert len(warnings) == 2


def test_damage_is_found_while_another_thread_examines_a_video(tmp_path):
    intact, broken = video(tmp_path / "a.mkv", 60), video(tmp_path / "b.mkv", 60)
    data = bytearray(broken.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 1000] = bytes(1000)
    broken.write_bytes(data)
    opened, other_closed = Event(), Event()

    def examine():
        with checked_container(broken) as (container, log):
            opened.set()
            assert other_closed.wait(60)
            return len(list(container.demux(video=0))), log

    with ThreadPoolExecutor(1) as pool:
        with checked_container(intact) as (container, log):
            examined = pool.submit(examine)
            opened.wait(0.5)
            whole = len(list(container.demux(video=0)))
            assert not log
        other_closed.set()
        left, log = examined.result()
    assert left < whole
    assert log


@pytest.mark.parametrize("damage", ["zeros", "cut", "random"])
def test_frames_after_a_hole_keep_their_numbers(tmp_path, damage):
    path = video(tmp_path / "a.ts", 120)
    whole = read(path)
    data = bytearray(path.read_bytes())
    begin, end = len(data) // 2, len(data) // 2 + 1500
    data[begin:end] = {"zeros": bytes(1500), "cut": b"", "random": Random(0).randbytes(1500)}[
        damage
    ]
    path.write_bytes(data)
    numbers, times, images, warnings = read(path)
    assert len(numbers) < 120
    assert numbers[-1] == 120
    np.testing.assert_allclose(times, [whole[1][number - 1] for number in numbers])
    hole = np.flatnonzero(np.diff(numbers) > 1)
    assert len(hole) == 1
    expected = [levels(whole[2])[number - 1] for number in numbers]
    far = np.abs(np.array(numbers) - numbers[hole[0]]) > 30  # nearer ones lack their references
    np.testing.assert_allclose(np.array(levels(images))[far], np.array(expected)[far], atol=4)
    missing = numbers[hole[0] + 1] - numbers[hole[0]] - 1
    assert f"{missing} frames are missing after frame {numbers[hole[0]]}, " in warnings[0]


def test_the_damage_of_every_video_is_found(tmp_path):
    messages = []
    for name in ("a.mkv", "b.mkv", "c.mkv"):
        data = bytearray(video(tmp_path / name, 120).read_bytes())
        data[len(data) // 2 : len(data) // 2 + 300] = bytes(300)
        (tmp_path / name).write_bytes(data)
        messages.append([text.replace(name, "a.mkv") for text in read(tmp_path / name)[3]])
    assert "missing after frame" in messages[0][0]
    assert messages[1] == messages[2] == messages[0]


def test_a_hole_does_not_hide_that_the_end_is_missing_too(tmp_path):
    path = video(tmp_path / "a.mp4", 120)
    with av.open(str(path)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for begin, size in (*packets[50:80], *packets[112:]):
        data[begin : begin + size] = b"\xff" * size
    path.write_bytes(data)
    numbers, _, _, warnings = read(path)
    assert max(np.diff(numbers)) > 10
    assert 120 - numbers[-1] in range(3, 12)
    assert "should contain 120 frames" in warnings[-1]


def test_frames_that_an_edit_list_leaves_out_are_not_missing(tmp_path):
    path = tmp_path / "b.mp4"
    with (
        av.open(str(video(tmp_path / "a.mp4", 40))) as whole,
        av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as trimmed,
    ):
        stream = trimmed.add_stream_from_template(whole.streams.video[0])
        for packet in whole.demux(video=0):
            if packet.dts is not None:
                ticks = round(15 / 30 / packet.time_base)
                packet.pts, packet.dts = packet.pts - ticks, packet.dts - ticks
                packet.stream = stream
                trimmed.mux(packet)
    numbers, _, _, warnings = read(path)
    assert len(numbers) == 25
    assert warnings == []


def test_a_transport_stream_that_starts_late_states_its_own_length(tmp_path):
    path = video(tmp_path / "a.ts", 24)
    assert probe(path).frames == 24


def test_change_of_frame_size_is_refused_with_its_frame(tmp_path):
    small = video(tmp_path / "small.ts", 12)
    large = video(tmp_path / "large.ts", 12, size=(96, 64))
    both = tmp_path / "both.ts"
    both.write_bytes(small.read_bytes() + large.read_bytes())
    with pytest.raises(InputError, match="changes from 64x48 to 96x64 at frame 13"):
        read(both)


def test_times_increase_over_a_splice_that_restarts_them(tmp_path):
    path = video(tmp_path / "a.ts", 12)
    path.write_bytes(path.read_bytes() * 2)
    numbers, times, _, _ = read(path)
    assert len(numbers) == 24
    assert (np.diff(times) > 0).all()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mp4", b"frames of text\n" * 99, "cannot be opened as a video"),
        ("a.mp4", b"", "cannot be opened as a video"),
        ("a.txt", b"1,2,3,4,5,6\n" * 99, "contains no video stream"),
        ("a.m3u8", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", "a.m3u8"),
        (None, None, "there is no file"),
    ],
)
def test_file_that_is_not_a_video_is_refused(tmp_path, name, content, message):
    path = tmp_path / (name or "missing.mp4")
    if name:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        probe(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_file_with_sound_only_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44100, layout="mono")
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        silence.rate = 44100
        container.mux(stream.encode(silence))
        container.mux(stream.encode())
    with pytest.raises(InputError, match="contains no video stream"):
        probe(tmp_path / "a.mp4")


def test_colon_in_a_file_name_is_not_a_protocol(tmp_path):
    path = video(tmp_path / "http:a é.mp4", 2)
    assert read(path)[0] == [1, 2]


def test_real_video_has_all_its_frames_in_order():
    warnings, times, images = [], [], []
    for number, seconds, image in decode(
        shared("data/PETS09-S2L1-video/vtest.avi"), warnings.append
    ):
        times.append(seconds)
        if number <= 60:
            images.append(image.astype(np.int16))
    assert (len(times), warnings) == (795, [])
    np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-9)
    # People move, so a frame is more similar to the next than to the one after it.
    near = np.mean([np.abs(a - b).mean() for a, b in zip(images, images[1:], strict=False)])
    far = np.mean([np.abs(a - b).mean() for a, b in zip(images, images[2:], strict=False)])
    assert near < 0.85 * far


def test_losses_in_a_raw_stream_are_said_to_shift_later_frames(tmp_path):
    path = video(tmp_path / "a.h264", 60, form="h264")
    content = path.read_bytes()
    assert read(path)[3] == []
    middle, hole = len(content) // 2, len(content) // 20
    path.write_bytes(content[: middle - hole] + bytes(2 * hole) + content[middle + hole :])
    numbers, *_, warnings = read(path)
    assert len(numbers) < 60
    assert len(warnings) == 1
    assert warnings[0].endswith("after lost frames, later ones have too low numbers")
