"""Trainings in a process that kills itself at a given point."""

import os
import signal
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

from narrow_backbone import use_narrow_backbone

from mottool.stages import train
from mottool.stages.train import Config
from mottool.training import checkpoint_writer, run
from mottool.training.learners.fairmot import FairMOTLearner

__all__ = ["exit_code", "kill_after_epoch", "kill_in_step"]


def exit_code(target: Callable[..., None], *arguments: object) -> int | None:
    """Run a function of this module in another process; return the process's exit code."""
    process = get_context("forkserver").Process(target=target, args=arguments)
    process.start()
    process.join()
    return process.exitcode


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_step(step: int, pipeline: str, scene: Path, out: Path, config: Config) -> None:
    """Train a FairMOT until the forward pass of a step, counted from 1."""
    forward, calls = FairMOTLearner.forward, []

    def count(self, images, targets):
        calls.append(None)
        if len(calls) == step:
            _die()
        return forward(self, images, targets)

    FairMOTLearner.forward = count
    use_narrow_backbone()
    train.run(pipeline, [scene], out, config)


def kill_after_epoch(
    point: str, metrics: Sequence[dict], pipeline: str, scene: Path, out: Path, config: Config
) -> None:
    """Train until a point after the third epoch, with the given `metrics` of each validation.

    Points: "validation", "before the last" and "before the best", which are the writes of the
    last and of the best weights. Each epoch up to the third has both.
    """
    counts = {"validation": 0, "save": 0}
    save_weights = checkpoint_writer.save_weights

    def validate(self, network):
        counts["validation"] += 1
        if point == "validation" and counts["validation"] == 3:
            _die()
        return metrics[counts["validation"] - 1]

    def save(path, *rest):
        counts["save"] += 1
        if (point, counts["save"]) in {("before the last", 5), ("before the best", 6)}:
            _die()
        save_weights(path, *rest)

    run.Validation.__call__ = validate
    checkpoint_writer.save_weights = save
    use_narrow_backbone()
    train.run(pipeline, [scene], out, config, validation=[scene])
