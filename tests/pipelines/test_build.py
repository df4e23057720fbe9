"""Pipelines by name: what is joined to what, what each part is told, and what cannot be."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from exports import colours_onnx, fixed_boxes_onnx
from untrained import checkpoint

from mottool.cache.reader import Cache
from mottool.errors import CheckpointError, InputError, SettingError
from mottool.models.fairmot import BACKBONES, FairMOT
from mottool.models.otrack import OTrack
from mottool.models.outrack import OUTrack
from mottool.models.parts import HEIGHTS
from mottool.networks.registry import NETWORKS, load
from mottool.pipelines import registry
from mottool.pipelines.build import build_pipeline, full_name
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences
from mottool.stages.detect_embed import command, run

FRAMES = 5
WIDTH, HEIGHT = 128, 96


@pytest.fixture
def sequence(tmp_path):
    """A MOTChallenge folder of noise, with public boxes and ground truth."""
    folder = tmp_path / "SEQ"
    for name in ("img1", "det", "gt"):
        (folder / name).mkdir(parents=True)
    draw = np.random.default_rng(0)
    for number in range(1, FRAMES + 1):
        image = cv2.resize(draw.integers(0, 256, (12, 16, 3), np.uint8), (WIDTH, HEIGHT))
        cv2.imwrite(str(folder / f"img1/{number:06d}.png"), image)
    frames = range(1, FRAMES + 1)
    boxes = [f"{frame},-1,{9 + frame},20,24,60,0.9,-1,-1,-1\n" for frame in frames]
    (folder / "det/det.txt").write_text("".join(boxes))
    truth = [(1, 20, 1, 1), (2, 60, 1, 7), (3, 90, 0, 1)]  # a person, a statue, one not scored
    rows = [
        f"{frame},{person},{left},10,20,50,{flag},{kind},1.0\n"
        for frame in frames
        for person, left, flag, kind in truth
    ]
    (folder / "gt/gt.txt").write_text("".join(rows))
    return find_sequences([folder])[0]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Every network at the size of the sequence, for speed."""
    for name, entry in NETWORKS.items():
        monkeypatch.setitem(NETWORKS, name, replace(entry, input_size=(WIDTH, HEIGHT)))


def kept(tmp_path, network, name="net.pth"):
    torch.save({"state_dict": network.state_dict()}, tmp_path / name)
    return tmp_path / name


def untrained():
    """An untrained FairMOT, which sees people everywhere.

    Its batch norm has seen noise. Otherwise all cells are so alike that rounding makes the peaks.
    """
    torch.manual_seed(0)
    network = FairMOT(BACKBONES["yolov5s"](), embedding_size=16, hidden=64)
    torch.nn.init.constant_(network.heatmap[-1].bias, 0.2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # the mean over all that it has seen
    with torch.no_grad():
        network(torch.rand(8, 3, HEIGHT, WIDTH))
        network.heatmap[-1].weight *= 0.3  # all peaks score well above a half
    return network


@pytest.fixture
def fairmot(tmp_path):
    return kept(tmp_path, untrained())


def cached(sequence, tmp_path, name, options=None, work="out"):
    out = tmp_path / work / f"{name}.h5"
    run(sequence, out, build_pipeline(name, options or Options()))
    with Cache(out) as cache:
        return cache.header, list(cache.frames())


@pytest.mark.parametrize(
    ("name", "embedder", "boxes", "expected"),
    [
        ("public", "", "", "public+histogram"),
        ("public", "none", "", "public"),
        ("public", "osnet_x1_0", "", "public+osnet_x1_0"),
        ("yolox", "", "", "yolox"),
        ("yolox", "histogram", "", "yolox+histogram"),
        ("fairmot-dla34", "", "", "fairmot-dla34"),
        ("fairmot-dla34+reid", "", "", "fairmot-dla34+reid"),
        ("fairmot-dla34", "", "gt", "gt+fairmot-dla34"),
        ("fairmot-dla34", "", "some.txt", "public+fairmot-dla34"),
        ("yolox+reid", "", "gt", "gt+reid"),
        ("public+file", "", "", "public+file"),
    ],
)
def test_full_names(name, embedder, boxes, expected):
    result, options = full_name(name, embedder, boxes, Options())
    assert result == expected
    assert (options.detections is not None) == (boxes == "some.txt")


@pytest.mark.parametrize(
    ("name", "embedder", "boxes", "told"),
    [
        ("yolox+reid", "histogram", "", "already has an embedder"),
        ("yolox", "", "gt", "makes no embeddings for the boxes"),
        ("otrack", "", "gt", "makes no embeddings for the boxes"),
    ],
)
def test_names_that_cannot_be(name, embedder, boxes, told):
    with pytest.raises(SettingError, match=told):
        full_name(name, embedder, boxes, Options())


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("fairmot", Options(), "did you mean 'fairmot-dla34'"),
        ("yolo+reid", Options(), "did you mean 'yolox'"),
        ("public+osnet", Options(), "did you mean 'osnet_"),
        ("public+otrack", Options(), "no embedder 'otrack'"),
        ("fairmot-dla34", Options(), "give its authors' file with --weights"),
        ("gt+jde-1088x608", Options(), "file with --embedder-weights"),
        ("public+osnet_x1_0", Options(), "pth with --embedder-weights"),
        ("yolox+histogram", Options(), "or .xml file with --weights"),
        ("public+reid", Options(), "file with --embedder-weights"),
        ("public+histogram", Options(weights="a.pth"), "--weights does not apply to public"),
        ("gt+histogram", Options(detections="a.txt"), "--detections does not apply to gt"),
        ("public", Options(input=(64, 64)), "--input does not apply to public"),
        ("yolox+histogram", Options(precision="fp16"), "--precision does not apply to yolox"),
        ("cstrack", Options(pixels="rgb1"), "--pixels does not apply to cstrack"),
        ("fasterrcnn", Options(occlusion_maps=True), "--occlusion-maps does not apply to"),
        ("otrack", Options(batch=2), "otrack is recurrent"),
    ],
)
def test_options_that_mean_nothing_or_are_missing(name, options, told):
    with pytest.raises(SettingError, match=told):
        build_pipeline(name, options)


