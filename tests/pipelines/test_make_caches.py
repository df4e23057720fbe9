"""Pipelines that a process keeps for its next sequence."""

import pytest

from mottool.pipelines import make_caches
from mottool.pipelines.choice import PipelineConfig


@pytest.fixture
def loaded(monkeypatch):
    """The settings of every pipeline that is built."""
    built = []
    monkeypatch.setattr(make_caches, "pipeline_of", lambda config, *more: built.append(config))
    make_caches.kept_pipelines.cache_clear()
    yield built
    make_caches.kept_pipelines.cache_clear()


def test_a_process_loads_weights_that_changed_again(loaded):
    config = PipelineConfig(pipeline="public", embedder="none")
    for inputs in ("a", "a", "b"):
        make_caches.kept_pipelines((config,), 1, inputs)
    assert loaded == [config, config]
