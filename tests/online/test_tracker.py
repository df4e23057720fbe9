"""Trackers as objects: their tracks are those of `track` on a cache of the same frames."""

import sys

import numpy as np
import pytest
import supervision
from caches import HEADER, write

import mottool
from mottool.association.camera_motion import frames_with_motion, required_motion
from mottool.association.registry import TRACKERS
from mottool.cache.camera_motion import CameraMotionHeader, CameraMotionWriter
from mottool.errors import SettingError

FRAMES, PEOPLE = 40, 8


def walk():
    """Yield the detections of people who cross, are sometimes missed, and once are not seen."""
    draw = np.random.default_rng(3)
    start, pace = draw.uniform(50, 500, (PEOPLE, 2)), draw.uniform(-4, 4, (PEOPLE, 2))
    looks = np.eye(PEOPLE, 16)
    for frame in range(FRAMES):
        seen = np.flatnonzero(draw.random(PEOPLE) < (0 if frame == 20 else 0.8))
        corner = (start + pace * frame + draw.normal(0, 1, (PEOPLE, 2)))[seen]
        boxes = np.hstack([corner, corner + [30, 80]]).astype(np.float32)
        embeddings = looks[seen] + draw.normal(0, 0.05, (len(seen), 16))
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        yield mottool.Detections(
            boxes,
            draw.uniform(0.3, 1, len(seen)).astype(np.float32),
            (seen % 2).astype(np.uint16),
            embeddings.astype(np.float32),
            np.hstack([draw.uniform(50, 500, (2, 2)), [[0.9], [0.7]]]).astype(np.float32),
            (boxes[:, :2] + boxes[:, 2:]) / 2,
            (-pace[seen]).astype(np.float32),
        )


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    path = write(tmp_path_factory.mktemp("c") / "seq.h5", [*walk()])
    header = CameraMotionHeader("seq", "", HEADER.source_hash, HEADER.width, HEADER.height)
    with CameraMotionWriter(path.parent / "camera-motion/seq.h5", header) as motion:
        motion.append([np.array([[1, 0.01, 3 * np.sin(n)], [-0.01, 1, 2]]) for n in range(FRAMES)])
        motion.finish()
    with mottool.open_cache(path) as opened:
        yield opened


@pytest.mark.parametrize("tracker", TRACKERS)
def test_tracks_equal_those_of_a_cache(cache, tracker):
    """The tracks of `Detections`, and of arrays with keyword arguments, are the same rows."""
    expected = mottool.track(cache, tracker).rows
    sequence = {"fps": HEADER.fps, "size": (HEADER.width, HEADER.height)}
    whole, arrays = (mottool.Tracker(tracker, **sequence) for _ in range(2))
    of_arrays, of_detections = [], []
    motion = required_motion(cache, tracker, whole.settings)
    for frame in frames_with_motion(cache, motion):
        of_detections.append(whole.update(frame))
        table = np.column_stack([frame.boxes, frame.scores, frame.classes])
        of_arrays.append(
            arrays.update(
                table,
                embeddings=frame.embeddings,
                offsets=frame.offsets,
                occlusion_centres=frame.occlusion_centres,
                camera_motion=frame.camera_motion,
            )
        )
    assert len(expected) > FRAMES // 2
    for tracks in (of_detections, of_arrays):
        rows = mottool.TrackTable.of_frames("seq", tracks).rows
        for name in ("frames", "ids", "tlwh", "rest"):
            np.testing.assert_array_equal(getattr(rows, name), getattr(expected, name))


def test_settings_fit_a_pipeline(cache):
    assert mottool.Tracker("jde").settings.track_buffer == 30
    fitted = mottool.Tracker(pipeline="mottool-s", track_buffer=7)
    assert (fitted.name, fitted.settings.second, fitted.settings.track_buffer) == (
        "outrack",
        0.8,
        7,
    )
    two_stage = mottool.Tracker("jde", pipeline="mottool-s+histogram").settings
    assert two_stage.second == 0.8
    assert two_stage.first_assoc == mottool.Tracker("jde").settings.first_assoc
    assert mottool.Tracker(pipeline=cache).name == "fairmot"


