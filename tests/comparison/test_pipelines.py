import pytest
from rivals import cached

from mottool.comparison.pipelines import (
    BOXES,
    ONE_SHOT,
    ORACLE,
    TWO_STAGE,
    find_contenders,
    kind_of,
)
from mottool.errors import InputError
from mottool.pipelines.registry import DETECTORS, NETWORKS


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
        ("somebody's", True, ONE_SHOT),
        ("somebody's", False, BOXES),
    ],
)
def test_the_kind_follows_from_the_name(pipeline, embeds, kind):
    assert kind_of(pipeline, embeds) == kind


def test_caches_of_one_folder_and_pipeline_belong_together(tmp_path):
    for pipeline in ("yolox+reid", "public"):
        for name in ("a", "b"):
            cached(tmp_path, pipeline, name, embeds=pipeline != "public")
    public, yolox = find_contenders([tmp_path])
    assert (public.name, yolox.name) == ("public", "yolox+reid")
    assert set(public.caches) == set(yolox.caches) == {"a", "b"}
    assert (public.boxes_given, yolox.boxes_given) == (True, False)
    assert (public.lacks("fairmot"), yolox.lacks("fairmot")) == (["embeddings"], [])
    assert yolox.lacks("otrack") == ["offsets"]
    assert not public.lacks("sort")


@pytest.mark.parametrize("by", ["folder", "files"])
def test_folders_and_files_are_places_too(tmp_path, by):
    paths = [cached(tmp_path, "public+histogram", name) for name in ("a", "b")]
    unfinished = cached(tmp_path, "public+histogram", "c")
    unfinished.with_suffix(".part").mkdir()
    unfinished.rename(unfinished.with_suffix(".part") / "00000000.h5")
    (only,) = find_contenders([paths[0].parent] if by == "folder" else paths)
    assert dict(only.caches) == dict(zip("ab", paths, strict=True))


def test_one_pipeline_in_two_work_folders_is_named_by_its_folders(tmp_path):
    for work in ("mine", "theirs"):
        cached(tmp_path / work, "tdt-r34", "a")
    names = [each.name for each in find_contenders([tmp_path / "mine", tmp_path / "theirs"])]
    assert names == [str(tmp_path / work / "caches/tdt-r34") for work in ("mine", "theirs")]


def test_caches_at_true_boxes_go_to_whoever_has_that_embedder(tmp_path):
    cached(tmp_path, "tdt-r34", "a", weights="f00d")
    cached(tmp_path, "yolox+reid", "a", settings={"embedder_weights": "cafe"})
    cached(tmp_path, "yolox+histogram", "a")
    cached(tmp_path / "other", "yolox+reid", "a", settings={"embedder_weights": "cafe"})
    tdt = cached(tmp_path, "gt+tdt-r34", "a", settings={"embedder_weights": "f00d"})
    cached(tmp_path, "gt+reid", "a", settings={"embedder_weights": "beef"})  # of other weights
    found = find_contenders([tmp_path, tmp_path / "other"])
    assert [dict(each.at_truth) for each in found] == [{"a": tdt}, {}, {}, {}]
    last = find_contenders([tmp_path], oracle=True)[-2:]
    assert [each.kind for each in last] == [ORACLE, ORACLE]


def test_nothing_to_compare_is_refused(tmp_path):
    with pytest.raises(InputError, match="no caches"):
        find_contenders([tmp_path])
    path = cached(tmp_path, "gt+histogram", "a")
    with pytest.raises(InputError, match="--oracle"):
        find_contenders([tmp_path])
    twin = path.with_name("again.h5")
    twin.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"both gt\+histogram's of a"):
        find_contenders([tmp_path])
