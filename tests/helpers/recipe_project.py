"""A recipe with its data in a folder, planned and made as `mottool run` does."""

import pytest

from mottool.engines.base import InProcess
from mottool.recipes.page import comparison_state, write_comparison
from mottool.recipes.recipe import read_recipe
from mottool.recipes.run import RecipeRun
from mottool.workdir import WorkDir

__all__ = [
    "PIPELINE",
    "RECIPE",
    "SORT_RECIPE",
    "TRACKERS",
    "Project",
    "of_tracker",
    "with_settings",
]

RECIPE = """
work = "work"
[[dataset]]
path = "data"
[[pipeline]]
pipeline = "public"
embedder = "none"
[[tracker]]
tracker = "sort"
[[tracker]]
tracker = "bytetrack"
sweep = { track_thresh = [0.5, 0.6] }
"""
SORT_RECIPE = """
[[dataset]]
path = "data"
[[pipeline]]
pipeline = "public"
embedder = "none"
[produce]
comparison = false
[[tracker]]
tracker = "sort"
"""
PIPELINE, TRACKERS = "public", ("sort", "bytetrack@track_thresh=0.5", "bytetrack@track_thresh=0.6")


def of_tracker(tracker, sequences=("a", "b")):
    """Return the names of the tracks and scores of a tracker."""
    return {
        f"{kind}/{PIPELINE}.{tracker}/{name}" for kind in ("tracks", "scores") for name in sequences
    }


def with_settings(text):
    """Return `RECIPE` with settings of its first tracker."""
    return RECIPE.replace('tracker = "sort"', f'tracker = "sort"\nsettings = {{ {text} }}')


class Project:
    """A recipe with its data in a folder; `plan` and `make` start from what is on the disk."""

    def __init__(self, folder):
        self.folder, self.work = folder, WorkDir(folder / "work")
        self.write(RECIPE)

    def write(self, text):
        (self.folder / "r.toml").write_text(text)

    def open(self):
        recipe = read_recipe(self.folder / "r.toml")
        return RecipeRun(recipe, self.work, lambda *failure: pytest.fail(str(failure)), print)

    def stale(self):
        """Return the reasons of each stale result, by name."""
        run = self.open()
        plan = run.plan()
        run.save()
        return {result.name: "; ".join(result.reasons) for result in plan.stale}

    def make(self, page=False):
        """Make what is stale, and the page; return the names of the tasks that failed."""
        run = self.open()
        outcomes = list(run.run(run.plan(), InProcess()))
        plan = run.plan()
        if page and comparison_state(plan, self.work.comparison("r")):
            write_comparison(run.recipe, self.work, plan)
        run.save()
        return [outcome.task.name for outcome in outcomes if outcome.error]

    def times(self):
        """Return the time of modification of each result file, by name."""
        files = (path for path in self.work.root.rglob("*") if path.is_file())
        return {
            path.relative_to(self.work.root).as_posix(): path.stat().st_mtime_ns
            for path in files
            if not path.name.startswith(".")
        }