def test_an_input_that_is_no_multiple_of_32_is_refused_with_one_that_is():
    from mottool.settings import build_settings

    assert build_settings(Options, {"input": "1088x608"}, "it").input == (1088, 608)
    with pytest.raises(SettingError, match="give for example 640x480"):
        build_settings(Options, {"input": "650x480"}, "it")
    for text in ("650", "axb", "-32x64", "0x0", "0x32", "32x", "32x32x32"):
        with pytest.raises(SettingError, match="--input"):
            build_settings(Options, {"input": text}, "it")


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_s_entry_names_what_is_there(name):
    entry = NETWORKS[name]
    kind = load(entry.family.network)
    assert callable(kind.from_checkpoint)
    assert hasattr(kind, "embed_at") == entry.family.embeds
    view = load(entry.family.preprocessor)(*entry.input_size)
    assert view.image(np.zeros((50, 60, 3), np.uint8)).shape == (3, HEIGHT, WIDTH)
    assert not any(side % 32 for side in entry.input_size)


def test_a_network_s_detections_can_be_described_by_another(sequence, tmp_path, fairmot):
    reid = colours_onnx(tmp_path / "reid.onnx")
    options = Options(weights=fairmot, embedder_weights=reid, min_score=0.5)
    header, frames = cached(sequence, tmp_path, "fairmot-yolov5s+reid", options)
    _, expected = cached(
        sequence, tmp_path, "fairmot-yolov5s", Options(weights=fairmot, min_score=0.5)
    )
    assert sum(map(len, frames)) > FRAMES
    for two, one in zip(frames, expected, strict=True):
        np.testing.assert_array_equal(two.boxes, one.boxes)
        assert (two.embeddings.shape[1], one.embeddings.shape[1]) == (3, 16)
    assert header.pipeline == "fairmot-yolov5s+reid"
    assert header.settings["embedder"] == "reid"
    assert header.settings["embedder_pixels"] == "imagenet"
    assert len(header.settings["embedder_weights"]) == len(header.weights) == 64


def paired(one, other):
    """The rows of two sets of detections whose boxes are each other's nearest.

    Rounding may change the order of nearly equal scores, and make or unmake a few peaks.
    """
    apart = np.abs(one.boxes[:, None] - other.boxes).max(2)
    nearest = apart.argmin(1)
    rows = np.flatnonzero(apart.argmin(0)[nearest] == np.arange(len(one)))
    assert len(rows) > 0.9 * max(len(one), len(other))
    return rows, nearest[rows]


def test_a_batch_says_what_single_frames_say(sequence, tmp_path, fairmot):
    reid = colours_onnx(tmp_path / "reid.onnx")
    for name, more in [
        ("fairmot-yolov5s", {}),
        ("fairmot-yolov5s+histogram", {}),
        ("fairmot-yolov5s+reid", {"embedder_weights": reid}),
    ]:
        options = Options(weights=fairmot, min_score=0.5, **more)
        _, single = cached(sequence, tmp_path, name, options)
        _, batched = cached(sequence, tmp_path, name, replace(options, batch=3), "batched")
        assert sum(map(len, single)) > FRAMES
        for one, other in zip(single, batched, strict=True):
            alone, beside = paired(one, other)
            np.testing.assert_allclose(one.boxes[alone], other.boxes[beside], atol=0.01)
            np.testing.assert_allclose(one.scores[alone], other.scores[beside], atol=1e-4)
            np.testing.assert_allclose(one.embeddings[alone], other.embeddings[beside], atol=2e-3)


