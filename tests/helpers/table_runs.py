"""Runs the command of the papers' tables without running mottool: its plans are parsed."""

import sys
from pathlib import Path
from unittest.mock import patch

from mottool.cli import paths
from mottool.stages import associate, detect_embed, distill_labels, evaluate, train, validate

FOLDER = Path(__file__).parents[2] / "examples/papers"
sys.path.insert(0, str(FOLDER))

import paper_tables  # noqa: E402
import table as runner  # noqa: E402

__all__ = ["FOLDER", "paper_tables", "parsed", "runner", "setup"]

COMMANDS = {
    command.name: command
    for command in (
        associate.command,
        detect_embed.command,
        distill_labels.command,
        evaluate.command,
        train.command,
        validate.command,
    )
}
UNSET = {"FLAGS": "", "INPUT": "", "INIT": ""}


class Variables(dict):
    """An environment in which every variable is set."""

    def get(self, name, default=None):
        return super().get(name, "given")


def setup(folder, *sources, **variables):
    """Data for the rows; every variable that a flag names is set.

    `WEIGHTS_network` and `INIT_network` are those of a network, by its name.
    """
    environment = Variables({"DETECTION_DATA": "", "EMBEDDING_DATA": ""} | variables | UNSET)

    class Setup(runner.Setup):
        def of_network(self, kind, network):
            return variables.get(f"{kind}_{network}", "")

    return Setup("video", sources or ("data",), folder, environment)


def parsed(command):
    """The name and the parameters of a command of mottool; earlier commands write its inputs."""
    name, *words = command
    with patch.object(paths, "existing_path", lambda path: path):
        return name, COMMANDS[name].make_context(name, list(words)).params
