"""Trackers: rows equal to those of the authors' code, and their behaviour in small made scenes."""

import dataclasses
import pickle

import numpy as np
import pytest
from streams import crowd, moving, reference, walkers, wanted

from mottool.association.registry import TRACKERS as ENTRIES
from mottool.association.tracks import SequenceInfo
from mottool.errors import CacheError

SEQUENCES = ("PETS09-S2L1", "TUD-Stadtmitte")
TRACKERS = tuple(ENTRIES)
AT_ONCE = (
    "fairmot",
    "outrack",
    "otrack",
    "tdt",
    "sort",
    "bytetrack",
    "botsort",
    "botsort-reid",
    "ocsort",
    "deepocsort",
)  # show the first frame
CASCADES = ("fairmot", "jde", "cstrack", "outrack", "tdt")
# The settings of each reference that are not the tracker's own.
REFERENCES = {
    "fairmot": ("fairmot", {"conf_thres": 0.6}),
    "jde": ("jde", {"conf_thres": 0.6}),
    "cstrack": ("cstrack", {"conf_thres": 0.6}),
    "outrack": ("outrack", {"reid_thres": 0.5, "form": "code", "conf_thres": 0.6}),
    "outrack_noocc": ("outrack", {"reid_thres": 0.5, "occlusion": False, "conf_thres": 0.6}),
    "sort": ("sort", {}),
    "deepsort": ("deepsort", {}),
    "bytetrack": ("bytetrack", {}),
    "botsort_moving": ("botsort", {}),
    "botsort_reid_moving": ("botsort-reid", {}),
    "strongsort_moving": ("strongsort", {}),
    "ocsort": ("ocsort", {}),
    "ocsort_byte": ("ocsort", {"use_byte": True}),
    "ocsort_giou": ("ocsort", {"use_byte": True, "asso": "giou"}),
    "ocsort_diou": ("ocsort", {"use_byte": True, "asso": "diou"}),
    "ocsort_ciou": ("ocsort", {"use_byte": True, "asso": "ciou"}),
    "ocsort_ct_dist": ("ocsort", {"use_byte": True, "asso": "ct_dist"}),
    "deepocsort_moving": ("deepocsort", {}),
}
EMPTY = walkers([[]], [[]])[0]


def make(name, fps=30.0, video=None, **settings):
    entry = ENTRIES[name]
    return entry.load()(entry.settings(**settings), video or SequenceInfo(fps, 1920, 1080))


def follow(tracker, frames):
    return [tracker.update(detections) for detections in frames]


def table(tracks):
    """Columns frame, identity, left, top, width, height, score."""
    rows = [
        np.column_stack((np.full(len(t), n), t.ids, t.boxes[:, :2], np.ptp(corners, 1), t.scores))
        for n, t in enumerate(tracks, 1)
        for corners in [t.boxes.reshape(-1, 2, 2)]
    ]
    return np.concatenate(rows)


def identities(tracks):
    """The identities of each frame, from left to right."""
    return [t.ids[np.argsort(t.boxes[:, 0])].tolist() for t in tracks]


def standing(*places, look=0):
    """Frames with one person at x, or with none where x is None."""
    centres = [[] if x is None else [(x, 100)] for x in places]
    return walkers(centres, [[look] * len(centre) for centre in centres])


