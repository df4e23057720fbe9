"""The README: its scripts and commands run, and print what it shows."""

import os
import re
import shlex
import sys
from pathlib import Path

import pytest
from shells import Shell

from mottool.association.registry import TRACKERS
from mottool.networks.registry import NETWORKS
from mottool.pipelines.registry import DETECTORS, EMBEDDERS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


def tour():
    """Return the commands of the README's console blocks with the output that it shows."""
    shown = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            shown.append((command, output))
    return shown


def words_without_numbers(text):
    """Split a text into words, with every number replaced by N."""
    return NUMBER.sub("N", text).split()


@pytest.fixture(scope="module")
def shell(tmp_path_factory):
    """Return a shell in a folder where the quickstart has been run."""
    environment = {**os.environ, "MOTTOOL_PYTHON": sys.executable}
    environment.pop("MOTTOOL_WORK", None)
    shell = Shell(tmp_path_factory.mktemp("user"), environment)
    for name, content in re.findall(r"```toml\n# (\S+)\n(.*?)```", README, re.DOTALL):
        (shell.folder / name).write_text(content)
    shell.quickstart = shell(f"sh {ROOT}/examples/quickstart.sh")
    return shell


@pytest.mark.heavy
def test_quickstart_writes_tracks_a_score_and_a_video(shell):
    result = shell.quickstart
    assert result.returncode == 0, result.stderr
    work = shell.folder / "mottool-work"
    assert (work / "videos/mottool-s.outrack/scene.mp4").stat().st_size > 100_000
    rows = (work / "tracks/mottool-s.outrack/scene.txt").read_text().splitlines()
    assert len(rows) > 1400
    mota, idf1, hota = re.search(
        r"^scene +MOT17 +(\S+) +(\S+) +(\S+)", result.stdout, re.M
    ).groups()
    assert float(mota) > 45
    assert float(idf1) > 45
    assert float(hota) > 33


@pytest.mark.heavy
def test_commands_print_the_output_that_the_readme_shows(shell):
    assert len(tour()) >= 5
    for command, output in tour():
        result = shell(command)
        assert result.returncode == 0, f"{command}: {result.stderr}"
        assert words_without_numbers(result.stdout) == words_without_numbers(output), command


@pytest.mark.heavy
def test_python_examples_run(shell):
    steps, loop = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    result = shell(f"{sys.executable} -c {shlex.quote(steps)}")
    assert result.returncode == 0, result.stderr
    assert 0.3 < float(result.stdout) < 1
    assert (shell.folder / "scene.mp4").stat().st_size > 10_000
    loop = loop.replace("mottool-work/scene/scene.mp4", "scene.mp4")  # the 50 frames drawn above
    result = shell(f"{sys.executable} -c {shlex.quote(loop)}")
    assert result.returncode == 0, result.stderr
    assert (shell.folder / "frame.jpg").stat().st_size > 10_000


@pytest.mark.heavy
def test_motchallenge_example_runs_twice_and_keeps_its_cache(shell):
    """The scene is a dataset of one sequence; the second run keeps its complete cache."""
    for _ in range(2):
        result = shell(f"sh {ROOT}/examples/motchallenge.sh mottool-work/scene sort")
        assert result.returncode == 0, result.stderr
        assert "COMBINED" in result.stdout
    assert "complete already" in result.stderr
    assert shell(f"sh {ROOT}/examples/motchallenge.sh").returncode == 2


@pytest.mark.heavy
def test_quickstart_accepts_a_video_and_its_detections(shell):
    command = (
        f"MOTTOOL_WORK=own sh {ROOT}/examples/quickstart.sh mottool-work/scene/scene.mp4 "
        "mottool-work/scene/det/det.txt"
    )
    result = shell(command)
    assert result.returncode == 0, result.stderr
    assert (shell.folder / "own/videos/public+histogram.fairmot/scene.mp4").exists()


def test_paths_in_the_readme_exist():
    for path in re.findall(r"(?:sh|python) ((?:examples|tests)/[\w/.-]+)", README):
        assert (ROOT / path).is_file(), path
    for path in re.findall(r"\]\(((?!http)[^)]+)\)", README):
        assert (ROOT / path).is_file(), path
    for folder in re.findall(r"^\| `(\w+)/` \|", README, re.MULTILINE):
        assert (ROOT / folder).is_dir(), folder


def test_readme_names_every_pipeline_and_tracker():
    """The README has the full name, or an ending like `-resnet34` and `_x0_5` in its own row."""
    words = set(re.findall(r"[`…+]([\w-]+)`", README))
    for name in (*NETWORKS, *DETECTORS, *EMBEDDERS, *TRACKERS):
        if re.fullmatch(r"fairmot-dla34-.+|gt", name):
            continue  # ablations, and the name that --boxes gt makes
        ends = {name[place:] for place in range(len(name)) if name[place] in "-_"}
        assert {name, *ends} & words, name
