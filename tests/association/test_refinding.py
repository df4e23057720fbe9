"""OUTrack's refinding of lost tracklets: Eq. 16 case by case, and Algorithm 1 step by step."""

import numpy as np
import pytest
from streams import walkers

from mottool.association.otrack import OTrackTracker
from mottool.association.outrack import OUTrackTracker
from mottool.association.refinding import gaussian_score, occluded_boxes, refind
from mottool.association.registry import OTrackSettings, OUTrackSettings
from mottool.association.tracks import SequenceInfo
from mottool.detections import Detections
from mottool.errors import SettingError

VIDEO = SequenceInfo(30.0, 640, 480)

# Eq. 16 with a = lost, b = detected, z = centre, and the low side by hand.
CASES = {
    # a1 ≤ b1, a2 ≤ b2: 2z - b1 - (a2 - a1). They share 50..80 if it is at 30..80: z = 65.
    "low side out": ((28, 78), (50, 150), 65, 2 * 65 - 50 - 50),  # 30
    # a1 > b1, a2 ≤ b2: z - (a2 - a1) / 2.
    "inside": ((70, 110), (50, 150), 92, 92 - 20),  # 72
    # a1 > b1, a2 > b2: 2z - b2. They share 120..150 if it is at 120..170: z = 135.
    "high side out": ((125, 175), (50, 150), 135, 2 * 135 - 150),  # 120
    # a1 ≤ b1, a2 > b2: a1, whatever the centre.
    "around": ((0, 200), (50, 150), 101, 0),
    # Equal sides: a1 ≤ b1 and a2 ≤ b2 hold with equality.
    "equal": ((50, 150), (50, 150), 90, 2 * 90 - 50 - 100),  # 30
    # a1 = b1, a2 > b2 is the last case.
    "around from one side": ((50, 170), (50, 150), 110, 50),
    # a1 > b1, a2 = b2 is the second.
    "inside to one side": ((90, 150), (50, 150), 115, 115 - 30),  # 85
}


@pytest.mark.parametrize("axis", [0, 1], ids=["x", "y"])
@pytest.mark.parametrize("case", CASES)
def test_equation_16_on_either_axis(case, axis):
    (a1, a2), (b1, b2), z, low = CASES[case]
    lost, detected, centre = np.zeros((1, 4)), np.zeros((1, 4)), np.zeros((1, 2))
    # The other axis is of the case "inside": z - (a2 - a1) / 2 = 34 - 10 = 24.
    other = 1 - axis
    lost[0, [axis, axis + 2, other, other + 2]] = a1, a2, 20, 40
    detected[0, [axis, axis + 2, other, other + 2]] = b1, b2, 0, 60
    centre[0, [axis, other]] = z, 34
    box = occluded_boxes(lost, detected, centre)[0]
    # Eq. 15: the far side is the low side and the size of the predicted box.
    expected = [low, low + a2 - a1, 24, 44]
    assert box[[axis, axis + 2, other, other + 2]].tolist() == expected


def test_the_released_codes_example_keeps_its_predicted_place():
    lost, detected = np.array([[0.0, 0, 200, 200]]), np.array([[50.0, 50, 150, 150]])
    for z in (100, 100.5):  # the released code: -50..150 and 51..251
        assert occluded_boxes(lost, detected, np.array([[z, z]])).tolist() == lost.tolist()


def test_the_gaussian_has_a_third_of_cornernets_radius():
    # Shared: 40..80 x 100..200, w = 40, h = 100. CornerNet's code: 4·0.7 r² + 2·0.7 (w + h) r
    # = 0.3 w h with its root divided by 2: r = (√(196² + 4·2.8·0.3·4000) - 196) / 2.
    r = (np.sqrt(196**2 + 4 * 2.8 * 0.3 * 4000) - 196) / 2
    lost, detected = np.array([20.0, 100, 80, 200]), np.array([40.0, 90, 100, 210])
    assert gaussian_score(lost, detected, np.array([60.0, 150])) == 1
    # At a distance of one standard deviation: e^-½.
    score = gaussian_score(lost, detected, np.array([60 + r / 3, 150]))
    assert score == pytest.approx(np.exp(-0.5), rel=1e-6)
    assert gaussian_score(lost, lost + 500, np.array([60.0, 150])) == 0


