"""The number of frames per call: by measurement, within memory."""

import pytest
import torch

from mottool.errors import SettingError
from mottool.models.device import Compute
from mottool.pipelines.batch_size import fastest_batch, time_of_batches
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.options import AUTO_BATCH, Options
from mottool.settings import build_settings


def test_sizes_are_doubled_while_a_frame_becomes_faster():
    assert fastest_batch(lambda size: 1.0 + 0.1 * size) == 32
    assert fastest_batch(lambda size: 1.0 * size) == 1
    assert fastest_batch(lambda size: {1: 1.0, 2: 1.2, 4: 2.0, 8: 3.9}[size]) == 4


def test_the_last_size_that_fits_is_used():
    def seconds(size):
        if size > 4:
            raise torch.OutOfMemoryError("full")
        return 1.0

    assert fastest_batch(seconds) == 4


def test_a_batch_has_the_size_of_the_input_and_the_heads_before_are_kept():
    shapes = []

    class Network:
        def forward(self, images):
            shapes.append(tuple(images.shape))
            return {"heads": images}

    seconds = time_of_batches(Network(), 64, 32, Compute(torch.device("cpu")))
    assert seconds(2) > 0
    assert set(shapes) == {(2, 3, 32, 64)}
    assert len(shapes) > 1


def test_auto_is_one_frame_on_the_cpu():
    options = build_settings(Options, {"batch": "auto", "device": "cpu"}, "detect-embed")
    assert options.batch == AUTO_BATCH
    assert build_pipeline("mottool-s", options).batch == 1
    assert build_pipeline("public", options).batch == 1


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_other_numbers_are_refused(text):
    with pytest.raises(SettingError, match="batch cannot be"):
        build_settings(Options, {"batch": text}, "detect-embed")
