"""Names of pipelines: joining boxes, network and embedder; unknown names and wrong options."""

import pytest

from mottool.errors import SettingError
from mottool.networks.registry import NETWORKS
from mottool.pipelines import registry
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.choice import PipelineConfig, full_name_of
from mottool.pipelines.names import full_name
from mottool.pipelines.options import Options
from mottool.settings import build_settings
from mottool.stages.detect_embed import command


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
def test_pipeline_name_is_joined_from_boxes_network_and_embedder(name, embedder, boxes, expected):
    result, options = full_name(name, embedder, boxes, Options())
    assert result == expected
    assert (options.detections is not None) == (boxes == "some.txt")


@pytest.mark.parametrize(
    ("name", "embedder", "boxes", "message"),
    [
        ("yolox+reid", "histogram", "", "already has an embedder"),
        ("yolox", "", "gt", "makes no embeddings for the boxes"),
        ("otrack", "", "gt", "makes no embeddings for the boxes"),
    ],
)
def test_impossible_combinations_of_boxes_and_embedder_are_refused(name, embedder, boxes, message):
    with pytest.raises(SettingError, match=message):
        full_name(name, embedder, boxes, Options())


@pytest.mark.parametrize(
    ("name", "options", "message"),
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
def test_unknown_names_and_missing_or_inapplicable_options_are_refused(name, options, message):
    with pytest.raises(SettingError, match=message):
        build_pipeline(name, options)


def test_input_size_must_be_a_multiple_of_32_and_the_error_suggests_one():
    assert build_settings(Options, {"input": "1088x608"}, "it").input == (1088, 608)
    with pytest.raises(SettingError, match="give for example 640x480"):
        build_settings(Options, {"input": "650x480"}, "it")
    for text in ("650", "axb", "-32x64", "0x0", "0x32", "32x", "32x32x32"):
        with pytest.raises(SettingError, match="--input"):
            build_settings(Options, {"input": text}, "it")


def test_help_of_detect_embed_names_every_network_detector_and_embedder():
    """Check that the help has each name, or its ending after the first name of its family."""
    manual = " ".join(command.help.split())
    for name in (*NETWORKS, *registry.DETECTORS, *registry.EMBEDDERS):
        endings = [name[i:] for i, letter in enumerate(name) if letter in "-_"]
        assert name in manual or any(f" {ending}" in manual for ending in endings), name


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_does_not_mean_the_default_pipeline(name):
    with pytest.raises(SettingError, match="the name of the pipeline is empty"):
        full_name_of(PipelineConfig(pipeline=name))