def test_refinding_equals_the_loop_over_all_boxes_and_centres():
    draw = np.random.default_rng(0)
    settings = OTrackSettings(occlusion_agreement=0.3)
    refound = 0
    for _ in range(300):
        corners = draw.integers(0, 20, (2, 12, 2)) * 5.0  # equal sides and equal scores occur
        lost, detected = np.concatenate((corners, corners + draw.integers(2, 9, (2, 12, 2)) * 5), 2)
        centres = np.column_stack((draw.integers(0, 60, (60, 2)) * 2.5, draw.random(60)))
        points = centres[centres[:, 2] >= settings.occlusion_thres, :2]
        expected = {}
        for row, box in enumerate(lost):
            best = settings.occlusion_agreement
            for other in detected:
                for point in points[((points > box[:2]) & (points < box[2:])).all(1)]:
                    if (score := gaussian_score(box, other, point)) > best:
                        best, expected[row] = score, occluded_boxes(box[None], other[None], point)
        found = refind(lost, detected, centres, settings)
        assert found.rows.tolist() == list(expected)
        if expected:
            np.testing.assert_array_equal(found.boxes, np.concatenate([*expected.values()]))
        refound += len(expected)
    assert refound > 50


def test_the_best_pair_of_box_and_centre_is_used_and_it_exceeds_the_threshold():
    settings = OUTrackSettings()
    lost = np.array([[100.0, 100, 140, 200]])
    detected = np.array([[60.0, 100, 120, 200], [110, 100, 150, 200]])
    # Shared with the first 100..120, middle 110 150; with the second 110..140, middle 125 150.
    centres = np.array([[112, 150, 0.9], [125, 150, 0.2], [125, 150, 0.05]])
    refound = refind(lost, detected, centres, settings)
    assert refound.rows.tolist() == [0]
    # The second box and centre agree fully: a1 ≤ b1 and a2 ≤ b2 in x, 2·125 - 110 - 40 = 100;
    # in y a1 = b1, a2 = b2: 2·150 - 100 - 100 = 100.
    assert refound.boxes.tolist() == [[100, 100, 140, 200]]
    # Without the second centre, the first one is 2 pixels off the middle of the first pair. In x
    # a1 > b1, a2 > b2: 2·112 - 120 = 104.
    refound = refind(lost, detected, centres[:1], settings)
    assert refound.boxes.tolist() == [[104, 100, 144, 200]]
    far = np.array([[130, 110, 0.9]])  # in both boxes, 40 pixels from the middle of what they share
    assert not len(refind(lost, detected, far, settings).rows)
    assert (
        len(
            refind(lost, detected, far, OUTrackSettings(form="paper", occlusion_agreement=0.0)).rows
        )
        == 1
    )
    ignored = np.array([[125, 150, 0.05]])  # scores below occlusion_thres
    assert not len(refind(lost, detected, ignored, settings).rows)
    # τ_o is exceeded, not reached: G is exactly 1 here.
    exact = np.array([[125, 150, 0.9]])
    assert not len(
        refind(lost, detected, exact, OUTrackSettings(form="paper", occlusion_agreement=1.0)).rows
    )


def test_a_centre_outside_the_predicted_box_counts_for_nothing():
    lost, detected = np.array([[100.0, 100, 104, 110]]), np.array([[100.0, 100, 104, 110]])
    settings = OUTrackSettings(form="paper", occlusion_agreement=0.0)
    assert len(refind(lost, detected, np.array([[103.9, 105, 1]]), settings).rows) == 1
    assert not len(refind(lost, detected, np.array([[104.1, 105, 1]]), settings).rows)


def outrack(frames, hints, **settings):
    """Tracks of OUTrack where `hints` are the occlusion centres of each frame."""
    for frame, points in zip(frames, hints, strict=True):
        given = np.array([[*point, 0.9] for point in points], np.float32).reshape(-1, 3)
        object.__setattr__(frame, "occlusion_centres", given)
    tracker = OUTrackTracker(OUTrackSettings(**({"form": "paper"} | settings)), VIDEO)
    return [tracker.update(frame) for frame in frames], tracker


