"""Commands that are killed before each change of the file system, and run again."""

import pytest
from benchmarks import kill_commands


@pytest.mark.parametrize(("name", "changes"), [("convert to server", 6), ("associate", 20)])
def test_a_killed_command_leaves_whole_files_and_the_next_run_finishes(tmp_path, name, changes):
    report = kill_commands.run(name, tmp_path / "case", kills=0)
    assert report.wrong == []
    assert report.kills == report.changes >= changes
