"""What sets single trackers apart: JDE's two forms, ByteTrack's rounds, OC-SORT's observations."""

from dataclasses import replace

import numpy as np
import pytest
from streams import crowd, walkers

from mottool.association.bytetrack import ByteTrackTracker
from mottool.association.deepsort import DeepSortTracker
from mottool.association.jde import JDETracker
from mottool.association.ocsort import OCSortTracker
from mottool.association.registry import (
    TRACKERS,
    ByteTrackSettings,
    DeepSortSettings,
    JDESettings,
    OCSortSettings,
    SortSettings,
)
from mottool.association.sort import SortTracker
from mottool.association.tracks import SequenceInfo

VIDEO = SequenceInfo(30.0, 1920, 1080)


def ids(tracker, frames):
    return [sorted(tracker.update(frame).ids.tolist()) for frame in frames]


def standing(*places, look=0):
    """Frames with one person at x, or with none where x is None."""
    centres = [[] if x is None else [(x, 100)] for x in places]
    return walkers(centres, [[look] * len(centre) for centre in centres])


def scored(frames, *scores):
    for frame, score in zip(frames, scores, strict=True):
        frame.scores[:] = score
    return frames


def test_jdes_paper_ends_a_tracklet_after_thirty_frames_at_any_rate():
    """§3.6: "A tracklet is terminated if it is not updated in the most current 30 frames"."""
    paper, slow = JDESettings(form="paper"), SequenceInfo(10.0)
    for unseen, identity in ((29, 1), (30, 2), (31, 2), (32, 2), (33, 2)):
        frames = standing(100, 100, *[None] * unseen, 100, 100)
        assert ids(JDETracker(paper, slow), frames)[-1] == [identity]
    frames = standing(100, 100, *[None] * 20, 100, 100)
    assert ids(JDETracker(JDESettings(), slow), frames)[-1] == [2]


def test_jdes_paper_ends_a_tracklet_after_thirty_skipped_frames():
    """As above, if the frames without the person are not in the cache."""
    for unseen, identity in ((29, 1), (30, 2)):
        tracker = JDETracker(JDESettings(form="paper"), VIDEO)
        before, after = standing(100, 100), standing(100, 100)
        ids(tracker, before)
        tracker.update(after[0], elapsed=unseen + 1)
        assert tracker.update(after[1]).ids.tolist() == [identity]


def test_jde_tracks_detections_above_a_half_as_its_authors_do():
    assert JDESettings().conf_thres == 0.5
    frames = scored(standing(100, 100, 100), 0.51, 0.51, 0.5)
    assert ids(JDETracker(JDESettings(), VIDEO), frames) == [[], [1], []]


def test_jdes_paper_begins_a_tracklet_with_two_frames_in_a_row():
    paper = JDESettings(form="paper")
    assert ids(JDETracker(paper, VIDEO), standing(100, 100, 100)) == [[], [1], [1]]
    assert ids(JDETracker(paper, VIDEO), standing(100, None, 100, 100)) == [[], [], [], [2]]


def test_jdes_paper_has_no_round_by_overlap():
    """Who suddenly looks another way is the same to the code, and not to the paper."""
    frames = standing(*[100] * 5) + standing(100, look=1)
    assert ids(JDETracker(JDESettings(), VIDEO), frames)[-1] == [1]
    assert ids(JDETracker(JDESettings(form="paper"), VIDEO), frames)[-1] == []


@pytest.mark.parametrize("appearance", [1.0, 0.0])
def test_jdes_paper_weighs_looks_against_motion(appearance):
    """Two who swap their looks: by looks alone they swap identities, by motion alone they don't."""
    places = [(100, 100), (118, 100)]
    frames = walkers([places] * 8, [[0, 1]] * 5 + [[1, 0]] * 3)
    settings = JDESettings(form="paper", appearance=appearance, first_assoc=9.0)
    tracker = JDETracker(settings, VIDEO)
    tracks = [tracker.update(frame) for frame in frames]
    before, after = (t.ids[np.argsort(t.boxes[:, 0])].tolist() for t in (tracks[4], tracks[5]))
    assert after == (before[::-1] if appearance else before)


