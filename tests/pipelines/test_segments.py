"""Caches that are made in segments have the bytes of those that one process makes."""

from contextlib import suppress

import pytest
from footage import images
from segmented import PixelPipeline, divide, finish, moving_video, segment_killed_once

from mottool.cache.segments import read_division, read_segment, segment_path
from mottool.engines.local import LocalProcesses
from mottool.engines.task import Task
from mottool.errors import SegmentError
from mottool.pipelines.segments import run_segment
from mottool.sources import prefetch, video
from mottool.sources.discovery import find_sequences

FRAMES = 200  # three segments of 64 frames, and a shorter one
OPEN = {"x264-params": "open-gop=1:keyint=30:bframes=3"}


@pytest.fixture(autouse=True)
def constant_times(monkeypatch):
    monkeypatch.setattr(prefetch, "perf_counter", lambda: 0.0)


def make(source, out, pipeline, frames=64, order=lambda numbers: numbers):
    """Make a cache in segments, in any order; return the frames that were left for the end."""
    divide(source, out, frames, pipeline)
    (sequence,) = find_sequences([source])
    count = len(read_division(out)["spans"])
    for number in order(range(count)):
        run_segment(sequence, out, pipeline, number, count)
    assert sorted(pipeline.numbers) == list(range(1, FRAMES + 1))
    pipeline.numbers.clear()
    return finish(source, out, pipeline)


def assert_as_one_process(source, out, **options):
    """Assert that a cache has the bytes of one process, and that nothing else is left."""
    whole = out.with_name("whole.h5")
    finish(source, whole, PixelPipeline(**options))
    assert out.read_bytes() == whole.read_bytes()
    assert not out.with_suffix(".part").exists()


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("a.mp4", "libx264", OPEN),
        ("a.mp4", "libx264", {"keys": 1000}),  # one key frame, the first
        ("a.mp4", "mjpeg", {"strict": "unofficial"}),  # only key frames
        ("a.mp4", "libx265", {"x265-params": "open-gop=1:keyint=30:log-level=none"}),
        ("a.mkv", "mpeg4", {"bf": "2"}),
        ("a.mkv", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
        ("a.ts", "libx264", {}),
        ("a.mkv", "libx264", {"ticks": [3 * i + i % 3 for i in range(FRAMES)]}),  # variable rate
    ],
)
def test_a_video_in_segments_has_the_same_bytes(tmp_path, name, codec, options):
    source = moving_video(tmp_path / name, FRAMES, codec, **options)
    assert make(source, tmp_path / "a.h5", PixelPipeline(), order=reversed) == []
    assert_as_one_process(source, tmp_path / "a.h5")


def test_images_in_segments_have_the_same_bytes(tmp_path):
    source = images(tmp_path / "a", FRAMES)
    assert make(source, tmp_path / "a.h5", PixelPipeline()) == []
    assert_as_one_process(source, tmp_path / "a.h5")


def test_segments_end_where_batches_end(tmp_path):
    source = images(tmp_path / "a", FRAMES)
    assert make(source, tmp_path / "a.h5", PixelPipeline(batch=3), frames=20) == []
    assert_as_one_process(source, tmp_path / "a.h5", batch=3)
    divide(source, tmp_path / "b.h5", 20, PixelPipeline(batch=3))
    firsts = [span["first"] for span in read_division(tmp_path / "b.h5")["spans"]]
    assert firsts == [1, 193]  # blocks of 64 frames and batches of 3


def test_a_half_of_a_video_in_segments_has_the_same_bytes(tmp_path):
    source = f"{moving_video(tmp_path / 'a.mp4', 2 * FRAMES)}@second"
    pipeline, out = PixelPipeline(), tmp_path / "a.h5"
    divide(source, out, 64, pipeline)
    (sequence,) = find_sequences([source])
    for number in range(4):
        run_segment(sequence, out, pipeline, number, 4)
    assert pipeline.numbers == list(range(FRAMES + 1, 2 * FRAMES + 1))
    pipeline.numbers.clear()
    assert finish(source, out, pipeline) == []
    assert_as_one_process(source, out)


