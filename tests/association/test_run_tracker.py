"""A whole cache through a tracker: what it sees, how time passes, what it has to do without."""

import dataclasses

import numpy as np
import pytest
from caches import COST, HEADER
from streams import walkers

from mottool.association.registry import TRACKERS, OUTrackSettings, SortSettings
from mottool.association.run_tracker import run_tracker
from mottool.association.sequence_settings import InputSettings
from mottool.cache.reader import Cache
from mottool.cache.writer import CacheWriter
from mottool.errors import CacheError, InputError, SettingError

STEPS = range(0, 60, 4)
PAIR = walkers([[(50 + x, 100), (350 - x, 300)] for x in STEPS], [[0, 1] for _ in STEPS])


def kept(tmp_path, frames, times=None, name="a"):
    """A cache of these frames, a thirtieth of a second apart by default."""
    header = dataclasses.replace(HEADER, sequence=name, fps=30.0)
    with CacheWriter(tmp_path / f"{name}.h5", header) as cache:
        for number, frame in enumerate(frames):
            cache.append(frame, number / 30 if times is None else times[number], COST)
        return cache.finish()


def linked(path, tracker="fairmot", settings=None, **more):
    with Cache(path) as cache:
        return run_tracker(cache, tracker, settings or TRACKERS[tracker].settings(), **more)


def test_only_the_classes_and_scores_that_were_asked_for_are_seen(tmp_path):
    for frame in PAIR:
        frame.classes[:] = 0, 2
        frame.scores[:] = 0.9, 0.7
    path = kept(tmp_path, PAIR)
    both = linked(path)
    assert len(both) == 2 * len(STEPS)
    for seen in (InputSettings(classes=(2,)), InputSettings(classes=(2, 5))):
        rows = linked(path, inputs=seen)
        assert set(rows.ids) == {1}
        np.testing.assert_array_equal(rows.tlwh, both.tlwh[both.ids == 2])
    assert len(linked(path, inputs=InputSettings(classes=(7,)))) == 0
    assert len(linked(path, inputs=InputSettings(min_score=0.8))) == len(STEPS)
    assert len(linked(path, "sort", inputs=InputSettings(min_score=0.95))) == 0


def walk(times):
    """One person at 120 pixels a second, seen at these times; None: a frame without him."""
    places = [[] if gone else [(100 + 120 * t, 100)] for t, gone in times]
    return walkers(places, [[0] * len(place) for place in places])


@pytest.mark.parametrize("tracker", ["fairmot", "sort", "bytetrack", "deepsort", "outrack"])
def test_motion_is_scaled_by_the_time_that_passed(tmp_path, tracker):
    """He walks on while half a second of frames is missing from the file."""
    times = [n / 30 for n in range(20)] + [n / 30 for n in range(35, 50)]
    path = kept(tmp_path, walk([(t, False) for t in times]), times)
    timed = linked(path, tracker)
    assert set(timed.ids) == {1}
    again = timed.tlwh[timed.frames == 22]
    assert again[0, 0] + 20 == pytest.approx(100 + 120 * times[21], abs=1.0)
    fixed = linked(path, tracker, inputs=InputSettings(fixed_rate=True))
    after = fixed.frames == 22
    lost = not after.any() or set(fixed.ids) != {1}
    assert lost or abs(fixed.tlwh[after][0, 0] - again[0, 0]) > 1


@pytest.mark.parametrize("tracker", ["fairmot", "sort", "bytetrack", "deepsort"])
def test_even_streams_are_linked_alike_with_and_without_their_times(tmp_path, tracker):
    path = kept(tmp_path, PAIR)
    timed, fixed = (
        linked(path, tracker, inputs=InputSettings(fixed_rate=rate)) for rate in (False, True)
    )
    np.testing.assert_array_equal(timed.ids, fixed.ids)
    np.testing.assert_array_equal(timed.tlwh, fixed.tlwh)


