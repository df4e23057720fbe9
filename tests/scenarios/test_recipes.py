import os
import subprocess
import sys
from pathlib import Path

import pytest
from figures import street
from recipes import QUICK

from mottool.networks.registry import NETWORKS

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
RECIPES = sorted([*EXAMPLES.glob("training/*.sh"), *EXAMPLES.glob("papers/*/recipe.sh")])
RECIPES.append(EXAMPLES / "papers/outrack/otrack.sh")


def ran(recipe, *arguments, **variables):
    environment = {**os.environ, "MOTTOOL_PYTHON": sys.executable, **variables}
    return subprocess.run(
        ["sh", str(recipe), *arguments], env=environment, capture_output=True, text=True
    )


def name_of(recipe):
    """Return the name of a recipe's network: `training/NAME.sh` or `papers/NAME/recipe.sh`."""
    return recipe.parent.name if recipe.stem == "recipe" else recipe.stem


def test_every_family_has_a_recipe():
    families = {name.partition("-")[0] for name in NETWORKS if name != "mottool-s"}
    assert {name_of(path) for path in RECIPES} == {*families, "mottool-s"}


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_without_arguments_a_recipe_prints_its_usage(recipe):
    result = ran(recipe)
    assert result.returncode == 2
    assert f"sh {recipe.relative_to(PROJECT)} VALIDATION DATASET..." in result.stderr
    assert "resume after an interruption." in result.stderr
    assert "set -eu" not in result.stderr


def noted(tmp_path, **variables):
    """Return variables with a stub for Python, which notes its arguments and does nothing.

    It writes the arguments of a call as a line of the file `notes`.
    """
    stub, notes = tmp_path / "python", tmp_path / "notes"
    stub.write_text('#!/bin/sh\nprintf "%s " "$@" >>"$NOTES"\necho >>"$NOTES"\n')
    stub.chmod(0o755)
    work = str(tmp_path / "work")
    return {"MOTTOOL_PYTHON": str(stub), "NOTES": str(notes), "MOTTOOL_WORK": work} | variables


@pytest.mark.parametrize("recipe", RECIPES, ids=name_of)
def test_a_recipe_needs_no_variables(recipe, tmp_path):
    """With a validation set and a dataset only, it trains and tracks no test set."""
    result = ran(recipe, "val", "data", **noted(tmp_path))
    assert result.returncode == 0, result.stderr
    commands = (tmp_path / "notes").read_text().splitlines()
    trained = commands[-1].split()
    assert trained[:3] == ["-m", "mottool", "train"]
    assert trained[trained.index("--validate") + 1] == "val"
    assert trained[trained.index("--data") + 1] == "data"


# The recipes that have no longer test below.
@pytest.mark.heavy
@pytest.mark.parametrize("name", ["mottool-s", "cstrack", "outrack", "otrack"])
def test_a_recipe_runs(name, tmp_path):
    (recipe,) = [path for path in RECIPES if name_of(path) == name]
    scene, work = street(tmp_path / "street", 4, size=(96, 64)), tmp_path / "work"
    pipeline = "cstrack-s" if name == "cstrack" else name
    variables = {"PIPELINE": pipeline, "FLAGS": QUICK, "MOTTOOL_WORK": str(work)}
    result = ran(recipe, str(scene), str(scene), **variables)
    assert result.returncode == 0, result.stderr
    assert (work / "training" / pipeline / f"{pipeline}.toml").is_file()


@pytest.mark.heavy
def test_tdts_recipe_reads_its_own_labels_only_and_tracks_a_test_set(tmp_path):
    """A cache of boxes, which distill-labels --detector writes, lies among the labels."""
    scene, work = street(tmp_path / "street", 4, size=(96, 64)), tmp_path / "work"
    folder = work / "labels" / "histogram"
    folder.mkdir(parents=True)
    (folder / "another.boxes.h5").write_bytes(b"no labels")
    variables = {"PIPELINE": "tdt-mobilenet", "FLAGS": f"{QUICK} --embedding-size 32"}
    variables |= {"TEACHER": "histogram", "LENGTH": "--epochs 1", "MOTTOOL_WORK": str(work)}
    variables |= {"MOT20": str(scene), "TEST": str(scene)}
    recipe = EXAMPLES / "papers" / "tdt" / "recipe.sh"
    result = ran(recipe, str(scene), str(scene), **variables)
    assert result.returncode == 0, result.stderr
    assert len(list(folder.glob("*.h5"))) == 2
    assert (work / "training/tdt-mobilenet/tdt-mobilenet.toml").is_file()
    assert (work / "mot20/training/tdt-mobilenet/tdt-mobilenet.safetensors").is_file()
    assert list((work / "mot20/tracks").rglob("street.txt"))


@pytest.mark.heavy
def test_jdes_recipe_tracks_a_test_set(tmp_path):
    scene, work = street(tmp_path / "street", 4, size=(96, 64)), tmp_path / "work"
    variables = {"PIPELINE": "jde-576x320", "FLAGS": QUICK, "MOTTOOL_WORK": str(work)}
    variables |= {"TEST": str(scene), "INPUT": "64x64"}
    result = ran(EXAMPLES / "papers/jde/recipe.sh", str(scene), str(scene), **variables)
    assert result.returncode == 0, result.stderr
    assert (work / "training/jde-576x320/jde-576x320.toml").is_file()
    assert (work / "tracks/jde-576x320.jde/street.txt").is_file()