def test_both_of_jdes_forms_hold_a_crowd():
    frames = list(crowd(60, 40))
    for form in ("code", "paper"):
        tracker = JDETracker(JDESettings(form=form), VIDEO)
        shown = [len(tracker.update(frame)) for frame in frames]
        assert np.mean(shown[10:]) > 30


def test_deepsort_suppresses_who_a_surer_one_covers():
    frames = walkers([[(100, 100), (104, 100), (300, 100)]] * 4, [[0, 1, 2]] * 4)
    for frame in frames:
        frame.scores[:] = 0.8, 0.9, 0.7
    assert len(ids(DeepSortTracker(DeepSortSettings(), VIDEO), frames)[-1]) == 3
    tracker = DeepSortTracker(DeepSortSettings(nms_max_overlap=0.8), VIDEO)
    last = [tracker.update(frame) for frame in frames][-1]
    assert sorted(last.boxes[:, 0].round().tolist()) == [84, 280]


def test_deepsort_matches_any_of_the_latest_looks_in_its_gallery():
    frames = standing(100, 100, 100) + standing(100, look=1) + standing(100)
    back = [*standing(None, None), *standing(104, 104, look=0)]
    assert ids(DeepSortTracker(DeepSortSettings(), VIDEO), frames + back)[-1] == [1]
    forgetful = DeepSortSettings(nn_budget=1)
    other = [*standing(None, None), *standing(104, 104, look=1)]
    assert ids(DeepSortTracker(DeepSortSettings(), VIDEO), frames + other)[-1] == [1]
    assert ids(DeepSortTracker(forgetful, VIDEO), frames + other)[-1] != [1]


def test_deepsort_looks_at_what_is_tall_and_sure_enough():
    frames = standing(*[100] * 3)
    assert ids(DeepSortTracker(DeepSortSettings(min_detection_height=101), VIDEO), frames)[-1] == []
    assert ids(DeepSortTracker(DeepSortSettings(min_confidence=0.95), VIDEO), frames)[-1] == []
    assert ids(DeepSortTracker(DeepSortSettings(min_detection_height=100), VIDEO), frames)[-1] == [
        1
    ]


def test_bytetrack_keeps_a_track_by_doubtful_detections_but_begins_none():
    doubtful = scored(standing(*[100] * 5), 0.9, 0.9, 0.3, 0.3, 0.3)
    assert ids(ByteTrackTracker(ByteTrackSettings(), VIDEO), doubtful) == [[1]] * 5
    alone = scored(standing(*[100] * 3), 0.3, 0.3, 0.3)
    assert ids(ByteTrackTracker(ByteTrackSettings(), VIDEO), alone) == [[]] * 3
    noise = scored(standing(*[100] * 3), 0.9, 0.05, 0.05)
    assert ids(ByteTrackTracker(ByteTrackSettings(), VIDEO), noise) == [[1], [], []]


def test_bytetrack_begins_a_track_where_it_is_surer_still():
    frames = scored(standing(100, 100), 0.65, 0.65)
    assert ids(ByteTrackTracker(ByteTrackSettings(), VIDEO), frames) == [[], []]
    assert ids(ByteTrackTracker(ByteTrackSettings(det_thresh=0.6), VIDEO), frames) == [[1], [1]]


def test_bytetrack_weighs_overlap_by_the_score_but_not_on_mot20():
    frames = scored(standing(100, 100, None, 112), 0.9, 0.9, 0.9, 0.61)
    settings = {"match_thresh": 0.6}  # IoU 0.5 is enough, 0.5 times 0.61 is not
    assert ids(ByteTrackTracker(ByteTrackSettings(**settings), VIDEO), frames)[-1] == []
    assert ids(ByteTrackTracker(ByteTrackSettings(mot20=True, **settings), VIDEO), frames)[-1] == [
        1
    ]


