"""What a validation during training accepts: halves of videos, and datasets without videos."""

import csv

import datasets
import numpy as np
import pytest
from figures import street
from untrained import unsure

from mottool.checkpoints.cards import read_card
from mottool.data.formats import open_dataset
from mottool.errors import InputError, SettingError
from mottool.metrics.settings import RetrievalSettings
from mottool.models.device import Compute
from mottool.sources.discovery import find_sequences
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.validation import HIGHEST, TRACKED, Validation

NAME, SIZE = "fairmot-yolov5s", (96, 64)
EMBEDDING = ("TPR@FAR=0.1", "Rank1", "mAP")


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=6, size=SIZE)


@pytest.fixture(scope="module")
def untrained():
    """A network that sees people everywhere, with low scores."""
    return unsure(NAME)


def validation(sequences=(), held_out=(), retrieval=None):
    sequences = find_sequences(sequences) if sequences else []
    parts = SIZE, "fairmot", Compute.named("cpu")
    return Validation(NAME, sequences, *parts, datasets=held_out, retrieval=retrieval)


def trained(data, out, *validate, retrieval=None, **settings):
    config = Config(epochs=1, batch=3, input=(64, 64), workers=0, device="cpu", **settings)
    return train.run(NAME, [data], out, config, validation=validate, retrieval=retrieval)


def test_halves_score_together_as_the_whole(scene, untrained):
    whole = validation([scene])(untrained)
    first, second = (validation([f"{scene}@{half}"])(untrained) for half in ("first", "second"))
    both = validation([f"{scene}@first", f"{scene}@second"])(untrained)
    assert both["AP@0.5"] == pytest.approx(whole["AP@0.5"])
    assert first["AP@0.5"] != second["AP@0.5"]
    assert both[HIGHEST] == max(first[HIGHEST], second[HIGHEST])
    assert (first["MOTA"], second["MOTA"]) == (0, 0)  # nothing is tracked


def test_a_video_scores_alike_as_a_sequence_and_as_a_dataset(scene, untrained):
    retrieval = RetrievalSettings(gallery="pooled", ap_sum="trapezoid")
    for half in ("", "@second"):
        tracked = validation([f"{scene}{half}"], (), retrieval)(untrained)
        dataset = open_dataset(f"{scene}{half}", print)
        images = validation((), [dataset], retrieval)(untrained)
        for name in ("AP@0.5", *EMBEDDING, HIGHEST):
            assert images[name] == pytest.approx(tracked[name]), name
        assert not {"MOTA", "IDF1", TRACKED} & images.keys()
        assert validation((), [dataset]).remark(images) == ""


def test_retrieval_is_computed_on_request_only(scene, untrained):
    assert not {"Rank1", "mAP"} & validation([scene])(untrained).keys()
    own = validation([scene, f"{scene}@first"], (), RetrievalSettings())(untrained)
    assert 0 <= own["mAP"] <= 1


def test_a_training_selects_its_best_epoch_by_ap_on_still_images(scene, tmp_path):
    listed = datasets.train_list(tmp_path / "jde", ["0 5 0.5 0.5 0.25 0.5", "0 6 0.2 0.5 0.2 0.4"])
    weights = trained(scene, tmp_path / "out", listed)
    (row,) = csv.DictReader((tmp_path / "out/log.csv").read_text().splitlines())
    assert {"AP@0.5", "TPR@FAR=0.1"} <= row.keys()
    assert not {"MOTA", "IDF1", "mAP"} & row.keys()
    best = weights.with_suffix(".best.safetensors")
    assert "the best by AP@0.5" in read_card(best).origin
    # Resuming a finished training validates nothing again.
    before = best.stat().st_mtime_ns
    trained(scene, tmp_path / "out", listed)
    (again,) = csv.DictReader((tmp_path / "out/log.csv").read_text().splitlines())
    assert again == row
    assert best.stat().st_mtime_ns >= before


def test_a_training_validates_on_the_other_half_with_a_protocol(scene, tmp_path):
    retrieval = RetrievalSettings(gallery="pooled")
    weights = trained(
        f"{scene}@first", tmp_path / "out", f"{scene}@second", retrieval=retrieval, best="mAP"
    )
    (row,) = csv.DictReader((tmp_path / "out/log.csv").read_text().splitlines())
    assert {"MOTA", "IDF1", "AP@0.5", "TPR@FAR=0.1", "Rank1", "mAP"} <= row.keys()
    assert np.isfinite(float(row["mAP"]))
    assert "the best by mAP" in read_card(weights.with_suffix(".best.safetensors")).origin


@pytest.mark.parametrize(
    ("validate", "settings", "message"),
    [
        ("images", {"best": "IDF1"}, "--best IDF1 needs videos, but no MOTChallenge sequence"),
        ("videos", {"best": "mAP"}, "--best mAP needs a protocol"),
        ("nothing", {"retrieval": RetrievalSettings()}, "--gallery does not apply without"),
    ],
)
def test_metrics_that_are_not_computed_are_refused(scene, tmp_path, validate, settings, message):
    images = datasets.train_list(tmp_path / "jde")
    sources = {"images": [images], "videos": [scene], "nothing": []}[validate]
    with pytest.raises(SettingError, match=message):
        trained(scene, tmp_path / "out", *sources, **settings)


def test_tracker_settings_need_videos(scene, tmp_path):
    config = Config(epochs=1, input=(64, 64), workers=0, device="cpu")
    images = [datasets.train_list(tmp_path / "jde")]
    tracking = {"conf_thres": "0.1"}
    with pytest.raises(SettingError, match="--tracker-set does not apply without videos"):
        train.run(NAME, [scene], tmp_path / "out", config, validation=images, tracking=tracking)


def test_wrong_splits_and_crops_without_identities_are_refused(scene, tmp_path):
    with pytest.raises(SettingError, match="there is no split 'secnd'"):
        trained(scene, tmp_path / "out", f"{scene}@secnd")
    with pytest.raises(InputError, match="has no TUD-Campus, .* which the split validate6"):
        trained(scene, tmp_path / "out", f"{scene}@validate6")
    crops = open_dataset(datasets.crops(tmp_path / "crops", ["-1_c1s1_000451_03"]), print)
    with pytest.raises(InputError, match="consists of crops, on which"):
        validation((), [crops])
