"""CSTrack against the authors' figures, and its decoding on heads made by hand."""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from goldens import HERE, SHARED, fill, read_npz, shared, synth_image
from precision import Figure, check_distances, hold, in_float64
from torchvision.ops import box_convert

from mottool.checkpoints.read import read
from mottool.errors import CheckpointError, SettingError
from mottool.models.cstrack import ANCHORS, STRIDES, CSTrack, Structure
from mottool.models.interfaces import Decoded
from mottool.models.preprocessing import Letterbox

GOLDEN = HERE / "cstrack"
MANIFEST = json.loads((GOLDEN / "manifest.json").read_text())

ATOL = 1e-2  # the softmax over 60-term products in the reciprocal network amplifies rounding


def made_up_tensors() -> dict[str, torch.Tensor]:
    """The authors' checkpoint with made-up values."""
    overrides = read_npz(GOLDEN / "overrides_seed0.npz")
    constant = MANIFEST["constructor_values"]
    return {
        name: torch.tensor(constant[name])
        if name in constant
        else torch.from_numpy(fill(name, tuple(shape), 0, overrides))
        for name, shape in MANIFEST["tensors"]
    }


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return made_up_tensors()


@pytest.fixture(scope="module")
def network(tensors: dict[str, torch.Tensor]) -> CSTrack:
    return CSTrack.from_checkpoint(tensors).eval()


@pytest.fixture(scope="module")
def small() -> CSTrack:
    """CSTrack-S, with the values it begins with."""
    torch.manual_seed(0)
    return CSTrack(0.3, 0.3).eval()


def compare(network: CSTrack, image: np.ndarray, golden: dict[str, np.ndarray]) -> list[Figure]:
    """Compare heads, proposals and people of a frame with the figures."""
    planes = torch.from_numpy(Letterbox(320, 192).image(image))[None]
    with torch.inference_mode():
        heads = network(planes.to(network.reach))
        proposals = network.proposals(heads)
        (people,) = network.decode(heads, 0.5)
    figures = [*head_figures(heads, golden), *proposal_figures(proposals, golden)]
    return [*figures, *people_figures(people, heads["identity"], golden)]


def head_figures(heads: dict[str, torch.Tensor], golden: dict[str, np.ndarray]) -> Iterator[Figure]:
    """Compare raw heads with thinned ones, and with the statistics of the whole."""
    authors = {f"box{level}": heads[f"detection_{stride}"] for level, stride in enumerate(STRIDES)}
    authors |= {"id": heads["identity"], "id_every4thchannel": heads["identity"][:, ::4]}
    thinned = 0
    for key, expected in golden.items():
        if not key.startswith("raw/"):
            continue
        _, name, what = key.split("/")
        head = authors[name].double().numpy()
        if what == "shape":
            assert head.shape == tuple(expected)
        elif what == "stats":
            mean, deviation, norm, *_ = expected
            assert head.mean() == pytest.approx(mean, abs=1e-3)
            assert head.std() == pytest.approx(deviation, rel=1e-3)
            assert np.linalg.norm(head) == pytest.approx(norm, rel=1e-3)
        else:
            step = int(what.removeprefix("sub"))
            yield Figure(name, head[:, :, ::step, ::step], expected, ATOL)
            thinned += 1
    assert thinned == 4


def proposal_figures(
    proposals: tuple[torch.Tensor, torch.Tensor, torch.Tensor], golden: dict[str, np.ndarray]
) -> list[Figure]:
    """Compare every anchor's box and scores, those of some rows."""
    boxes, objectness, person = proposals
    assert boxes.shape[1] == golden["pred/shape"][1]
    rows, values = golden["pred/rows"], golden["pred/values"]
    centred = box_convert(boxes[0, rows], "xyxy", "cxcywh").numpy()
    return [
        Figure("proposals", centred, values[:, :4], atol=0.1, rtol=1e-2),
        Figure("objectness", objectness[0, rows].numpy(), values[:, 4], rtol=0),
        Figure("person", person[0, rows].numpy(), values[:, 5], rtol=0),
    ]


