"""JDE against the authors' figures, and its decoding on heads made by hand."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from goldens import HERE, SHARED, fill, read_npz, shared, synth_image
from hypothesis import given, settings
from hypothesis import strategies as st
from precision import Figure, check_distances, hold, in_float64
from torchvision.ops import box_convert, box_iou

from mottool.checkpoints.darknet import DarknetLayer, read_darknet_weights
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError, SettingError
from mottool.models.jde import ANCHORS, JDE, PAPER_ANCHORS
from mottool.models.preprocessing import ClampedLetterbox
from mottool.networks.registry import NETWORKS

GOLDEN = HERE / "jde"
STRIDES = (32, 16, 8)
Figures = dict[str, np.ndarray]
SHAPES = {name: tuple(shape) for name, shape in json.loads((GOLDEN / "tensors.json").read_text())}


def made_up_tensors() -> dict[str, torch.Tensor]:
    """The authors' checkpoint with made-up values; its unused classifier is left at zero."""
    overrides = read_npz(GOLDEN / "overrides_seed0.npz")
    return {
        name: torch.zeros(shape)
        if name.startswith("classifier.")
        else torch.from_numpy(fill(name, shape, 0, overrides))
        for name, shape in SHAPES.items()
    }


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return made_up_tensors()


@pytest.fixture(scope="module")
def network(tensors: dict[str, torch.Tensor]) -> JDE:
    return JDE.from_checkpoint(tensors).eval()


@pytest.fixture(scope="module")
def decoder() -> JDE:
    """A network without values: decoding uses none."""
    with torch.device("meta"):
        return JDE((576, 320), embedding_size=3)


def compare(
    network: JDE, letterbox: ClampedLetterbox, frame: np.ndarray, golden: Figures
) -> list[Figure]:
    """Compare heads, proposals, people and their place in the frame with the figures."""
    image = letterbox.image(frame)  # (3, H, W)
    np.testing.assert_allclose(image[None, :, ::32, ::32], golden["input/sub32"], atol=1e-6)
    with torch.inference_mode():
        heads = network(torch.from_numpy(image[None]).to(next(network.parameters())))
        boxes, scores = network.proposals(heads)
        (people,) = network.decode(heads, min_score=0.5)
    compared = []
    for key, expected in golden.items():
        head, _, thinned = key.removeprefix("raw/head").partition("/sub")
        if key.startswith("raw/") and thinned:
            kind = "detection" if head.endswith("box24") else "embedding"
            name, step = f"{kind}_{STRIDES[int(head[0])]}", int(thinned)
            decoded = heads[name][:, :: 1 if kind == "detection" else 4, ::step, ::step]
            compared.append(Figure(name, decoded.numpy(), expected))
    for level, stride in enumerate(STRIDES):
        whole = heads[f"embedding_{stride}"].double()
        stats = whole.std(correction=0), whole.norm()
        expected = golden[f"raw/head{level}_emb/stats"][1:3]
        np.testing.assert_allclose(stats, expected, rtol=1e-4, err_msg=str(stride))

    rows = golden["pred/rows"]
    values = golden["pred/values6"]
    assert boxes.shape[1] == golden["pred/shape"][1]
    decoded = box_convert(boxes[0, rows], "xyxy", "cxcywh").numpy()
    compared.append(Figure("proposals", decoded, values[:, :4], atol=2e-2))
    compared.append(Figure("scores", scores[0, rows].numpy(), values[:, 4], atol=1e-3, rtol=0))

    # One that is just at a threshold may fall on its other side.
    assert int((scores > 0.5).sum()) == pytest.approx(int(golden["n_over_conf"]), abs=1)
    assert len(people.boxes) == pytest.approx(int(golden["n_after_nms"]), abs=2)
    expected = torch.from_numpy(golden["dets_net"])
    # Near-equal scores may come in another order, so people are matched by where they are.
    overlap, match = box_iou(expected[:, :4], people.boxes).max(dim=1)
    assert overlap.min() > 0.999
    assert (people.scores.diff() <= 0).all()
    of_people = people.scores[match].numpy()
    compared.append(Figure("people's scores", of_people, golden["dets_net"][:, 4], 1e-3, 0))
    placed = letterbox.to_frame(people.boxes[match].numpy(), *golden["frame"])
    compared.append(Figure("boxes in the frame", placed, golden["dets_image"][:, :4], atol=5e-2))
    embeddings = people.embeddings[match[: len(golden["emb"])]].numpy()
    compared.append(Figure("embeddings", embeddings, golden["emb"], atol=1e-3, rtol=0))
    return compared


Case = tuple[tuple[int, int], ClampedLetterbox, np.ndarray, Figures]


