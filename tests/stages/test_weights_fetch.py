"""`mottool weights fetch`: downloads are verified, and found by pipelines without a flag."""

import json
import socket

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from exports import colours_ir, fixed_boxes_onnx
from goldens import synth_image
from untrained import checkpoint
from websites import Website

from mottool.cache.reader import Cache
from mottool.checkpoints import download, transfer
from mottool.checkpoints.manifest import Listing, listings
from mottool.checkpoints.read import read
from mottool.errors import CheckpointError, SettingError
from mottool.pipelines.build import build_pipeline, build_teacher
from mottool.pipelines.options import Options
from mottool.stages import detect_embed, weights
from mottool.stages.weights import command


def invoke(*arguments):
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


@pytest.fixture
def osnet(tmp_path):
    return checkpoint("osnet_x0_25", tmp_path)


@pytest.fixture
def fairmot(tmp_path):
    return checkpoint("fairmot-yolov5s", tmp_path)


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    """Return a function that sets the entries of the manifest; the cache folder is empty."""
    monkeypatch.setenv("MOTTOOL_WEIGHTS", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")

    def replace(*entries):
        for module in (weights, download):
            monkeypatch.setattr(module, "listings", lambda: list(entries))

    return replace


@pytest.fixture
def site():
    with Website() as server:
        yield server


def entry_at(name, site, file="", **more):
    return Listing(name, "https://page", "its licence", "", file, f"{site.url}/{file}", **more)


def test_fetched_checkpoint_is_verified_and_used_without_a_flag(osnet, manifest, site, tmp_path):
    site.content = osnet.read_bytes()
    manifest(entry_at("osnet_x0_25", site))
    path = tmp_path / "cache/osnet_x0_25.pth"
    with pytest.raises(SettingError, match="Fix: run `mottool weights fetch osnet_x0_25`, or "):
        build_pipeline("gt+osnet_x0_25", Options())
    result = invoke("fetch", "osnet_x0_25")
    assert result.exit_code == 0, result.output
    first, *lines = result.output.splitlines()
    assert first == f"{path}  osnet_x0_25, 565 of 567 tensors are used, none is missing"
    facts = dict(line.strip().split("  ", 1) for line in lines)
    assert facts["licence"].strip() == "its licence"
    assert facts["page"].strip() == "https://page"
    assert path.read_bytes() == osnet.read_bytes()

    again = invoke("fetch", "osnet_x0_25", "--json")
    assert json.loads(again.stdout)["done"][0]["sha256"] == read(osnet).sha256
    assert again.stderr.startswith(f"mottool: {path} exists already; --overwrite")
    assert len(site.requests) == 1

    messages = []
    teacher = build_teacher("osnet_x0_25", Options(device="cpu"), messages.append)
    assert teacher.weights == read(osnet).sha256
    build_pipeline("gt+osnet_x0_25", Options(device="cpu"), messages.append)
    assert messages == [f"osnet_x0_25 uses {path} (licence: its licence)"] * 2
    given = Options(embedder_weights=osnet, device="cpu")
    build_pipeline("gt+osnet_x0_25", given, messages.append)
    assert len(messages) == 2


def test_detect_embed_uses_a_fetched_file_and_reports_it(fairmot, manifest, site, tmp_path):
    manifest(entry_at("fairmot-yolov5s", site, "fairmot_yolov5s.pth"))
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/fairmot_yolov5s.pth").symlink_to(fairmot)
    (tmp_path / "frames").mkdir()
    cv2.imwrite(str(tmp_path / "frames/1.png"), synth_image())
    arguments = [tmp_path / "frames", "--pipeline", "fairmot-yolov5s", "--input", "64x64"]
    arguments += ["--device", "cpu", "--work", tmp_path / "work"]
    result = CliRunner().invoke(detect_embed.command, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    line = (
        f"mottool: fairmot-yolov5s uses {tmp_path}/cache/fairmot_yolov5s.pth (licence: its licence)"
    )
    assert line in result.stderr.splitlines()
    with Cache(tmp_path / "work/caches/fairmot-yolov5s/frames.h5") as cache:
        assert cache.header.weights == read(fairmot).sha256


def test_first_or_named_file_of_an_entry_is_fetched(osnet, manifest, site, tmp_path):
    site.content = osnet.read_bytes()
    manifest(
        Listing("osnet_x0_25", "https://page", "", "", note="None of their own"),
        *(entry_at("osnet_x0_25", site, f"{file}.pth") for file in "abc"),
    )
    result = invoke("fetch", "osnet_x0_25", "--out", tmp_path / "made/x.pth")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "made/x.pth").read_bytes() == osnet.read_bytes()
    message = "mottool: osnet_x0_25 has several files; using a.pth. Others, by name: b.pth, c.pth"
    assert result.stderr.splitlines() == [message]
    assert invoke("fetch", "b.pth").exit_code == 0
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["b.pth"]
    commands = [entry["fetch"] for entry in json.loads(invoke("list", "--json").output)]
    assert commands == [
        None,
        *(f"mottool weights fetch {x}" for x in ("osnet_x0_25", "b.pth", "c.pth")),
    ]


@pytest.mark.parametrize("damage", ["cut", "other", "page"])
def test_unusable_download_is_refused_in_one_line(damage, osnet, manifest, site, tmp_path):
    page = b"<html><title>Sign in"
    content = {"cut": osnet.read_bytes()[:-1000], "other": osnet.read_bytes(), "page": page}
    site.content = content[damage]
    name = "osnet_x1_0" if damage == "other" else "osnet_x0_25"
    manifest(entry_at(name, site, "x.pth"))
    result = invoke("fetch", name)
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    reason = {"cut": "x.pth is damaged", "other": "its first layer has 16", "page": "is a web page"}
    assert reason[damage] in line
    fix = f"open https://page in a browser and save the file as {tmp_path}/cache/x.pth."
    assert line.endswith(fix)
    assert ".download" not in line
    assert not list((tmp_path / "cache").iterdir())


def test_failed_download_error_names_the_page_and_the_path(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "BACKOFF", 0)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nothing listens there
        host = f"127.0.0.1:{held.getsockname()[1]}"
        manifest(
            Listing("osnet_x0_25", "https://page", "", "", "x.pth", f"http://{host}/x.pth"),
            Listing("tdt-r34", "https://other", "", "", note="Train it"),
        )
        result = invoke("fetch", "osnet_x0_25")
    assert result.exit_code == 1
    assert result.stderr == (
        f"mottool: osnet_x0_25: cannot download x.pth: cannot reach {host}. Fix: run the same "
        f"command again, or open https://page in a browser and save the file as {tmp_path}/cache/"
        "x.pth.\n"
    )
    result = invoke("fetch", "tdt-r34", "--json")
    assert result.exit_code == 1
    error = "the manifest has no address for tdt-r34 (Train it). Fix: open https://other in a brow"
    assert json.loads(result.stdout)["failed"][0]["error"].startswith(error)
    with pytest.raises(SettingError, match="did you mean 'tdt-r34'"):
        weights.fetch("tdt-r43")


def test_torchvision_and_exported_detectors_are_opened_after_the_download(manifest, site, tmp_path):
    boxes, scores = np.array([[1, 2, 30, 40]], np.float32), np.array([0.9], np.float32)
    onnx = fixed_boxes_onnx(tmp_path / "made.onnx", boxes, scores)
    site.content = onnx.read_bytes()
    manifest(entry_at("onnx", site, "boxes.onnx"), entry_at("yolox", site, "other.onnx"))
    path, facts = weights.fetch("onnx")
    assert (facts["pipeline"], facts["opened"]) == ("onnx", "yes")
    assert path == tmp_path / "cache/boxes.onnx"
    with pytest.raises(SettingError, match="does not end in .onnx"):
        weights.fetch("yolox", out=tmp_path / "x.pth")
    site.content = onnx.read_bytes()[:-100]
    with pytest.raises(CheckpointError, match=r"other\.onnx is damaged or no ONNX file"):
        weights.fetch("yolox")
    site.content = checkpoint("ssdlite", tmp_path).read_bytes()
    manifest(entry_at("ssdlite", site, "ssdlite.pth"))
    assert weights.fetch("ssdlite")[1]["opened"] == "yes"
    messages = []
    build_pipeline("ssdlite", Options(device="cpu"), messages.append)
    assert messages == [f"ssdlite uses {tmp_path}/cache/ssdlite.pth (licence: its licence)"]


def test_both_files_of_an_ir_are_fetched(manifest, site, tmp_path):
    ir = colours_ir(tmp_path / "made.xml")
    site.content = ir.read_bytes()
    site.script = [lambda handler: handler.answer(200, ir.with_suffix(".bin").read_bytes())]
    manifest(entry_at("reid", site, "colours.xml", beside=[f"{site.url}/colours.bin"]))
    path, facts = weights.fetch("reid", out=tmp_path / "mine.xml")
    assert facts["opened"] == "yes"
    assert path.with_suffix(".bin").read_bytes() == ir.with_suffix(".bin").read_bytes()


def test_files_of_the_manifest_have_distinct_paths():
    names = [entry.file_name for entry in listings() if entry.url or entry.file]
    assert len(names) == len(set(names))
    assert all(address.startswith("https://") for entry in listings() for address in entry.beside)
