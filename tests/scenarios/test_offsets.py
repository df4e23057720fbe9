"""OTrack's association: CenterTrack's identities, greedy matching by offsets, and refinding."""

import dataclasses

import numpy as np
import pytest
from goldens import HERE, read_npz
from streams import walkers

from mottool.association.otrack import OTrackTracker
from mottool.association.registry import OTrackSettings
from mottool.association.tracks import SequenceInfo
from mottool.detections import Detections

VIDEO = SequenceInfo(30.0, 640, 480)


def make(video=VIDEO, **settings):
    return OTrackTracker(OTrackSettings(**settings), video)


def ids(tracks):
    return [each.ids.tolist() for each in tracks]


def follow(tracker, frames):
    return [tracker.update(frame) for frame in frames]


@pytest.mark.parametrize("size", ["320x192", "960x544"])
def test_identities_equal_those_of_centertrack(size):
    stored = read_npz(HERE / "association" / "centertrack.npz")
    tracker = make(SequenceInfo(30.0, 1920, 1080))
    for number in (1, 2):
        record = {key: stored[f"{size}/frame{number}/{key}"] for key in ("bbox", "score", "ct")}
        order = np.random.default_rng(number).permutation(len(record["score"]))
        classes = np.zeros(len(order), np.uint16)
        offsets = stored[f"{size}/frame{number}/tracking"][order]
        boxes, scores, centres = (record[key][order] for key in ("bbox", "score", "ct"))
        result = Detections(boxes, scores, classes, centres=centres, offsets=offsets)
        tracks = tracker.update(result)
        real = (record["bbox"][:, 2:] > record["bbox"][:, :2]).all(1)
        assert tracks.ids.tolist() == stored[f"{size}/frame{number}/tracking_id"][real].tolist()
        np.testing.assert_array_equal(tracks.boxes, record["bbox"][real])


def test_a_large_motion_is_matched_only_with_offsets():
    frames = walkers([[(100, 100)], [(300, 100)]], [[0], [0]])
    assert ids(follow(make(), frames)) == [[1], [1]]
    frames[1].offsets[:] = 0
    assert ids(follow(make(), frames)) == [[1], [2]]


def test_detections_are_matched_in_the_order_of_their_scores():
    first = walkers([[(100, 100)]], [[0]])
    second = walkers([[(101, 100), (104, 100)]], [[1, 2]])[0]
    second.scores[:] = 0.6, 0.8
    assert ids(follow(make(), [*first, second])) == [[1], [1, 2]]
    second.scores[:] = 0.8, 0.6
    tracks = follow(make(), [*first, second])[1]
    assert tracks.ids.tolist() == [1, 2]
    assert tracks.boxes[0, 0] == 81


def test_detections_of_different_classes_are_not_matched():
    frames = walkers([[(100, 100)]] * 2, [[0]] * 2)
    frames[1].classes[:] = 2
    assert ids(follow(make(), frames)) == [[1], [2]]


@pytest.mark.parametrize(("age", "identity"), [(3, 1), (2, 2), (-1, 2)])
def test_a_lost_track_stays_in_place_until_its_maximum_age(age, identity):
    frames = walkers([[(100, 100)], [], [], [(105, 100)]], [[0], [], [], [0]])
    assert ids(follow(make(max_age=age), frames)) == [[1], [], [], [identity]]


def test_thresholds_of_scores_for_matches_and_new_tracks():
    frames = walkers([[(100, 100)]] * 3, [[0]] * 3)
    for frame, score in zip(frames, (0.45, 0.55, 0.45), strict=True):
        frame.scores[:] = score
    assert ids(follow(make(new_thresh=0.5), frames)) == [[], [1], [1]]
    assert ids(follow(make(track_thresh=0.5), frames)) == [[], [1], []]


def test_an_occluded_track_is_recovered():
    frames = walkers([[(240, 100), (220, 102)], [(240, 100)]], [[0, 1], [0]])
    hint = np.array([[232, 101, 0.9]], np.float32)
    frames[1] = dataclasses.replace(frames[1], occlusion_centres=hint)
    tracks = follow(make(), frames)
    assert ids(tracks) == [[1, 2], [1, 2]]
    shared = (tracks[1].boxes[1, 2] + tracks[1].boxes[0, 0]) / 2
    assert shared == pytest.approx(232)
    assert ids(follow(make(occlusion=False), frames))[1] == [1]


def test_new_tracks_need_a_public_detection_nearby():
    frames = walkers([[(100, 100), (300, 100)]] * 2, [[0, 1]] * 2)
    public = np.array([[285.0, 60, 325, 160]])
    video = SequenceInfo(30.0, 640, 480, lambda frame: public[: frame - 1])
    assert ids(follow(make(video, track_type="public_track"), frames)) == [[], [1]]
