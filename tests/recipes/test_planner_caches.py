"""Plans of recipes that name caches, and the camera motion beside them."""

import json
import shutil
from dataclasses import replace

import pytest
from caches import HEADER, write
from recipe_project import RECIPE, Project
from thermal import thermal

from mottool.errors import CacheError
from mottool.records.record import record_of


def test_given_caches_need_no_sources_and_a_half_is_scored_on_its_frames(project):
    project.write("""
        [[dataset]]
        gt = "data@second"
        [[pipeline]]
        name = "given"
        caches = "work/caches/public"
        [[tracker]]
        tracker = "sort"
    """)
    assert project.stale().keys() == {
        f"{group}/{name}"
        for group in ("tracks/given.sort", "scores/given.sort", "scores/given")
        for name in "ab"
    }
    assert project.make() == []
    assert project.stale() == {}
    score = json.loads((project.work.root / "scores/given.sort/a.json").read_text())
    assert score["frames"] == 3


def test_videos_of_given_caches_have_the_pixel_range_of_these(tmp_path):
    thermal(tmp_path / "data/a")
    project = Project(tmp_path)
    project.write(RECIPE.replace('"public"', '"public"\npixel_range = "0-4095"'))
    assert project.make() == []
    own = '[[pipeline]]\npipeline = "public"\nembedder = "none"\n'
    given = '[[pipeline]]\nname = "given"\ncaches = "work/caches/public"\n'
    project.write(RECIPE.replace(own, given) + "[produce]\nvideos = true\n")
    assert project.make() == []
    assert project.stale() == {}
    video = project.work.video("given.sort", "a")
    assert json.loads(record_of(video).read_text())["pixel_range"] == [0.0, 4095.0]
    content = video.read_bytes()
    video.write_bytes(content[:-100])
    assert project.stale() == {"videos/given.sort/a": "changed after it was made"}
    assert project.make() == []
    assert video.read_bytes() == content


@pytest.mark.parametrize("folder", ["work", "other"])
def test_camera_motion_is_made_in_this_work_folder_only(project, folder):
    shutil.copytree(project.work.root / "caches", project.folder / "other/caches")
    caches = f'caches = "{folder}/caches/public"'
    recipe = RECIPE.replace('pipeline = "public"\nembedder = "none"', caches)
    project.write(recipe.replace('tracker = "sort"', 'tracker = "botsort"'))
    plan = project.open().plan()
    motions = {
        result.path: result.task for result in plan.results if result.kind == "camera-motion"
    }
    assert motions.keys() == {project.work.camera_motion(name) for name in "ab"}
    assert [task is not None for task in motions.values()] == [folder == "work"] * 2


def test_camera_motion_beside_given_caches_is_used(project):
    shutil.copytree(project.work.root / "caches", project.folder / "other/caches")
    motion = project.folder / "other/camera-motion/a.h5"
    motion.parent.mkdir()
    motion.write_text("damaged")
    own = '[[pipeline]]\npipeline = "public"\nembedder = "none"\n'
    given = '[[pipeline]]\nname = "given"\ncaches = "other/caches/public"\n'
    text = RECIPE.replace(own, given + own)
    project.write(text.replace('tracker = "sort"', 'tracker = "botsort"'))
    plan = project.open().plan()
    tasks = {result.path: result.task for result in plan.results if result.kind == "camera-motion"}
    assert tasks[motion] is None
    assert tasks[project.work.camera_motion("a")] is not None
    reasons = {result.name: result.reasons for result in plan.stale}
    assert reasons["tracks/given.botsort/a"] == ("missing",)
    assert motion.read_text() == "damaged"


def test_a_cache_whose_settings_do_not_fit_is_named(project):
    path = project.folder / "given/a.h5"
    header = replace(HEADER, sequence="a", settings={"trackers": {"sort": {"max_age": "x"}}})
    write(path, [], header)
    own, given = 'pipeline = "public"\nembedder = "none"', 'caches = "given"'
    project.write(RECIPE.replace(own, given))
    with pytest.raises(CacheError, match=r"given/a.h5: the cache's settings do not fit"):
        project.open().plan()
