"""`mottool weights`: listed files exist, verified ones fit, converted ones are equal."""

import json
import shlex
from collections import OrderedDict
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from goldens import made_up, synth_image
from safetensors.torch import load_file, save_file
from untrained import checkpoint

from mottool.cache.reader import Cache
from mottool.checkpoints.cards import card_path, read_card
from mottool.checkpoints.manifest import Listing, listings
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError, SettingError
from mottool.models.cstrack import CSTrack
from mottool.models.jde import JDE
from mottool.networks.registry import NETWORKS
from mottool.pipelines import load_network as loading
from mottool.pipelines.embedders.osnet import VARIANTS, authors_module
from mottool.pipelines.load_network import load_network
from mottool.pipelines.registry import DETECTORS, EMBEDDERS
from mottool.stages import detect_embed, weights
from mottool.stages.weights import command, convert, verify


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tensors():
    """Return the authors' tensors of the smallest network, with random values."""
    return random_osnet("osnet_x0_25") | {
        "classifier.weight": torch.ones(7, 512),
        "classifier.bias": torch.ones(7),
    }


def random_osnet(name):
    """Return the state dict of an untrained OSNet."""
    torch.manual_seed(0)
    file, _ = VARIANTS[name]
    network = getattr(authors_module(file), name)(num_classes=1, pretrained=False)
    return {key: v for key, v in network.state_dict().items() if "classifier" not in key}


@pytest.fixture
def osnet(tmp_path, tensors):
    path = tmp_path / "osnet.pth"
    torch.save({"state_dict": {f"module.{name}": v for name, v in tensors.items()}}, path)
    return path


@pytest.fixture(scope="module")
def fairmot(tmp_path_factory):
    """Write a FairMOT checkpoint in its authors' layout."""
    path = tmp_path_factory.mktemp("authors") / "fairmot_dla34.pth"
    torch.save({"epoch": 30, "state_dict": OrderedDict(made_up("fairmot_dla34"))}, path)
    return path


# list


def test_every_network_is_listed_and_every_entry_is_a_pipeline_part():
    listed = {entry.name for entry in listings()}
    assert set(NETWORKS) <= listed
    assert set(VARIANTS) <= listed
    assert listed <= {*NETWORKS, *EMBEDDERS, *DETECTORS}


def test_every_entry_has_a_page_a_licence_and_an_address_or_a_note():
    for entry in listings():
        bundled = entry.name in NETWORKS and NETWORKS[entry.name].bundled
        assert entry.page.startswith("comes with mottool" if bundled else "https://")
        assert entry.licence
        assert entry.url.startswith("https://") or not entry.url
        assert entry.url or entry.note, f"{entry.name}: neither an address nor why there is none"
        assert not entry.note.endswith(".")


