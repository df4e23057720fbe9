"""The street scene of the examples, drawn by its script."""

import importlib.util
import shutil
from pathlib import Path

__all__ = ["scene", "street"]

SCRIPT = Path(__file__).parents[2] / "examples" / "draw_scene.py"


def scene(folder: Path, frames: int) -> Path:
    """Draw the first frames of the scene as a MOTChallenge sequence with ground truth."""
    spec = importlib.util.spec_from_file_location("draw_scene", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.main(folder, frames)
    return folder


def street(path: Path, frames: int) -> Path:
    """Draw the first frames of the scene as a video."""
    folder = scene(path.parent / f".{path.stem}", frames)
    shutil.move(folder / "scene.mp4", path)
    shutil.rmtree(folder)
    return path