def test_supervision_is_returned_for_supervision():
    tracker = mottool.Tracker("sort", min_hits=1)
    boxes = np.array([[10, 10, 30, 60], [100, 10, 130, 60]], np.float32)
    detections = supervision.Detections(
        boxes, confidence=np.ones(2, np.float32), class_id=np.array([2, 0])
    )
    detections.data["class_name"] = np.array(["car", "person"])
    for _ in range(2):
        tracks = tracker.update(detections)
    assert isinstance(tracks, supervision.Detections)
    order = np.argsort(tracks.xyxy[:, 0])
    assert sorted(tracks.tracker_id.tolist()) == [1, 2]
    assert tracks.class_id[order].tolist() == [2, 0]
    assert tracks.data["class_name"][order].tolist() == ["car", "person"]
    assert len(tracker.update(supervision.Detections.empty())) == 0
    assert (
        mottool.to_supervision(mottool.Tracks(np.array([5]), boxes[:1], np.ones(1))).tracker_id == 5
    )


def test_classes_frames_and_videos():
    boxes = np.array([[10, 10, 30, 60, 0.9, 0], [100, 10, 130, 60, 0.9, 2]])
    tracker = mottool.Tracker("sort", min_hits=1, classes=(2,), max_age=5)
    assert tracker.update(boxes).boxes[:, 0].tolist() == [100]
    assert len(tracker.update([])) == 0
    assert tracker.update(boxes, elapsed=2).ids.tolist() == [1]
    tracker.reset()
    tracker.update(np.zeros((0, 5)))
    elsewhere = boxes + [200, 0, 200, 0, 0, 0]
    assert [tracker.update(elsewhere).ids.tolist() for _ in range(2)] == [[], [1]]


def test_public_boxes_limit_new_tracks():
    tracker = mottool.Tracker("outrack", track_type="public_track")
    boxes = np.array([[10, 10, 30, 60, 0.9], [300, 10, 330, 60, 0.9]])
    tracks = tracker.update(boxes, embeddings=np.eye(2), public=boxes[1:, :4])
    assert tracks.boxes[:, 0].round().tolist() == [300]
    with pytest.raises(SettingError, match="give public to update"):
        tracker.update(boxes, embeddings=np.eye(2))


BOX = np.array([[1, 2, 30, 40, 0.9]])


@pytest.mark.parametrize(
    ("tracker", "arguments", "message"),
    [
        ("botsort", {"detections": BOX}, "give camera_motion .* or set camera_motion=False"),
        (
            "botsort",
            {"detections": BOX, "camera_motion": np.eye(3)},
            "camera_motion is not an array",
        ),
        ("fairmot", {"detections": BOX}, "matches by embeddings.*give embeddings.*sort"),
        ("otrack", {"detections": BOX}, "give offsets to update"),
        ("sort", {"detections": BOX[:, :4]}, r"detections has the shape \(1, 4\).*\(N, 5\)"),
        ("sort", {"detections": BOX * 100}, "score outside of 0 to 1"),
        ("sort", {"detections": BOX * np.nan}, "detections holds NaN"),
        ("sort", {"detections": "boxes"}, "detections is not an array"),
        ("sort", {"detections": np.append(BOX, [[0.5]], 1)}, "class that is not a number"),
        ("jde", {"detections": BOX, "embeddings": np.eye(2)}, r"embeddings has the shape \(2, 2\)"),
        ("sort", {"detections": BOX, "elapsed": 0}, "elapsed cannot be 0"),
        ("sort", {"detections": next(walk()), "offsets": BOX}, "holds the other arguments"),
    ],
)
def test_mistakes_name_the_argument(tracker, arguments, message):
    with pytest.raises(SettingError, match=message) as caught:
        mottool.Tracker(tracker).update(**arguments)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tracker": "sorted"}, "did you mean 'sort'"),
        ({"tracker": "sort", "maxage": 3}, "did you mean 'max_age'"),
        ({"tracker": "sort", "fill_gaps": 3}, "fill_gaps needs the frames that follow"),
        ({"tracker": "sort", "fixed_rate": True}, "is a setting for caches"),
        ({"tracker": "sort", "fps": 0}, "fps cannot be 0"),
        ({"pipeline": "mottool-x"}, "did you mean 'mottool-s'"),
    ],
)
def test_wrong_settings_are_reported(arguments, message):
    with pytest.raises(SettingError, match=message):
        mottool.Tracker(**arguments)


def test_supervision_is_not_imported(monkeypatch):
    monkeypatch.delitem(sys.modules, "supervision")
    mottool.Tracker("sort").update(BOX)
    assert "supervision" not in sys.modules