def test_given_boxes_are_embedded_where_they_are(sequence, tmp_path):
    """A network's embeddings at its own boxes, given back to it, are those it made itself."""
    network = untrained()
    for head, value in ((network.offset, 0.5), (network.size, 2.0)):
        # Boxes of four cells around the middle of their peak's cell, where embeddings are read.
        torch.nn.init.zeros_(head[-1].weight)
        torch.nn.init.constant_(head[-1].bias, value)
    weights = kept(tmp_path, network)
    options = Options(weights=weights, min_score=0.5)
    _, expected = cached(sequence, tmp_path, "fairmot-yolov5s", options)
    rows = [
        f"{number},-1,{','.join(f'{side:.9g}' for side in (*box[:2], *(box[2:] - box[:2])))},1\n"
        for number, detections in enumerate(expected, 1)
        for box in detections.boxes
    ]
    (tmp_path / "boxes.txt").write_text("".join(rows))
    name, given = full_name(
        "fairmot-yolov5s", "", str(tmp_path / "boxes.txt"), Options(weights=weights)
    )
    _, again = cached(sequence, tmp_path, name, given)
    assert name == "public+fairmot-yolov5s"
    assert sum(map(len, again)) > FRAMES
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_allclose(other.embeddings, one.embeddings, atol=2e-3)


def test_ground_truth_boxes_are_those_of_people_who_count(sequence, tmp_path):
    header, frames = cached(sequence, tmp_path, "gt+histogram")
    for detections in frames:
        np.testing.assert_array_equal(detections.boxes, [[20, 10, 40, 60]])
        assert detections.scores.tolist() == [1]
        assert detections.embeddings.shape == (1, 144)
    assert header.pipeline == "gt+histogram"
    (sequence.path / "gt/gt.txt").unlink()
    (again,) = find_sequences([sequence.path])
    with pytest.raises(InputError, match="has no gt/gt.txt"):
        build_pipeline("gt+histogram", Options()).start(again, print)


def test_a_detector_alone_makes_no_embeddings(sequence, tmp_path):
    path = fixed_boxes_onnx(tmp_path / "d.onnx", np.array([[0, 0, 64, 64]]), np.array([0.5]))
    _, frames = cached(sequence, tmp_path, "onnx", Options(weights=path, input=(256, 192)))
    for detections in frames:
        np.testing.assert_allclose(detections.boxes, [[0, 0, 32, 32]])
        assert detections.embeddings is None


def test_without_images_there_is_nothing_to_describe(sequence, tmp_path, fairmot):
    empty = replace(sequence, media=None)
    for name, options in [
        ("public+histogram", Options()),
        ("fairmot-yolov5s", Options(weights=fairmot)),
    ]:
        with pytest.raises(InputError, match="has no images"):
            build_pipeline(name, options).start(empty, print)


@pytest.fixture
def outrack(tmp_path):
    torch.manual_seed(0)
    network = OUTrack(BACKBONES["dla34"](), embedding_size=8, hidden=16)
    torch.nn.init.constant_(network.occlusion[-1].bias, 0.0)
    return kept(tmp_path, network, "outrack.pth")


