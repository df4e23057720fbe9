"""The drawn scene is the same at every run."""

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "draw_scene.py"
DRAW = """
import os, runpy, sys
from pathlib import Path

script, folder, cores = sys.argv[1:]
if cores == "one" and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
runpy.run_path(script)["main"](Path(folder), 12)
"""


def drawn(folder: Path, cores: str) -> dict[str, bytes]:
    """Draw twelve frames on `all` cores or on `one`; return every file's content by its path."""
    command = [sys.executable, "-c", DRAW, str(SCRIPT), str(folder), cores]
    subprocess.run(command, check=True, capture_output=True, text=True)
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_scene_does_not_depend_on_the_run_or_the_number_of_cores(tmp_path):
    scenes = [drawn(tmp_path / name / "scene", name) for name in ("all", "one")]
    assert scenes[0].keys() == {"scene.mp4", "gt/gt.txt", "det/det.txt", "seqinfo.ini"}
    for name, content in scenes[0].items():
        assert scenes[1][name] == content, name