def test_bytetrack_gives_who_is_found_again_his_new_score():
    frames = scored(standing(100, 100, None, 100), 0.9, 0.9, 0.9, 0.8)
    tracker = ByteTrackTracker(ByteTrackSettings(), VIDEO)
    last = [tracker.update(frame) for frame in frames][-1]
    np.testing.assert_allclose(last.scores, [0.8])


@pytest.mark.parametrize("name", ["botsort", "botsort-reid", "strongsort", "deepocsort"])
def test_identities_survive_a_shaking_camera_only_with_compensation(name):
    """The camera jumps by almost the width of the people, who look alike."""
    shifts = np.array([0, 35] * 15)
    frames = walkers([[(100 + x, 100), (150 + x, 100)] for x in shifts], [[0, 0]] * len(shifts))
    warps = [np.array([[1.0, 0, step], [0, 1, 0]]) for step in np.diff(shifts, prepend=0)]
    frames = [replace(frame, camera_motion=warp) for frame, warp in zip(frames, warps, strict=True)]
    orders = []  # distinct orders of the identities from left to right
    for compensates in (True, False):
        entry = TRACKERS[name]
        tracker = entry.load()(entry.settings(camera_motion=compensates), VIDEO)
        tracks = [tracker.update(frame) for frame in frames]
        orders.append({tuple(t.ids[t.boxes[:, 0].argsort()].tolist()) for t in tracks if len(t)})
    assert orders[0] in ({(1, 2)}, {(2, 1)})
    assert orders[1] not in ({(1, 2)}, {(2, 1)})


def test_ocsort_makes_up_for_a_gap_by_a_straight_trajectory():
    """As if every frame had been seen, with the last box twice, as in the published code (ORU)."""
    path = [100 + 8 * n for n in range(16)]
    with_gap, complete = (OCSortTracker(OCSortSettings(), VIDEO) for _ in range(2))
    assert ids(with_gap, standing(*path[:10], *[None] * 5, path[15]))[9:] == [[1], *[[]] * 5, []]
    ids(complete, standing(*path))
    last = complete.pool.filter.measurements(standing(path[15])[0].boxes)
    complete.pool.correct(complete.life.slots, last)
    motions = [tracker.pool.motion[:, :, tracker.life.slots] for tracker in (with_gap, complete)]
    np.testing.assert_allclose(*motions, rtol=1e-6, atol=1e-6)


def test_ocsort_prefers_the_detection_in_the_direction_of_the_track():
    """Two detections overlap the prediction alike; the one ahead is chosen."""
    frames = standing(*[100 + 6 * n for n in range(8)])
    (fork,) = walkers([[(148 - 14, 100), (148 + 14, 100)]], [[0, 1]])
    for inertia in (0.2, 1.0):
        tracker = OCSortTracker(OCSortSettings(inertia=inertia), VIDEO)
        ids(tracker, frames)
        tracks = tracker.update(fork)
        assert dict(zip(tracks.ids.tolist(), tracks.boxes[:, 0], strict=True))[1] == 142


def test_ocsort_recovers_a_track_where_it_was_last_seen():
    """Stopped while hidden: the prediction ran ahead, the latest observation did not (OCR)."""
    moved = [100 + 12 * n for n in range(8)]
    frames = standing(*moved, *[None] * 5, *[moved[-1]] * 4)
    assert ids(OCSortTracker(OCSortSettings(), VIDEO), frames)[-1] == [1]
    assert ids(SortTracker(SortSettings(max_age=30), VIDEO), frames)[-1] != [1]


def test_ocsort_forgets_tracks_that_expired_in_skipped_frames():
    for elapsed, identities in ((31, [1]), (32, [])):
        tracker = OCSortTracker(OCSortSettings(), VIDEO)
        ids(tracker, standing(*[100] * 6))
        assert tracker.update(standing(100)[0], elapsed).ids.tolist() == identities
