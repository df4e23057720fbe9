"""Similarity maps of one person in a later frame, and `mottool plot similarity`."""

import json
import re
import subprocess
import sys

import cv2
import matplotlib.image
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner
from figures import street
from torch import nn
from untrained import checkpoint

from mottool.drawing.similarity_plot import crop, draw_similarity
from mottool.errors import InputError, SettingError
from mottool.metrics.identity_matching import box_of
from mottool.models.device import Compute
from mottool.models.fairmot import FairMOT
from mottool.models.preprocessing import Letterbox
from mottool.motchallenge.rows import read_rows
from mottool.networks.registry import NETWORKS
from mottool.pipelines.one_shot import NetworkEmbedder
from mottool.pipelines.similarity_map import (
    _detection_features,
    detection_similarity,
    load_similarity_network,
    similarity,
)
from mottool.stages.plot import command

WIDTH, HEIGHT = 128, 96
RED, GREEN = (40, 40, 220), (60, 200, 60)


class Colours(nn.Module):
    """A backbone whose features are the mean colour of every cell; mid-grey is zero."""

    stride, channels, activation = 4, 3, nn.ReLU

    def forward(self, images):
        return F.avg_pool2d(images - 128 / 255, 4)


def colour_embedder(view):
    """Make a FairMOT on `Colours` whose embeddings are the normalised colours."""
    network = FairMOT(Colours(), embedding_size=3)
    network.identity = nn.Identity()
    return NetworkEmbedder("fairmot-dla34", network.eval(), "", view, Compute.named("cpu"))


def scene(*people):
    """Draw a grey frame with a 16x32 figure at each (left, top, colour)."""
    image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    for left, top, colour in people:
        image[top : top + 32, left : left + 16] = colour
    return image


@pytest.mark.parametrize("size", [(128, 96), (256, 192), (192, 96)])  # unchanged, doubled, padded
def test_similarity_is_one_on_the_same_person_and_low_elsewhere(size):
    query = scene((20, 40, RED), (80, 8, GREEN))
    later = scene((72, 44, RED), (20, 12, GREEN))
    box = np.array([20.0, 40, 36, 72])
    cosines = similarity(colour_embedder(Letterbox(*size)), query, box, later)
    assert cosines.shape == (HEIGHT, WIDTH)
    # Interpolation blurs the edges of the figure, so they are left out.
    np.testing.assert_allclose(cosines[46:74, 74:86], 1, atol=1e-3)
    assert cosines[14:42, 22:34].max() < 0.5
    away = np.ones_like(cosines, bool)
    away[40:80, 68:92] = False
    assert cosines[away].max() < 0.5