@pytest.mark.parametrize("entry", listings(), ids=lambda entry: f"{entry.name} {entry.file}")
def test_every_listed_command_is_valid(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program, stage, *arguments = shlex.split(entry.command)
    for option, value in pairwise(arguments):
        if option.endswith("weights"):
            (tmp_path / value).touch()
    assert (program, stage) == ("mottool", "detect-embed")
    given = detect_embed.command.make_context(stage, list(arguments)).params
    assert given["sources"] == ("SOURCE",)
    (pipeline,) = given["names"]
    assert entry.name in pipeline.split("+")
    bundled = entry.name in NETWORKS and NETWORKS[entry.name].bundled
    if entry.file and not bundled and entry.name in {*NETWORKS, *EMBEDDERS}:
        assert entry.file in arguments


def test_list_prints_text_and_json():
    lines = invoke("list").output.splitlines()
    assert "fairmot-dla34" in lines
    assert any("ifzhang/FairMOT" in line for line in lines)
    rows = json.loads(invoke("list", "--json").output)
    commands = [entry.pop("fetch") for entry in rows]
    assert [Listing(**entry) for entry in rows] == listings()
    assert [bool(command) for command in commands] == [bool(entry.url) for entry in listings()]


# verify


def test_verify_reports_used_and_unused_tensors(osnet, tensors):
    facts = verify(osnet)
    assert facts == {
        "pipeline": "osnet_x0_25",
        "or_for": None,
        "format": "PyTorch zip archive",
        "sha256": read(osnet).sha256,
        "bytes": osnet.stat().st_size,
        "looks_like": "osnet",
        "tensors": len(tensors),
        "numbers": sum(value.numel() for value in tensors.values()),
        "left_out": ["classifier.weight", "classifier.bias"],
        "never_called": None,
        "card": None,
        "manifest": None,
    }


def test_tensors_with_equal_values_are_counted_separately(tmp_path, tensors):
    twice = tensors | {"classifier.bias": tensors["fc.0.bias"]}
    torch.save(twice, tmp_path / "w.pth")
    assert len(verify(tmp_path / "w.pth")["left_out"]) == 2


def test_verify_prints_one_fact_a_line(osnet):
    result = invoke("verify", osnet)
    assert result.exit_code == 0, result.output
    first, *lines = result.output.splitlines()
    assert first.endswith("osnet_x0_25, 565 of 567 tensors are used, none is missing")
    facts = dict(line.strip().split("  ", 1) for line in lines)
    assert facts["left out"].strip() == "classifier.weight, classifier.bias"


def test_pickled_code_is_reported_and_not_executed(tmp_path, tensors):
    victim = tmp_path / "executed"

    class Trap:
        def __reduce__(self):
            return exec, (f"import os; os.mkdir({str(victim)!r})",)

    torch.save({"state_dict": tensors, "x": Trap()}, tmp_path / "w.pth")
    result = invoke("verify", "--json", tmp_path / "w.pth")
    assert json.loads(result.stdout)["done"][0]["never_called"]
    assert not victim.exists()
    torch.load(tmp_path / "w.pth", weights_only=False)  # unrestricted unpickling would run the code
    assert victim.exists()


def test_invalid_file_does_not_stop_the_others(tmp_path, osnet):
    page = tmp_path / "page.pth"
    page.write_text("<!DOCTYPE html>")
    result = invoke("verify", "--json", page, osnet, tmp_path / "none.pth")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert [entry["sequence"] for entry in report["done"]] == ["osnet.pth"]
    assert "web page" in report["failed"][0]["error"]
    assert "there is no file or folder" in report["failed"][1]["error"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["odd.weight"], "belongs to no known network"),
        (["model.0.conv.conv.weight", "model.24.m.0.weight"], "like a plain YOLOv5 detector"),
        (["hm.0.weight", "id.0.weight", "dla_up.ida_0.proj_1.conv.weight"], "is missing"),
    ],
)
def test_file_of_an_unknown_network_is_refused(tmp_path, names, message):
    save_file({name: torch.ones(1) for name in names}, tmp_path / "w.safetensors")
    with pytest.raises(CheckpointError, match=message):
        verify(tmp_path / "w.safetensors")


def test_file_of_another_network_is_refused(osnet):
    with pytest.raises(CheckpointError, match="do not fit fairmot-dla34") as caught:
        verify(osnet, "fairmot-dla34")
    assert "look like weights of osnet" in str(caught.value)
    with pytest.raises(SettingError, match="did you mean 'osnet_x0_25'"):
        verify(osnet, "osnet_x025")


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_non_finite_weights_are_refused(value, tmp_path, tensors):
    broken = {name: tensor.clone() for name, tensor in tensors.items()}
    broken["conv1.bn.weight"][3] = value
    torch.save(broken, tmp_path / "w.pth")
    with pytest.raises(
        CheckpointError, match=r"w\.pth: .*NaN or infinity, in conv1\.bn\.weight\. F"
    ):
        verify(tmp_path / "w.pth")
    # Unused tensors may have any values.
    unused = tensors | {"classifier.bias": torch.full_like(tensors["classifier.bias"], value)}
    torch.save(unused, tmp_path / "w.pth")
    assert verify(tmp_path / "w.pth")["left_out"] == ["classifier.weight", "classifier.bias"]


def test_non_finite_weights_are_reported_for_the_detected_network(tmp_path):
    network = checkpoint("fairmot-yolov5s", tmp_path)
    content = torch.load(network, weights_only=True)
    content["state_dict"]["heatmap.2.bias"][0] = float("nan")
    torch.save(content, network)
    with pytest.raises(CheckpointError, match=r"NaN or infinity, in heatmap\.2\.bias"):
        verify(network)


def test_darknet_weights_are_read_by_jde_only(tmp_path):
    path = tmp_path / "jde.weights"
    path.write_bytes(np.array([0, 2, 0, 0, 0], "<i4").tobytes() + bytes(400))
    with pytest.raises(CheckpointError, match="have no names"):
        verify(path, "fairmot-dla34")
    with pytest.raises(CheckpointError, match="is 420 bytes long, but"):
        verify(path)


