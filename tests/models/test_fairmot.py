"""FairMOT against the authors' figures, its variants, and what it does not accept."""

import json
from collections.abc import Iterator

import cv2
import numpy as np
import pytest
import torch
from centrepoints import check, compare
from goldens import HERE, SHARED, made_up, read_npz, shared, synth_image
from precision import Figure, check_distances, in_float64

from mottool.association.fairmot import FairMOTTracker as Tracker
from mottool.association.registry import FairMOTSettings
from mottool.association.tracks import SequenceInfo
from mottool.boxes import tlwh_from_xyxy
from mottool.detections import Detections
from mottool.errors import CheckpointError
from mottool.models.backbones.dla import DLA34
from mottool.models.fairmot import BACKBONES, HEADS, FairMOT
from mottool.models.preprocessing import Letterbox
from mottool.pipelines.load_network import load_network

MODELS = {
    "fairmot_dla34": "dla34",
    "fairmot_dla34_wh2": "dla34",
    "fairmot_resdcn34": "resnet34",
    "fairmot_resfpndcn34": "resnet34-fpn",
    "fairmot_resdcn50": "resnet50",
    "fairmot_hrnet18": "hrnet18",
    "fairmot_hrnet32": "hrnet32",
    "fairmot_yolov5s": "yolov5s",
}
LIGHT = {"fairmot_resdcn34", "fairmot_resdcn50", "fairmot_yolov5s"}  # quick in float64
PHOTO_SIZE = (1920, 1080)


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return made_up("fairmot_dla34")


@pytest.fixture(scope="module")
def network(tensors) -> FairMOT:
    return FairMOT.from_checkpoint(tensors).eval()


@pytest.fixture(scope="module")
def picture() -> torch.Tensor:
    """A small network input, (1, 3, 64, 96)."""
    return torch.from_numpy(Letterbox(96, 64).image(synth_image())[None])


def inputs(model: str) -> dict[str, tuple[np.ndarray, tuple[int, int], dict]]:
    """Input (3, H, W), size of the frame and figures by the names that the references have.

    Only the first is not part of the reference data beside the project.
    """
    frame = synth_image()
    size = frame.shape[1::-1]
    golden = read_npz(HERE / model / "synth_320x192_seed0.npz")
    decoded = {"320x192/synth": (Letterbox(320, 192).image(frame), size, golden)}
    path = SHARED / f"golden/{model}/ref_seed0.npz"
    for key in read_npz(path) if path.exists() else ():
        name, _, last = key.rpartition("/")
        width, height = map(int, name.partition("/")[0].split("x"))
        if last != "inds" or name in decoded:
            continue
        if name.endswith("/synth"):
            image = Letterbox(width, height).image(frame), size
        elif name == "320x192/photo":
            fitted = cv2.imread(str(SHARED / "golden/inputs/letterbox_photo_320x192.png"))
            image = Letterbox(width, height).image(fitted), PHOTO_SIZE
        else:
            continue  # the full photo is not part of the reference data
        decoded[name] = (*image, read_npz(path, f"{name}/"))
    return decoded


def measured() -> Iterator[tuple[str, str, list[Figure]]]:
    """Compare every input with the figures in float64: folder, input's name, figures."""
    for model, backbone in MODELS.items():
        network = in_float64(FairMOT.from_checkpoint(made_up(model), backbone).eval())
        for name, given in inputs(model).items():
            yield model, name, compare(network, HEADS, *given).figures


@pytest.mark.parametrize("model", MODELS)
def test_small_input_equals_the_authors_figures(model):
    network = FairMOT.from_checkpoint(made_up(model), MODELS[model]).eval()
    check(compare(network, HEADS, *inputs(model)["320x192/synth"]), model, "320x192/synth")


@pytest.mark.parametrize(
    "model",
    [pytest.param(m, marks=() if m in LIGHT else pytest.mark.heavy) for m in MODELS],
)
def test_float64_is_as_far_from_the_authors_figures_as_the_table_says(model):
    network = in_float64(FairMOT.from_checkpoint(made_up(model), MODELS[model]).eval())
    decoded = compare(network, HEADS, *inputs(model)["320x192/synth"])
    check_distances(decoded.figures, model, "320x192/synth")


@pytest.mark.heavy
@pytest.mark.parametrize("model", MODELS)
def test_every_other_stored_input_equals_the_authors_figures(model):
    """In float32, and in float64 as far as the table says."""
    shared(f"golden/{model}/ref_seed0.npz")
    network = FairMOT.from_checkpoint(made_up(model), MODELS[model]).eval()
    exact, others = in_float64(network), inputs(model)
    del others["320x192/synth"]
    assert others
    for name, given in others.items():
        check(compare(network, HEADS, *given), model, name)
        check_distances(compare(exact, HEADS, *given).figures, model, name)