def people_figures(
    people: Decoded, identity: torch.Tensor, golden: dict[str, np.ndarray]
) -> list[Figure]:
    """Compare the decoded people, matched by their boxes.

    Only those whose score is within its tolerance of the threshold may be in one set alone.
    """
    theirs, ours = golden["dets_net"], people.boxes.numpy()
    assert len(theirs) == golden["n_after_nms"]
    assert not people.classes.any()
    apart = np.abs(ours[:, None] - theirs[None, :, :4]).sum(-1)
    match = apart.argmin(0)  # ours by theirs: near-equal scores may change places
    paired = apart.argmin(1)[match] == np.arange(len(theirs))
    only_ours = np.delete(people.scores.numpy(), match[paired])
    assert (np.append(only_ours, theirs[~paired, 4]) < 0.5 + 2e-3).all()
    assert people.embeddings is not None
    raw, first = golden["emb"], np.flatnonzero(paired[: len(golden["emb"])])
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    x, y = golden["id_xy"][:, first].astype(int)
    cells = identity[0, :, y, x].T.numpy()
    embeddings = people.embeddings[match[first]].numpy()
    match, theirs = match[paired], theirs[paired]
    return [
        Figure("boxes", ours[match], theirs[:, :4], atol=0.1, rtol=1e-2),
        Figure("scores", people.scores[match].numpy(), theirs[:, 4], rtol=0),
        Figure("embeddings", embeddings, unit[first], atol=1e-3, rtol=0),
        Figure("identity cells", cells, raw[first], ATOL),
    ]


def inputs() -> Iterator[tuple[str, np.ndarray, dict[str, np.ndarray]]]:
    """Yield name, frame and figures; the second is part of the data beside the project."""
    yield "320x192/synth", synth_image(), read_npz(GOLDEN / "synth_320x192_seed0.npz")
    path = SHARED / "golden/inputs/letterbox_photo_320x192.png"
    if path.exists():
        yield "320x192/photo", cv2.imread(str(path)), of_image("320x192/photo/")


def measured() -> Iterator[tuple[str, str, list[Figure]]]:
    """Compare every input with the figures in float64: folder, input's name, figures."""
    network = in_float64(CSTrack.from_checkpoint(made_up_tensors()).eval())
    for name, *given in inputs():
        yield "cstrack", name, compare(network, *given)


def test_the_authors_figures_on_the_made_up_image(network: CSTrack) -> None:
    name, *given = next(inputs())
    hold(compare(network, *given), "cstrack", name)


@pytest.mark.heavy
def test_the_authors_figures_on_a_photo(network: CSTrack) -> None:
    shared("golden/inputs/letterbox_photo_320x192.png")
    _, (name, *given) = inputs()
    hold(compare(network, *given), "cstrack", name)


@pytest.mark.heavy
def test_float64_is_as_far_from_the_authors_figures_as_the_table_says() -> None:
    for folder, name, figures in measured():
        check_distances(figures, folder, name)
    shared("golden/inputs/letterbox_photo_320x192.png")  # else only the small one


def test_shapes_of_full_size_maps(network: CSTrack) -> None:
    """The photo of the full-size figures is not in the data, so only shapes are compared."""
    golden = of_image("1088x608/photo/")
    with torch.inference_mode():
        without_values = deepcopy(network).to("meta")(torch.empty(1, 3, 608, 1088, device="meta"))
        heads = {name: torch.zeros(head.shape) for name, head in without_values.items()}
        boxes, _, _ = network.proposals(heads)
    for level, stride in enumerate(STRIDES):
        assert heads[f"detection_{stride}"].shape == tuple(golden[f"raw/box{level}/shape"])
    assert boxes.shape[1] == golden["pred/shape"][1]


def of_image(prefix: str) -> dict[str, np.ndarray]:
    return read_npz(shared("golden/cstrack_yolov5l/ref_seed0.npz"), prefix)


