"""The schedule of a training: the recipe of the network's paper, changed by the settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from mottool.errors import SettingError
from mottool.networks.learning import Recipe

__all__ = ["ScheduleSettings", "changed_recipe", "parse_drops", "require_fit"]


class ScheduleSettings(Protocol):
    """The settings of a training that change its schedule; None keeps the paper's."""

    @property
    def epochs(self) -> int | None:
        """Return the number of passes over the images."""
        ...

    @property
    def steps(self) -> int | None:
        """Return the number of optimiser steps."""
        ...

    @property
    def minutes(self) -> float | None:
        """Return the time that the training lasts."""
        ...

    @property
    def warmup(self) -> int | None:
        """Return the steps of the warm-up."""
        ...

    @property
    def start_lr(self) -> float | None:
        """Return the learning rate of the first step."""
        ...

    @property
    def drops(self) -> tuple[int, ...] | None:
        """Return the epochs after which the learning rate is divided by ten."""
        ...


def parse_drops(text: str) -> tuple[int, ...]:
    """Parse epochs with commas between, such as "20,27". Raises `SettingError` for other texts."""
    try:
        epochs = tuple(int(number) for number in text.split(","))
    except ValueError:
        epochs = ()
    if not epochs or epochs[0] < 1 or sorted(set(epochs)) != list(epochs):
        fix = "give epochs from 1 on in ascending order, such as 20,27"
        raise SettingError(f"drops cannot be {text!r}", fix)
    return epochs


def changed_recipe(recipe: Recipe, config: ScheduleSettings) -> Recipe:
    """Return the recipe with the values that the settings change.

    Raises `SettingError` for settings that contradict each other or do not apply to the schedule.
    """
    lengths = [name for name in ("epochs", "steps", "minutes") if getattr(config, name) is not None]
    if len(lengths) > 1:
        problem = " and ".join(f"--{name}" for name in lengths) + " both set the training's length"
        raise SettingError(problem, "give one of them")
    names = ("batch", "lr", "ema", "schedule", "clip")
    changed = {name: getattr(config, name) for name in names if getattr(config, name) is not None}
    recipe = replace(recipe, **changed)
    if lengths in (["epochs"], ["steps"]):
        recipe = replace(recipe, epochs=config.epochs, steps=config.steps)
    return _with_drops(_with_warmup(recipe, config), config)


def _with_warmup(recipe: Recipe, config: ScheduleSettings) -> Recipe:
    """Return the recipe with the warm-up of the settings."""
    if config.warmup is not None:  # exactly these steps, or JDE's, which end with the first epoch
        recipe = replace(recipe, warmup=config.warmup, warmup_epochs=0.0, warmup_limit=1.0)
    if config.start_lr is None:
        return recipe
    if not recipe.warmup and not recipe.warmup_epochs:
        problem = "--start-lr does not apply: there is no warm-up that starts from it"
        raise SettingError(problem, "give --warmup STEPS too")
    if config.start_lr > recipe.lr:
        problem = f"the warm-up would fall from --start-lr {config.start_lr:g} to {recipe.lr:g}"
        raise SettingError(problem, f"give at most {recipe.lr:g}, or a larger --lr")
    return replace(recipe, start_lr=config.start_lr)


def _with_drops(recipe: Recipe, config: ScheduleSettings) -> Recipe:
    """Return the recipe with the drops of the settings."""
    if config.drops is None:
        return recipe
    if recipe.schedule == "cosine":
        problem = "--drops does not apply to a learning rate that falls along a cosine"
        raise SettingError(problem, "give --schedule steps, or omit --drops")
    if config.minutes is not None:
        problem = "--drops counts epochs, but --minutes ends the training by the clock"
        raise SettingError(problem, "give --epochs or --steps instead of --minutes")
    if recipe.epochs is not None and config.drops[-1] >= recipe.epochs:
        problem = f"the learning rate would drop after epoch {config.drops[-1]} of {recipe.epochs}"
        raise SettingError(problem, f"give --drops below {recipe.epochs}, or more --epochs")
    return replace(recipe, drop_epochs=config.drops)


def require_fit(recipe: Recipe, config: ScheduleSettings, epoch_steps: int) -> str:
    """Compare the settings with the length of the training; return a remark, or "".

    `epoch_steps` are the optimiser steps per epoch. Raises `SettingError` for a warm-up or a drop
    that lies beyond the end.
    """
    if config.minutes is not None:
        return ""
    total, warmup = recipe.length(epoch_steps), recipe.warmup_steps(epoch_steps)
    if config.warmup is not None and not recipe.quartic and 0 < total <= config.warmup:
        problem = f"--warmup {config.warmup} is not shorter than the training of {total} steps"
        raise SettingError(problem, f"give at most {total - 1}, or train longer")
    if config.drops and config.drops[-1] * epoch_steps >= total:
        problem = f"the learning rate would drop after epoch {config.drops[-1]}, but the training "
        problem += f"ends in epoch {-(-total // epoch_steps)}"
        raise SettingError(problem, "give smaller --drops, or train longer")
    published = max(recipe.warmup, round(recipe.warmup_epochs * epoch_steps))
    if config.warmup is None and warmup < published and not recipe.quartic:
        return (
            f"the warm-up is shortened from {published} to {warmup} steps, as the training has "
            f"only {total}; --warmup sets another length"
        )
    return ""