def test_tracks_of_four_frames_equal_the_authors():
    """Our detections of four frames of MOT17-02 become the rows of the authors' whole chain."""
    figures = read_npz(HERE / "fairmot_dla34" / "end2end_seed0.npz")
    frames, ends = figures["rows"][:, 0], np.cumsum(figures["counts"])[:-1]
    parts = zip(
        *(np.split(figures[k], ends) for k in ("boxes", "scores", "embeddings")), strict=True
    )
    tracker = Tracker(FairMOTSettings(conf_thres=0.4), SequenceInfo(frame_rate=30))
    for number, (boxes, scores, embeddings) in enumerate(parts, 1):
        classes = np.zeros(len(boxes), np.uint16)
        tracks = tracker.update(Detections(boxes, scores, classes, embeddings))
        shown = figures["rows"][(frames == number) & (figures["rows"][:, 7] == 1)]
        shown = shown[np.argsort(shown[:, 1])]
        order = np.argsort(tracks.ids)
        np.testing.assert_array_equal(tracks.ids[order], shown[:, 1])
        tlwh = tlwh_from_xyxy(tracks.boxes[order])
        np.testing.assert_allclose(tlwh, shown[:, 2:6], atol=1e-3)
        np.testing.assert_allclose(tracks.scores[order], shown[:, 6], atol=1e-6)


def test_the_first_of_the_four_frames_is_detected_as_stored(network):
    figures = read_npz(HERE / "fairmot_dla34" / "end2end_seed0.npz")
    fitted = cv2.imread(str(shared("golden/inputs/letterbox_photo_320x192.png")))
    box = Letterbox(320, 192)
    with torch.inference_mode():
        (decoded,) = network.decode(network(torch.from_numpy(box.image(fitted)[None])), 0.4)
    n = figures["counts"][0]
    boxes = box.to_frame(decoded.boxes.numpy(), *PHOTO_SIZE)
    np.testing.assert_allclose(boxes, figures["boxes"][:n], atol=0.05)
    np.testing.assert_allclose(decoded.scores, figures["scores"][:n], atol=2e-3)
    np.testing.assert_allclose(decoded.embeddings, figures["embeddings"][:n], atol=2e-3)


def test_a_batch_says_what_each_image_says_alone(network, picture):
    exact, pair = in_float64(network), torch.cat((picture, picture.flip(3)))
    with torch.inference_mode():
        heads = exact(pair.double())
        together = exact.decode(heads, 0.3)
        for i, both in enumerate(together):
            for name, head in exact(pair[i : i + 1].double()).items():
                torch.testing.assert_close(heads[name][[i]], head, atol=1e-9, rtol=0)
            (alone,) = exact.decode({name: head[[i]] for name, head in heads.items()}, 0.3)
            assert len(alone.scores) == len(both.scores) > 0
            torch.testing.assert_close(both.boxes, alone.boxes)
            torch.testing.assert_close(both.embeddings, alone.embeddings)
    assert len(together[0].scores) != len(together[1].scores)


def test_embeddings_have_unit_length_and_scores_fall(network, picture):
    with torch.inference_mode():
        (decoded,) = network.decode(network(picture), 0.1)
    torch.testing.assert_close(decoded.embeddings.norm(dim=1), torch.ones(len(decoded.scores)))
    assert (decoded.scores.diff() <= 0).all()
    assert decoded.classes.tolist() == [0] * len(decoded.scores)


def test_nothing_above_the_threshold_is_no_detection(network, picture):
    with torch.inference_mode():
        (decoded,) = network.decode(network(picture), 1.0)
    assert decoded.boxes.shape == (0, 4)
    assert decoded.embeddings.shape == (0, 128)


def test_channels_last_changes_nothing(network, picture):
    exact, image = in_float64(network), picture.double()
    with torch.inference_mode():
        plain = exact(image)
        other = exact(image.contiguous(memory_format=torch.channels_last))
    for name, head in plain.items():
        torch.testing.assert_close(other[name], head, atol=1e-9, rtol=0)


def test_bfloat16_stays_near_and_decodes_in_float32(tensors, picture):
    network = FairMOT.from_checkpoint(tensors).eval().bfloat16()
    with torch.inference_mode():
        heads = network(picture.bfloat16())
        (decoded,) = network.decode(heads, 0.3)
    assert {head.dtype for head in heads.values()} == {torch.bfloat16}
    assert {decoded.boxes.dtype, decoded.scores.dtype, decoded.embeddings.dtype} == {torch.float32}
    assert all(head.isfinite().all() for head in heads.values())


@pytest.mark.parametrize(("stride", "channels"), [(2, 32), (4, 64), (8, 128)])
@pytest.mark.parametrize("size", [64, 512])
def test_strides_and_embedding_sizes_of_the_ablations(stride, channels, size, picture):
    network = FairMOT(DLA34(stride), embedding_size=size, ltrb=False).eval()
    with torch.inference_mode():
        heads = network(picture)
    h, w = 64 // stride, 96 // stride
    assert heads["heatmap"].shape == (1, 1, h, w)
    assert heads["offset"].shape == heads["size"].shape == (1, 2, h, w)
    assert heads["identity"].shape == (1, size, h, w)
    again = FairMOT.from_checkpoint(network.state_dict())
    assert (again.stride, again.embedding_size) == (stride, size)
    assert again.backbone.channels == channels


