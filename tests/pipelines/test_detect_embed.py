"""Overlapping stages: order, errors, resuming, several pipelines over one decoding."""

import threading
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from footage import images, video

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.models.device import Compute
from mottool.models.interfaces import Decoded
from mottool.models.preprocessing import Letterbox
from mottool.pipelines.detect_embed import detect_embed, detect_embed_all
from mottool.pipelines.interfaces import FrameTimes
from mottool.pipelines.one_shot import OneShotPipeline
from mottool.sources.discovery import find_sequences
from mottool.sources.sequence import Sequence

FRAMES = 150  # two commits of 64 frames, and some more


class MeanNetwork:
    """Detects one person per image, whose score and embedding are the image's mean colours."""

    stride = 8

    def __init__(self, fails_at=None, error=None):
        self.calls, self.fails_at, self.error = 0, fails_at, error

    def forward(self, images):
        self.calls += len(images)
        if self.fails_at and self.calls >= self.fails_at:
            raise self.error
        return {"mean": images.mean((2, 3))}

    def decode(self, heads, min_score):
        boxes = torch.tensor([[1.0, 2.0, 30.0, 40.0]])
        return [
            Decoded(boxes, mean[:1], torch.zeros(1, dtype=torch.int64), mean[None] / mean.norm())
            for mean in heads["mean"]
        ]


def pipeline(network=None, name="toy", batch=1, size=(64, 32), letterbox=Letterbox):
    compute = Compute(torch.device("cpu"))
    return OneShotPipeline(
        name, network or MeanNetwork(), name, letterbox(*size), compute, 0.1, batch
    )


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    """Return a video of small frames."""
    return find_sequences([video(tmp_path_factory.mktemp("video") / "a.mp4", FRAMES)])[0]


def content(path):
    with Cache(path) as cache:
        rows = [(frame.boxes, frame.scores, frame.embeddings) for frame in cache.frames()]
        return [array.tobytes() for row in rows for array in row], cache.pts.tolist()


def no_threads():
    names = [thread.name for thread in threading.enumerate()]
    return not any(name.startswith(("overlap", "prefetch")) for name in names)


@pytest.mark.parametrize("batch", [1, 4])
def test_the_cache_has_what_detect_returns_frame_by_frame(sequence, tmp_path, batch):
    path = detect_embed(sequence, tmp_path / "a.h5", pipeline(batch=batch))
    run = pipeline().start(sequence, print)
    with Cache(path) as cache:
        for frame, detections in zip(sequence.frames(), cache.frames(), strict=True):
            ((expected, times),) = run.detect([frame])
            np.testing.assert_array_equal(detections.boxes, expected.boxes)
            np.testing.assert_array_equal(detections.scores, expected.scores)
            assert isinstance(times, FrameTimes)
        assert (cache.timing[:, :3] > 0).all()
    assert no_threads()


def test_heads_are_decoded_while_the_network_works_on_the_next_frame(sequence, tmp_path):
    network, begun = MeanNetwork(), threading.Semaphore(0)
    forward, decode, overlapped = network.forward, network.decode, []

    def next_forward(images):
        begun.release()
        return forward(images)

    def waiting_decode(heads, min_score):
        begun.acquire()  # of this frame
        last = len(overlapped) == FRAMES - 1
        overlapped.append(last or begun.acquire(timeout=60))
        begun.release()
        return decode(heads, min_score)

    network.forward, network.decode = next_forward, waiting_decode
    detect_embed(sequence, tmp_path / "a.h5", pipeline(network))
    assert len(overlapped) == FRAMES
    assert all(overlapped)


@pytest.mark.parametrize("error", [InputError("wrong", "mend"), KeyboardInterrupt(), OSError(5)])
def test_all_threads_end_and_rows_stay_after_an_error(sequence, tmp_path, error):
    broken = pipeline(MeanNetwork(fails_at=100, error=error))
    with pytest.raises(type(error)):
        detect_embed(sequence, tmp_path / "a.h5", broken)
    assert no_threads()
    resumed = MeanNetwork()
    detect_embed(sequence, tmp_path / "a.h5", pipeline(resumed))
    assert resumed.calls <= FRAMES - 64
    detect_embed(sequence, tmp_path / "b.h5", pipeline())
    assert content(tmp_path / "a.h5") == content(tmp_path / "b.h5")


def test_an_unreadable_image_is_reported_after_the_frames_before_it(tmp_path):
    folder = images(tmp_path / "seq", 12)
    (sequence,) = find_sequences([folder])
    (folder / "000008.png").write_bytes(b"no image")
    network = MeanNetwork()
    with pytest.raises(InputError, match=r"000008\.png cannot be read as an image"):
        detect_embed(sequence, tmp_path / "a.h5", pipeline(network))
    assert network.calls == 7
    assert no_threads()


