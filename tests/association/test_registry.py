import dataclasses
import subprocess
import sys

import pytest
from caches import HEADER, write
from streams import walkers

from mottool.association.registry import (
    TRACKERS,
    FairMOTSettings,
    SortSettings,
    TDTSettings,
    drop_comments,
    profile_settings,
    settings_by_tracker,
)
from mottool.association.tracks import SequenceInfo
from mottool.detections import Detections
from mottool.errors import SettingError
from mottool.settings import build_settings

# As the reference lists publish them.
PUBLISHED = {
    "fairmot": {
        "conf_thres": "0.4",
        "track_buffer": "30",
        "first_assoc": "cosine embedding + fuse_motion(lambda 0.98), thresh 0.4",
        "second": "IoU 0.5",
        "unconfirmed": "IoU 0.7",
        "min_box_area": "100",
        "max_w_over_h": "1.6",
        "frame_rate": "per sequence",
        "score_filter": "score > conf_thres (strict)",
    },
    "jde": {
        "conf_thres": "0.5",
        "track_buffer": "30",
        "first_assoc": "EUCLIDEAN embedding distance (cdist default) + fuse_motion 0.98, "
        "thresh 0.7",
        "second": "IoU 0.5",
        "unconfirmed": "IoU 0.7",
        "min_box_area": "200",
        "max_w_over_h": "1.6",
        "frame_rate": "per sequence",
    },
    "cstrack": {
        "conf_thres": "0.5",
        "track_buffer": "30",
        "first_assoc": "cosine + fuse_motion 0.98, thresh 0.4",
        "second": "IoU 0.5",
        "unconfirmed": "IoU 0.7",
        "min_box_area": "100",
        "max_w_over_h": "0.6",
        "note": "no activation on frame 1; w/h>0.6 rows dropped",
        "frame_rate": "per sequence",
    },
    "botsort": {
        "track_high_thresh": "0.6",
        "track_low_thresh": "0.1",
        "track_buffer": "30",
        "match_thresh": "0.8",
        "min_box_area": "10",
        "max_w_over_h": "1.6",
        "frame_rate": "30",
    },
    "botsort-reid": {"proximity_thresh": "0.5", "appearance_thresh": "0.25"},
    "strongsort": {
        "min_confidence": "0.6",
        "nms_max_overlap": "1.0",
        "min_detection_height": "0",
        "max_cosine_distance": "0.45",
        "max_iou_distance": "0.7",
        "max_age": "30",
        "n_init": "3",
        "ema_alpha": "0.9",
        "mc_lambda": "0.98",
    },
    "deepsort": {
        "min_confidence": "0.6",
        "nms_max_overlap": "1.0",
        "min_detection_height": "0",
        "max_cosine_distance": "0.2",
        "nn_budget": "100",
        "max_iou_distance": "0.7",
        "max_age": "30",
        "n_init": "3",
    },
    "bytetrack": {
        "track_thresh": "0.6",
        "track_buffer": "30",
        "match_thresh": "0.9",
        "mot20": "false",
        "det_thresh": "0.7",
        "low_thresh": "0.1",
        "second": "IoU 0.5",
        "unconfirmed": "IoU*score 0.7",
        "frame_rate": "30 always (evaluator default)",
        "min_box_area": "100",
        "max_w_over_h": "1.6",
    },
    "deepocsort": {
        "track_thresh": "0.6",
        "max_age": "30",
        "min_hits": "3",
        "iou_threshold": "0.3",
        "delta_t": "3",
        "inertia": "0.2",
        "min_box_area": "10",
        "max_w_over_h": "1.6",
        "w_assoc_emb": "0.75",
        "aw_param": "0.5",
        "alpha_fixed_emb": "0.95",
    },
    "ocsort": {
        "track_thresh": "0.6",
        "max_age": "30",
        "min_hits": "3",
        "iou_threshold": "0.3",
        "delta_t": "3",
        "inertia": "0.2",
        "use_byte": "False",
        "low_thresh": "0.1",
        "min_box_area": "100",
        "max_w_over_h": "1.6",
    },
    "outrack": {
        "conf_thres": "0.6",
        "reid_thres": "0.4",
        "reid_feat_type": "momentum",
        "gmm": "False",
        "occlusion": "True",
        "occlusion_offset": "true",
        "occlusion_thres": "0.1",
        "lost_frame_range": "1",
        "track_buffer": "30",
        "track_type": "private_track",
        "clip_box": "false",
        "min_box_area": "100",
        "max_w_over_h": "1.6",
        "second": "IoU 0.5",
        "unconfirmed": "IoU 0.7",
        "note": "max_time_lost stays 30 frames",
    },
    "sort": {
        "max_age": "1",
        "min_hits": "3",
        "iou_threshold": "0.3",
        "score_filter": "none",
        "filterpy": "2.0.0",
    },
}


