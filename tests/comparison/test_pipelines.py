import pytest
from rivals import cached

from mottool.comparison.pipelines import (
    BOXES,
    ONE_SHOT,
    ORACLE,
    TWO_STAGE,
    find_pipelines,
    kind_of,
)
from mottool.errors import InputError
from mottool.networks.registry import NETWORKS
from mottool.pipelines.registry import DETECTORS


@pytest.mark.parametrize(
    ("pipeline", "embeds", "kind"),
    [
        *((name, True, ONE_SHOT) for name in NETWORKS),
        *((name, False, BOXES) for name in DETECTORS if name != "gt"),
        ("otrack", False, ONE_SHOT),
        ("yolox+osnet_x1_0", True, TWO_STAGE),
        ("public+histogram", True, TWO_STAGE),
        ("fairmot-dla34+reid", True, TWO_STAGE),
        ("gt+histogram", True, ORACLE),
        ("unknown", True, ONE_SHOT),
        ("unknown", False, BOXES),
    ],
)
def test_the_kind_follows_from_the_name(pipeline, embeds, kind):
    assert kind_of(pipeline, embeds) == kind


def test_caches_of_one_folder_and_pipeline_belong_together(tmp_path):
    for pipeline in ("yolox+reid", "public"):
        for name in ("a", "b"):
            cached(tmp_path, pipeline, name, embeds=pipeline != "public")
    public, yolox = find_pipelines([tmp_path])
    assert (public.name, yolox.name) == ("public", "yolox+reid")
    assert set(public.caches) == set(yolox.caches) == {"a", "b"}
    assert (public.boxes_given, yolox.boxes_given) == (True, False)
    assert (public.missing_fields("fairmot"), yolox.missing_fields("fairmot")) == (
        ["embeddings"],
        [],
    )
    assert yolox.missing_fields("otrack") == ["offsets"]
    assert not public.missing_fields("sort")


@pytest.mark.parametrize("by", ["folder", "files"])
def test_folders_of_caches_and_cache_files_are_accepted(tmp_path, by):
    paths = [cached(tmp_path, "public+histogram", name) for name in ("a", "b")]
    cached(tmp_path, "public+histogram", "c").rename(tmp_path / "caches/public+histogram/c.part.h5")
    (only,) = find_pipelines([paths[0].parent] if by == "folder" else paths)
    assert dict(only.caches) == dict(zip("ab", paths, strict=True))


def test_a_pipeline_in_two_work_folders_is_named_by_its_folders(tmp_path):
    for work in ("mine", "theirs"):
        cached(tmp_path / work, "tdt-r34", "a")
    pipelines = find_pipelines([tmp_path / "mine", tmp_path / "theirs"])
    assert [pipeline.name for pipeline in pipelines] == [
        str(tmp_path / work / "caches/tdt-r34") for work in ("mine", "theirs")
    ]


def test_caches_at_ground_truth_boxes_belong_to_pipelines_with_the_same_embedder(tmp_path):
    cached(tmp_path, "tdt-r34", "a", weights="f00d")
    cached(tmp_path, "yolox+reid", "a", settings={"embedder_weights": "cafe"})
    cached(tmp_path, "yolox+histogram", "a")
    cached(tmp_path / "other", "yolox+reid", "a", settings={"embedder_weights": "cafe"})
    tdt = cached(tmp_path, "gt+tdt-r34", "a", settings={"embedder_weights": "f00d"})
    cached(tmp_path, "gt+reid", "a", settings={"embedder_weights": "beef"})  # of other weights
    pipelines = find_pipelines([tmp_path, tmp_path / "other"])
    caches = [dict(pipeline.at_ground_truth) for pipeline in pipelines]
    assert caches == [{"a": tdt}, {}, {}, {}]
    last = find_pipelines([tmp_path], oracle=True)[-2:]
    assert [pipeline.kind for pipeline in last] == [ORACLE, ORACLE]


def test_paths_without_a_pipeline_to_compare_are_refused(tmp_path):
    with pytest.raises(InputError, match="no caches"):
        find_pipelines([tmp_path])
    path = cached(tmp_path, "gt+histogram", "a")
    with pytest.raises(InputError, match="--oracle"):
        find_pipelines([tmp_path])
    twin = path.with_name("again.h5")
    twin.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"both caches of gt\+histogram for a"):
        find_pipelines([tmp_path])