def inputs() -> dict[str, Case]:
    """Size whose anchors are used, letterbox, frame and figures of every input, by its name.

    Only the first is not part of the reference data beside the project.
    """
    expected = read_npz(GOLDEN / "synth_320x192_seed0.npz") | {"frame": (480, 270)}
    small = ClampedLetterbox(320, 192)
    decoded: dict[str, Case] = {"320x192/synth": ((1088, 608), small, synth_image(), expected)}
    if SHARED.exists():
        photo = cv2.imread(str(SHARED / "golden/inputs/letterbox_photo_320x192.png"))
        path = SHARED / "golden/jde_yolov3_1088x608/ref_seed0.npz"
        golden = read_npz(path, "320x192/photo/") | {"frame": (1920, 1080)}
        decoded["320x192/photo"] = (1088, 608), small, photo, golden
        for size in ANCHORS:
            name = f"{size[0]}x{size[1]}"
            path = SHARED / f"golden/jde_yolov3_{name}/ref_seed0.npz"
            golden = read_npz(path, f"{name}/synth/") | {"frame": (480, 270)}
            decoded[f"{name}/synth"] = size, ClampedLetterbox(*size), synth_image(), golden
    return decoded


def measured() -> Iterator[tuple[str, str, list[Figure]]]:
    """Compare every input with the figures in float64: folder, input's name, figures."""
    tensors = made_up_tensors()
    for name, (anchors, *case) in inputs().items():
        network = in_float64(JDE.from_checkpoint(tensors, anchors).eval())
        yield "jde", name, compare(network, *case)


def test_equals_the_authors_network(network: JDE) -> None:
    _, *case = inputs()["320x192/synth"]
    hold(compare(network, *case), "jde", "320x192/synth")


def test_equals_the_authors_network_on_the_photo(network: JDE) -> None:
    shared("golden/jde_yolov3_1088x608/ref_seed0.npz")
    _, *case = inputs()["320x192/photo"]
    hold(compare(network, *case), "jde", "320x192/photo")


@pytest.mark.heavy
@pytest.mark.parametrize("size", ANCHORS)
def test_equals_the_authors_network_at_full_size(
    size: tuple[int, int], tensors: dict[str, torch.Tensor]
) -> None:
    shared(f"golden/jde_yolov3_{size[0]}x{size[1]}/ref_seed0.npz")
    name = f"{size[0]}x{size[1]}/synth"
    anchors, *case = inputs()[name]
    hold(compare(JDE.from_checkpoint(tensors, anchors).eval(), *case), "jde", name)


@pytest.mark.heavy
def test_float64_is_as_far_from_the_authors_figures_as_the_table_says() -> None:
    for folder, name, figures in measured():
        check_distances(figures, folder, name)
    shared("golden/jde_yolov3_1088x608/ref_seed0.npz")  # else only the small one


@pytest.mark.parametrize("size", ANCHORS)
def test_anchors_are_the_authors(size: tuple[int, int]) -> None:
    manifest = shared(f"golden/jde_yolov3_{size[0]}x{size[1]}/manifest.json")
    assert np.array_equal(ANCHORS[size], json.loads(manifest.read_text())["anchors_wh"])


