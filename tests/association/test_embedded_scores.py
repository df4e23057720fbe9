"""Trackers and caches in which low-score boxes have no embeddings."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from caches import HEADER, write
from streams import walkers

import mottool
from mottool.association.registry import TRACKERS
from mottool.association.run_tracker import run_tracker
from mottool.association.sequence_settings import InputSettings
from mottool.association.tracks import SequenceInfo
from mottool.cache.reader import Cache
from mottool.errors import CacheError, SettingError
from mottool.settings import build_settings

EMBEDDING = [name for name, entry in TRACKERS.items() if "embeddings" in entry.needs]


def scored_frames():
    """Make detections whose scores spread over [0, 1], some of them equal to thresholds."""
    draw = np.random.default_rng(0)
    thresholds = np.array([0.1, 0.3, 0.4, 0.5, 0.6], np.float32)
    frames = []
    places = [[(100 + 90 * i + 2 * k, 200 + 3 * k) for i in range(8)] for k in range(25)]
    for detections in walkers(places, [list(range(8))] * 25):
        scores = draw.random(len(detections), np.float32)
        some = draw.random(len(scores)) < 0.3
        scores[some] = draw.choice(thresholds, some.sum())
        frames.append(replace(detections, scores=scores))
    return frames


def settings_of(name, **given):
    off = {"camera_motion": "false"} if "camera_motion" in TRACKERS[name].needs_if else {}
    return build_settings(TRACKERS[name].settings, given | off, name)


@pytest.mark.parametrize("name", EMBEDDING)
def test_no_tracker_reads_embeddings_below_its_lowest_score(name):
    entry, settings = TRACKERS[name], settings_of(name)
    lowest = settings.lowest_embedded
    trackers = [entry.load()(settings, SequenceInfo(30.0, 1920, 1080)) for _ in range(2)]
    shown = 0
    for detections in scored_frames():
        poisoned = detections.embeddings.copy()
        poisoned[detections.scores < np.float32(lowest)] = np.nan
        given = detections, replace(detections, embeddings=poisoned)
        one, other = (t.update(d) for t, d in zip(trackers, given, strict=True))
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.boxes, other.boxes)
        shown += len(one)
    assert shown > 5


def test_trackers_without_embeddings_have_no_lowest_score():
    others = [name for name in TRACKERS if name not in EMBEDDING]
    assert not any(hasattr(TRACKERS[name].settings, "lowest_embedded") for name in others)


def test_trackers_without_embeddings_do_not_read_them(tmp_path):
    path = write(tmp_path / "seq.h5", scored_frames())
    with h5py.File(path) as file:
        offset = file["embeddings"].id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[offset] ^= 1  # which HDF5 refuses to read
    path.write_bytes(content)
    for name in TRACKERS.keys() - {"otrack"}:
        with Cache(path) as cache:
            if name in EMBEDDING:
                with pytest.raises(CacheError, match="damaged"):
                    run_tracker(cache, name, settings_of(name))
            else:
                assert len(run_tracker(cache, name, settings_of(name)))


def test_cache_without_the_embeddings_that_a_tracker_reads_is_refused(tmp_path):
    header = replace(HEADER, settings={"embed_min_score": 0.5})
    path = write(tmp_path / "seq.h5", scored_frames(), header)
    with Cache(path) as cache:
        with pytest.raises(CacheError, match="only boxes that score at least 0.5") as refused:
            run_tracker(cache, "fairmot", settings_of("fairmot"))
        assert "--min-score 0.5, or run detect-embed with --embed-min-score 0.4" in str(refused)
        run_tracker(cache, "fairmot", settings_of("fairmot", conf_thres="0.5"))
        run_tracker(cache, "fairmot", settings_of("fairmot"), inputs=InputSettings(min_score=0.5))
        run_tracker(cache, "bytetrack", settings_of("bytetrack"))
        with pytest.raises(SettingError, match="matches those above 0.4"):
            mottool.Tracker("fairmot", pipeline=cache)
        mottool.Tracker("fairmot", pipeline=cache, conf_thres=0.6)
