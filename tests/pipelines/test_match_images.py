"""Detections and embeddings of a dataset's images, matched with their boxes."""

from types import SimpleNamespace

import datasets
import numpy as np
import pytest

from mottool.data.dataset import DatasetBuilder
from mottool.detections import Detections
from mottool.metrics.cache_metrics import cache_metrics
from mottool.metrics.settings import RetrievalSettings
from mottool.pipelines.match_images import match_images

BOX, OTHER = (10, 10, 30, 50), (40, 10, 60, 50)


class Detector:
    """A detector that returns given boxes and scores image by image."""

    def __init__(self, results=(), needs_all_frames=False):
        self.results, self.needs_all_frames = list(results), needs_all_frames
        self.runs = []

    def start(self, sequence, warn):
        self.runs.append([])
        return SimpleNamespace(detect=self.detect, needs_all_frames=self.needs_all_frames)

    def detect(self, frames):
        for frame in frames:
            self.runs[-1].append(frame.number)
            rows = self.results.pop(0) if self.results else []
            boxes = np.array([box for box, _ in rows], np.float32).reshape(-1, 4)
            scores = np.array([score for _, score in rows], np.float32)
            yield Detections(boxes, scores, np.zeros(len(rows), np.uint16), None), None


class Embedder:
    """An embedder that reads directions, in degrees, from the blue channel at a box's corner."""

    def embed(self, images, boxes):
        results = []
        for image, rows in zip(images, boxes, strict=True):
            points = rows[:, :2].astype(int)
            angles = np.radians(image[points[:, 1], points[:, 0], 0].astype(float))
            results.append(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
        return results


def dataset(folder, images):
    """A dataset; an image is its boxes with identities, regions to ignore, a video and a frame."""
    import cv2

    folder.mkdir()
    builder = DatasetBuilder("made", upright=False)
    for number, (people, ignored, video, frame) in enumerate(images):
        pixels = np.zeros((60, 80, 3), np.uint8)
        for (left, top, *_), _, angle in people:
            pixels[top, left, 0] = angle
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), pixels)
        boxes, ids = [box for box, _, _ in people], [identity for _, identity, _ in people]
        builder.add(path, (80, 60), boxes, ids, video=video, frame=frame, ignored=ignored)
    return builder.dataset(print)


def test_average_precision_and_regions_to_ignore_by_hand(tmp_path):
    region = (50, 10, 70, 50)
    made = dataset(tmp_path / "a", [([(BOX, -1, 0)], [region], -1, 0), ([(BOX, -1, 0)], [], -1, 0)])
    detector = Detector(
        [
            [(BOX, 0.9), (region, 0.95)],  # the second is on a region to ignore
            [((60, 0, 70, 9), 0.8), (BOX, 0.7)],
        ]
    )
    metrics = cache_metrics([match_images(made, detector, None)], 0.5)
    # By score: a true positive, a false one, a true one. Precision 1 and 2/3 at the hits.
    assert metrics["AP"] == pytest.approx((1 + 2 / 3) / 2)
    assert (metrics["Rcll"], metrics["Prcn"]) == pytest.approx((1, 2 / 3))
    assert "TPR" not in metrics


def test_retrieval_searches_a_video_or_all_of_them(tmp_path):
    # One person in each of two videos, at 0 and 30, and at 20 and 50 degrees.
    made = dataset(
        tmp_path / "a",
        [
            ([(BOX, 1, 30)], [], 0, 2),
            ([(BOX, 2, 20)], [], 1, 1),
            ([(BOX, 1, 0)], [], 0, 1),  # out of order: the query is the first by frame number
            ([(BOX, 2, 50), (OTHER, -1, 0)], [], 1, 2),  # an unknown person is not embedded
        ],
    )
    own = match_images(made, None, Embedder())
    assert cache_metrics([own], 0.5)["Rank1"] == 1
    assert not own.ground_truth_counts.any()
    retrieval = RetrievalSettings(gallery="pooled", ap_sum="trapezoid")
    pooled = match_images(made, None, Embedder(), retrieval)
    metrics = cache_metrics([pooled], 0.5, retrieval=retrieval)
    # The query at 20 degrees finds the one at 30 first, of the other person, then that at 50.
    assert metrics["Rank1"] == 1 / 2
    assert metrics["mAP"] == pytest.approx((1 + (0 + 1 / 2) / 2) / 2)
    # Pairs of one person differ by 30 degrees. Pairs of two by 20, 50, 10 and 20: a false accept
    # rate of 0.1 accepts 0.1 / 0.25 = 40 % of the most similar one, and none of one person.
    assert metrics["TPR"] == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_recurrent_detector_starts_anew_with_every_video_and_still_image(tmp_path, recurrent):
    people = [(BOX, 1, 0)]
    images = [(people, [], 1, 2), (people, [], -1, 0), (people, [], 0, 5), (people, [], 1, 1)]
    made = dataset(tmp_path / "a", [*images, (people, [], -1, 0)])
    detector = Detector(needs_all_frames=recurrent)
    match_images(made, detector, None)
    expected = [[1], [1], [5], [1, 2]] if recurrent else [[1, 1, 5, 1, 2]]
    assert detector.runs == expected


def test_images_share_calls_in_batches(tmp_path):
    made = dataset(tmp_path / "a", [([(BOX, 1, 0)], [], 0, frame) for frame in range(1, 6)])
    calls = []

    class Counting(Embedder):
        def embed(self, images, boxes):
            calls.append(len(images))
            return super().embed(images, boxes)

    match_images(made, None, Counting(), batch=2)
    assert calls == [2, 2, 1]


def test_every_format_can_be_scored(tmp_path):
    for name, make in datasets.FORMATS.items():
        opened, _ = datasets.load(make(tmp_path / name))
        match = match_images(opened, Detector(), None)
        assert match.ground_truth_counts.sum() == len(opened.boxes)