def test_jdes_search_tries_every_pair_of_weights_and_prints_their_scores(tmp_path):
    """§3.5, steps 1 to 3; the stub trains nothing but writes the log of a training."""
    stub = tmp_path / "python"
    stub.write_text(
        '#!/bin/sh\nshift 2\necho "$@" >>"$NOTES"\nwhile [ "$1" != --out ]; do shift; done\n'
        'mkdir -p "$2"\nprintf "epoch,MOTA,AP@0.5\\n1,0.1,0.2\\n2,0.3,0.4\\n" >"$2/log.csv"\n'
    )
    stub.chmod(0o755)
    variables = {"MOTTOOL_PYTHON": str(stub), "NOTES": str(tmp_path / "notes")}
    variables |= {"MOTTOOL_WORK": str(tmp_path / "work"), "DETECTION_WEIGHTS": "10 20"}
    variables |= {"IDENTITY_WEIGHTS": "1 2 3", "FLAGS": "--epochs 2"}
    result = ran(EXAMPLES / "papers/jde/search.sh", "a video", "one", "two", **variables)
    assert result.returncode == 0, result.stderr
    commands = (tmp_path / "notes").read_text().splitlines()
    assert len(commands) == 6
    for command, (detection, identity) in zip(
        commands, [(d, i) for d in (10, 20) for i in (1, 2, 3)], strict=True
    ):
        assert command.startswith("train jde-1088x608 --data one --data two")
        assert "--validate a video" in command
        weights = f"--detection-weight {detection} --identity-weight {identity}"
        assert f"--weighting fixed {weights}" in command
        assert command.endswith("--epochs 2")
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["detection", "identity", "MOTA", "AP", "TPR"]
    assert [row.split() for row in rows] == [
        [str(detection), str(identity), "30.0", "40.0", "-"]
        for detection in (10, 20)
        for identity in (1, 2, 3)
    ]


@pytest.mark.heavy
def test_fairmots_recipe_fine_tunes_on_a_benchmark_and_tracks_its_test_set(tmp_path):
    scene, work = street(tmp_path / "street", 4, size=(96, 64)), tmp_path / "work"
    variables = {"PIPELINE": "fairmot-yolov5s", "FLAGS": QUICK, "MOTTOOL_WORK": str(work)}
    variables |= {"BENCHMARK": str(scene), "TEST": str(scene), "INPUT": "64x64", "CONF": "0.0"}
    recipe = EXAMPLES / "papers/fairmot/recipe.sh"
    result = ran(recipe, str(scene), str(scene), **variables)
    assert result.returncode == 0, result.stderr
    assert (work / "training/fairmot-yolov5s/fairmot-yolov5s.toml").is_file()
    log = (work / "fine-tuned/training/fairmot-yolov5s/log.csv").read_text().splitlines()
    assert len(log) == 11  # a line of names, and Table 6's ten epochs
    assert (work / "fine-tuned/tracks/fairmot-yolov5s.fairmot/street.txt").is_file()


def test_outracks_recipe_pretrains_as_in_its_paper_and_tracks_by_algorithm_1(tmp_path):
    """§4.3.3; the stub only notes the commands."""
    given = {"CROWDHUMAN": "crowdhuman", "INIT": "coco.pth", "TEST": "test", "PUBLIC": "test"}
    variables = noted(tmp_path, MOTTOOL_WORK="work", **given)
    result = ran(EXAMPLES / "papers/outrack/recipe.sh", "val", "mot17", **variables)
    assert result.returncode == 0, result.stderr
    commands = (tmp_path / "notes").read_text().splitlines()
    pretrain, train, detect, associate = (
        line.removeprefix("-m mottool ").strip() for line in commands
    )
    assert pretrain.startswith("train outrack --data crowdhuman")
    assert "--init coco.pth" in pretrain
    assert "--epochs 60 --drops 50 --batch 24 --lr 3e-4 --id-weight 10 --negative 0.2" in pretrain
    assert train.startswith("train outrack --data mot17 --validate val")
    assert "--init work/crowdhuman/training/outrack/outrack.safetensors" in train
    assert detect.startswith("detect-embed test --pipeline outrack")
    assert associate.endswith("--form paper --track-type public_track --public test")


@pytest.mark.parametrize(
    ("number", "lengths", "flags"),
    [
        # §4.4.4: one more dataset each time; here two.
        ("5", [10, 10], ["", ""]),
        # Supplement B: the base, twice the steps, another weight, then finer levels.
        (
            "6",
            [10, 20, 10, 10],
            ["--embedding-weight 2", "--embedding-weight 2", "", "--finest-level 2"],
        ),
    ],
)
def test_tdts_figures_are_of_models_that_differ_in_one_setting(number, lengths, flags, tmp_path):
    script = EXAMPLES / "papers" / "tdt" / "figures.sh"
    result = ran(script, number, "video", "one", "two", **noted(tmp_path, STEPS="10"))
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "notes").read_text().splitlines()
    trained = [line for line in lines if line.startswith("-m mottool train ")]
    ends = [f"--steps {steps} {more}".strip() for steps, more in zip(lengths, flags, strict=True)]
    assert [line.strip().endswith(end) for line, end in zip(trained, ends, strict=True)] == [
        True
    ] * len(ends)
    datasets = [line.count("--data") for line in trained]
    assert datasets == ([1, 2] if number == "5" else [2] * 4)
    assert all(line.count("--labels") == line.count("--data") for line in trained)
    (drawn,) = [line for line in lines if line.startswith("-m mottool plot bars ")]
    assert drawn.count("scores.csv") == len(lengths)
    assert ran(script).returncode == 2