def stands_behind(unseen, seen_again=0):
    """Two people stand at x = 240 and 215; the second is not detected for `unseen` frames."""
    both = [(240, 100), (215, 100)]
    places = [both] * 5 + [both[:1]] * unseen + [both] * seen_again
    looks = [[0, 1]] * 5 + [[0]] * unseen + [[0, 1]] * seen_again
    return walkers(places, looks)  # boxes are 40 x 100


# Boxes 220..260 and 195..235 share 220..235 x 50..150: the centre is 227.5 100.
MIDDLE = (227.5, 100)


def test_a_refound_tracklet_is_written_and_looked_for_however_long_it_is_lost():
    # 50 frames are more than track_buffer (30) and than τ_w: w stays 0 while it is refound.
    frames = stands_behind(50, 1)
    tracks, tracker = outrack(frames, [[]] * 5 + [[MIDDLE]] * 50 + [[]], lost_window=3)
    assert all(each.ids.tolist() == [1, 2] for each in tracks[5:55])
    np.testing.assert_allclose(tracks[54].boxes[1], [195, 50, 235, 150], atol=0.01)
    assert tracks[55].ids.tolist() == [1, 2]  # and then re-identified


@pytest.mark.parametrize("window", [1, 2, 5])
def test_w_counts_frames_without_a_centre_up_to_the_window(window):
    # Lost for `gap` frames without a centre: w = gap before the next. Refound if gap < τ_w.
    for gap in (window - 1, window):
        frames = stands_behind(gap + 1)
        tracks, _ = outrack(frames, [[]] * (5 + gap) + [[MIDDLE]], lost_window=window)
        assert len(tracks[-1]) == (2 if gap < window else 1)


def test_being_refound_keeps_w_and_does_not_reset_it():
    # Two frames without a centre (w = 2), two refound (w stays 2), one without (w = 3).
    hints = [[]] * 7 + [[MIDDLE]] * 2 + [[]] + [[MIDDLE]]
    for window, refound in ((4, 2), (3, 1)):
        tracks, _ = outrack(stands_behind(6), hints, lost_window=window)
        assert [len(each) for each in tracks[5:]] == [1, 1, 2, 2, 1, refound]


def test_without_a_window_a_lost_tracklet_is_looked_for_as_long_as_it_is_kept():
    for gap, count in ((29, 2), (32, 1)):
        tracks, _ = outrack(stands_behind(gap + 1), [[]] * (5 + gap) + [[MIDDLE]])
        assert len(tracks[-1]) == count


def test_the_refound_box_is_stored():
    # The centre walks 2 pixels a frame to the left: the box, found by it, walks 4.
    hints = [[(227.5 - 2 * n, 100)] for n in range(1, 4)]
    tracks, tracker = outrack(stands_behind(3), [[]] * 5 + hints)
    # First frame: predicted 195..235, z = 225.5, a1 ≤ b1, a2 ≤ b2: 2·225.5 - 220 - 40 = 191.
    np.testing.assert_allclose(tracks[5].boxes[1], [191, 50, 231, 150], atol=0.01)
    slot = tracker.life.lost[0]
    # The filter has moved towards it, and its velocity points that way.
    assert tracker.life.pool.boxes(tracker.life.lost)[0, 0] < 193
    assert tracker.life.pool.motion[1, 0, slot] < 0


def test_a_detection_that_has_no_track_yet_can_be_in_front():
    # The one in front appears in the frame in which the other is lost, so it is unconfirmed.
    frames = walkers([[(215, 100)]] * 5 + [[(240, 100)]], [[1]] * 5 + [[0]])
    tracks, _ = outrack(frames, [[]] * 5 + [[MIDDLE]])
    assert tracks[-1].ids.tolist() == [1]
    code, _ = outrack(
        walkers([[(215, 100)]] * 5 + [[(240, 100)]], [[1]] * 5 + [[0]]),
        [[]] * 5 + [[MIDDLE]],
        form="code",
    )
    assert len(code[-1]) == 0


# OTrack