ABLATIONS = {
    "fairmot-dla34-stride2": (2, 128),
    "fairmot-dla34-stride8": (8, 128),
    "fairmot-dla34-64d": (4, 64),
    "fairmot-dla34": (4, 128),
    "fairmot-dla34-256d": (4, 256),
    "fairmot-dla34-512d": (4, 512),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_pipelines_of_the_ablations_load_their_own_files(name, tmp_path, picture):
    stride, size = ABLATIONS[name]
    network = FairMOT(DLA34(stride), embedding_size=size)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    loaded = load_network(tmp_path / "net.pth", name).network
    assert (loaded.stride, loaded.embedding_size) == (stride, size)
    with torch.inference_mode():
        heads = loaded(picture)
        (decoded,) = loaded.decode(heads, 0.0)
    assert heads["identity"].shape == (1, size, 64 // stride, 96 // stride)
    assert len(decoded.boxes) > 0
    assert decoded.embeddings.shape == (len(decoded.boxes), size)


@pytest.mark.parametrize(
    ("name", "given", "problem"),
    [
        ("fairmot-dla34-stride2", (4, 128), "do not fit fairmot-dla34-stride2"),
        ("fairmot-dla34-stride8", (4, 128), "do not fit fairmot-dla34-stride8"),
        ("fairmot-dla34-64d", (4, 128), "fairmot-dla34-64d: identity.2.weight is 128x256x1x1"),
        ("fairmot-dla34-512d", (4, 256), "fairmot-dla34-512d: identity.2.weight is 256x256x1x1"),
    ],
)
def test_pipelines_of_the_ablations_refuse_each_other_s_files(name, given, problem, tmp_path):
    stride, size = given
    network = FairMOT(DLA34(stride), embedding_size=size)
    torch.save(network.state_dict(), tmp_path / "net.pth")
    with pytest.raises(CheckpointError, match=problem):
        load_network(tmp_path / "net.pth", name)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_training_reaches_every_parameter(backbone, picture):
    network = FairMOT(BACKBONES[backbone]())
    sum(head.square().mean() for head in network(picture).values()).backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize("backbone", BACKBONES)
def test_our_own_names_load_as_well(backbone):
    tensors = FairMOT(BACKBONES[backbone](), embedding_size=16).state_dict()
    again = FairMOT.from_checkpoint(tensors, backbone).state_dict()
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensors[name]) for name in tensors)


def test_the_imagenet_classifier_left_in_the_file_is_let_be(tensors, network):
    more = {
        "base.fc.weight": torch.zeros(1000, 512, 1, 1),
        "base.fc.bias": torch.zeros(1000),
    }
    again = FairMOT.from_checkpoint(tensors | more)
    assert again.state_dict().keys() == network.state_dict().keys()


def test_names_that_do_not_fit_are_listed(tensors):
    broken = dict(tensors)
    del broken["base.level2.root.bn.bias"]
    broken["surprise.weight"] = torch.zeros(3)
    broken["reg.2.weight"] = torch.zeros(5, 256, 1, 1)
    with pytest.raises(CheckpointError) as caught:
        FairMOT.from_checkpoint(broken)
    message = str(caught.value)
    assert "backbone.trunk.level2.root.bn.bias is missing" in message
    assert "surprise.weight is unexpected" in message
    assert "offset.2.weight is 5x256x1x1 instead of 2x256x1x1" in message


def test_a_size_head_of_another_width_is_no_fairmot(tensors):
    broken = tensors | {"wh.2.weight": torch.zeros(3, 256, 1, 1), "wh.2.bias": torch.zeros(3)}
    with pytest.raises(CheckpointError, match="size.2.bias is 3 instead of 4"):
        FairMOT.from_checkpoint(broken)


@pytest.mark.parametrize(
    ("given", "asked"),
    [(given, asked) for given in MODELS for asked in BACKBONES if MODELS[given] != asked],
)
def test_another_backbone_s_file_is_told_by_its_name(given, asked):
    shapes = json.loads((HERE / given / "tensors.json").read_text())
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes}
    with pytest.raises(CheckpointError) as caught, torch.device("meta"):
        FairMOT.from_checkpoint(tensors, asked)
    assert f"do not fit fairmot-{asked}" in caught.value.problem
    # Of two with the same names, or where the one's name begins the other's, it asks for the right
    # file; else it says what this one is.
    family = "hrnet" if MODELS[given].startswith("hrnet") else MODELS[given]
    message = asked if asked.startswith(family) else family
    assert f"fairmot-{message}" in caught.value.fix


def test_another_network_s_file_is_recognised():
    foreign = {f"module_list.{i}.conv_{i}.weight": torch.zeros(1) for i in range(40)}
    with pytest.raises(CheckpointError, match="jde") as caught:
        FairMOT.from_checkpoint(foreign)
    assert "more" in caught.value.problem
    assert len(caught.value.problem) < 2000
