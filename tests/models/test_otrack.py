"""OTrack against CenterTrack's figures over two frames, with and without occlusion heads."""

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from figures import street
from goldens import HERE, made_up, read_npz, shared, synth_image
from precision import Figure, check_distances, head_figure, hold, in_float64

from mottool.errors import CheckpointError
from mottool.models.device import Compute
from mottool.models.interfaces import Decoded
from mottool.models.otrack import NAMES, OTrack, Recurrence, prior_heatmap
from mottool.models.preprocessing import CenterWarp
from mottool.sources.discovery import find_sequences
from mottool.training.validation import FIGURES, Validation

HEADS = {"hm": "heatmap", "reg": "offset", "wh": "size"} | {
    "tracking": "displacement",
    "ltrb_amodal": "amodal",
}
GOLDEN = read_npz(HERE / "otrack" / "synth_320x192_seed0.npz")


@pytest.fixture(scope="module")
def tensors() -> dict[str, torch.Tensor]:
    return made_up("otrack")


@pytest.fixture(scope="module")
def network(tensors) -> OTrack:
    return OTrack.from_checkpoint(tensors).eval()


def two_frames() -> list[np.ndarray]:
    """The made-up frame, paler than usual, and the same one moved."""
    first = (synth_image().astype(int) * 3 // 4 + 32).astype(np.uint8)
    return [first, np.roll(first, (3, 5), (0, 1))]


@pytest.fixture(scope="module")
def frames() -> list[np.ndarray]:
    return two_frames()


@pytest.fixture(scope="module")
def small(frames) -> torch.Tensor:
    """A small network's input of both frames, (2, 3, 64, 96)."""
    return torch.from_numpy(np.stack([CenterWarp(96, 64).image(frame) for frame in frames]))


def figures(number: int) -> dict[str, np.ndarray]:
    """The authors' figures for one frame."""
    prefix = f"frame{number}/"
    return {k.removeprefix(prefix): v for k, v in GOLDEN.items() if k.startswith(prefix)}


def by_cell(cells: np.ndarray) -> np.ndarray:
    """The order of rows by their cells (n, 2), as nearly equal scores may change places."""
    return np.lexsort(cells.round().T)


def compared(
    network: OTrack, frames: list[np.ndarray]
) -> Iterator[tuple[list[Figure], torch.Tensor | None]]:
    """Compare what the network computes of both frames; yield the rendered tracks with it."""
    recurrence, view = Recurrence(network), CenterWarp(320, 192)
    for number, frame in enumerate(frames, 1):
        golden = figures(number)
        image = torch.from_numpy(view.image(frame))[None]
        np.testing.assert_allclose(image[:, :, ::32, ::32], golden["input/sub32"], atol=1e-6)
        heatmap = recurrence.heatmap
        with torch.inference_mode():
            heads = recurrence.forward(image.to(network.heatmap[0].weight))
            (every,) = recurrence.decode(heads, 0.0)
            (good,) = recurrence.decode(heads, 0.4)
        yield (
            [
                *(head_figure(heads[ours], name, golden) for name, ours in HEADS.items()),
                *decoded_figures(every, golden),
                *result_figures(good, view, golden),
            ],
            heatmap,
        )


def measured() -> Iterator[tuple[str, str, list[Figure]]]:
    """Compare both frames with the figures in float64: folder, frame's name, figures."""
    network = in_float64(OTrack.from_checkpoint(made_up("otrack")).eval())
    for number, (decoded, _) in enumerate(compared(network, two_frames()), 1):
        yield "otrack", f"320x192/frame{number}", decoded


def test_two_frames_equal_the_authors_figures(network, frames):
    for number, (decoded, heatmap) in enumerate(compared(network, frames), 1):
        hold(decoded, "otrack", f"320x192/frame{number}")
        if heatmap is not None:
            check_prior(heatmap.numpy(), figures(number))


@pytest.mark.heavy
def test_float64_is_as_far_from_the_authors_figures_as_the_table_says():
    for folder, name, decoded in measured():
        check_distances(decoded, folder, name)


def check_prior(heatmap: np.ndarray, golden: dict) -> None:
    """Hold what the next image hears of against what the authors render of their tracks."""
    np.testing.assert_allclose(heatmap[:, :, ::8, ::8], golden["pre_hm/sub8"], atol=1e-5)
    h = heatmap.astype(np.float64)
    stats = h.mean(), h.std(), np.sqrt((h**2).sum()), h.min(), h.max()
    np.testing.assert_allclose(stats, golden["pre_hm/stats"], rtol=1e-5)
    assert stats[0] > 0


def decoded_figures(found: Decoded, golden: dict) -> list[Figure]:
    """Compare the best detections, in cells."""
    ours, theirs = found.centres.numpy() / 4, golden["decode/cts"]
    rows = [np.abs(ours - centre).sum(1).argmin() for centre in theirs]
    np.testing.assert_array_equal(ours[rows], theirs)
    return [
        Figure("boxes", found.boxes.numpy()[rows] / 4, golden["decode/bboxes_amodal"]),
        Figure("offsets", found.offsets.numpy()[rows] / 4, golden["decode/tracking"]),
        Figure("scores", found.scores.numpy()[rows], golden["decode/scores"]),
    ]


def result_figures(found: Decoded, view: CenterWarp, golden: dict) -> list[Figure]:
    """Compare the detections above 0.4 in the frame's pixels, which the authors' tracks are."""
    centres = view.to_frame(found.centres.numpy(), 480, 270)
    order, expected = by_cell(centres), by_cell(golden["results/ct"])
    np.testing.assert_allclose(centres[order], golden["results/ct"][expected], atol=1e-3)
    boxes = view.to_frame(found.boxes.numpy(), 480, 270)
    before = view.to_frame((found.centres + found.offsets).numpy(), 480, 270)
    moved, pixels = (before - centres)[order], {"atol": 2e-3 * 4 * 1.5}
    scores = found.scores.numpy()[order]
    return [
        Figure("tracks", boxes[order], golden["results/bbox"][expected], **pixels),
        Figure("track offsets", moved, golden["results/tracking"][expected], **pixels),
        Figure("track scores", scores, golden["results/score"][expected]),
    ]


@pytest.mark.parametrize(("width", "height"), [(320, 192), (960, 544)])
def test_what_is_rendered_are_the_authors_active_tracks(width, height):
    stored = read_npz(shared("golden/centertrack_dla34_mot17/ref_seed0.npz"))
    first, second = f"{width}x{height}/frame1/", f"{width}x{height}/frame2/"
    scale = width / 1920
    boxes = stored[first + "results/bbox"][stored[first + "results/score"] >= 0.5] * scale
    boxes[:, 1::2] += (height - 1080 * scale) / 2
    golden = {k.removeprefix(second): stored[k] for k in stored if k.startswith(second)}
    check_prior(prior_heatmap(boxes, width, height)[None, None], golden)


def test_several_images_at_once_are_taken_one_by_one(network, small):
    together, apart = Recurrence(network), Recurrence(network)
    with torch.inference_mode():
        both = together.forward(small)
        each = [apart.forward(image[None]) for image in small]
    for name, head in both.items():
        torch.testing.assert_close(head, torch.cat([heads[name] for heads in each]))
    torch.testing.assert_close(together.heatmap, apart.heatmap)


def test_the_first_image_is_its_own_previous_one_with_nothing_in_it(network, small):
    image = small[:1]
    with torch.inference_mode():
        heads = Recurrence(network).forward(image)
        plain = network(image, image, torch.zeros(1, 1, 64, 96))
    for name, head in plain.items():
        torch.testing.assert_close(heads[name], head)


def test_both_the_previous_image_and_its_heatmap_are_heard(network, small):
    image, blank = small[:1], torch.zeros(1, 1, 64, 96)
    with torch.inference_mode():
        plain = network(image, image, blank)["heatmap"]
        assert not torch.allclose(network(image, small[1:], blank)["heatmap"], plain, atol=1e-2)
        assert not torch.allclose(network(image, image, blank + 1)["heatmap"], plain, atol=1e-2)


def test_a_score_nothing_reaches_leaves_the_heatmap_empty(network, small):
    full, empty = Recurrence(network, prior_score=0.0), Recurrence(network, prior_score=1.0)
    with torch.inference_mode():
        full.forward(small[:1])
        empty.forward(small[:1])
    assert full.heatmap.max() == 1
    assert empty.heatmap.max() == 0


def test_boxes_are_cut_to_the_input_and_flat_ones_leave_no_trace():
    outside = np.array([[-50, 10, -10, 90], [20, 70, 60, 120]], np.float32)
    flat = np.array([[30, 20, 30, 60], [60, 20, 40, 50]], np.float32)
    assert not prior_heatmap(np.concatenate((outside, flat)), 96, 64).any()
    beyond = np.array([[-40, -30, 30, 21]], np.float32)
    heatmap = prior_heatmap(beyond, 96, 64)
    assert np.unravel_index(heatmap.argmax(), heatmap.shape) == (10, 15)
    assert prior_heatmap(np.zeros((0, 4), np.float32), 96, 64).shape == (64, 96)


def test_occlusion_heads_are_optional_and_follow_from_the_file(tensors, network, small):
    with torch.inference_mode():
        heads = network(small[:1], small[:1], torch.zeros(1, 1, 64, 96))
        (people,) = network.decode(heads, 0.2)
    assert heads.keys() == set(HEADS.values())
    assert people.occlusion_centres is None
    of_outrack = made_up("outrack")
    more = {name: value for name, value in of_outrack.items() if name.startswith("occlusion")}
    both = OTrack.from_checkpoint(tensors | more).eval()
    with torch.inference_mode():
        heads = both(small, small, torch.zeros(2, 1, 64, 96))
        one, other = both.decode(heads, 0.2)
    assert heads["occlusion"].shape == (2, 1, 16, 24)
    assert heads["occlusion_offset"].shape == (2, 2, 16, 24)
    for decoded in (one, other):
        assert (decoded.occlusion_centres[:, 2] >= 0.1).all()
    assert len(one.occlusion_centres) + len(other.occlusion_centres) > 0


@pytest.mark.parametrize("occlusion", [False, True])
def test_our_own_names_load_as_well(occlusion, small):
    network = OTrack(occlusion, hidden=32).eval()
    again = OTrack.from_checkpoint(network.state_dict()).eval()
    with torch.inference_mode():
        inputs = small[:1], small[1:], torch.zeros(1, 1, 64, 96)
        ours, theirs = again(*inputs), network(*inputs)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_misfits_are_named_by_tensor_and_pipeline(tensors):
    broken = {k: v for k, v in tensors.items() if not k.startswith("base.pre_hm_layer.0")}
    with pytest.raises(CheckpointError, match="previous_heatmap.0.weight is missing"):
        OTrack.from_checkpoint(broken)
    with pytest.raises(CheckpointError, match="occlusion_offset.0.weight is missing"):
        OTrack.from_checkpoint(tensors | {"occlusion.0.weight": torch.zeros(256, 64, 3, 3)})
    with pytest.raises(CheckpointError, match="they look like weights of outrack"):
        OTrack.from_checkpoint(made_up("outrack"))


def test_the_imagenet_classifier_left_in_the_file_is_let_be(tensors):
    more = {"base.fc.weight": torch.zeros(1000, 512, 1, 1), "base.fc.bias": torch.zeros(1000)}
    names = OTrack.from_checkpoint(tensors | more).state_dict().keys()
    assert not any("fc" in name for name in names)
    assert {name.split(".")[0] for name in names} == {"backbone", *NAMES.values()}


def test_training_reaches_every_parameter(small):
    network = OTrack()
    heads = network(small[:1], small[1:], torch.rand(1, 1, 64, 96))
    sum(head.square().mean() for head in heads.values()).backward()
    assert all(p.grad is not None for p in network.parameters())


def test_validation_tells_what_can_be_told_without_embeddings(tmp_path):
    sequences = find_sequences([street(tmp_path / "street", 3, size=(96, 64))])
    compute = Compute.named("cpu", "fp32")
    figures = Validation("otrack", sequences, (96, 64), "otrack", compute)(OTrack(hidden=32).eval())
    assert set(FIGURES) - figures.keys() == {"TPR@FAR=0.1", "Rank1", "mAP"}
    assert np.isfinite([*figures.values()]).all()


def test_bfloat16_decodes_in_float32(tensors, small):
    recurrence = Recurrence(OTrack.from_checkpoint(tensors).eval().bfloat16())
    with torch.inference_mode():
        heads = recurrence.forward(small.bfloat16())
        decoded = recurrence.decode(heads, 0.2)
    assert recurrence.heatmap.dtype == torch.bfloat16
    assert {each.boxes.dtype for each in decoded} == {torch.float32}
    assert {each.offsets.dtype for each in decoded} == {torch.float32}