def otrack_frames(places, points):
    """Frames with boxes 40 x 100 around each place, still offsets, and occlusion centres."""
    frames = []
    for now, hints in zip(places, points, strict=True):
        centres = np.array(now, np.float32).reshape(-1, 2)
        half = np.array([20, 50], np.float32)
        boxes = np.concatenate((centres - half, centres + half), 1)
        count = len(boxes)
        frames.append(
            Detections(
                boxes,
                np.full(count, 0.9, np.float32),
                np.zeros(count, np.uint16),
                occlusion_centres=np.array([[*p, 0.9] for p in hints], np.float32).reshape(-1, 3),
                centres=centres,
                offsets=np.zeros_like(centres),
            )
        )
    return frames


def otrack(places, points, **settings):
    tracker = OTrackTracker(OTrackSettings(**settings), VIDEO)
    return [tracker.update(frame) for frame in otrack_frames(places, points)]


def test_otracks_lost_boxes_move_by_a_kalman_filter():
    # One stands at 240; the other walks 5 pixels a frame from 140 to 215, then is missed twice.
    walk = [[(240, 100), (140 + 5 * n, 100)] for n in range(16)] + [[(240, 100)]] * 2
    # Missed at 220 and 225 they share 220..240 and 220..245: centres 230 and 232.5.
    points = [[]] * 16 + [[(230, 100)], [(232.5, 100)]]
    paper = otrack(walk, points)
    assert [each.ids.tolist() for each in paper[-2:]] == [[1, 2], [1, 2]]
    # 2·230 - 220 - 40 = 200 and 2·232.5 - 220 - 40 = 205: where it would have walked.
    np.testing.assert_allclose(paper[-2].boxes[1], [200, 50, 240, 150], atol=0.1)
    np.testing.assert_allclose(paper[-1].boxes[1], [205, 50, 245, 150], atol=0.1)
    code = otrack(walk, points, form="code")
    np.testing.assert_allclose(code[-2].boxes[1], [195, 50, 235, 150])  # where it was last seen


def test_otracks_lost_objects_are_matched_where_they_have_moved_to():
    # It walks 12 pixels a frame and is missed for 8 frames: 96 pixels, more than half its area's
    # root, √(40 · 100) = 63, by which CenterTrack matches.
    walk = [[(100 + 12 * n, 100)] for n in range(10)] + [[]] * 8 + [[(100 + 12 * 18, 100)]]
    points = [[]] * 19
    assert otrack(walk, points)[-1].ids.tolist() == [1]
    assert otrack(walk, points, form="code")[-1].ids.tolist() == [2]
    assert otrack(walk, points, occlusion=False)[-1].ids.tolist() == [2]  # CenterTrack


@pytest.mark.parametrize("window", [1, 3])
def test_otrack_looks_for_lost_objects_up_to_the_window(window):
    both = [(240, 100), (215, 100)]
    for gap in (window - 1, window):
        places = [both] * 3 + [both[:1]] * (gap + 1)
        tracks = otrack(places, [[]] * (3 + gap) + [[MIDDLE]], lost_window=window)
        assert len(tracks[-1]) == (2 if gap < window else 1)


def test_otrack_keeps_w_and_the_refound_box():
    both = [(240, 100), (215, 100)]
    tracks = otrack(
        [both] * 3 + [both[:1]] * 40, [[]] * 3 + [[MIDDLE]] * 40, lost_window=1, max_age=5
    )
    assert all(each.ids.tolist() == [1, 2] for each in tracks)
    np.testing.assert_allclose(tracks[-1].boxes[1], [195, 50, 235, 150], atol=1e-3)


@pytest.mark.parametrize(
    "given",
    [
        {"form": "code", "lost_window": 3},
        {"form": "code", "occlusion_agreement": 0.5},
        {"form": "paper", "lost_frame_range": 10.0},
    ],
)
@pytest.mark.parametrize("settings", [OUTrackSettings, OTrackSettings])
def test_a_setting_of_the_other_form_is_an_error(settings, given):
    with pytest.raises(SettingError, match="has no effect with form"):
        settings(**given)


def test_the_confidence_is_the_papers():
    # §4.4: "A higher detection confidence (0.5) is used in OUTrackfm".
    assert OUTrackSettings().conf_thres == 0.5
