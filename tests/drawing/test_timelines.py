import os
import subprocess
import sys

import matplotlib.image
import numpy as np

from mottool.drawing.style import colour_of, rgb_from_bgr
from mottool.drawing.timelines import draw_objects, draw_tracks
from mottool.metrics.box_outcomes import BoxOutcomes, IdentitySwitch, Outcome
from mottool.motchallenge.rows import Rows


def rows(frames, ids):
    frames, ids = np.array(frames), np.array(ids)
    return Rows(frames, ids, np.ones((len(frames), 4)), np.zeros((len(frames), 0)))


def share(path, colour):
    """Return the share of pixels that have a colour."""
    image = matplotlib.image.imread(path)[..., :3]
    return (np.abs(image - np.array(colour)).max(axis=2) < 0.02).mean()


def test_a_bar_is_as_long_as_its_run(tmp_path):
    frames = [*range(1, 41), *range(1, 11), *range(31, 41)]
    path = draw_tracks(rows(frames, [3] * 40 + [8] * 20), "title", tmp_path / "a.png")
    full, half = (share(path, rgb_from_bgr(colour_of(identity))) for identity in (3, 8))
    assert full > 0.05
    assert 0.45 < half / full < 0.55


def test_lanes_have_the_colours_of_matched_identities_and_ticks_at_switches(tmp_path):
    truth = rows(range(1, 41), [5] * 40)
    partners = np.array([3] * 20 + [-1] * 10 + [8] * 10)
    outcomes = np.where(partners < 0, Outcome.MISSED, Outcome.HIT)
    switch = IdentitySwitch(31, 20, 5, 3, 8)
    verdicts = BoxOutcomes(outcomes, np.zeros(0, int), partners, [switch])
    results = rows(range(1, 3), [3, 8])
    path = draw_objects(results, truth, verdicts, "title", tmp_path / "a.png")
    first, second = (share(path, rgb_from_bgr(colour_of(identity))) for identity in (3, 8))
    assert 1.8 < first / second < 2.3  # the number in the bar takes a little
    kept = verdicts._replace(switches=[])
    without = draw_objects(results, truth, kept, "title", tmp_path / "b.png")
    tick = (0x20 / 255,) * 3
    assert share(path, tick) > share(without, tick)
    unscored = verdicts._replace(truth=np.full(40, Outcome.UNJUDGED), switches=[])
    empty = draw_objects(results, truth, unscored, "title", tmp_path / "c.png")
    assert share(empty, rgb_from_bgr(colour_of(3))) == 0


def test_nothing_is_printed_without_a_folder_of_the_user():
    code = "import mottool.drawing.timelines, matplotlib; print(matplotlib.get_configdir())"
    environment = {name: value for name, value in os.environ.items() if "XDG" not in name}
    environment |= {"HOME": os.devnull}
    environment.pop("MPLCONFIGDIR", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert os.devnull not in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