@pytest.mark.parametrize(
    ("name", "head", "shift"),
    [("fairmot-dla34", "identity", 2), ("cstrack", "identity", 4), ("jde-576x320", None, 0)],
)
def test_map_cell_is_drawn_where_box_embeddings_are_read(name, head, shift):
    stride = 4 if name.startswith("fairmot") else 8
    head = head or f"embedding_{stride}"

    class Spot(nn.Module):
        """A network whose map equals the query in row 3, column 5 and is its negative elsewhere."""

        def forward(self, images):
            cells = -torch.ones(1, 1, HEIGHT // stride, WIDTH // stride)
            cells[..., 3, 5] = 1
            return {head: torch.cat((cells, cells * 0), 1)}

        def embed_at(self, heads, boxes):
            return [torch.tensor([[1.0, 0.0]])]

    embedder = NetworkEmbedder(name, Spot(), "", Letterbox(WIDTH, HEIGHT), Compute.named("cpu"))
    cosines = similarity(embedder, scene(), np.array([0.0, 0, 9, 9]), scene())
    # A pixel's centre is half a pixel from the cell's centre, so several pixels share the maximum.
    best = np.argwhere(cosines > cosines.max() - 1e-5).mean(axis=0) + 0.5
    np.testing.assert_allclose(best, [3 * stride + shift, 5 * stride + shift])
    assert cosines.min() == -1


def test_network_without_a_dense_map_is_refused_with_those_that_have_one():
    with pytest.raises(SettingError) as caught:
        load_similarity_network("tdt-r34", None)
    named = caught.value.fix.removeprefix("choose one of ").split(", ")
    assert named == [name for name in NETWORKS if not name.startswith(("tdt", "otrack"))]
    with pytest.raises(SettingError, match="no dense map"):
        load_similarity_network("otrack", None)
    with pytest.raises(
        SettingError, match="there is no one-shot network 'fairmot-dla43'"
    ) as caught:
        load_similarity_network("fairmot-dla43", None)
    assert "fairmot-dla34" in caught.value.fix
    with pytest.raises(SettingError, match="needs its weights") as caught:
        load_similarity_network("outrack", None)
    assert "--weights" in caught.value.fix


def test_bundled_network_needs_no_weights():
    embedder = load_similarity_network("mottool-s", None, (160, 96), "cpu")
    image = np.random.default_rng(0).integers(0, 255, (96, 160, 3), np.uint8)
    cosines = similarity(embedder, image, np.array([40, 10, 80, 90]), image)
    assert cosines.shape == (96, 160)
    row, column = np.unravel_index(cosines.argmax(), cosines.shape)
    assert abs(row - 50) <= 4  # within one cell of the box's centre
    assert abs(column - 60) <= 4


@pytest.mark.parametrize("name", ["jde-576x320", "cstrack-s"])
def test_embedding_map_of_the_registry_is_the_head_that_embeds_boxes(name, tmp_path):
    embedder = load_similarity_network(name, checkpoint(name, tmp_path, 8), (64, 64), "cpu")
    image = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    # This box's embedding is read in row 3, column 4 of the stride-8 head. Anchored networks
    # put a cell's position at its top left corner, the others at its centre.
    anchored = NETWORKS[name].embedding_map.startswith("embedding_")
    x, y = (32, 24) if anchored else (36, 28)
    box = np.array([x - 5, y - 12, x + 5, y + 12], np.float32)
    (result,) = embedder.embed([image], [box[None]])
    head = embedder.heads([image])[NETWORKS[name].embedding_map][0]  # (D, 8, 8)
    torch.testing.assert_close(torch.from_numpy(result[0]), F.normalize(head[:, 3, 4], dim=0))


def test_every_network_with_dense_embeddings_names_the_part_that_detects():
    names = [entry.name for entry in NETWORKS.values() if entry.embedding_map]
    assert [entry.name for entry in NETWORKS.values() if entry.detector] == names


def test_detection_features_are_those_that_the_last_detecting_convolution_reads():
    embedder = colour_embedder(Letterbox(WIDTH, HEIGHT))
    network = embedder.network
    network.heatmap = nn.Sequential(nn.Identity(), nn.Identity(), nn.Conv2d(3, 1, 1))
    network.identity = nn.Conv2d(3, 3, 1, bias=False)
    nn.init.zeros_(network.identity.weight)  # the embeddings see nothing
    query = scene((20, 40, RED), (80, 8, GREEN))
    later = scene((72, 44, RED), (20, 12, GREEN))
    box = np.array([20.0, 40, 36, 72])
    assert not similarity(embedder, query, box, later).any()
    cosines = detection_similarity(embedder, query, box, later)
    assert cosines.shape == (HEIGHT, WIDTH)
    np.testing.assert_allclose(cosines[46:74, 74:86], 1, atol=1e-3)
    assert cosines[14:42, 22:34].max() < 0.5


@pytest.mark.parametrize(
    ("name", "channels"),
    [("jde-576x320", 256), ("fairmot-yolov5s", 256), ("cstrack-s", 80), ("mottool-s", 64)],
)
def test_detection_features_have_a_vector_for_each_embedding(name, channels, tmp_path):
    weights = None if NETWORKS[name].bundled else checkpoint(name, tmp_path, 8)
    embedder = load_similarity_network(name, weights, (96, 64), "cpu")
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), np.uint8)
    features = _detection_features(embedder, image)
    head = embedder.heads([image])[NETWORKS[name].embedding_map][0]
    assert features.shape == (channels, *head.shape[1:])
    # A box whose cell is the query's own: the cosine is 1 there.
    cosines = detection_similarity(embedder, image, np.array([34.0, 18, 46, 50]), image)
    assert cosines[28:44, 32:52].max() > 0.9


