"""Decoding by a GPU, which a stand-in plays: the CPU, with the two planes of a GPU's frames."""

import av
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter
from click.testing import CliRunner
from footage import video

from mottool.errors import InputError
from mottool.sources import video as decoding
from mottool.sources.discovery import find_sequences
from mottool.sources.hardware import hardware_decoder
from mottool.stages.detect_embed import command

FORMATS = {"yuv420p": "nv12", "yuv420p10le": "p010le"}
OPENED = []  # whether each video was opened on the GPU


class Gpu:
    """Reads frames as a GPU gives them; `change` may alter their brightness plane."""

    def __init__(self, monkeypatch, change=None):
        opens, frames = av.open, decoding._frames
        accelerated, scaler = [], VideoReformatter()

        def opened(file, *args, hwaccel=None, **options):
            container = opens(file, *args, **options)
            OPENED.append(hwaccel is not None)
            if hwaccel is not None:
                accelerated.append(container)
            return container

        def decoded(container, *args):
            for number, frame in enumerate(frames(container, *args), 1):
                if not any(each is container for each in accelerated):
                    yield frame
                    continue
                planes = scaler.reformat(frame, format=FORMATS[frame.format.name])
                if change:
                    change(number, planes)
                yield planes

        monkeypatch.setattr(av, "open", opened)
        monkeypatch.setattr(decoding, "_frames", decoded)
        OPENED.clear()


def without_gpu(monkeypatch):
    opens = av.open

    def opened(file, *args, hwaccel=None, **options):
        if hwaccel is not None:
            raise av.error.PermissionError(1, "Operation not permitted")
        return opens(file, *args, **options)

    monkeypatch.setattr(av, "open", opened)


def read(path, decoder):
    messages = []
    (sequence,) = find_sequences([path], decoder=decoder)
    return list(sequence.frames(warn=messages.append)), messages


def brighter(number, frame):
    if number == 10:
        np.frombuffer(frame.planes[0], np.uint8)[5] += 9


@pytest.mark.parametrize("decoder", ["gpu", "auto"])
@pytest.mark.parametrize("turned", [0, 90])
def test_frames_are_those_of_the_cpu(tmp_path, monkeypatch, decoder, turned):
    path = video(tmp_path / "a.mp4", 40, turned=turned)
    expected, _ = read(path, "cpu")
    Gpu(monkeypatch)
    frames, messages = read(path, decoder)
    assert any(OPENED)
    assert messages == []
    assert len(frames) == len(expected) == 40
    for ours, theirs in zip(frames, expected, strict=True):
        assert (ours.number, ours.seconds) == (theirs.number, theirs.seconds)
        np.testing.assert_array_equal(ours.image, theirs.image)


def test_the_cpu_is_the_default(tmp_path, monkeypatch):
    path = video(tmp_path / "a.mp4", 3)
    Gpu(monkeypatch)
    (sequence,) = find_sequences([path])
    assert len(list(sequence.frames())) == 3
    assert not any(OPENED)


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (without_gpu, "there is no GPU, or none with a decoder for it"),
        (lambda monkeypatch: Gpu(monkeypatch, brighter), "its first frames differ from those of"),
    ],
)
def test_without_a_gpu_that_agrees_auto_is_the_cpu(tmp_path, monkeypatch, prepare, reason):
    path = video(tmp_path / "a.mp4", 20)
    expected, _ = read(path, "cpu")
    prepare(monkeypatch)
    frames, (message,) = read(path, "auto")
    assert message.startswith(f"{path} is decoded by the CPU: {reason}")
    assert len(frames) == 20
    for ours, theirs in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
    with pytest.raises(InputError, match=f"by a GPU: {reason}.*Fix: give --decoder cpu, or auto"):
        read(path, "gpu")


def test_a_codec_without_a_decoder_on_the_gpu_is_refused(tmp_path):
    path = video(tmp_path / "a.avi", 3, codec="huffyuv", pixels="yuv422p")
    with pytest.raises(InputError, match="there is no GPU, or none with a decoder for it"):
        read(path, "gpu")


def test_damage_is_not_hidden(tmp_path, monkeypatch):
    path = video(tmp_path / "a.mkv", 60, codec="mpeg4")
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    Gpu(monkeypatch)
    messages = []
    assert hardware_decoder(path, "auto", messages.append) is None
    assert messages == [f"{path} is decoded by the CPU: it is damaged"]


def test_damage_that_only_decoding_finds_is_an_error(tmp_path, monkeypatch):
    path = video(tmp_path / "a.mp4", 30)
    Gpu(monkeypatch)
    frames = decoding._frames

    def damaged(container, stream, sent=None, report=None):
        for number, frame in enumerate(frames(container, stream), 1):
            if number == 20 and report:
                report("invalid data")
            yield frame

    monkeypatch.setattr(decoding, "_frames", damaged)
    with pytest.raises(InputError, match="is damaged after frame 19, which a GPU may conceal"):
        read(path, "gpu")


def test_detect_embed_has_the_flag(tmp_path, monkeypatch):
    path = video(tmp_path / "a.mp4", 3)
    without_gpu(monkeypatch)
    arguments = [str(path), "--work", str(tmp_path / "work"), "--decoder", "gpu"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 1
    assert f"{path} cannot be decoded by a GPU: there is no GPU" in result.output
