"""The learning rate over a training: what the settings change, and what they refuse."""

import math
import os

import pytest
import torch
from figures import street

from mottool.errors import CheckpointError, SettingError
from mottool.networks.cstrack import RECIPE as CSTRACK
from mottool.networks.learning import Recipe
from mottool.settings import build_settings
from mottool.stages import train
from mottool.stages.train import Config
from mottool.training.schedule import changed_recipe, require_fit
from mottool.training.trainer import Trainer

NAME = "fairmot-yolov5s"
SMALL = {"batch": 2, "input": (64, 64), "workers": 0, "device": "cpu"}
PLAIN = Recipe(epochs=30, batch=8, lr=0.15, drops=(2 / 3,))


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return street(tmp_path_factory.mktemp("data") / "street", frames=6, size=(96, 64))


def rates(recipe, epoch_steps, steps):
    return [recipe.lr * recipe.factor(step, epoch_steps) for step in range(steps)]


def test_a_linear_warm_up_then_a_cosine_to_zero():
    """TDT §4.2: 0.001 rises to 0.15 over 2000 steps; then half a cosine to the last step."""
    recipe = Recipe(
        epochs=None,
        steps=300_000,
        batch=16,
        lr=0.15,
        warmup=2000,
        start_lr=0.001,
        schedule="cosine",
    )
    rate = [recipe.lr * recipe.factor(step, 3000) for step in (0, 1000, 2000, 151_000, 300_000)]
    assert rate == pytest.approx([0.001, (0.001 + 0.15) / 2, 0.15, 0.075, 0.0], abs=1e-9)


def test_drops_are_given_in_epochs():
    recipe = changed_recipe(PLAIN, Config(drops=(20, 27)))
    at = [recipe.factor(10 * epoch, 10) for epoch in (19, 20, 26, 27, 29)]
    assert at == pytest.approx([1, 0.1, 0.1, 0.01, 0.01])
    # Without the flag, they are parts of the training: two thirds of 15 epochs.
    shorter = changed_recipe(PLAIN, Config(epochs=15))
    assert [shorter.factor(10 * epoch, 10) for epoch in (9, 10)] == pytest.approx([1, 0.1])
    by_steps = changed_recipe(PLAIN, Config(steps=90))
    assert [by_steps.factor(step, 10) for step in (59, 60)] == pytest.approx([1, 0.1])


def test_a_cosine_schedule_replaces_drops():
    recipe = changed_recipe(PLAIN, Config(schedule="cosine", epochs=10))
    assert recipe.factor(50, 10) == pytest.approx(0.5)
    assert recipe.factor(25, 10) == pytest.approx((1 + math.cos(math.pi / 4)) / 2)


def test_cstrack_s_warm_up_is_that_of_its_authors():
    """Linear over three epochs, at least 1000 steps; biases fall from 0.1 to the same rate.

    With 500 steps per epoch the warm-up has 1500: in its middle 0.5·5e-4 and (0.1 + 5e-4)/2.
    """
    assert [CSTRACK.warmup_steps(steps) for steps in (100, 500)] == [1000, 1500]
    lr = [CSTRACK.lr * CSTRACK.factor(step, 500) for step in (749, 1499, 1500, 9_999, 10_000)]
    assert lr == pytest.approx([2.5e-4, 5e-4, 5e-4, 5e-4, 5e-5])
    biases = [CSTRACK.lr * CSTRACK.factor(step, 500, biases=True) for step in (0, 750, 1500)]
    assert biases == pytest.approx([0.1, 0.05025, 5e-4])
    assert CSTRACK.factor(10_000, 500, biases=True) == pytest.approx(0.1)
    # At most half of a training: of 30 epochs of 10 steps.
    assert CSTRACK.warmup_steps(10) == 150


def test_the_trainer_gives_biases_their_own_rate(scene, tmp_path, monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def recorded(self, *arguments, **options):
        rates.append([(group.get("biases", False), group["lr"]) for group in self.param_groups])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.SGD, "step", recorded)
    config = Config(steps=6, lr=0.01, warmup=4, **SMALL)
    train.run("cstrack-s", [scene], tmp_path, config)
    assert len(rates) == 6
    warm = zip((0.0025, 0.005, 0.0075, 0.01), (0.1, 0.0775, 0.055, 0.0325), strict=True)
    dropped = (0.001, 0.001)  # after two thirds
    for groups, expected in zip(rates, [*warm, dropped, dropped], strict=True):
        for biases, lr in groups:
            assert lr == pytest.approx(expected[1] if biases else expected[0])


def test_a_warm_up_has_a_minimum_length_in_epochs():
    recipe = Recipe(epochs=10, batch=8, lr=1.0, warmup=20, warmup_epochs=3)
    assert [recipe.warmup_steps(steps) for steps in (4, 10)] == [20, 30]
    assert rates(recipe, 10, 32)[29:] == pytest.approx([1, 1, 1])
    assert recipe.factor(0, 10) == pytest.approx(1 / 30)


