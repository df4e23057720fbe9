"""Pipelines built by name: embeddings at detected or given boxes, batches, precision, resuming."""

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
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.detect_embed import detect_embed
from mottool.pipelines.names import full_name
from mottool.pipelines.options import Options
from mottool.sources.discovery import find_sequences
from mottool.stages.detect_embed import run

FRAMES = 5
WIDTH, HEIGHT = 128, 96


@pytest.fixture
def sequence(tmp_path):
    """Write a MOTChallenge sequence of noise images with public detections and ground truth."""
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
    # A pedestrian, a static person (class 7), and a row with flag 0, which is not scored.
    truth = [(1, 20, 1, 1), (2, 60, 1, 7), (3, 90, 0, 1)]
    rows = [
        f"{frame},{person},{left},10,20,50,{flag},{kind},1.0\n"
        for frame in frames
        for person, left, flag, kind in truth
    ]
    (folder / "gt/gt.txt").write_text("".join(rows))
    return find_sequences([folder])[0]


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Set the input of every network to the size of the sequence, for speed."""
    for name, entry in NETWORKS.items():
        monkeypatch.setitem(NETWORKS, name, replace(entry, input_size=(WIDTH, HEIGHT)))


def save_network(tmp_path, network, name="net.pth"):
    torch.save({"state_dict": network.state_dict()}, tmp_path / name)
    return tmp_path / name


def untrained_fairmot():
    """Make a FairMOT with random weights that detects many boxes.

    Its batch norm statistics come from noise. With the initial statistics all heatmap cells are
    nearly equal, and rounding errors would decide which cells are peaks.
    """
    torch.manual_seed(0)
    network = FairMOT(BACKBONES["yolov5s"](), embedding_size=16, hidden=64)
    torch.nn.init.constant_(network.heatmap[-1].bias, 0.2)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None  # a cumulative average over all batches
    with torch.no_grad():
        network(torch.rand(8, 3, HEIGHT, WIDTH))
        network.heatmap[-1].weight *= 0.3  # the scores of all peaks exceed 0.5
    return network


@pytest.fixture
def fairmot(tmp_path):
    return save_network(tmp_path, untrained_fairmot())


def run_to_cache(sequence, tmp_path, name, options=None, work="out"):
    out = tmp_path / work / f"{name}.h5"
    run(sequence, out, build_pipeline(name, options or Options()))
    with Cache(out) as cache:
        return cache.header, list(cache.frames())


@pytest.mark.parametrize("name", NETWORKS)
def test_registry_entry_of_every_network_has_a_network_and_a_preprocessor(name):
    entry = NETWORKS[name]
    kind = load(entry.family.network)
    assert callable(kind.from_checkpoint)
    assert hasattr(kind, "embed_at") == entry.family.embeds
    view = load(entry.family.preprocessor)(*entry.input_size)
    assert view.image(np.zeros((50, 60, 3), np.uint8)).shape == (3, HEIGHT, WIDTH)
    assert not any(side % 32 for side in entry.input_size)


def test_detections_of_one_network_are_embedded_by_another(sequence, tmp_path, fairmot):
    reid = colours_onnx(tmp_path / "reid.onnx")
    options = Options(weights=fairmot, embedder_weights=reid, min_score=0.5)
    header, frames = run_to_cache(sequence, tmp_path, "fairmot-yolov5s+reid", options)
    _, expected = run_to_cache(
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


def match_nearest(one, other):
    """Return the rows of two sets of detections whose boxes are mutual nearest neighbours.

    Rounding errors may change the order of nearly equal scores, and add or remove a few peaks.
    """
    apart = np.abs(one.boxes[:, None] - other.boxes).max(2)
    nearest = apart.argmin(1)
    rows = np.flatnonzero(apart.argmin(0)[nearest] == np.arange(len(one)))
    assert len(rows) > 0.9 * max(len(one), len(other))
    return rows, nearest[rows]


def test_batched_frames_give_the_detections_of_single_frames(sequence, tmp_path, fairmot):
    reid = colours_onnx(tmp_path / "reid.onnx")
    for name, more in [
        ("fairmot-yolov5s", {}),
        ("fairmot-yolov5s+histogram", {}),
        ("fairmot-yolov5s+reid", {"embedder_weights": reid}),
    ]:
        options = Options(weights=fairmot, min_score=0.5, **more)
        _, single = run_to_cache(sequence, tmp_path, name, options)
        _, batched = run_to_cache(sequence, tmp_path, name, replace(options, batch=3), "batched")
        assert sum(map(len, single)) > FRAMES
        for one, other in zip(single, batched, strict=True):
            alone, beside = match_nearest(one, other)
            np.testing.assert_allclose(one.boxes[alone], other.boxes[beside], atol=0.01)
            np.testing.assert_allclose(one.scores[alone], other.scores[beside], atol=1e-4)
            np.testing.assert_allclose(one.embeddings[alone], other.embeddings[beside], atol=2e-3)


def test_embeddings_at_a_network_s_own_boxes_equal_its_own_embeddings(sequence, tmp_path):
    """Detections written to a file and given as public boxes get the same embeddings again."""
    network = untrained_fairmot()
    for head, value in ((network.offset, 0.5), (network.size, 2.0)):
        # Boxes of four cells, centred in their peak's cell, where embeddings are read.
        torch.nn.init.zeros_(head[-1].weight)
        torch.nn.init.constant_(head[-1].bias, value)
    weights = save_network(tmp_path, network)
    options = Options(weights=weights, min_score=0.5)
    _, expected = run_to_cache(sequence, tmp_path, "fairmot-yolov5s", options)
    rows = [
        f"{number},-1,{','.join(f'{side:.9g}' for side in (*box[:2], *(box[2:] - box[:2])))},1\n"
        for number, detections in enumerate(expected, 1)
        for box in detections.boxes
    ]
    (tmp_path / "boxes.txt").write_text("".join(rows))
    name, given = full_name(
        "fairmot-yolov5s", "", str(tmp_path / "boxes.txt"), Options(weights=weights)
    )
    _, again = run_to_cache(sequence, tmp_path, name, given)
    assert name == "public+fairmot-yolov5s"
    assert sum(map(len, again)) > FRAMES
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_allclose(other.embeddings, one.embeddings, atol=2e-3)


def test_ground_truth_pipeline_embeds_only_scored_pedestrians(sequence, tmp_path):
    header, frames = run_to_cache(sequence, tmp_path, "gt+histogram")
    for detections in frames:
        np.testing.assert_array_equal(detections.boxes, [[20, 10, 40, 60]])
        assert detections.scores.tolist() == [1]
        assert detections.embeddings.shape == (1, 144)
    assert header.pipeline == "gt+histogram"
    (sequence.path / "gt/gt.txt").unlink()
    (again,) = find_sequences([sequence.path])
    with pytest.raises(InputError, match="has no gt/gt.txt"):
        build_pipeline("gt+histogram", Options()).start(again, print)


def test_detector_without_embedder_stores_no_embeddings(sequence, tmp_path):
    path = fixed_boxes_onnx(tmp_path / "d.onnx", np.array([[0, 0, 64, 64]]), np.array([0.5]))
    _, frames = run_to_cache(sequence, tmp_path, "onnx", Options(weights=path, input=(256, 192)))
    for detections in frames:
        np.testing.assert_allclose(detections.boxes, [[0, 0, 32, 32]])
        assert detections.embeddings is None


def test_sequence_without_images_is_refused(sequence, tmp_path, fairmot):
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
    return save_network(tmp_path, network, "outrack.pth")


def test_occlusion_maps_are_stored_only_with_the_option(sequence, tmp_path, outrack):
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
            # The frame has the network's input size, and a centre's offset stays near its cell.
            column, row = round(x / 4), round(y / 4)
            near = heat[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
            assert abs(near / 255 - score).min() < 0.003
    plain = replace(options, occlusion_maps=False)
    run(sequence, tmp_path / "plain.h5", build_pipeline("outrack", plain))
    with Cache(tmp_path / "plain.h5") as cache:
        assert not cache.has_occlusion_maps
        assert cache.occlusion_count > 0


def test_occlusion_maps_need_an_occlusion_head(tmp_path, fairmot):
    with pytest.raises(SettingError, match="these weights of fairmot-yolov5s make none"):
        build_pipeline("fairmot-yolov5s", Options(weights=fairmot, occlusion_maps=True))


def test_interrupted_run_of_a_recurrent_network_is_resumed(sequence, tmp_path, monkeypatch):
    """The frames before the interruption run again, since later frames depend on them."""
    torch.manual_seed(0)
    network = OTrack(occlusion=True, hidden=16)
    torch.nn.init.constant_(network.heatmap[-1].bias, 0.1)
    options = Options(weights=save_network(tmp_path, network, "otrack.pth"), min_score=0.3)
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
def test_half_precision_scores_are_close_to_float32(sequence, tmp_path, fairmot, precision):
    options = Options(weights=fairmot, min_score=0.0)
    _, full = run_to_cache(sequence, tmp_path, "fairmot-yolov5s", options)
    header, low = run_to_cache(
        sequence, tmp_path, "fairmot-yolov5s", replace(options, precision=precision), "low"
    )
    assert header.settings["precision"] == {"bf16": "bfloat16", "fp16": "float16"}[precision]
    for one, other in zip(full, low, strict=True):
        np.testing.assert_allclose(one.scores[:20], other.scores[:20], atol=0.03)


@pytest.mark.parametrize("name", ["fairmot-yolov5s", "public+fairmot-yolov5s"])
def test_a_device_whose_memory_is_full_is_a_one_line_error(sequence, tmp_path, fairmot, name):
    def full(images):
        raise torch.OutOfMemoryError("CUDA out of memory")

    options = {"embedder_weights" if "+" in name else "weights": fairmot}
    pipeline = build_pipeline(name, Options(**options))
    network = pipeline.embedder.network if "+" in name else pipeline.network
    network.forward = full
    with pytest.raises(SettingError, match="memory of the device cpu.*Fix: give a smaller --batch"):
        detect_embed(sequence, tmp_path / "cache.h5", pipeline)


def test_weights_of_another_network_are_refused_with_its_name(tmp_path, fairmot):
    with pytest.raises(CheckpointError, match="look like weights of fairmot-yolov5s"):
        build_pipeline("jde-576x320", Options(weights=fairmot))


def test_missing_gpu_is_a_one_line_error(fairmot):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(SettingError, match="no CUDA device is visible to torch"):
        build_pipeline("fairmot-yolov5s", Options(weights=fairmot, device="cuda"))


@pytest.mark.parametrize("device", ["gpu", "meta", "cuda:", "cuda:x"])
def test_unknown_device_is_refused(fairmot, device):
    with pytest.raises(SettingError, match=f"no device '{device}'.*auto, cpu, cuda, cuda:1"):
        build_pipeline("fairmot-yolov5s", Options(weights=fairmot, device=device))


LIGHT = {"fairmot-yolov5s", "cstrack-s", "tdt-mobilenet"}


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in LIGHT else pytest.mark.heavy) for n in NETWORKS],
)
def test_every_network_runs_and_embeds_at_given_boxes(name, sequence, tmp_path):
    size = NETWORKS[name].arguments.get("embedding_size", 16)
    size *= len(HEIGHTS) if name == "mottool-s" else 1  # one embedding per body part
    path = checkpoint(name, tmp_path, embedding_size=16)
    _, frames = run_to_cache(sequence, tmp_path, name, Options(weights=path, min_score=0.0))
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
    _, (first, *_) = run_to_cache(sequence, tmp_path, f"public+{name}", given)
    lengths = np.linalg.norm(first.embeddings, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=2e-3)
    assert first.embeddings.shape == (30, size)
