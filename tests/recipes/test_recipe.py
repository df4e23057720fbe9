"""Recipes: their tables, sweeps and relative paths; every mistake is named with its place."""

from pathlib import Path

import pytest

from mottool.errors import InputError, SettingError
from mottool.pixel_range import PixelRange
from mottool.recipes.recipe import read_recipe

DATASET = '[[dataset]]\npath = "data"\n'
PIPELINE = '[[pipeline]]\npipeline = "public"\n'
TRACKER = '[[tracker]]\ntracker = "sort"\n'


def read(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text)
    return read_recipe(path)


def test_paths_are_relative_to_the_folder_of_the_recipe(tmp_path):
    text = """
        work = "results"
        [[dataset]]
        path = ["a/train@second", "/data/b"]
        gt = "a/train@second"
        [[pipeline]]
        pipeline = "fairmot-dla34"
        weights = "../dla34.pth"
        boxes = "gt"
        input = "864x480"
        embed-min-score = 0.4
        [[tracker]]
        tracker = "sort"
    """
    recipe = read(tmp_path / ".", text)
    assert recipe.work == tmp_path / "results"
    assert recipe.datasets[0].sources == (f"{tmp_path}/a/train@second", "/data/b")
    assert recipe.datasets[0].truth == (f"{tmp_path}/a/train@second",)
    config = recipe.pipelines[0].config
    assert config.weights == tmp_path.parent / "dla34.pth"
    assert (config.boxes, config.input, config.embed_min_score) == ("gt", (864, 480), 0.4)
    assert recipe.pipelines[0].name == "gt+fairmot-dla34"


def test_a_dataset_is_named_by_its_folder_without_the_split(tmp_path):
    for folder in ("data@home/MOT17/train", "data@home/night@3"):
        (tmp_path / folder).mkdir(parents=True)
    for path, name in (
        ("data@home/MOT17/train@first", "train"),
        ("data@home/MOT17/train", "train"),
        ("data@home/night@3", "night@3"),
    ):
        (tmp_path / "r.toml").write_text(
            f'[[dataset]]\npath = "{path}"\n[[pipeline]]\npipeline = "public"\n'
            '[[tracker]]\ntracker = "sort"\n'
        )
        (dataset,) = read_recipe(tmp_path / "r.toml").datasets
        assert dataset.name == name


def test_a_path_through_a_link_leads_where_the_link_does(tmp_path):
    (tmp_path / "disk/data").mkdir(parents=True)
    (tmp_path / "here").mkdir()
    (tmp_path / "here/link").symlink_to(tmp_path / "disk/data")
    text = '[[dataset]]\npath = ["link/../a", "b/../c"]\n' + PIPELINE + TRACKER
    sources = read(tmp_path / "here", text).datasets[0].sources
    assert sources == (f"{tmp_path}/here/link/../a", f"{tmp_path}/here/c")


def test_a_sweep_is_a_product_of_named_variants(tmp_path):
    text = (
        DATASET
        + PIPELINE
        + """
        [[tracker]]
        tracker = "bytetrack"
        settings = { track-buffer = 60 }
        sweep = { track_thresh = [0.4, 0.5], match_thresh = [0.7, 0.8] }
        [[tracker]]
        tracker = "bytetrack"
        name = "long"
        sweep = { track_thresh = [0.6] }
    """
    )
    trackers = read(tmp_path, text).trackers
    assert [tracker.name for tracker in trackers] == [
        "bytetrack@track_thresh=0.4+match_thresh=0.7",
        "bytetrack@track_thresh=0.4+match_thresh=0.8",
        "bytetrack@track_thresh=0.5+match_thresh=0.7",
        "bytetrack@track_thresh=0.5+match_thresh=0.8",
        "bytetrack@long+track_thresh=0.6",
    ]
    assert trackers[1].given == {
        "track_buffer": "60",
        "track_thresh": "0.4",
        "match_thresh": "0.8",
    }