def test_crop_has_every_pixel_that_the_box_touches():
    image = np.arange(HEIGHT * WIDTH * 3, dtype=np.uint32).astype(np.uint8)
    image = image.reshape(HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(crop(image, np.array([2.5, 3, 6.1, 9])), image[3:9, 2:7])
    np.testing.assert_array_equal(crop(image, np.array([-9.0, 90, 1, 200])), image[90:, :1])
    for box in ([130.0, 5, 140, 9], [-9.0, 5, -1, 9], [5.0, 200, 9, 300]):
        with pytest.raises(InputError, match="is not in the frame of 128x96"):
            crop(image, np.array(box))


def test_plot_marks_the_maximum_with_a_ring_and_darkens_low_similarity(tmp_path):
    query = scene((20, 40, RED))
    cosines = np.zeros((HEIGHT, WIDTH))
    cosines[44:76, 72:88] = 0.8
    cosines[60, 80] = 1
    path = draw_similarity(
        query[40:72, 20:36], scene(), {"c": cosines}, ("a", "b"), "t", tmp_path / "p.png"
    )
    image = matplotlib.image.imread(path)[..., :3]
    reddish = np.abs(image - np.array(RED[::-1]) / 255).max(axis=2) < 0.02
    assert reddish[:, : image.shape[1] // 4].sum() > 2000  # the query crop keeps its colours
    ring = np.abs(image - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.02
    blue = image[..., 2] - image[..., 0]  # in cividis, blue is low and yellow is high
    rows, columns = np.nonzero(ring)
    y, x = round(rows.mean()), round(columns.mean())
    assert blue[y, x + 12] < -0.2  # inside the ring
    assert blue[y, x - 250] > 0.1  # outside the person


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return checkpoint("fairmot-yolov5s", tmp_path_factory.mktemp("weights"), 8)


@pytest.fixture
def plot_street(tmp_path, weights):
    """Return a function that runs `plot similarity` on a synthetic street with random weights."""
    source = street(tmp_path / "street")
    expected = ["--pipeline", "fairmot-yolov5s", "--weights", weights, "--input", "128x96"]

    def call(*given):
        arguments = [source, *expected, "--device", "cpu", "--work", tmp_path / "work", *given]
        return CliRunner().invoke(command, ["similarity", *map(str, arguments)])

    return call


def test_person_given_by_box_or_by_identity_gives_the_same_plot(plot_street, tmp_path):
    rows = read_rows(tmp_path / "street/gt/gt.txt", "ground truth")
    box = ",".join(map(str, rows.tlwh[(rows.frames == 2) & (rows.ids == 1)][0]))
    pictures = []
    for query in (("--person", box), ("--id", 1, "--gt", tmp_path / "street")):
        done = plot_street("--at", 2, 2, *query, "--json")
        assert done.exit_code == 0, (done.output, done.exception)
        (entry,) = json.loads(done.stdout)["done"]
        assert entry["path"].endswith("work/plots/fairmot-yolov5s/street.similarity.png")
        pictures.append(cv2.imread(entry["path"]))
    np.testing.assert_array_equal(*pictures)


def test_position_of_highest_similarity_is_on_the_person(tmp_path, monkeypatch):
    """The embeddings are colours, and only one person of the later frame is red."""
    people = {1: [(20, 40, RED), (80, 8, GREEN)], 2: [(72, 44, RED), (20, 12, GREEN)]}
    for number, figures in people.items():
        path = tmp_path / f"red/{number:06d}.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), scene(*figures))
    (tmp_path / "tracks.txt").write_text("1,7,20,40,16,32,1,1,1\n")
    network = colour_embedder(Letterbox(WIDTH, HEIGHT))
    monkeypatch.setattr(
        "mottool.pipelines.similarity_map.load_similarity_network", lambda *given: network
    )
    arguments = ["similarity", tmp_path / "red", "--at", 1, 2, "--id", 7, "--format", "svg"]
    arguments += ["--tracks", tmp_path / "tracks.txt", "--work", tmp_path / "work"]
    done = CliRunner().invoke(command, [*map(str, arguments)])
    assert done.exit_code == 0, (done.output, done.exception)
    message = (tmp_path / "work/plots/fairmot-dla34/red.similarity.svg").read_text()
    alike, x, y = re.search(r"most alike, (\S+), at x (\d+), y (\d+)", message).groups()
    assert float(alike) == 1
    assert 72 <= int(x) < 88
    assert 44 <= int(y) < 76


def test_every_file_format_is_written(plot_street, tmp_path):
    for form, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        assert plot_street("--at", 1, 3, "--person", "10,10,30,40", "--format", form).exit_code == 0
        path = tmp_path / f"work/plots/fairmot-yolov5s/street.similarity.{form}"
        assert path.read_bytes().startswith(start)


@pytest.mark.parametrize(
    ("features", "titles"),
    [
        ("both", ["detection features", "dense embeddings"]),
        ("embedding", ["dense embeddings"]),
        ("detection", ["detection features"]),
    ],
)
def test_a_map_is_drawn_for_each_of_the_features(features, titles, plot_street, tmp_path):
    drawn = plot_street(
        "--at", 1, 3, "--person", "10,10,30,40", "--features", features, "--format", "svg"
    )
    assert drawn.exit_code == 0
    text = (tmp_path / "work/plots/fairmot-yolov5s/street.similarity.svg").read_text()
    assert re.findall(r"(detection features|dense embeddings), frame 3:", text) == titles


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((), "must be given in exactly one way"),
        (("--person", "1,2,3,4", "--id", 1), "must be given in exactly one way"),
        (("--id", 1), "--id requires --gt or --tracks"),
        (("--person", "1,2,3,4", "--gt", "."), "--id requires --gt or --tracks"),
        (("--id", 1, "--gt", ".", "--tracks", "."), "both give identities"),
        (("--person", "1,2,3"), "is not a box"),
        (("--person", "1,2,nan,4"), "is not a box"),
        (("--person", "1,2,0,4"), "is not a box"),
        (("--person", "left"), "is not a box"),
        (("--person", "1,2,3,4", "--input", "100x100"), "not a multiple of 32"),
        (("--person", "1,2,3,4", "--pipeline", "tdt-r34"), "no dense map of embeddings"),
    ],
)
def test_contradictory_or_invalid_flags_are_refused(plot_street, given, problem):
    done = plot_street("--at", 1, 2, *given)
    assert isinstance(done.exception, SettingError)
    assert problem in str(done.exception)


def test_missing_frame_box_or_identity_is_reported(plot_street, tmp_path):
    person = ("--person", "10,10,30,40")
    assert "has no frame 99" in plot_street("--at", 1, 99, *person).stderr
    outside = plot_street("--at", 1, 2, "--person", "500,1,9,9")
    assert "is not in the frame of 128x96" in outside.stderr
    unknown = plot_street("--at", 1, 2, "--id", 77, "--gt", tmp_path / "street")
    assert unknown.exit_code == 1
    assert "identity 77 is not in frame 1. Fix: choose one of 1, 2, 3" in unknown.stderr
    rows = read_rows(tmp_path / "street/gt/gt.txt", "ground truth")
    with pytest.raises(InputError) as caught:
        box_of(rows, 1, 99)
    assert caught.value.fix == "choose another frame"


def test_help_imports_nothing_heavy_and_has_an_example():
    code = (
        "import sys; from mottool.stages.plot import command; "
        "command(['similarity', '--help'], standalone_mode=False); "
        "print({'numpy', 'torch', 'cv2', 'matplotlib', 'h5py'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"
    assert "--at 1 60" in done.stdout
    assert "--person" in done.stdout