def test_a_published_warm_up_is_shortened_to_its_limit_and_a_given_one_is_not():
    recipe = Recipe(epochs=None, steps=1000, batch=8, lr=1.0, warmup=2000, warmup_limit=0.1)
    assert recipe.warmup_steps(10) == 100
    assert "from 2000 to 100 steps" in require_fit(recipe, Config(), 10)
    given = changed_recipe(recipe, Config(warmup=500))
    assert given.warmup_steps(10) == 500
    assert require_fit(given, Config(warmup=500), 10) == ""
    # By the clock: a tenth of the time.
    assert recipe.factor(7, 10, progress=0.05) == pytest.approx(0.5)
    assert recipe.factor(7, 10, progress=0.1) == 1


@pytest.mark.parametrize(
    ("given", "problem", "fix"),
    [
        ({"epochs": 3, "steps": 9}, "--epochs and --steps both set", "give one"),
        ({"steps": 9, "minutes": 1.0}, "--steps and --minutes both set", "give one"),
        ({"epochs": 9, "minutes": 1.0}, "--epochs and --minutes both set", "give one"),
        ({"schedule": "cosine", "drops": (2,)}, "along a cosine", "--schedule steps"),
        ({"minutes": 1.0, "drops": (2,)}, "by the clock", "instead of --minutes"),
        ({"epochs": 4, "drops": (2, 4)}, "after epoch 4 of 4", "below 4"),
        ({"start_lr": 0.01}, "no warm-up", "--warmup STEPS"),
        ({"start_lr": 0.2, "warmup": 5}, "from --start-lr 0.2 to 0.15", "at most 0.15"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given, problem, fix):
    with pytest.raises(SettingError, match=problem) as caught:
        changed_recipe(PLAIN, Config(**given))
    assert fix in caught.value.fix


def test_schedules_beyond_the_end_are_refused(scene, tmp_path):
    """6 images in steps of 2: 3 steps per epoch."""
    with pytest.raises(SettingError, match="--warmup 7 is not shorter than the training of 7"):
        train.run(NAME, [scene], tmp_path, Config(**SMALL, steps=7, warmup=7))
    with pytest.raises(SettingError, match="after epoch 3, but the training ends in epoch 3"):
        train.run(NAME, [scene], tmp_path, Config(**SMALL, steps=7, drops=(1, 3)))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("text", ["0", "5,5", "7,5", "x", "1.5"])
def test_drops_must_be_increasing_epochs(text):
    assert build_settings(Config, {"drops": "20,27"}, "train").drops == (20, 27)
    with pytest.raises(SettingError, match="drops cannot be .* from 1 on in ascending order"):
        build_settings(Config, {"drops": text}, "train")


SCHEDULES = [
    {"steps": 8, "schedule": "cosine", "warmup": 4, "start_lr": 1e-6},
    {"epochs": 3, "drops": (1, 2)},
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=["cosine", "drops"])
def test_a_resumed_training_continues_the_schedule(schedule, scene, tmp_path, monkeypatch):
    plain, seen = Recipe.factor, []

    def factor(self, step, *others, **more):
        value = plain(self, step, *others, **more)
        if not more:  # the rate of biases is asked for in addition
            seen.append((step, value))
        return value

    monkeypatch.setattr(Recipe, "factor", factor)
    config, states, expected = Config(**SMALL, **schedule), [], []
    for folder, stops in (("whole", ()), ("parts", (1, 2))):
        seen.clear()
        for stop in stops:  # as if the process ended after this epoch
            monkeypatch.setattr(
                Trainer, "finished", property(lambda self, stop=stop: self.state.epoch >= stop)
            )
            train.run(NAME, [scene], tmp_path / folder, config)
            monkeypatch.undo()
            monkeypatch.setattr(Recipe, "factor", factor)
        train.run(NAME, [scene], tmp_path / folder, config)
        states.append(torch.load(tmp_path / folder / "training.pt", weights_only=True))
        expected.append(list(seen))
    assert expected[0] == expected[1]
    assert [step for step, _ in seen] == list(range(config.steps or 9))
    whole, parts = states
    assert whole["step"] == parts["step"] == len(seen)
    assert whole["epoch"] == parts["epoch"] == 3  # the third of the steps ends early
    for name, value in whole["learner"].items():
        assert torch.equal(value, parts["learner"][name]), name
    changed = Config(**{**SMALL, **schedule, "lr": 2e-4})
    with pytest.raises(CheckpointError, match="with lr None instead of 0.0002"):
        train.run(NAME, [scene], tmp_path / "parts", changed)


@pytest.mark.parametrize(("clip", "largest"), [(None, math.inf), (0.25, 0.25)])
def test_the_gradient_of_a_step_is_limited(clip, largest, scene, tmp_path, monkeypatch):
    plain, norms = torch.optim.Adam.step, []

    def step(self, *arguments, **options):
        gradients = [each.grad for group in self.param_groups for each in group["params"]]
        squares = [each.square().sum() for each in gradients if each is not None]
        norms.append(float(torch.stack(squares).sum().sqrt()))
        return plain(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    train.run(NAME, [scene], tmp_path, Config(**SMALL, steps=2, clip=clip))
    assert len(norms) == 2
    assert all(norm <= largest * 1.001 for norm in norms)
    assert clip is not None or max(norms) > 0.25


def test_a_training_of_no_time_is_refused():
    with pytest.raises(SettingError, match="minutes cannot be 0"):
        Config(minutes=0.0)
