"""What validation tells of a network that is not sure yet, and what the tracker's settings do."""

import numpy as np
import pytest
from figures import street
from untrained import unsure

from mottool.association.registry import FairMOTSettings, OTrackSettings
from mottool.checkpoints.cards import read_card
from mottool.errors import SettingError
from mottool.models.device import Compute
from mottool.sources.discovery import find_sequences
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.validation import FIGURES, HIGHEST, TRACKED, Validation

NAME, SIZE = "fairmot-yolov5s", (96, 64)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=3, size=SIZE)


@pytest.fixture(scope="module")
def low_score_network():
    """A network that sees people everywhere, but is not sure of any."""
    return unsure(NAME)


def validation(scene, tracking=None, tracker="fairmot"):
    sequences = find_sequences([scene])
    return Validation(NAME, sequences, SIZE, tracker, Compute.named("cpu"), tracking)


def test_tracker_settings_affect_only_tracking(scene, low_score_network):
    plain = validation(scene)(low_score_network)
    lower = validation(scene, FairMOTSettings(conf_thres=0.01))(low_score_network)
    assert plain["MOTA"] == plain["IDF1"] == 0.0
    assert lower[TRACKED] > 0 == plain[TRACKED]
    assert lower["MOTA"] < 0  # false alarms: the tracker has been at work
    assert 0.06 < plain[HIGHEST] < 0.6
    for name in (*FIGURES[2:4], HIGHEST):
        assert plain[name] == lower[name]


def test_a_video_without_people_is_scored_with_others(scene, low_score_network, tmp_path):
    empty = street(tmp_path / "empty", frames=2, size=SIZE)
    (empty / "gt/gt.txt").write_text("1,1,5,5,10,20,0,1,1\n")  # of a flag that does not count
    judge = validation(scene)
    alone = judge(low_score_network)
    judge.sequences = find_sequences([scene, empty])
    both = judge(low_score_network)
    assert both["TPR@FAR=0.1"] == alone["TPR@FAR=0.1"]
    assert both["AP@0.5"] <= alone["AP@0.5"]
    judge.sequences = find_sequences([empty])
    assert np.isnan(judge(low_score_network)["TPR@FAR=0.1"])


def test_a_remark_suggests_a_threshold_if_nothing_was_tracked(scene, low_score_network):
    judge = validation(scene)
    figures = judge(low_score_network)
    highest = figures[HIGHEST]
    message = judge.remark(figures)
    assert message.startswith("nothing was tracked: no score exceeds fairmot's conf_thres of 0.4")
    assert f"(the highest is {highest:.2f}); --tracker-set conf_thres={highest / 2:.1g} " in message
    threshold = float(np.float64(message.split("conf_thres=")[1].split()[0]))
    tuned = validation(scene, FairMOTSettings(conf_thres=threshold))
    assert tuned.remark(tuned(low_score_network)) == ""
    assert judge.remark({HIGHEST: 0.0, TRACKED: 0}) == "nothing scored above 0.05 yet"
    assert judge.remark({HIGHEST: 0.61, TRACKED: 1}) == judge.remark({}) == ""


def test_detections_omitted_by_the_tracker_are_reported(scene, low_score_network):
    judge = validation(scene, FairMOTSettings(conf_thres=0.01, min_box_area=1e6))
    figures = judge(low_score_network)
    assert figures[TRACKED] == figures["MOTA"] == 0
    assert "settings of fairmot, such as min_box_area, exclude all boxes" in judge.remark(figures)


def test_every_threshold_of_a_tracker_is_reported(scene):
    judge = validation(scene, OTrackSettings(track_thresh=0.02), "otrack")
    assert judge.floor == 0.02
    message = judge.remark({HIGHEST: 0.3, TRACKED: 0})
    assert "otrack's new_thresh of 0.3" in message
    assert "--tracker-set new_thresh=0.1" in message
    assert "track_thresh=" not in message


def trained(scene, out, warn=lambda message: None, **more):
    config = Config(epochs=1, batch=3, input=(64, 64), workers=0, device="cpu")
    return train.run(NAME, [scene], out, config, warn=warn, **more)


def test_the_remark_is_in_the_line_of_the_epoch_and_the_score_in_the_log(scene, tmp_path):
    messages = []
    weights = trained(scene, tmp_path, messages.append, validation=[scene])
    line = next(line for line in messages if line.startswith("epoch 1"))
    assert "; nothing was tracked" in line or "; nothing scored" in line
    assert (
        (tmp_path / "log.csv")
        .read_text()
        .splitlines()[0]
        .endswith(",TPR@FAR=0.1,highest score,tracked boxes")
    )
    assert HIGHEST not in read_card(weights).metrics


def test_settings_of_the_tracker_reach_validation_and_the_card(scene, tmp_path):
    weights = trained(scene, tmp_path, validation=[scene], tracking={"conf_thres": "0.01"})
    assert read_card(weights).origin.endswith(", validated with fairmot's conf_thres 0.01")
    with pytest.raises(
        SettingError, match="tracker fairmot has no setting 'conf_tres'.*conf_thres"
    ):
        trained(scene, tmp_path, validation=[scene], tracking={"conf_tres": "0.01"})
    with pytest.raises(SettingError, match="--tracker-set does not apply without --validate"):
        trained(scene, tmp_path, tracking={"conf_thres": "0.01"})