@pytest.mark.parametrize("tracker", PUBLISHED)
def test_published_settings_are_the_defaults_as_they_stand(tracker):
    kind = TRACKERS[tracker].settings
    published = build_settings(kind, drop_comments(PUBLISHED[tracker], kind), tracker)
    if tracker == "bytetrack":  # follows track_thresh unless it is given
        assert kind().creation_threshold == published.det_thresh
        published = dataclasses.replace(published, det_thresh=None)
    if tracker == "jde":  # the recorded runs of its code had 0.6; its default is 0.5
        published = dataclasses.replace(published, conf_thres=0.5)
    if tracker == "outrack":  # its code has 0.6 or 0.4; §4.4 of the paper has 0.5
        published = dataclasses.replace(published, conf_thres=0.5)
    assert published == kind()


def test_fairmots_profile_has_the_thresholds_of_its_release_of_may_2020():
    """From ifzhang/FairMOT at ddc9200, src/lib/opts.py and src/lib/tracker/multitracker.py."""
    early = build_settings(FairMOTSettings, profile_settings("fairmot", "2020-05"), "fairmot")
    assert (early.conf_thres, early.first_assoc, early.min_box_area) == (0.6, 0.7, 200.0)
    # The other thresholds are those of the release of September 2020.
    assert early == FairMOTSettings(conf_thres=0.6, first_assoc=0.7, min_box_area=200.0)


def test_tdts_thresholds_are_those_of_its_supplement():
    """Supplement A: 0.5 for MOT16 and MOT17, 0.3 for MOT20; §3.5: 0.5 for the IoU."""
    assert (TDTSettings().conf_thres, TDTSettings().second) == (0.5, 0.5)
    crowded = build_settings(TDTSettings, profile_settings("tdt", "mot20"), "tdt")
    assert crowded == TDTSettings(conf_thres=0.3)


@pytest.mark.parametrize(
    ("tracker", "fix"), [("sort", "leave --profile out"), ("fairmot", "choose 2020-05 or mot20")]
)
def test_a_profile_that_a_tracker_lacks_is_refused(tracker, fix):
    with pytest.raises(SettingError, match=f"{tracker} has no profile '2019'") as error:
        profile_settings(tracker, "2019")
    assert error.value.fix.startswith(fix)


def test_a_profile_names_the_trackers_that_have_it():
    with pytest.raises(SettingError, match="or --tracker fairmot"):
        profile_settings("sort", "2020-05")


@pytest.mark.parametrize(
    ("tracker", "profile"),
    [(name, profile) for name, entry in TRACKERS.items() for profile in entry.profiles],
)
def test_a_profile_differs_from_the_defaults_in_every_setting_it_names(tracker, profile):
    kind = TRACKERS[tracker].settings
    texts = profile_settings(tracker, profile)
    settings = build_settings(kind, texts, tracker)
    assert all(getattr(settings, name) != getattr(kind(), name) for name in texts)


def test_a_remark_that_says_something_else_is_refused():
    given = drop_comments({"score_filter": "0.3"}, FairMOTSettings)
    with pytest.raises(SettingError, match="no setting 'score_filter'"):
        build_settings(FairMOTSettings, given, "fairmot")