def test_jde_file_of_unknown_input_size_needs_a_pipeline_name(tmp_path, monkeypatch):
    path, out = tmp_path / "jde.safetensors", tmp_path / "ours.safetensors"
    save_file({"module_list.0.conv_0.weight": torch.ones(1)}, path)
    monkeypatch.setattr(loading, "_maker", lambda name: lambda tensors: torch.nn.Linear(1, 1))
    assert verify(path)["or_for"] == "jde-864x480, jde-576x320, jde-paper-anchors"
    with pytest.raises(SettingError, match="any of jde-1088x608, jde-864x480, jde-576x320"):
        convert(path, out)
    assert not out.exists()
    assert verify(path, "jde-576x320")["or_for"] is None
    convert(path, out, "jde-576x320")
    assert read_card(out).pipeline == "jde-576x320"


def test_verify_shows_the_learned_lambdas_of_cstrack(tmp_path):
    network = CSTrack(0.3, 0.3)
    torch.nn.init.constant_(network.relations[0].identity_share, 0.31519)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    facts = verify(tmp_path / "w.pt", "cstrack-s")
    assert (facts["lambda_1_8"], facts["lambda_2_8"]) == (0.5, 0.31519)
    lines = invoke("verify", "--pipeline", "cstrack-s", tmp_path / "w.pt").output.splitlines()
    assert ["lambda", "2", "8", "0.31519"] in [line.split() for line in lines]


def test_sha256_is_compared_with_the_manifest(osnet, monkeypatch):
    def listed(sha256):
        entry = Listing("osnet_x0_25", "https://page", "MIT", "", osnet.name, sha256=sha256)
        monkeypatch.setattr(weights, "listings", lambda: [entry])

    listed(read(osnet).sha256[:8])
    assert verify(osnet)["manifest"] == "agrees; https://page"
    listed("")
    assert "not its sha256" in verify(osnet)["manifest"]
    listed("0" * 8)
    with pytest.raises(CheckpointError, match="is not the osnet.pth of https://page"):
        verify(osnet)


# convert


def test_converted_file_has_the_same_tensors_and_a_card(osnet, tensors, tmp_path):
    out = tmp_path / "made" / "osnet.safetensors"
    result = invoke("convert", osnet, "--out", out)
    assert result.exit_code == 0, result.output
    converted = load_file(out)
    assert converted.keys() == tensors.keys() - {"classifier.weight", "classifier.bias"}
    assert all(torch.equal(converted[name], tensors[name]) for name in converted)
    card = read_card(out)
    assert (card.pipeline, card.sha256) == ("osnet_x0_25", read(out).sha256)
    assert card.origin == f"osnet.pth, sha256 {read(osnet).sha256}"
    assert card.training_data == {}
    facts = verify(out)
    assert facts["card"] == f"agrees; {card.origin}"
    assert facts["left_out"] == []


def test_card_has_the_facts_of_the_manifest_entry_with_the_file_s_name(fairmot, tmp_path):
    out = convert(fairmot, tmp_path / "w.safetensors")
    card = read_card(out)
    assert card.pipeline == "fairmot-dla34"
    assert "github.com/ifzhang/FairMOT" in card.origin
    assert card.training_data["CrowdHuman"] == "non-commercial"
    assert list(card.metrics.values()) == [73.7]


def test_card_of_another_file_or_pipeline_is_refused(osnet, tmp_path):
    out = convert(osnet, tmp_path / "w.safetensors")
    card = card_path(out).read_text()
    card_path(out).write_text(card.replace("osnet_x0_25", "osnet_ibn_x1_0"))
    with pytest.raises(CheckpointError, match="osnet_ibn_x1_0"):
        verify(out)
    card_path(out).write_text(card.replace(read(out).sha256, "0" * 64))
    with pytest.raises(CheckpointError, match="its card describes"):
        verify(out)


