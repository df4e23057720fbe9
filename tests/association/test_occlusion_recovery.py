"""OUTrack's recovery of lost tracklets as in the published code, and its public tracking."""

import numpy as np
import pytest
from streams import crowd, walkers

from mottool.association.occlusion_recovery import OcclusionRecovery, find_occluded
from mottool.association.outrack import OUTrackTracker
from mottool.association.registry import OUTrackSettings
from mottool.association.tracks import SequenceInfo
from mottool.motchallenge.public_detections import near_public

VIDEO = SequenceInfo(30.0, 640, 480)


def test_hidden_is_who_another_covers_by_a_fifth_and_not_at_the_border():
    boxes = np.array(
        [
            [100, 100, 140, 200],
            [131, 100, 171, 200],  # shares 9 of 40
            [164, 100, 204, 200],  # shares 7 of 40 with the one before
            [300, 100, 310, 120],  # wholly inside the next
            [290, 90, 400, 300],
            [-20, 100, 30, 200],  # at the border
            [-20, 100, 30, 200],
        ],
        np.float64,
    )
    assert find_occluded(boxes, 640, 480).tolist() == [0, 1, 3]


def behind(unseen, centre=(240, 100), score=0.9, **more):
    """One person walks behind another, who stands; the first is unseen for some frames."""
    walk = [(215 + n, 102) for n in range(10)]
    stands = (240, 100)
    places = [[stands, place] for place in walk] + [[stands]] * unseen
    frames = walkers(places, [[0, 1]] * 10 + [[0]] * unseen)
    hint = np.array([[*centre, score]], np.float32)
    for frame in frames[10:]:
        object.__setattr__(frame, "occlusion_centres", hint)
    tracker = OUTrackTracker(OUTrackSettings(form="code", **more), VIDEO)
    return [tracker.update(frame) for frame in frames][10:]


@pytest.mark.parametrize(
    ("window", "frames"), [(1, 2), (2, 3), (5, 6), (0.1, 4)], ids=["1", "2", "5", "0.1 s"]
)
def test_the_codes_window_counts_from_the_last_occlusion(window, frames):
    result = behind(9, centre=(232, 101), lost_frame_range=window)
    assert [len(tracks) for tracks in result] == [2] * frames + [1] * (9 - frames)


def test_any_centre_in_both_boxes_is_evidence_for_the_code():
    corner = (222, 55)  # shared by both boxes, far from the middle of what they share
    assert len(behind(1, centre=corner)[0]) == 2


@pytest.mark.parametrize(
    "more", [{"score": 0.05}, {"centre": (500, 400)}, {"occlusion": False}, {"unseen": 1}]
)
def test_without_a_centre_or_the_wish_nobody_is_found_again(more):
    if more == {"unseen": 1}:
        more = {"occlusion_thres": 0.95}
    assert len(behind(1, **more)[0]) == 1


def test_the_code_writes_the_predicted_box():
    near, far = (behind(2, centre=centre)[0] for centre in ((228, 103), (222, 60)))
    assert near.ids.tolist() == [1, 2]
    assert near.boxes.tolist() == far.boxes.tolist()


@pytest.mark.parametrize("form", [{"form": "paper"}, {"form": "code", "lost_frame_range": 5}])
def test_refinding_raises_recall_in_a_crowd_and_takes_no_identity_away(form):
    frames = list(crowd(40, 150, missed=0.2))
    counts = []
    for occlusion in (False, True):
        tracker = OUTrackTracker(
            OUTrackSettings(occlusion=occlusion, **form), SequenceInfo(30.0, 1920, 1080)
        )
        tracks = [tracker.update(frame) for frame in frames]
        assert all(len(set(each.ids.tolist())) == len(each) for each in tracks)
        counts.append(sum(map(len, tracks)))
    assert counts[1] > 1.005 * counts[0]


def test_boxes_may_be_clipped_to_the_frame_and_those_beyond_it_are_not_tracked():
    frames = walkers([[(10, 100), (300, 600)]], [[0, 1]])
    free, clipped = (
        OUTrackTracker(OUTrackSettings(form="paper", clip_box=clip), VIDEO)
        .update(frames[0])
        .boxes.tolist()
        for clip in (False, True)
    )
    assert free == [[-10, 50, 30, 150]]
    assert clipped == [[0, 50, 30, 150]]


def test_the_codes_form_lets_pass_what_lies_below_the_frame():
    frame = walkers([[(300, 560)]], [[0]])[0]
    assert len(OUTrackTracker(OUTrackSettings(form="paper"), VIDEO).update(frame)) == 0
    assert len(OUTrackTracker(OUTrackSettings(form="code"), VIDEO).update(frame)) == 1


def test_only_detections_near_public_ones_begin_tracks():
    frames = walkers([[(100, 100), (300, 100)]] * 3, [[0, 1]] * 3)
    public = {2: np.array([[285.0, 60, 325, 160]])}
    video = SequenceInfo(30.0, 640, 480, lambda frame: public.get(frame, np.zeros((0, 4))))
    tracker = OUTrackTracker(OUTrackSettings(track_type="public_track"), video)
    shown = [tracker.update(frame) for frame in frames]
    assert [each.ids.tolist() for each in shown] == [[], [], [1]]
    np.testing.assert_allclose(shown[2].boxes, [[280, 50, 320, 150]], atol=1e-6)


def test_each_public_box_admits_the_nearest_that_is_left():
    centres = np.array([[0.0, 0], [10, 0], [500, 0]])
    public = np.array([[8.0, -1, 10, 1], [9, -1, 11, 1], [900, 0, 901, 1]])
    assert near_public(centres, np.array([120.0, 120, 9]), public).tolist() == [1, 0]
    assert near_public(centres, np.array([90.0, 120, 9]), public).tolist() == [1]
    assert near_public(centres[:0], np.zeros(0), public).tolist() == []
    assert near_public(centres, np.ones(3), public[:0]).tolist() == []


def test_what_is_remembered_does_not_grow():
    refinder = OcclusionRecovery(OUTrackSettings(form="code", lost_frame_range=3), VIDEO, 30.0)
    pair = np.array([[100.0, 100, 140, 200], [110, 100, 150, 200]])
    none = np.zeros((0, 3), np.float32)
    for number in range(200):
        ids = np.array([2 * number, 2 * number + 1])
        refinder.recover(ids[:0], pair[:0], ids, pair, none, 1.0)
        assert len(refinder._hidden) <= 8