@pytest.mark.parametrize(
    ("kind", "key", "text", "value"),
    [
        (FairMOTSettings, "second", "IoU 0.8", 0.8),
        (FairMOTSettings, "second", "0.8", 0.8),
        (FairMOTSettings, "first_assoc", "cosine + fuse_motion 0.98, thresh 0.3", 0.3),
        (FairMOTSettings, "frame_rate", "25", 25.0),
        (SortSettings, "score_filter", "0.5", 0.5),
    ],
)
def test_values_are_read_from_numbers_and_from_words(kind, key, text, value):
    assert getattr(build_settings(kind, {key: text}, "it"), key) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [("first_assoc", "EUCLIDEAN, thresh 0.4"), ("second", "IoU"), ("second", "1.5")],
)
def test_values_of_another_tracker_or_out_of_range_are_refused(key, text):
    with pytest.raises(SettingError, match=key):
        build_settings(FairMOTSettings, {key: text}, "fairmot")


def test_every_tracker_has_its_settings_and_can_be_made():
    for entry in TRACKERS.values():
        tracker = entry.load()(entry.settings(), SequenceInfo(30.0))
        assert callable(tracker.update)
        fields = {field.name for field in dataclasses.fields(Detections)}
        assert {*entry.needs, *entry.uses, *entry.needs_if} <= fields
        assert set(entry.needs_if.values()) <= set(entry.settings.__dataclass_fields__)


def test_every_setting_has_a_help_that_is_a_sentence():
    for kind in settings_by_tracker().values():
        for field in dataclasses.fields(kind):
            assert field.metadata["help"].endswith(".")


def test_settings_are_read_without_numpy():
    code = "import sys, mottool.association.registry; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", TRACKERS)
def test_a_score_above_one_is_no_threshold(name):
    """A slip like conf_thres=60 would otherwise give an empty result without a word."""
    scores = {"conf_thres", "track_thresh", "new_thresh", "det_thresh", "low_thresh"}
    scores |= {"track_high_thresh", "track_low_thresh", "new_track_thresh"}
    scores |= {"min_confidence", "score_filter", "occlusion_thres"}
    expected = scores & set(TRACKERS[name].settings.__dataclass_fields__)
    assert expected
    for key in expected:
        with pytest.raises(SettingError, match=f"{key} cannot be 60"):
            build_settings(TRACKERS[name].settings, {key: "60"}, name)


TOY = """
import sys
from dataclasses import dataclass
import numpy as np
from mottool.association import registry
from mottool.association.tracks import Tracks
from mottool.settings import Settings, setting

@dataclass(frozen=True)
class ToySettings(Settings):
    toy_limit: int = setting(2, "The number of boxes that toy tracks.", low=1)

class ToyTracker:
    def __init__(self, settings, sequence):
        self.limit = settings.toy_limit

    def update(self, detections, elapsed=1.0):
        rows = slice(0, self.limit)
        boxes = detections.boxes[rows].astype(float)
        return Tracks(np.arange(1, len(boxes) + 1), boxes, detections.scores[rows].astype(float))

registry.TRACKERS["toy"] = registry.TrackerEntry("__main__:ToyTracker", ToySettings)
from mottool.cli.main import cli
cli(sys.argv[1:])
"""


def test_a_tracker_is_added_by_one_entry(tmp_path):
    """The entry adds the tracker's flags and choices, and a cache can be tracked by it."""
    script = tmp_path / "toy.py"
    script.write_text(TOY)
    frames = walkers([[(100, 100), (300, 100)]] * 3, [[0, 1]] * 3)
    cache = write(tmp_path / "a.h5", frames, HEADER)

    def mottool(*words):
        command = [sys.executable, str(script), *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert "--toy-limit" in mottool("associate", "--help")
    for stage in ("tune", "compare"):
        assert "toy" in mottool(stage, "--help")
    words = ["--tracker", "toy", "--toy-limit", 1, "--out", tmp_path / "out", "--jobs", 1]
    assert "3 rows, 1 identities" in mottool("associate", cache, *words)