def test_occlusion_maps_are_kept_where_they_are_asked_for(sequence, tmp_path, outrack):
    options = Options(weights=outrack, occlusion_maps=True, min_score=0.5)
    out = tmp_path / "maps.h5"
    run(sequence, out, build_pipeline("outrack", options))
    with Cache(out) as cache:
        assert cache.has_occlusion_maps
        assert cache.occlusion_stride == 4
        maps = [cache.occlusion_map(frame) for frame in range(cache.frame_count)]
        centres = [result.occlusion_centres for result in cache.frames()]
    assert {each.shape for each in maps} == {(HEIGHT // 4, WIDTH // 4)}
    for heat, result in zip(maps, centres, strict=True):
        assert len(result)
        for x, y, score in result[:20]:
            # The network's input is the frame itself here, and offsets stay near their cell.
            column, row = round(x / 4), round(y / 4)
            near = heat[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            assert abs(near / 255 - score).min() < 0.003
    plain = replace(options, occlusion_maps=False)
    run(sequence, tmp_path / "plain.h5", build_pipeline("outrack", plain))
    with Cache(tmp_path / "plain.h5") as cache:
        assert not cache.has_occlusion_maps
        assert cache.occlusion_count > 0


def test_networks_without_occlusion_heads_have_no_maps(tmp_path, fairmot):
    with pytest.raises(SettingError, match="these weights of fairmot-yolov5s make none"):
        build_pipeline("fairmot-yolov5s", Options(weights=fairmot, occlusion_maps=True))


def test_a_recurrent_network_goes_on_as_if_it_had_not_stopped(sequence, tmp_path, monkeypatch):
    """What was found before the stop is seen again, since later frames depend on it."""
    torch.manual_seed(0)
    network = OTrack(occlusion=True, hidden=16)
    torch.nn.init.constant_(network.heatmap[-1].bias, 0.1)
    options = Options(weights=kept(tmp_path, network, "otrack.pth"), min_score=0.3)
    pipeline = build_pipeline("otrack", options)
    run(sequence, tmp_path / "whole.h5", pipeline)
    monkeypatch.setattr("mottool.cache.writer.BLOCK", 1)
    image = sequence.path / "img1/000004.png"
    pixels, seen = image.read_bytes(), sequence.fingerprint()
    image.write_bytes(b"no image")
    monkeypatch.setattr("mottool.sources.sequence.Sequence.fingerprint", lambda self: seen)
    with pytest.raises(InputError, match=r"000004\.png"):
        run(sequence, tmp_path / "stopped.h5", pipeline)
    image.write_bytes(pixels)
    run(sequence, tmp_path / "stopped.h5", pipeline)
    with Cache(tmp_path / "whole.h5") as whole, Cache(tmp_path / "stopped.h5") as stopped:
        assert whole.frame_count == stopped.frame_count == FRAMES
        assert whole.detection_count > FRAMES
        assert not whole.has_embeddings
        for one, other in zip(whole.frames(), stopped.frames(), strict=True):
            np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_stays_near(sequence, tmp_path, fairmot, precision):
    options = Options(weights=fairmot, min_score=0.0)
    _, full = cached(sequence, tmp_path, "fairmot-yolov5s", options)
    header, low = cached(
        sequence, tmp_path, "fairmot-yolov5s", replace(options, precision=precision), "low"
    )
    assert header.settings["precision"] == {"bf16": "bfloat16", "fp16": "float16"}[precision]
    for one, other in zip(full, low, strict=True):
        np.testing.assert_allclose(one.scores[:20], other.scores[:20], atol=0.03)


def test_another_network_s_weights_are_refused_by_name(tmp_path, fairmot):
    with pytest.raises(CheckpointError, match="look like weights of fairmot-yolov5s"):
        build_pipeline("jde-576x320", Options(weights=fairmot))


def test_a_gpu_that_is_not_there_is_told_in_one_line(fairmot):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(SettingError, match="this machine has no cuda that torch can use"):
        build_pipeline("fairmot-yolov5s", Options(weights=fairmot, device="cuda"))


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:", "cuda:x"])
def test_a_device_of_another_kind_is_refused(fairmot, device):
    with pytest.raises(SettingError, match=f"no device '{device}'.*auto, cpu, cuda or cuda:N"):
        build_pipeline("fairmot-yolov5s", Options(weights=fairmot, device=device))


LIGHT = {"fairmot-yolov5s", "cstrack-s", "tdt-mobilenet"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in LIGHT else pytest.mark.heavy) for n in NETWORKS],
)
def test_every_network_runs_and_embeds_at_given_boxes(name, sequence, tmp_path):
    size = NETWORKS[name].arguments.get("embedding_size", 16)
    size *= len(HEIGHTS) if name == "mottool-s" else 1  # which describes several parts
    path = checkpoint(name, tmp_path, embedding_size=16)
    _, frames = cached(sequence, tmp_path, name, Options(weights=path, min_score=0.0))
    assert all(np.isfinite(detections.boxes).all() for detections in frames)
    assert sum(map(len, frames)) > 0
    if not NETWORKS[name].family.embeds:
        return
    assert {detections.embeddings.shape[1] for detections in frames if len(detections)} == {size}
    draw = np.random.default_rng(0).uniform(-40, 170, (30, 4))
    sides = np.abs(draw[:, 2:]) + 1
    rows = np.c_[draw[:, :2], sides]
    lines = [f"1,-1,{','.join(f'{side:.3f}' for side in row)},1\n" for row in rows]
    (tmp_path / "boxes.txt").write_text("".join(lines))
    given = Options(detections=tmp_path / "boxes.txt", weights=path)
    _, (first, *_) = cached(sequence, tmp_path, f"public+{name}", given)
    lengths = np.linalg.norm(first.embeddings, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=2e-3)
    assert first.embeddings.shape == (30, size)


def test_the_manual_names_every_part():
    """Families are written as their first name and the other endings."""
    manual = " ".join(command.help.split())
    for name in (*NETWORKS, *registry.DETECTORS, *registry.EMBEDDERS):
        endings = [name[i:] for i, letter in enumerate(name) if letter in "-_"]
        assert name in manual or any(f" {ending}" in manual for ending in endings), name
