"""The jobs of a recipe: which caches are replaced, and by which pipeline."""

import errno
from functools import partial
from threading import Thread

import pytest
from rowed import rowed

import mottool.metrics.stored_scores
from mottool.errors import BusyError, CacheError, InputError
from mottool.metrics.ground_truth_files import find_ground_truth
from mottool.pipelines.choice import PipelineConfig
from mottool.recipes import jobs
from mottool.recipes.sequences import PlannedSequence
from mottool.records.record import record_of


@pytest.mark.parametrize(
    "error", [BusyError("busy", "wait"), CacheError("damaged", "delete it")], ids=["busy", "disk"]
)
def test_a_cache_in_use_or_in_a_lost_folder_is_not_replaced(tmp_path, monkeypatch, error):
    if not isinstance(error, BusyError):
        error.__cause__ = OSError(errno.ESTALE, "stale file handle")
    attempts = []

    def fail(source, out, pipeline, overwrite, warn):
        attempts.append(overwrite)
        raise error

    monkeypatch.setattr(jobs, "detect_embed", fail)
    monkeypatch.setattr(PlannedSequence, "open", lambda self: None)
    config = PipelineConfig(pipeline="public", embedder="none")
    with pytest.raises(type(error)):
        jobs.make_cache(PlannedSequence("a"), config, tmp_path / "a.h5", {})
    assert attempts == [False]


@pytest.fixture
def score(tmp_path):
    """A job that scores a copy of the ground truth."""
    folder = rowed(tmp_path / "a")
    (tmp_path / "a.txt").write_text((folder / "gt/gt.txt").read_text())
    truth = find_ground_truth([folder])["a"]
    out = tmp_path / "scores" / "a.json"
    return partial(jobs.make_score, tmp_path / "a.txt", truth, out, "auto", {"rules": "auto"})


def test_tracks_that_are_replaced_while_they_are_scored_are_an_error(tmp_path, monkeypatch, score):
    store = mottool.metrics.stored_scores.store_score

    def store_and_replace(tracks, *arguments):
        store(tracks, *arguments)
        tracks.write_text("1,1,10,10,10,10,1,-1,-1,-1\n")

    monkeypatch.setattr(mottool.metrics.stored_scores, "store_score", store_and_replace)
    with pytest.raises(InputError, match="changed while it was read"):
        score()
    assert not record_of(tmp_path / "scores" / "a.json").exists()


def test_a_result_that_another_process_makes_is_awaited(tmp_path, monkeypatch, score):
    store = mottool.metrics.stored_scores.store_score
    made, kept = [], []
    other = Thread(target=lambda: kept.append(score().kept))

    def store_slowly(*arguments):
        if not made:
            made.append(True)
            other.start()
            other.join(0.5)
            assert kept == []
        store(*arguments)

    monkeypatch.setattr(mottool.metrics.stored_scores, "store_score", store_slowly)
    assert not score().kept
    other.join()
    assert kept == [True]