def test_a_killed_worker_loses_only_its_segment(tmp_path):
    source, out = moving_video(tmp_path / "a.mp4", 400), tmp_path / "a.h5"
    divide(source, out, 128, PixelPipeline())
    tasks = [
        Task(f"{number}", segment_killed_once, (source, out, number, 4, 230 if number == 1 else 0))
        for number in range(4)
    ]
    with LocalProcesses(2) as engine:
        done = {outcome.task.name: outcome.result() for outcome in engine.run(tasks)}
    assert done["0"] == list(range(1, 129))
    assert done["1"] == list(range(193, 257))  # 129 to 192 were committed
    assert done["2"] == list(range(257, 385))
    assert finish(source, out) == []
    assert_as_one_process(source, out)


@pytest.mark.parametrize("killed", ["adopting", "marking"])
def test_a_writer_that_is_killed_while_it_adopts_segments_is_resumed(tmp_path, killed, monkeypatch):
    source, out = images(tmp_path / "a", FRAMES), tmp_path / "a.h5"
    divide(source, out, 64, PixelPipeline())
    for number in range(4):
        segment_killed_once(source, out, number, 4, 0)
    from mottool.cache import shards

    replace, moved = shards.replace_file, []

    def die(temporary, path):
        if len(moved) == (2 if killed == "adopting" else 4):
            raise KeyboardInterrupt
        moved.append(path)
        replace(temporary, path)

    monkeypatch.setattr(shards, "replace_file", die)
    with pytest.raises(KeyboardInterrupt):
        finish(source, out)
    monkeypatch.undo()
    monkeypatch.setattr(prefetch, "perf_counter", lambda: 0.0)
    assert len(moved) in {2, 4}
    divide(source, out, 64, PixelPipeline())  # the same command again
    for number in range(4):
        assert segment_killed_once(source, out, number, 4, 0) == []
    assert finish(source, out) == []
    assert_as_one_process(source, out)


def test_missing_segments_are_computed_at_the_end(tmp_path):
    source, out = moving_video(tmp_path / "a.mp4", FRAMES), tmp_path / "a.h5"
    divide(source, out, 64, PixelPipeline())
    for number in (0, 2, 3):
        segment_killed_once(source, out, number, 4, 0)
    assert finish(source, out) == list(range(65, FRAMES + 1))
    assert_as_one_process(source, out)


def test_more_or_fewer_tasks_than_segments_make_all_of_them(tmp_path):
    source = images(tmp_path / "a", FRAMES)
    for count in (3, 9):
        out = tmp_path / f"{count}.h5"
        divide(source, out, 64, PixelPipeline())
        for number in range(count):
            segment_killed_once(source, out, number, count, 0)
        assert finish(source, out) == []
        assert_as_one_process(source, out)


def test_a_segment_with_other_pixels_before_it_is_not_used(tmp_path, monkeypatch):
    source, out = moving_video(tmp_path / "a.mp4", FRAMES), tmp_path / "a.h5"
    divide(source, out, 64, PixelPipeline())
    decode = video.decode_from

    def other(path, number, ticks):
        for frame in decode(path, number, ticks):
            frame[3][0, 0] += number > 1 and frame[0] < 129
            yield frame

    monkeypatch.setattr(video, "decode_from", other)
    segment_killed_once(source, out, 2, 4, 0)
    monkeypatch.setattr(video, "decode_from", decode)
    for number in (0, 1, 3):
        segment_killed_once(source, out, number, 4, 0)
    assert finish(source, out) == list(range(129, FRAMES + 1))
    assert_as_one_process(source, out)


