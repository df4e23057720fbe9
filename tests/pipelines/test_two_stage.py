"""Two-stage pipelines: batches of both stages, boxes without embeddings, and resumed runs."""

from types import SimpleNamespace

import numpy as np
import pytest
from footage import video
from untrained import checkpoint

from mottool.cache.reader import Cache
from mottool.detections import Detections
from mottool.errors import InputError
from mottool.models.device import Compute
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.embedders.histogram import Histogram
from mottool.pipelines.embedders.osnet import OSNet
from mottool.pipelines.interfaces import FrameTimes
from mottool.pipelines.two_stage import TwoStage
from mottool.sources.discovery import find_sequences

FRAMES = 13


class Boxes:
    """A detector of random boxes, up to four in a frame, that can fail at a frame."""

    name, weights, fitted, settings = "boxes", "", {}, {}
    needs_pixels, needs_all_frames, last_frame = True, False, 0

    def __init__(self, batch=1, broken=0):
        self.batch, self.broken, self.calls = batch, broken, []

    def start(self, sequence, warn, *recorded):
        return self

    def detect(self, frames):
        numbers = [frame.number for frame in frames]
        self.calls.append(numbers)
        for number in numbers:
            if number == self.broken:
                raise InputError(f"frame {number} is broken", "repair it")
            draw = np.random.default_rng(number)
            count = number % 5
            corner = draw.uniform(-5, 40, (count, 2))
            boxes = np.c_[corner, corner + draw.uniform(8, 30, (count, 2))].astype(np.float32)
            scores = draw.random(count, np.float32)
            yield Detections(boxes, scores, np.zeros(count, np.uint16)), FrameTimes()


@pytest.fixture(scope="module")
def sequence(tmp_path_factory):
    path = video(tmp_path_factory.mktemp("two") / "made.mp4", FRAMES, size=(64, 48))
    return find_sequences([path])[0]


@pytest.fixture(scope="module")
def osnet(tmp_path_factory):
    path = checkpoint("osnet_x0_25", tmp_path_factory.mktemp("weights"))
    return OSNet("osnet_x0_25", path, Compute.named("cpu"))


def frames_of(path):
    with Cache(path) as cache:
        return [*cache.frames()], cache.header.settings


@pytest.mark.parametrize("kind", ["osnet", "histogram"])
def test_resumed_run_gives_the_same_bytes_wherever_it_stopped(
    kind, osnet, sequence, tmp_path, monkeypatch
):
    # Unequal kernels for other batches would show in float32, before a cache rounds to float16.
    embedder = osnet if kind == "osnet" else Histogram()
    embedded = {}
    original = type(embedder).embed

    def recorded(self, images, boxes):
        results = original(self, images, boxes)
        for rows, result in zip(boxes, results, strict=True):
            same = embedded.setdefault(rows.tobytes(), result)
            assert result.tobytes() == same.tobytes()
        return results

    monkeypatch.setattr(type(embedder), "embed", recorded)
    detect_embed(sequence, tmp_path / "whole.h5", TwoStage("boxes+e", Boxes(), embedder))
    whole, _ = frames_of(tmp_path / "whole.h5")
    for broken in (4, 11):
        out = tmp_path / f"stopped{broken}.h5"
        with pytest.raises(InputError, match="is broken"):
            detect_embed(sequence, out, TwoStage("boxes+e", Boxes(broken=broken), embedder))
        detect_embed(sequence, out, TwoStage("boxes+e", Boxes(batch=3), embedder))
        for one, other in zip(frames_of(out)[0], whole, strict=True):
            assert one.boxes.tobytes() == other.boxes.tobytes()
            assert one.embeddings.tobytes() == other.embeddings.tobytes()


def test_embedding_does_not_depend_on_other_boxes_nor_on_its_place(osnet):
    draw = np.random.default_rng(0)
    images = [draw.integers(0, 256, (90, 120, 3), np.uint8) for _ in range(3)]
    corner = draw.uniform(0, 60, (7, 2))
    boxes = np.c_[corner, corner + (20, 50)].astype(np.float32)
    together = osnet.embed(images, [boxes, boxes[:0], boxes[::-1]])
    order = draw.permutation(7)
    (permuted,) = osnet.embed(images[:1], [boxes[order]])
    (alone,) = osnet.embed(images[2:], [boxes[3:4]])
    np.testing.assert_array_equal(permuted, together[0][order])
    np.testing.assert_array_equal(alone[0], together[2][3])


@pytest.mark.parametrize(("batch", "frames"), [(1, 8), (3, 9), (8, 8), (16, 16)])
def test_detector_has_batches_of_its_own(batch, frames, sequence):
    detector = Boxes(batch)
    pipeline = TwoStage("boxes+histogram", detector, Histogram())
    assert pipeline.batch == frames
    given = [frame for frame, _ in zip(sequence.frames(), range(8), strict=False)]
    results = list(pipeline.start(sequence, print).detect(given))
    assert [len(detections) for detections, _ in results] == [1, 2, 3, 4, 0, 1, 2, 3]
    assert [len(call) for call in detector.calls][:-1] == [batch] * (-(-8 // batch) - 1)
    assert sum(detector.calls, []) == [*range(1, 9)]


def test_boxes_below_the_score_have_rows_of_zeros(sequence, tmp_path):
    calls = []
    embedder = SimpleNamespace(
        name="counted", weights="", settings={}, frames=4,
        embed=lambda images, boxes: [
            calls.append(len(rows)) or np.ones((len(rows), 2), np.float32) for rows in boxes
        ],
    )  # fmt: skip
    every, some = tmp_path / "every.h5", tmp_path / "some.h5"
    detect_embed(sequence, every, TwoStage("boxes+counted", Boxes(), embedder))
    assert "embed_min_score" not in frames_of(every)[1]
    calls.clear()
    detect_embed(sequence, some, TwoStage("boxes+counted", Boxes(), embedder, 0.5))
    frames, settings = frames_of(some)
    assert settings["embed_min_score"] == 0.5
    scores = np.concatenate([frame.scores for frame in frames])
    embeddings = np.concatenate([frame.embeddings for frame in frames])
    assert sum(calls) == (scores >= 0.5).sum() < len(scores)
    np.testing.assert_array_equal(embeddings.any(1), scores >= 0.5)
