"""What is done to finished tracks, and in which order."""

import subprocess
import sys

import numpy as np
import pytest

from mottool.association.postprocess import (
    interpolate_gaps,
    postprocess,
    remove_short_tracks,
    smooth_gaussian,
    smooth_rts,
)
from mottool.association.sequence_settings import PostprocessSettings
from mottool.errors import SettingError
from mottool.motchallenge.rows import Rows


@pytest.fixture
def scene():
    frames = np.array([1, 2, 6, 7, 8, 3, 9])
    ids = np.array([1, 1, 1, 1, 1, 2, 2])
    tlwh = np.random.default_rng(0).uniform(50, 90, (7, 4))
    return Rows(frames, ids, tlwh, np.ones((7, 1)))


def test_by_default_nothing_is_done(scene):
    assert postprocess(scene, PostprocessSettings()) is scene


def test_short_tracks_go_before_gaps_are_filled_and_boxes_are_smoothed(scene):
    done = postprocess(scene, PostprocessSettings(min_track_length=3, fill_gaps=5, smooth="rts"))
    wanted = smooth_rts(interpolate_gaps(remove_short_tracks(scene, 3), 5))
    assert done.frames.tolist() == list(range(1, 9))
    np.testing.assert_array_equal(done.tlwh, wanted.tlwh)


def test_tau_reaches_the_gaussian_process(scene):
    done = postprocess(scene, PostprocessSettings(smooth="gaussian", smooth_tau=3))
    np.testing.assert_array_equal(done.tlwh, smooth_gaussian(scene, 3).tlwh)


@pytest.mark.parametrize(
    "wrong", [{"min_track_length": 0}, {"fill_gaps": -1}, {"smooth": "yes"}, {"smooth_tau": 99}]
)
def test_what_means_nothing_is_refused(wrong):
    with pytest.raises(SettingError):
        PostprocessSettings(**wrong)


def test_the_settings_are_read_without_numpy():
    code = "import sys, mottool.association.sequence_settings; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