def of(name, frames, video):
    tracker, settings = REFERENCES[name]
    return table(follow(make(tracker, video=video, **settings), frames))


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("name", REFERENCES)
def test_rows_equal_those_of_the_authors(name, sequence):
    stream = reference(sequence)
    frames = moving(stream.frames) if name.endswith("_moving") else stream.frames
    rows, theirs = of(name, frames, stream.video), wanted(sequence, name)
    assert rows.shape == theirs.shape
    np.testing.assert_array_equal(rows[:, :2], theirs[:, :2])
    np.testing.assert_allclose(rows[:, 2:], theirs[:, 2:], rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", REFERENCES)
def test_identities_do_not_change_with_boxes_by_a_ten_thousandth_of_a_pixel(name):
    stream = reference("TUD-Stadtmitte")
    draw = np.random.default_rng(1)
    shaken = [
        dataclasses.replace(
            frame, boxes=frame.boxes + draw.uniform(-1e-4, 1e-4, frame.boxes.shape).astype("f4")
        )
        for frame in stream.frames
    ]
    rows, still = (of(name, frames, stream.video) for frames in (shaken, stream.frames))
    np.testing.assert_array_equal(rows[:, :2], still[:, :2])


@pytest.mark.parametrize("name", TRACKERS)
def test_the_order_of_detections_changes_only_the_numbers_of_identities(name):
    draw = np.random.default_rng(3)
    frames = list(crowd(60, 30))
    shuffled = [frame.take(draw.permutation(len(frame))) for frame in frames]
    names = {}
    for one, other in zip(follow(make(name), frames), follow(make(name), shuffled), strict=True):
        first, second = np.lexsort(one.boxes.T), np.lexsort(other.boxes.T)
        np.testing.assert_allclose(one.boxes[first], other.boxes[second], atol=1e-6)
        for mine, theirs in zip(one.ids[first], other.ids[second], strict=True):
            assert names.setdefault(mine, theirs) == theirs
    assert len(set(names.values())) == len(names) >= 30


@pytest.mark.parametrize("name", TRACKERS)
def test_crossing_people_keep_their_identities(name):
    steps = range(0, 300, 6)
    frames = walkers([[(50 + x, 100), (350 - x, 103)] for x in steps], [[0, 1] for _ in steps])
    tracks = follow(make(name), frames)
    both = [result for result in identities(tracks) if len(result) == 2]
    (left, right), shown = both[0], both[-10:]
    assert len(both) > 35
    assert all(result == [right, left] for result in shown)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_person_who_returns_is_matched_by_all_trackers_but_sort(name):
    places = [100 + 2 * n for n in range(10)] + [None] * 12 + [144 + 2 * n for n in range(6)]
    result = identities(follow(make(name), standing(*places)))
    assert result[-1] == ([2] if name == "sort" else [1])


@pytest.mark.parametrize(("look", "identity"), [(0, 1), (1, 2)])
@pytest.mark.parametrize("name", [*CASCADES, "deepsort"])
def test_a_person_who_returns_is_matched_by_embedding(name, look, identity):
    frames = standing(100, 100, 100, None, None) + standing(115, 115, 115, look=look)
    assert identities(follow(make(name), frames))[-1] == [identity]


@pytest.mark.parametrize(("fps", "buffer", "max_lost"), [(30, 5, 5), (15, 10, 5), (7, 30, 7)])
def test_a_lost_tracklet_is_kept_for_its_buffer_and_one_frame(fps, buffer, max_lost):
    """Found again in the frame after it was given up it lives on, but is lost for good then."""
    for unseen in range(max_lost - 1, max_lost + 4):
        frames = standing(100, 100, *[None] * unseen, 100, 100, None, 100, 100)
        result = identities(follow(make("fairmot", fps, track_buffer=buffer), frames))
        back, again = result[2 + unseen + 1], result[-1]
        assert back == ([1] if unseen <= max_lost + 1 else [2])
        assert again == ([2] if unseen == max_lost + 1 else back)


def test_the_frame_rate_of_the_settings_overrides_the_sequences():
    frames = standing(100, 100, *[None] * 20, 100, 100)
    assert identities(follow(make("fairmot", 7), frames))[-1] == [2]
    assert identities(follow(make("fairmot", 7, frame_rate=30.0), frames))[-1] == [1]


def test_fairmot_outputs_a_track_from_its_second_detection_and_in_the_first_frame():
    result = identities(follow(make("fairmot"), standing(100, 100)))
    assert result == [[1], [1]]
    result = identities(follow(make("fairmot"), standing(None, 100, 100, None, None)))
    assert result == [[], [], [1], [], []]
    alone = identities(follow(make("fairmot"), standing(None, 100, None, 100, 100)))
    assert alone == [[], [], [], [], [2]]


def test_sort_outputs_a_track_after_three_hits_and_in_the_first_three_frames():
    result = identities(follow(make("sort"), standing(100, 100, 100, None, 100, 100, 100, 100)))
    assert result == [[1], [1], [1], [], [], [], [1], [1]]
    result = identities(follow(make("sort", min_hits=1), standing(*[100] * 3, None, 100, 100)))
    assert result == [[1], [1], [1], [], [1], [1]]


@pytest.mark.parametrize("name", TRACKERS)
def test_empty_and_one_frame_sequences_are_tracked(name):
    assert [len(t) for t in follow(make(name), [EMPTY] * 5)] == [0] * 5
    tracks = follow(make(name), standing(100))
    assert identities(tracks) == [[1] if name in AT_ONCE else []]
    np.testing.assert_allclose(tracks[0].boxes, np.tile([80, 50, 120, 150], (len(tracks[0]), 1)))


@pytest.mark.parametrize(("name", "needed"), [("jde", 2), ("cstrack", 2), ("deepsort", 3)])
def test_some_trackers_output_a_track_from_a_later_detection_only(name, needed):
    result = identities(follow(make(name), standing(*[100] * 4)))
    assert result == [[]] * (needed - 1) + [[1]] * (5 - needed)


@pytest.mark.parametrize("name", TRACKERS)
def test_empty_frames_before_between_and_after(name):
    frames = standing(None, None, 100, 100, 100, None, 100, 100, 100, 100, None, None)
    tracks = follow(make(name), frames)
    assert {one for result in identities(tracks) for one in result} == {1}
    assert len(tracks[-1]) == 0


@pytest.mark.parametrize("name", TRACKERS)
def test_frames_without_detections_need_no_optional_data(name):
    nothing = dataclasses.replace(EMPTY, embeddings=None, centres=None, offsets=None)
    result = identities(follow(make(name), [nothing, *standing(*[100] * 4), nothing]))
    assert result[-2] == [1]
    assert result[0] == []


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("fairmot", "--embedder histogram, or use --tracker sort"),
        ("deepsort", "--embedder histogram, or use --tracker sort"),
        ("strongsort", "--embedder histogram, or use --tracker sort"),
        ("botsort-reid", "--embedder histogram, or use --tracker sort"),
        ("otrack", "--pipeline otrack, or use another --tracker"),
    ],
)
def test_missing_data_is_an_error_with_a_fix(name, fix):
    frame = dataclasses.replace(standing(100)[0], embeddings=None, centres=None, offsets=None)
    with pytest.raises(CacheError, match=fix):
        make(name).update(frame)


