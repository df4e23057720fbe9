"""The two commands of the mission, typed in an empty folder, with nothing but mottool installed."""

import os

import pytest
from drawn import street
from shells import Shell

COMMANDS = ("mottool detect-embed video.mp4", "mottool associate --tracker jde")


@pytest.fixture
def shell(tmp_path):
    """A shell in an empty folder, with none of mottool's variables set."""
    folder = tmp_path / "empty"
    folder.mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOTTOOL_")}
    return Shell(folder, kept)


def test_detect_embed_then_associate(shell):
    street(shell.folder / "video.mp4", frames=20)
    for command in COMMANDS:
        finished = shell(command)
        assert finished.returncode == 0, finished.stderr
    rows = (shell.folder / "mottool-work/tracks/mottool-s.jde/video.txt").read_text().split("\n")
    frames = {int(row.partition(",")[0]) for row in rows if row}
    assert len(frames) >= 15  # of 20
    assert len({row.split(",")[1] for row in rows if row}) >= 3


def test_nothing_is_downloaded_and_no_folder_but_the_work_folder_is_made(shell, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    street(shell.folder / "video.mp4", frames=3)
    finished = shell(f"HOME={home} XDG_CACHE_HOME={home}/cache {COMMANDS[0]}")
    assert finished.returncode == 0, finished.stderr
    assert sorted(each.name for each in shell.folder.iterdir()) == ["mottool-work", "video.mp4"]
    assert not [path for path in home.rglob("*") if path.suffix in {".pth", ".safetensors"}]
