"""Runtimes in pipelines: equal results, and caches that are resumed with the same one."""

from pathlib import Path

import pytest
from footage import video

from mottool.cache.layout import LAYOUT
from mottool.cache.reader import Cache
from mottool.cache.shards import recorded_settings
from mottool.errors import SettingError
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.one_shot import OneShotRun
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences

SMALL = {"input": (64, 64), "min_score": 0.01}


@pytest.fixture
def sequence(tmp_path):
    (sequence,) = find_sequences([video(tmp_path / "film.mp4", 3)])
    return sequence


def run(sequence, out: Path, runtime: str, **arguments):
    """Write a cache with the bundled network; return its settings and the messages."""
    messages: list[str] = []
    options = Options(runtime=runtime, **SMALL)
    detect_embed(sequence, out, build_pipeline("mottool-s", options), warn=messages.append)
    with Cache(out) as cache:
        return dict(cache.header.settings), messages


def frames_of(path: Path):
    """Return the detections of every frame."""
    with Cache(path) as cache:
        return [*cache.frames()]


def test_a_cache_names_its_runtime_and_counts_for_every_other(sequence, tmp_path):
    out = tmp_path / "film.h5"
    settings, _ = run(sequence, out, "torch")
    assert settings["runtime"] == "torch"
    settings, messages = run(sequence, out, "channels-last")
    assert settings["runtime"] == "torch"
    assert "is complete already" in messages[-1]


def test_an_unfinished_cache_is_resumed_with_its_runtime(sequence, tmp_path, monkeypatch):
    out, whole = tmp_path / "film.h5", tmp_path / "whole.h5"
    monkeypatch.setattr("mottool.cache.writer.BLOCK", 1)
    run(sequence, whole, "channels-last")

    original, calls = OneShotRun.infer, []

    def stop(self, prepared):
        calls.append(prepared)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, prepared)

    with monkeypatch.context() as patched:
        patched.setattr(OneShotRun, "infer", stop)
        with pytest.raises(KeyboardInterrupt):
            run(sequence, out, "channels-last")
    assert recorded_settings(out, LAYOUT)["runtime"] == "channels-last"
    settings, messages = run(sequence, out, "torch")
    assert settings["runtime"] == "channels-last"
    assert "continuing with the runtime channels-last" in messages[0]
    for resumed, expected in zip(frames_of(out), frames_of(whole), strict=True):
        assert (resumed.boxes == expected.boxes).all()
        assert (resumed.embeddings == expected.embeddings).all()


def test_openvino_detects_the_same(sequence, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setenv("MOTTOOL_RUNTIME_CACHE", str(tmp_path / "runtimes"))
    run(sequence, tmp_path / "torch.h5", "torch")
    settings, _ = run(sequence, tmp_path / "openvino.h5", "openvino")
    assert settings["runtime"] == "openvino"
    pairs = frames_of(tmp_path / "torch.h5"), frames_of(tmp_path / "openvino.h5")
    for expected, computed in zip(*pairs, strict=True):
        assert len(expected) > 0
        assert abs(expected.boxes - computed.boxes).max() < 0.05
        assert abs(expected.embeddings - computed.embeddings).max() < 0.01


def test_a_detector_of_torchvision_has_no_runtimes():
    with pytest.raises(SettingError, match="--runtime does not apply to fcos"):
        build_pipeline("fcos", Options(runtime="openvino"))