@pytest.mark.parametrize("name", TRACKERS)
def test_boxes_without_area_are_not_tracked(name):
    odd = walkers([[(100, 100), (300, 100), (500, 100)]], [[0, 1, 2]])[0]
    odd.boxes[1, 2], odd.boxes[2, 3] = odd.boxes[1, 0], odd.boxes[2, 1] - 5
    assert len(follow(make(name), [odd] * 3)[-1]) == 1


def test_only_scores_above_the_threshold_are_tracked():
    frames = standing(100, 100)
    assert identities(follow(make("fairmot", conf_thres=0.9), frames)) == [[], []]
    assert identities(follow(make("fairmot", conf_thres=0.89), frames)) == [[1], [1]]
    assert identities(follow(make("sort", score_filter=0.95), frames)) == [[], []]
    assert identities(follow(make("sort", score_filter=0.5), frames)) == [[1], [1]]


def test_wide_and_small_tracks_are_not_output_but_keep_their_identities():
    frame = walkers([[(100, 100), (400, 100)]], [[0, 1]])[0]
    frame.boxes[0] = [50, 50, 150, 100]
    assert make("fairmot").update(frame).ids.tolist() == [2]
    assert make("fairmot", max_w_over_h=2.0).update(frame).ids.tolist() == [1, 2]
    assert make("fairmot", max_w_over_h=2.0, min_box_area=4000).update(frame).ids.tolist() == [1]
    assert make("fairmot", max_w_over_h=2.0, min_box_area=3999).update(frame).ids.tolist() == [1, 2]


def test_a_track_that_is_found_again_keeps_its_old_score():
    frames = standing(100, 100, None, 100, 100)
    frames[3].scores[:], frames[4].scores[:] = 0.8, 0.7
    scores = [t.scores.tolist() for t in follow(make("fairmot"), frames)]
    np.testing.assert_allclose(scores[3] + scores[4], [0.9, 0.7], rtol=1e-6)


def test_the_longer_of_two_overlapping_tracklets_is_kept():
    """Who looks different but stands where one was just lost is not taken for another."""
    frames = standing(*[100] * 10) + standing(*[101] * 3, look=1)
    result = identities(follow(make("fairmot", second=0.0), frames))
    assert result[9] == [1]
    assert result[10:] == [[], [], []]


@pytest.mark.parametrize("name", TRACKERS)
def test_detections_are_not_modified_and_sequences_are_independent(name):
    frames = list(crowd(10, 20))
    copies = [frame.take(np.arange(len(frame))) for frame in frames]
    first, second = follow(make(name), frames), follow(make(name), frames)
    for frame, copy in zip(frames, copies, strict=True):
        for field in ("boxes", "embeddings", "centres", "offsets"):
            np.testing.assert_array_equal(getattr(frame, field), getattr(copy, field))
    np.testing.assert_array_equal(table(first), table(second))
    assert 1 <= table(first)[:, 1].min() <= 3


@pytest.mark.parametrize("name", TRACKERS)
def test_memory_is_proportional_to_concurrent_tracks(name):
    """Each wave is of other people, so identities grow with the video and nothing else does."""
    buffers = [key for key in ("track_buffer", "max_age") if hasattr(ENTRIES[name].settings(), key)]
    tracker = make(name, **dict.fromkeys(buffers, 5))
    sizes, names = [], set()
    for wave in range(12):
        for frame in crowd(20, 25, seed=wave):
            names.update(tracker.update(frame).ids.tolist())
        sizes.append(len(pickle.dumps(tracker)))
    assert len(names) > 12 * 20
    assert max(sizes[6:]) <= 1.2 * max(sizes[2:6])