def test_the_paper_s_anchors() -> None:
    """§3.3: 12 widths from 11 ≈ 8·2^(1/2) to 512 = 8·2^(12/2), four a level, all 1:3."""
    entry = NETWORKS["jde-paper-anchors"]
    with torch.device("meta"):
        network = JDE(**entry.arguments)
    assert network.anchors == PAPER_ANCHORS
    fine_to_coarse = np.array(PAPER_ANCHORS)[::-1].reshape(12, 2)
    expected = [11.3137, 16, 22.6274, 32, 45.2548, 64, 90.5097, 128, 181.0193, 256, 362.0387, 512]
    np.testing.assert_allclose(fine_to_coarse[:, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(fine_to_coarse[:, 1], 3 * fine_to_coarse[:, 0])


def test_boxes_are_decoded_with_the_paper_s_anchors() -> None:
    with torch.device("meta"):
        network = JDE((576, 320), 8, anchors="paper")
    detection = {stride: torch.full((1, 24, 3, 4), 0.0) for stride in (32, 16, 8)}
    boxes, _ = network.proposals(
        {f"detection_{stride}": head for stride, head in detection.items()}
    )
    sides = (boxes[0, :, 2:] - boxes[0, :, :2]).unique(dim=0)
    assert sides[0].tolist() == pytest.approx([8 * 2**0.5, 24 * 2**0.5], rel=1e-5)
    assert sides[-1].tolist() == [512, 1536]


def test_images_of_a_batch_do_not_touch_each_other(network: JDE) -> None:
    image = torch.from_numpy(ClampedLetterbox(320, 192).image(synth_image()))
    pair = torch.stack((image.flip(-1), image))
    with torch.inference_mode():
        heads = network(pair)
        _, both = network.decode(heads, 0.6)
        for name, head in network(pair[1:]).items():
            torch.testing.assert_close(heads[name][1:], head, atol=2e-3, rtol=1e-3)
        (alone,) = network.decode({name: head[1:] for name, head in heads.items()}, 0.6)
    assert len(alone.boxes) > 20
    torch.testing.assert_close(both.boxes, alone.boxes)
    torch.testing.assert_close(both.embeddings, alone.embeddings)


# --- checkpoints ---


def names_of_a_checkpoint() -> dict[str, torch.Tensor]:
    """An authors' checkpoint in name and shape: its zeros take no room."""
    return {name: torch.zeros(()).expand(shape) for name, shape in SHAPES.items()}


def test_a_checkpoint_is_loaded_value_for_value(
    network: JDE, tensors: dict[str, torch.Tensor]
) -> None:
    state = network.state_dict()
    last = tensors["module_list.113.conv_113.weight"]
    assert torch.equal(state["level_8.embedding.weight"], last)
    used = [name for name in tensors if "yolo" not in name and "classifier" not in name]
    assert len(state) == len(used) == 444
    assert all(torch.equal(a, tensors[b]) for a, b in zip(state.values(), used, strict=True))
    assert not any("classifier" in name for name in state)


@pytest.mark.heavy
def test_an_authors_pt_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "jde.pt"
    optimizer = {"state": {}, "param_groups": [{"lr": 0.01}]}
    model = {name: torch.zeros(shape) for name, shape in SHAPES.items()}
    torch.save({"epoch": 29, "model": model, "optimizer": optimizer}, path)
    network = JDE.from_checkpoint(read(path).tensors)
    assert all(value.count_nonzero() == 0 for value in network.state_dict().values())


def test_identities_and_embedding_size_follow_the_checkpoint() -> None:
    checkpoint = names_of_a_checkpoint()
    for layer, channels in ((83, 512), (98, 256), (113, 128)):
        prefix = f"module_list.{layer}.conv_{layer}"
        checkpoint[f"{prefix}.weight"] = torch.zeros(64, channels, 3, 3)
        checkpoint[f"{prefix}.bias"] = torch.zeros(64)
    checkpoint["classifier.weight"] = torch.zeros(500, 64)
    checkpoint["classifier.bias"] = torch.zeros(500)
    network = JDE.from_checkpoint(checkpoint, (576, 320))
    assert network.embedding_size == 64
    again = JDE.from_checkpoint(network.state_dict(), (576, 320))
    assert again.level_8.embedding.weight.shape == (64, 128, 3, 3)


def test_what_does_not_fit_is_named() -> None:
    checkpoint = names_of_a_checkpoint()
    del checkpoint["module_list.62.batch_norm_62.bias"]
    checkpoint["module_list.116.conv_116.weight"] = torch.zeros(1)
    checkpoint["module_list.81.conv_81.weight"] = torch.zeros(18, 1024, 1, 1)
    with pytest.raises(CheckpointError) as caught:
        JDE.from_checkpoint(checkpoint)
    message = str(caught.value)
    assert "backbone.stages.4.0.norm.bias is missing" in message
    assert "module_list.116.conv_116.weight is unexpected" in message
    assert "level_32.detection.weight is 18x1024x1x1 instead of 24x1024x1x1" in message
    assert caught.value.problem.count(" is ") == 3


def test_darknet_layers_are_in_the_order_of_the_authors_network() -> None:
    decoded = [name for layer in JDE.darknet_layers() for name, _ in layer.tensors()]
    kept = {n for n in SHAPES if "yolo" not in n and "classifier" not in n and "tracked" not in n}
    assert set(decoded) == kept
    convolutions = [name for name in SHAPES if ".conv_" in name and name.endswith("weight")]
    assert [name for name in decoded if name in convolutions] == convolutions


@pytest.mark.heavy
def test_the_authors_darknet_file_is_read(
    network: JDE, tensors: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    expected = json.loads(
        shared("golden/jde_yolov3_1088x608/darknet_weights_seed0.json").read_text()
    )
    path = tmp_path / "jde.weights"
    path.write_bytes(darknet_file(tensors, JDE.darknet_layers()))
    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected["sha256"]
    decoded = read_darknet_weights(path, JDE.darknet_layers())
    counters = {name for name in tensors if name.endswith("num_batches_tracked")}
    assert tensors.keys() - decoded.keys() - counters == set(expected["not_restored"])
    state = JDE.from_checkpoint(decoded).state_dict()
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())


def darknet_file(tensors: dict[str, torch.Tensor], layers: list[DarknetLayer]) -> bytes:
    """What the authors' saving writes: five header numbers, then the values."""
    names = [name for layer in layers for name, _ in layer.tensors()]
    header = np.array([0, 1, 0, 0, 0], "<i4").tobytes()
    return header + b"".join(tensors[name].numpy().tobytes() for name in names)


# --- decoding ---


def empty_heads(images: int = 1, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Heads of 64x96 inputs without people."""
    heads = {}
    for stride in STRIDES:
        height, width = 64 // stride, 96 // stride
        heads[f"detection_{stride}"] = torch.zeros(images, 24, height, width, dtype=dtype)
        heads[f"detection_{stride}"][:, 4::6] = 9.0  # background
        heads[f"embedding_{stride}"] = torch.ones(images, 3, height, width, dtype=dtype)
    return heads


@settings(derandomize=True, deadline=None)
@given(
    level=st.integers(0, 2),
    anchor=st.integers(0, 3),
    image=st.integers(0, 1),
    place=st.tuples(st.floats(0, 0.99), st.floats(0, 0.99)),
    delta=st.tuples(*[st.floats(-1, 1, width=32)] * 4),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_one_person_is_found_where_the_anchor_says(
    decoder: JDE, level, anchor, image, place, delta, dtype
) -> None:
    heads = empty_heads(2, dtype)
    stride = STRIDES[level]
    detection, embedding = heads[f"detection_{stride}"], heads[f"embedding_{stride}"]
    column, row = int(place[0] * detection.shape[3]), int(place[1] * detection.shape[2])
    person = torch.tensor([*delta, -1.0, 1.0])
    detection[image, 6 * anchor : 6 * anchor + 6, row, column] = person
    embedding[image, :, row, column] = torch.tensor([0.0, 3.0, -4.0])

    decoded = decoder.decode(heads, 0.5)
    assert [len(one.boxes) for one in decoded] == [image == 0, image == 1]
    people = decoded[image]
    width, height = ANCHORS[576, 320][level][anchor]
    w, h = width * np.exp(delta[2]), height * np.exp(delta[3])
    x, y = column * stride + width * delta[0], row * stride + height * delta[1]
    assert np.allclose(people.boxes, [[x - w / 2, y - h / 2, x + w / 2, y + h / 2]], atol=1e-2)
    assert people.boxes.dtype == people.embeddings.dtype == torch.float32
    assert np.allclose(people.scores, 1 / (1 + np.exp(-2)), atol=1e-6)
    assert people.classes.tolist() == [0]
    assert np.allclose(people.embeddings, [[0, 0.6, -0.8]], atol=1e-6)


def test_half_precision_heads_are_decoded_in_single(decoder: JDE) -> None:
    heads = empty_heads(1, torch.bfloat16)
    heads["detection_8"][0, 4:6, 2, 3] = torch.tensor([-1.0, 1.0])
    (decoded,) = decoder.decode(heads, 0.5)
    assert decoded.boxes.tolist() == [[21, 8, 27, 24]]  # 6x16 around (24, 16): bf16 would round
    assert decoded.embeddings.dtype == torch.float32


def test_of_two_on_one_spot_the_better_stays(decoder: JDE) -> None:
    heads = empty_heads()
    for column, logit in ((3, 1.0), (4, 2.0), (9, 0.5)):
        heads["detection_8"][0, 4 + 6 * 3 : 6 + 6 * 3, 2, column] = torch.tensor([0.0, logit])
    (decoded,) = decoder.decode(heads, 0.5)
    # 16 pixels wide, 8 apart: IoU 1/3 with the 0.4 that is allowed, so both stay.
    assert len(decoded.boxes) == 3
    heads["detection_8"][0, 6 * 3, 2, 3] = 0.25  # a quarter of the anchor nearer: IoU 0.6
    (decoded,) = decoder.decode(heads, 0.5)
    assert decoded.boxes[:, 0].tolist() == [24, 64]
    assert decoded.scores.tolist() == pytest.approx([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-0.5))])


def test_nobody_leaves_empty_arrays_of_the_right_shapes(decoder: JDE) -> None:
    (decoded,) = decoder.decode(empty_heads(), 0.5)
    assert decoded.boxes.shape == (0, 4)
    assert decoded.scores.shape == decoded.classes.shape == (0,)
    assert decoded.embeddings.shape == (0, 3)


def test_unknown_sizes_are_refused(decoder: JDE) -> None:
    with pytest.raises(SettingError, match="640x480.*1088x608"):
        JDE((640, 480))
    with pytest.raises(SettingError, match="100x64.*multiples of 32"):
        decoder(torch.empty(1, 3, 64, 100, device="meta"))