def test_a_segment_whose_frames_are_not_those_of_the_index_stops_all(tmp_path, monkeypatch):
    source, out = moving_video(tmp_path / "a.mp4", FRAMES), tmp_path / "a.h5"
    divide(source, out, 64, PixelPipeline())
    segment_killed_once(source, out, 0, 4, 0)
    decode = video.decode_from

    def without_one(path, number, ticks):
        for frame in decode(path, number, ticks):
            if frame[0] != 100:
                yield frame

    monkeypatch.setattr(video, "decode_from", without_one)
    with pytest.raises(SegmentError, match="frames 65 to 128 are not those of its index"):
        segment_killed_once(source, out, 1, 4, 0)
    monkeypatch.setattr(video, "decode_from", decode)
    assert segment_killed_once(source, out, 2, 4, 0) == []
    with pytest.raises(SegmentError, match="frames 65 to 128"):  # not tried again
        divide(source, out, 64, PixelPipeline())
    assert finish(source, out) == list(range(65, FRAMES + 1))
    assert_as_one_process(source, out)


def test_segments_of_other_inputs_are_made_again(tmp_path):
    source, out = images(tmp_path / "a", FRAMES), tmp_path / "a.h5"
    divide(source, out, 64, PixelPipeline(batch=2))
    (sequence,) = find_sequences([source])
    for number in range(4):
        run_segment(sequence, out, PixelPipeline(batch=2), number, 4)
    assert make(source, out, PixelPipeline()) == []
    assert_as_one_process(source, out)


@pytest.mark.parametrize("name", ["a.avi", "a.h264"])
def test_videos_without_times_are_not_divided(tmp_path, name):
    source = moving_video(tmp_path / name, FRAMES, "mpeg4" if name == "a.avi" else "libx264")
    with pytest.raises(SegmentError, match="has no presentation times"):
        divide(source, tmp_path / "a.h5", 64, PixelPipeline())
    assert finish(source, tmp_path / "a.h5") == list(range(1, FRAMES + 1))


@pytest.mark.parametrize(("at", "size"), [(0.3, 300), (0.5, 3000)])
@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_damaged_videos_have_the_same_bytes(tmp_path, name, at, size):
    source, out = moving_video(tmp_path / name, FRAMES), tmp_path / "a.h5"
    content = bytearray(source.read_bytes())
    middle = round(len(content) * at)
    content[middle : middle + size] = bytes(size)
    source.write_bytes(content)
    with suppress(SegmentError):
        divide(source, out, 64, PixelPipeline())
    for number in range(4):
        with suppress(SegmentError):
            segment_killed_once(source, out, number, 4, 0)
    left = finish(source, out)
    assert left or size == 300  # so few bytes can be within one picture that decodes nevertheless
    assert_as_one_process(source, out)


def test_recurrent_pipelines_and_begun_caches_are_not_divided(tmp_path):
    source, out = images(tmp_path / "a", 130), tmp_path / "a.h5"
    with pytest.raises(SegmentError, match="pixels needs the detections of the frame before"):
        divide(source, out, 64, PixelPipeline(needs_all_frames=True))

    class Stopped(PixelPipeline):
        def start(self, *arguments):
            run = super().start(*arguments)
            detect = run.detect

            def stopping(frames):
                if frames[0].number > 70:
                    raise KeyboardInterrupt
                return detect(frames)

            run.detect = stopping
            return run

    with pytest.raises(KeyboardInterrupt):
        finish(source, out, Stopped())
    with pytest.raises(SegmentError, match="was begun in one process"):
        divide(source, out, 64, PixelPipeline())
    rest = finish(source, out)
    assert rest == list(range(rest[0], 131))
    assert rest[0] > 64


def test_a_finished_segment_is_known_by_its_mark(tmp_path):
    source, out = images(tmp_path / "a", 130), tmp_path / "a.h5"
    divide(source, out, 64, PixelPipeline())
    path = segment_path(out, 64)
    assert read_segment(path) is None
    segment_killed_once(source, out, 1, 3, 0)
    mark = read_segment(path)
    assert (mark.first, mark.items, mark.is_last) == (64, 64, False)
    file = path.with_suffix(".part") / "segment.json"
    for damaged in ("{}", "[1]", file.read_text().replace("64", '"64"', 1)):
        file.write_text(damaged)
        assert read_segment(path) is None
    assert segment_killed_once(source, out, 1, 3, 0) == []  # its shards are there
    assert read_segment(path) == mark