def test_a_settings_file_names_the_tracker_and_its_variant(tmp_path):
    (tmp_path / "best.toml").write_text('tracker = "sort"\n[default]\nmax_age = 7\n')
    text = DATASET + PIPELINE + '[[tracker]]\nsettings = "best.toml"\n'
    (tracker,) = read(tmp_path, text).trackers
    assert (tracker.name, tracker.tracker) == ("sort@best", "sort")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = ", "r.toml is not a TOML file"),
        ("tracks = 1", "r.toml has no key 'tracks'. Fix: "),
        (PIPELINE + TRACKER, "has no sequences for public"),
        (DATASET + TRACKER, "has no pipeline. Fix: write [[pipeline]]"),
        (DATASET + PIPELINE, "has no tracker. Fix: write [[tracker]]"),
        (
            "dataset = 3" + "\n" + PIPELINE,
            "dataset is not a list of tables. Fix: write [[dataset]]",
        ),
        (DATASET + "gtt = 'x'\n" + PIPELINE + TRACKER, "[[dataset]] has no key 'gtt'"),
        ("[[dataset]]\npath = 3\n", "[[dataset]]: path is not a path or a list of paths"),
        (DATASET + DATASET + PIPELINE + TRACKER, "has two datasets named data"),
        (
            DATASET + PIPELINE + "wieghts = 'x'\n" + TRACKER,
            "[[pipeline]] has no key 'wieghts'. Fix: did you mean 'weights'",
        ),
        (DATASET + PIPELINE + "batch = 'two'\n" + TRACKER, "[[pipeline]]: batch cannot be 'two'"),
        (DATASET + PIPELINE + "min_score = 3\n" + TRACKER, "[[pipeline]]: min_score cannot be 3"),
        (DATASET + PIPELINE + PIPELINE + TRACKER, "has two pipelines named public+histogram"),
        (
            DATASET + PIPELINE + 'name = "a:b"\n' + PIPELINE + 'name = "a_b"\n' + TRACKER,
            "has two pipelines named a_b",
        ),
        (
            DATASET + PIPELINE + TRACKER + '[[tracker]]\ntracker = "srot"\n',
            "[[tracker]] 2: there is no tracker 'srot'. Fix: did you mean 'sort'",
        ),
        (DATASET + PIPELINE + TRACKER + TRACKER, "has two trackers named sort"),
        (
            DATASET + PIPELINE + TRACKER + "settings = { max_aeg = 3 }\n",
            "[[tracker]]: sort has no setting 'max_aeg'. Fix: did you mean 'max_age'",
        ),
        (
            DATASET + PIPELINE + TRACKER + "settings = { max_age = 'old' }\n",
            "[[tracker]]: max_age cannot be 'old'. Fix: give a whole number",
        ),
        (
            DATASET + PIPELINE + TRACKER + "sweep = { max_age = 3 }\n",
            "[[tracker]] sweep: max_age is not a list of values. Fix: write max_age = [value",
        ),
        (DATASET + PIPELINE + TRACKER + "name = 'a b'\n", "[[tracker]]: name cannot be 'a b'"),
        (DATASET + PIPELINE + TRACKER + "published = 1\n", "[[tracker]]: published cannot be '1'"),
        (DATASET + PIPELINE + TRACKER + "profile = 'x'\n", "sort has no profile 'x'"),
        (
            DATASET + PIPELINE + TRACKER + "[produce]\nvideo = true\n",
            "[produce] has no key 'video'. Fix: did you mean 'videos'",
        ),
        (
            DATASET + PIPELINE + TRACKER + "[produce]\nvideos = 'maybe'\n",
            "[produce]: videos cannot be 'maybe'. Fix: give true or false",
        ),
        ('work = ""\n', "r.toml: work is not a path. Fix: write work = "),
        ('[[dataset]]\npath = "a\\u0000b"\n', "[[dataset]]: path is not a path"),
        ('[[dataset]]\npath = ["a", ""]\n', "[[dataset]]: path is not a path"),
        (DATASET + "name = ''\n", "[[dataset]]: name cannot be ''"),
        (DATASET + PIPELINE + "name = 'a.settings'\n", "[[pipeline]]: name cannot be 'a.settings'"),
        (DATASET + PIPELINE + 'name = "a\\nb"\n', "[[pipeline]]: name cannot be 'a\\nb'"),
        (DATASET + PIPELINE + f"name = '{'a' * 101}'\n", "[[pipeline]]: name cannot be 'aaa"),
        (DATASET + "[[pipeline]]\npipeline = 1\n", "[[pipeline]]: pipeline is not a text"),
        (DATASET + PIPELINE + "weights = []\n", "[[pipeline]]: weights is not a text"),
        (
            DATASET + PIPELINE + "weights = 'x'\n",
            "[[pipeline]]: --weights does not apply to public",
        ),
        (
            DATASET + PIPELINE + "embedder = 'osnet_x1_0'\nweights = 'a'\nembedder_weights = 'b'\n",
            "[[pipeline]]: --weights and --embedder-weights are both given",
        ),
        (
            DATASET + '[[pipeline]]\npipeline = "pubic"\n',
            "[[pipeline]]: there is no pipeline 'pubic'. Fix: did you mean 'public'",
        ),
        (
            DATASET + PIPELINE + "embedder = 'hist'\n",
            "[[pipeline]]: there is no embedder 'hist'. Fix: did you mean 'histogram'",
        ),
        (
            DATASET + PIPELINE + "batch = { a = 1 }\n",
            "[[pipeline]]: a table stands where a value is expected",
        ),
        (DATASET + PIPELINE + f"batch = {'9' * 30}\n", "[[pipeline]]: batch is a number of more"),
        (DATASET + PIPELINE + "pixel_range = 4095\n", "[[pipeline]]: pixel_range is not a text"),
        (
            DATASET + PIPELINE + "pixel_range = '5-5'\n",
            "[[pipeline]]: --pixel-range '5-5' is not a range. Fix: write LOW-HIGH",
        ),
        (
            DATASET + PIPELINE + TRACKER + "settings = { max_age = { a = 1 } }\n",
            "[[tracker]]: a table stands where a value is expected",
        ),
        (
            DATASET + PIPELINE + TRACKER + "sweep = { max_age = [{ a = 1 }] }\n",
            "[[tracker]]: a table stands where a value is expected",
        ),
        (
            DATASET + PIPELINE + TRACKER + f"sweep = {{ max_age = {[*range(1001)]} }}\n",
            "[[tracker]]: sweep has 1001 points, more than 1000. Fix: ",
        ),
        (
            DATASET + PIPELINE + TRACKER + "[produce]\ntracks = false\nvideos = true\n",
            "[produce]: videos need tracks. Fix: omit tracks = false",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place_and_a_fix(tmp_path, text, message):
    with pytest.raises((SettingError, InputError)) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "r.toml"))


def test_a_recipe_of_a_windows_editor_is_read(tmp_path):
    text = f'{DATASET}{PIPELINE}pixel_range = "0-4095"\n{TRACKER}'.replace("\n", "\r\n")
    (tmp_path / "r.toml").write_bytes(text.encode("utf-8-sig"))
    (pipeline,) = read_recipe(tmp_path / "r.toml").pipelines
    assert pipeline.pixel_range == PixelRange(0, 4095)


def test_a_device_is_not_read_as_a_recipe():
    with pytest.raises(InputError, match="/dev/zero is not a regular file"):
        read_recipe(Path("/dev/zero"))


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(InputError, match="there is no recipe nowhere.toml"):
        read_recipe(Path("nowhere.toml"))