@pytest.mark.parametrize(("gap", "known"), [(0.9, True), (1.3, False)])
def test_the_buffer_is_in_seconds_where_frames_do_not_come_evenly(tmp_path, gap, known):
    """He stands; after `gap` seconds with a few late frames he is back."""
    seen = [n / 30 for n in range(10)]
    late = [seen[-1] + gap * part for part in (0.3, 0.6, 0.9, 0.97)]
    back = [seen[-1] + gap + n / 30 for n in range(1, 12)]
    places = [[(100, 100)]] * 10 + [[]] * 4 + [[(100, 100)]] * 11
    frames = walkers(places, [[0] * len(place) for place in places])
    path = kept(tmp_path, frames, seen + late + back)
    assert (set(linked(path).ids) == {1}) == known
    assert set(linked(path, inputs=InputSettings(fixed_rate=True)).ids) == {1}


@pytest.mark.parametrize("tracker", ["fairmot", "jde", "outrack", "bytetrack"])
@pytest.mark.parametrize(("pause", "known"), [(0.9, True), (1.2, False), (60.0, False)])
def test_identity_is_kept_after_a_pause_within_the_buffer(tmp_path, tracker, pause, known):
    """He stands; the file lacks every frame of the pause."""
    seen = [n / 30 for n in range(10)]
    times = seen + [seen[-1] + pause + n / 30 for n in range(10)]
    path = kept(tmp_path, walkers([[(100, 100)]] * 20, [[0]] * 20), times)
    assert (set(linked(path, tracker).ids) == {1}) == known
    assert set(linked(path, tracker, inputs=InputSettings(fixed_rate=True)).ids) == {1}


def test_missing_fields_are_errors_with_a_fix(tmp_path):
    bare = [dataclasses.replace(frame, embeddings=None) for frame in PAIR]
    path = kept(tmp_path, bare)
    for tracker in ("fairmot", "jde", "cstrack", "outrack", "tdt", "deepsort"):
        with pytest.raises(CacheError, match=f"no embeddings, which {tracker} matches by.*sort"):
            linked(path, tracker)
    plain = [dataclasses.replace(frame, centres=None, offsets=None) for frame in PAIR]
    with pytest.raises(CacheError, match="no offsets, which otrack.*--pipeline otrack"):
        linked(kept(tmp_path, plain, name="b"), "otrack")
    assert len(linked(path, "bytetrack")) == 2 * len(STEPS)


def test_a_cache_without_detections_lacks_nothing(tmp_path):
    path = kept(tmp_path, walkers([[]] * 3, [[]] * 3))
    assert all(len(linked(path, tracker)) == 0 for tracker in TRACKERS)


def test_outrack_warns_without_occlusion_centres(tmp_path):
    messages = []
    path = kept(tmp_path, PAIR)
    assert len(linked(path, "outrack", warn=messages.append)) == 2 * len(STEPS)
    assert messages == [
        "there are no occlusion centres: outrack recovers no lost tracklets by them"
    ]
    linked(path, "outrack", OUTrackSettings(occlusion=False), warn=messages.append)
    linked(path, "sort", SortSettings(), warn=messages.append)
    assert len(messages) == 1


def test_public_detections_are_found_by_file_by_folder_and_by_dataset(tmp_path):
    path = kept(tmp_path, PAIR, name="TUD")
    rows = "".join(f"{n},-1,330,250,40,100,0.9\n" for n in range(1, 4))
    folder, dataset = tmp_path / "public", tmp_path / "data"
    for file in (folder / "TUD.txt", dataset / "TUD" / "det" / "det.txt"):
        file.parent.mkdir(parents=True)
        file.write_text(rows)
    ini = "[Sequence]\nname=TUD\nimDir=img1\nframeRate=30\nseqLength=15\nimWidth=640\nimHeight=480"
    (dataset / "TUD" / "seqinfo.ini").write_text(ini)
    settings = OUTrackSettings(track_type="public_track")
    for public in (folder, folder / "TUD.txt", dataset):
        result = linked(path, "outrack", settings, public=public)
        assert set(result.ids) == {1}
        assert result.tlwh[0, 0] == pytest.approx(330)
    (dataset / "TUD" / "det" / "det.txt").unlink()
    with pytest.raises(InputError, match=r"no public detections of TUD.*TUD\.txt"):
        linked(path, "outrack", settings, public=dataset)
    with pytest.raises(SettingError, match="give them with --public"):
        linked(path, "outrack", settings)
