"""The jobs of a recipe: which caches are replaced, and by which pipeline."""

import errno

import pytest

from mottool.errors import BusyError, CacheError
from mottool.pipelines.choice import PipelineConfig
from mottool.recipes import jobs
from mottool.recipes.sequences import PlannedSequence


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


def test_a_process_loads_weights_that_changed_again(monkeypatch):
    loaded = []
    monkeypatch.setattr(jobs, "pipeline_of", lambda config, *more: loaded.append(config))
    jobs._pipeline.cache_clear()
    config = PipelineConfig(pipeline="public", embedder="none")
    for weights in ("a", "a", "b"):
        jobs._pipeline(config, weights)
    jobs._pipeline.cache_clear()
    assert loaded == [config, config]