def test_a_batch_is_its_images_one_by_one(small: CSTrack) -> None:
    exact = in_float64(small)
    images = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0)).double()
    with torch.inference_mode():
        both = exact(images)
        for row in (0, 1):
            for name, head in exact(images[row : row + 1]).items():
                torch.testing.assert_close(both[name][row], head[0], rtol=0, atol=1e-9)


def test_brain_floats_in_any_memory_order(small: CSTrack) -> None:
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    lean = CSTrack(0.3, 0.3).eval()
    lean.load_state_dict(small.state_dict())
    lean = lean.bfloat16().to(memory_format=torch.channels_last)
    with torch.inference_mode():
        whole = small(image)
        heads = lean(image.bfloat16().to(memory_format=torch.channels_last))
        (people,) = lean.decode(heads, 0.0)
    for name, head in heads.items():
        assert (head.float() - whole[name]).abs().mean() < 0.05 * whole[name].abs().mean() + 0.01
    assert people.embeddings is not None
    assert people.boxes.dtype == people.embeddings.dtype == torch.float32
    torch.testing.assert_close(people.embeddings.norm(dim=1), torch.ones(len(people.boxes)))


@pytest.mark.parametrize(("width", "height"), [(32, 32), (96, 64), (160, 224)])
def test_any_size_in_multiples_of_32(small: CSTrack, width: int, height: int) -> None:
    with torch.inference_mode():
        heads = small(torch.zeros(1, 3, height, width))
    assert heads["identity"].shape == (1, 512, height // 8, width // 8)
    for stride in STRIDES:
        assert heads[f"detection_{stride}"].shape == (1, 18, height // stride, width // stride)


def test_other_sizes_are_refused(small: CSTrack) -> None:
    with pytest.raises(SettingError, match=r"100x64.*multiples of 32"):
        small(torch.zeros(1, 3, 64, 100))


def heads_with(network: CSTrack, cell: tuple[int, int], logit: float) -> dict[str, torch.Tensor]:
    """Heads of a 96x64 input: one person, by the second anchor of stride 8 at x, y.

    The identity map tells each cell's x, y in its first two channels.
    """
    heads = {f"detection_{s}": torch.full((1, 18, 64 // s, 96 // s), -20.0) for s in STRIDES}
    x, y = cell
    heads["detection_8"][0, 6:10, y, x] = 0.0  # the anchor's own size, in the middle of the cell
    heads["detection_8"][0, 10:12, y, x] = logit
    rows, columns = torch.meshgrid(torch.arange(1, 9), torch.arange(1, 13), indexing="ij")
    heads["identity"] = torch.stack((columns, rows)).float()[None]
    return heads


def test_decoding_one_person(small: CSTrack) -> None:
    heads = heads_with(small, (4, 2), 3.0)
    (people,) = small.decode(heads, 0.5)
    width, height = ANCHORS[0][1]
    centre = torch.tensor([4.5 * 8, 2.5 * 8])
    half = torch.tensor([width / 2, height / 2])
    torch.testing.assert_close(people.boxes, torch.cat((centre - half, centre + half))[None])
    assert people.scores.item() == pytest.approx(torch.tensor(3.0).sigmoid().square().item())
    assert people.embeddings is not None
    torch.testing.assert_close(people.embeddings[0], torch.tensor([5.0, 3.0]) / 34**0.5)


def test_a_basic_head_reads_the_level_that_detected_the_box() -> None:
    network = CSTrack(0.3, 0.3, structure=Structure(head="basic"))
    heads = heads_with(network, (4, 2), 3.0)
    for level, stride in enumerate((16, 32), 1):
        cells = heads["identity"].new_zeros(1, 2, 64 // stride, 96 // stride)
        cells[0, 0], cells[0, 1] = level, 3
        heads[f"identity_{stride}"] = cells
    heads["detection_16"][0, 6:10, 1, 4] = 0.0  # the second anchor, in the middle of cell 4, 1
    heads["detection_16"][0, 10:12, 1, 4] = 4.0
    (people,) = network.decode(heads, 0.5)
    assert people.embeddings is not None
    coarse, fine = people.embeddings  # best first
    torch.testing.assert_close(coarse, torch.tensor([1.0, 3.0]) / 10**0.5)
    torch.testing.assert_close(fine, torch.tensor([5.0, 3.0]) / 34**0.5)
    (given,) = network.embed_at(heads, [people.boxes])
    torch.testing.assert_close(given, people.embeddings)


def test_the_score_is_a_product_and_above_the_threshold(small: CSTrack) -> None:
    heads = heads_with(small, (4, 2), 0.5)  # sigmoid 0.62, squared 0.39
    assert len(small.decode(heads, 0.38)[0].boxes) == 1
    assert len(small.decode(heads, 0.39)[0].boxes) == 0


def test_nobody_has_embeddings_of_the_right_width(small: CSTrack) -> None:
    (people,) = small.decode(heads_with(small, (0, 0), -20.0), 0.5)
    assert people.embeddings is not None
    assert people.embeddings.shape == (0, 2)


def test_a_centre_outside_takes_the_nearest_cell(small: CSTrack) -> None:
    heads = heads_with(small, (11, 0), 3.0)
    heads["detection_8"][0, 6:8, 0, 11] = torch.tensor([20.0, -20.0])  # 1.5 cells on, 0.5 up
    (people,) = small.decode(heads, 0.5)
    assert (people.boxes[0, 0] + people.boxes[0, 2]) / 2 == pytest.approx(12.5 * 8)
    assert people.embeddings is not None
    torch.testing.assert_close(people.embeddings[0], torch.tensor([12.0, 1.0]) / 145**0.5)


def test_another_reach_is_measured_from_the_corner() -> None:
    network = CSTrack(0.3, 0.3)
    torch.nn.init.constant_(network.reach, 4.0)
    heads = heads_with(network, (4, 2), 3.0)
    heads["detection_8"][0, 6, 2, 4] = 20.0  # sigmoid 1: half of 4 cells to the right
    with torch.inference_mode():
        (people,) = network.decode(heads, 0.5)
    centre = box_convert(people.boxes, "xyxy", "cxcywh")[0, :2]
    torch.testing.assert_close(centre, torch.tensor([6.0 * 8, 2.0 * 8]))


def test_our_own_names_load_too(small: CSTrack) -> None:
    again = CSTrack.from_checkpoint(small.state_dict())
    for name, value in again.state_dict().items():
        assert torch.equal(value, small.state_dict()[name])


def test_an_authors_file_loads(tmp_path: Path, small: CSTrack) -> None:
    path = tmp_path / "cstrack.pt"
    torch.save({"epoch": 29, "model": small.state_dict(), "optimizer": None}, path)
    assert CSTrack.from_checkpoint(read(path).tensors).backbone.channels == (80, 160, 312)


def test_half_precision_tensors_become_single(small: CSTrack) -> None:
    halves = {
        name: value.half() if value.is_floating_point() else value
        for name, value in small.state_dict().items()
    }
    assert CSTrack.from_checkpoint(halves).reach.dtype == torch.float32


def test_what_does_not_fit_is_named(tensors: dict[str, torch.Tensor]) -> None:
    changed = dict(tensors)
    changed["model.28.m.0.bias"] = torch.zeros(24)
    changed["classifier.weight"] = torch.zeros(1)
    del changed["model.26.w2"]
    with pytest.raises(CheckpointError) as caught:
        CSTrack.from_checkpoint(changed)
    for name in ("relations.2.identity_share", "classifier.weight", "detection.0.bias is 24"):
        assert name in str(caught.value)


def test_an_authors_file_may_lack_nothing(tensors: dict[str, torch.Tensor]) -> None:
    less = {name: value for name, value in tensors.items() if "model.27.node.0" not in name}
    with pytest.raises(CheckpointError, match=r"attention\.channels\.weigh\.\S+ is missing"):
        CSTrack.from_checkpoint(less)


def test_the_committed_figures_are_the_shared_ones() -> None:
    if not SHARED.exists():
        pytest.skip("the reference data is not on this machine")
    full = of_image("320x192/synth/")
    for key, value in read_npz(GOLDEN / "synth_320x192_seed0.npz").items():
        assert np.array_equal(full[key], value)