def test_values_that_no_cache_can_hold_stop_the_run(sequence, tmp_path):
    network = MeanNetwork()
    plain = network.decode
    network.decode = lambda heads, score: [
        replace(people, scores=people.scores * float("nan")) for people in plain(heads, score)
    ]
    with pytest.raises(InputError, match="frame 1 cannot be kept"):
        detect_embed(sequence, tmp_path / "a.h5", pipeline(network))
    assert no_threads()
    assert network.calls < 5


@dataclass(frozen=True)
class CountedSequence(Sequence):
    """A sequence that counts the frames it has decoded."""

    decoded: tuple[list[int]] = ([],)

    def frames(self, start=1, warn=print, pixels=True):
        """Count the frames of the sequence."""
        for frame in super().frames(start, warn, pixels):
            self.decoded[0].append(frame.number)
            yield frame


def counted(sequence):
    return CountedSequence(**vars(sequence), decoded=([],))


def test_several_pipelines_share_one_decoding(sequence, tmp_path):
    several = counted(sequence)
    one, other = pipeline(batch=4), pipeline(size=(32, 32), name="other")
    paths = {tmp_path / "one.h5": one, tmp_path / "other.h5": other}
    assert detect_embed_all(several, paths) == dict.fromkeys(paths)
    assert several.decoded[0] == list(range(1, FRAMES + 1))
    for path, alone in paths.items():
        detect_embed(sequence, tmp_path / "alone.h5", alone, overwrite=True)
        assert content(path) == content(tmp_path / "alone.h5")


def test_each_of_several_caches_resumes_after_its_own_frames(sequence, tmp_path):
    first, second, third = (tmp_path / f"{name}.h5" for name in "abc")
    for path, name, frame in ((first, "toy", 130), (second, "other", 70)):
        broken = MeanNetwork(fails_at=frame, error=KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            detect_embed(sequence, path, pipeline(broken, name))
    detect_embed(sequence, third, pipeline(name="third"))
    networks = [MeanNetwork() for _ in range(3)]
    names = ["toy", "other", "third"]
    several = counted(sequence)
    messages = []
    detect_embed_all(
        several,
        {
            path: pipeline(network, name)
            for path, network, name in zip([first, second, third], networks, names, strict=True)
        },
        warn=messages.append,
    )
    assert len(messages) == 1
    assert "c.h5 is complete already" in messages[0]
    calls = [network.calls for network in networks]
    assert calls[0] < calls[1] < FRAMES
    assert calls[2] == 0
    assert len(several.decoded[0]) == calls[1]
    assert content(first) == content(second) == content(third)


def test_a_pipeline_that_fails_does_not_stop_the_others(sequence, tmp_path):
    error = CheckpointError("wrong", "mend")
    paths = {
        tmp_path / "a.h5": pipeline(MeanNetwork(fails_at=20, error=error)),
        tmp_path / "b.h5": pipeline(),
    }
    errors = detect_embed_all(sequence, paths)
    assert errors == {tmp_path / "a.h5": error, tmp_path / "b.h5": None}
    assert (tmp_path / "b.h5").exists()
    assert not (tmp_path / "a.h5").exists()
    other = replace(sequence, media=None)  # no images
    errors = detect_embed_all(other, {tmp_path / "c.h5": pipeline()})
    assert "no images" in str(errors[tmp_path / "c.h5"])


def test_a_pipeline_that_cannot_prepare_a_frame_does_not_stop_the_others(sequence, tmp_path):
    class Picky(Letterbox):
        def image(self, frame):
            raise InputError("wrong", "mend")

    broken = pipeline(letterbox=Picky)
    errors = detect_embed_all(sequence, {tmp_path / "a.h5": broken, tmp_path / "b.h5": pipeline()})
    assert "wrong" in str(errors[tmp_path / "a.h5"])
    assert errors[tmp_path / "b.h5"] is None
    assert (tmp_path / "b.h5").exists()
    assert no_threads()


def test_a_mistake_in_the_command_is_raised(sequence, tmp_path):
    broken = MeanNetwork(fails_at=5, error=SettingError("wrong", "mend"))
    paths = {tmp_path / "a.h5": pipeline(broken), tmp_path / "b.h5": pipeline()}
    with pytest.raises(SettingError):
        detect_embed_all(sequence, paths)
    assert no_threads()


def test_a_run_without_stages_is_not_divided(sequence, tmp_path):
    class Whole:
        name, weights, weights_files, batch, fitted = "whole", "", {}, 3, {}
        settings, needs_pixels, needs_all_frames, last_frame = {}, False, False, 0

        def start(self, sequence, warn, recorded=None):
            return self

        def detect(self, frames):
            for frame in frames:
                box = np.full((1, 4), frame.number, np.float32)
                yield Detections(box, box[0, :1] * 0, np.zeros(1, np.uint16)), FrameTimes(0.5)

    path = detect_embed(sequence, tmp_path / "a.h5", Whole())
    with Cache(path) as cache:
        numbers = [frame.boxes[0, 0] for frame in cache.frames()]
        assert (cache.timing[:, 1] == 0.5).all()
    assert numbers == list(range(1, FRAMES + 1))