def test_converted_file_gives_the_same_detections(fairmot, tmp_path):
    out = convert(fairmot, tmp_path / "w.safetensors", "fairmot-dla34")
    theirs, ours = load_network(fairmot, "fairmot-dla34"), load_network(out, "fairmot-dla34")
    before, after = theirs.network.state_dict(), ours.network.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    image = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        heads = theirs.network(image), ours.network(image)
    assert all(torch.equal(heads[0][name], heads[1][name]) for name in heads[0])

    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames" / "1.png"), synth_image())
    frames = []
    for weight in (fairmot, out):
        work = tmp_path / weight.suffix
        arguments = [tmp_path / "frames", "--pipeline", "fairmot-dla34", "--weights", weight]
        arguments += ["--input", "320x192", "--device", "cpu", "--work", work]
        result = CliRunner().invoke(detect_embed.command, [str(each) for each in arguments])
        assert result.exit_code == 0, result.output
        with Cache(work / "caches/fairmot-dla34/frames.h5") as cache:
            frames.append(next(cache.frames()))
    assert len(frames[0].boxes)
    assert np.array_equal(frames[0].boxes, frames[1].boxes)
    assert np.array_equal(frames[0].embeddings, frames[1].embeddings)


def test_output_without_safetensors_suffix_or_equal_to_the_input_is_refused(osnet, tmp_path):
    with pytest.raises(SettingError, match="does not end in .safetensors"):
        convert(osnet, tmp_path / "w.pth")
    out = convert(osnet, tmp_path / "w.safetensors")
    with pytest.raises(SettingError, match="is the input file"):
        convert(out, out)


def test_failed_conversion_leaves_no_file(osnet, tmp_path):
    out = tmp_path / "w.safetensors"
    result = invoke("convert", osnet, "--pipeline", "osnet_x1_0", "--out", out)
    assert result.exit_code == 1
    assert list(tmp_path.iterdir()) == [osnet]


# Pipelines whose files have the authors' names, and how many tensors only training uses.

heavy = pytest.mark.heavy


@pytest.mark.parametrize(
    ("model", "pipeline", "unused"),
    [
        ("fairmot_yolov5s", "fairmot-yolov5s", 0),
        pytest.param("fairmot_resdcn34", "fairmot-resnet34", 0, marks=heavy),
        pytest.param("fairmot_resfpndcn34", "fairmot-resnet34-fpn", 0, marks=heavy),
        pytest.param("fairmot_resdcn50", "fairmot-resnet50", 0, marks=heavy),
        pytest.param("fairmot_hrnet18", "fairmot-hrnet18", 0, marks=heavy),
        pytest.param("fairmot_hrnet32", "fairmot-hrnet32", 0, marks=heavy),
        pytest.param("outrack", "outrack", 12, marks=heavy),
        pytest.param("otrack", "otrack", 12, marks=heavy),
        pytest.param("jde", "jde-1088x608", 11, marks=heavy),
    ],
)
def test_files_of_the_authors_are_recognised_and_converted(model, pipeline, unused, tmp_path):
    torch.save({"epoch": 30, "state_dict": made_up(model)}, tmp_path / "w.pth")
    check(tmp_path / "w.pth", pipeline, unused)


def check(path, pipeline, unused):
    """Compare what `verify` reports of an authors' file and of its conversion."""
    theirs = verify(path)
    named = pipeline if theirs["or_for"] else None
    ours = verify(convert(path, path.parent / "w.safetensors", named))
    assert (theirs["pipeline"], len(theirs["left_out"])) == (pipeline, unused)
    assert (ours["pipeline"], ours["left_out"]) == (pipeline, [])
    return theirs


def test_pickled_module_is_converted(tmp_path):
    content = {"epoch": 3, "model": CSTrack(0.3, 0.3).half(), "optimizer": None}
    torch.save(content, tmp_path / "w.pt")
    assert check(tmp_path / "w.pt", "cstrack-s", 0)["never_called"].endswith("CSTrack")


@pytest.mark.heavy
def test_darknet_weights_are_converted(tmp_path):
    authors = made_up("jde")
    names = [name for layer in JDE.darknet_layers() for name, _ in layer.tensors()]
    header = np.array([0, 2, 0, 100, 0], "<i4").tobytes()
    values = b"".join(authors[name].numpy().astype("<f4").tobytes() for name in names)
    (tmp_path / "w.weights").write_bytes(header + values)
    assert check(tmp_path / "w.weights", "jde-1088x608", 0)["format"] == "darknet weights"
    converted = load_file(tmp_path / "w.safetensors")
    assert torch.equal(converted["level_8.embedding.bias"], authors[names[-2]])
