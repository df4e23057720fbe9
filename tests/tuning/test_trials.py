"""Trials on disk: killed and resumed searches, and the settings file of the best trial."""

import json
import sys

import pytest

from mottool.association.sequence_settings import SequenceSettings, settings_classes_of
from mottool.errors import InputError, OutputError, SettingError
from mottool.tuning.objective import FIGURES, OBJECTIVES
from mottool.tuning.outcome import Outcome, write_best
from mottool.tuning.search_space import SearchSpace, parse_axes
from mottool.tuning.trials import FORM, Trial, Trials

CLASSES = settings_classes_of("sort")
START = {key: value for kind in CLASSES.values() for key, value in vars(kind()).items()}
TEXTS = ["max_age=1:9", "iou_threshold=0.1:0.9", "score_filter=none,0.5", "smooth"]
SPACE = SearchSpace(parse_axes(CLASSES, TEXTS, START), CLASSES, START)
PLAN = {"form": FORM, "tracker": "sort", "seed": 0, "caches": {"a": {}}, "set": {}}


def trial(number, score=0.5):
    point = {"max_age": number, "iou_threshold": 0.25, "score_filter": None, "smooth": "rts"}
    by_sequence = {name: dict.fromkeys(OBJECTIVES, score / 7) for name in ("a", "b")}
    return Trial(number, point, {name: score / 3 for name in FIGURES}, by_sequence)


def stopped(number, objective="HOTA"):
    whole = trial(number)
    return Trial(number, whole.point, {}, {"a": whole.by_sequence["a"]}, objective)


def opened(folder, plan=PLAN, objective="HOTA", **more):
    return Trials(folder, plan, SPACE, ("a", "b"), objective, **more)


def test_added_trials_are_read_again(tmp_path):
    trials = opened(tmp_path)
    added = [trial(3), trial(1, 0.7), trial(2, 1 / 7)]
    for new in added:
        trials.add(new)
    assert opened(tmp_path).done == {new.number: new for new in added}
    assert opened(tmp_path).best() == added[1]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files")
def test_a_trial_of_which_a_part_fits_on_the_disk_is_an_error(tmp_path):
    import resource

    trials = opened(tmp_path)
    trials.add(trial(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (trials.path.stat().st_size + 9, hard))
    try:
        with pytest.raises(OutputError, match="no room left"):
            trials.add(trial(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    resumed = opened(tmp_path)
    resumed.add(trial(3))
    assert list(opened(tmp_path).done) == [1, 3]


def test_a_stopped_trial_counts_for_its_objective_only(tmp_path):
    trials = opened(tmp_path)
    trials.add(trial(1, -0.5))
    trials.add(stopped(2))
    assert opened(tmp_path).done[2] == stopped(2)
    assert opened(tmp_path).best().number == 1
    other = opened(tmp_path, objective="MOTA")
    assert list(other.done) == [1]
    other.add(trial(2))
    assert opened(tmp_path).done[2] == trial(2)


def test_the_first_of_equal_trials_is_best(tmp_path):
    trials = opened(tmp_path)
    for number in (4, 2, 3):
        trials.add(trial(number))
    assert trials.best().number == 2


def test_an_incomplete_last_line_is_cut_off_at_any_length(tmp_path):
    trials = opened(tmp_path)
    trials.add(trial(1))
    before = trials.path.read_bytes()
    trials.add(trial(2))
    after = trials.path.read_bytes()
    for length in range(len(before), len(after)):
        trials.path.write_bytes(after[:length])
        resumed = opened(tmp_path)
        assert list(resumed.done) == [1]
        resumed.add(trial(2))
        assert trials.path.read_bytes() == after


def test_trials_are_sorted_by_number(tmp_path):
    trials = opened(tmp_path)
    for number in (3, 1, 2):
        trials.add(trial(number))
    trials.sort()
    lines = trials.path.read_text().splitlines()
    columns = ["trial", "max_age", "iou_threshold", "score_filter", "smooth", *FIGURES]
    by_sequence = ["MOTA a", "IDF1 a", "HOTA a", "MOTA b", "IDF1 b", "HOTA b"]
    assert lines[0].split(",") == [*columns, *by_sequence, "stopped"]
    assert [line.split(",")[:5] for line in lines[1:]] == [
        [str(number), str(number), "0.25", "None", "rts"] for number in (1, 2, 3)
    ]
    assert opened(tmp_path).done == trials.done


def test_another_search_is_not_resumed(tmp_path):
    opened(tmp_path).add(trial(1))
    for changed, message in [
        ({"seed": 1}, "holds a search with the seed 0, not 1.*--overwrite"),
        ({"caches": {}}, "holds a search on other caches"),
        ({"set": {"smooth": "rts"}}, "other fixed settings: none, not smooth=rts"),
    ]:
        with pytest.raises(SettingError, match=message):
            opened(tmp_path, PLAN | changed)
    assert opened(tmp_path).done
    assert not opened(tmp_path, PLAN | {"seed": 1}, overwrite=True).done
    assert json.loads((tmp_path / "search.json").read_text())["seed"] == 1


def test_a_search_of_the_first_version_is_refused(tmp_path):
    (tmp_path / "search.json").write_text('{"tracker": "sort", "seed": 0}\n')
    (tmp_path / "trials.csv").write_text("trial,max_age,HOTA\n0,1,0.5\n")
    with pytest.raises(SettingError, match="another version of mottool.*--overwrite"):
        opened(tmp_path)
    assert not opened(tmp_path, overwrite=True).done


def test_a_search_without_trials_is_replaced_by_another(tmp_path):
    opened(tmp_path)
    opened(tmp_path, PLAN | {"seed": 1}).add(trial(1))
    assert list(opened(tmp_path, PLAN | {"seed": 1}).done) == [1]


def test_a_search_killed_before_its_list_of_trials_was_written_is_resumed(tmp_path, monkeypatch):
    def killed(cells):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mottool.tuning.trials._line", killed)  # after search.json
        with pytest.raises(KeyboardInterrupt):
            opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["search.json"]
    opened(tmp_path).add(trial(1))
    assert list(opened(tmp_path).done) == [1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "nonsense\n",
        lambda text: "",
        lambda text: "trial,max_age\n1,2\n",
        lambda text: text.replace("1,1,", "1,\r1,"),
        lambda text: text.replace("rts", "r\rts"),
        lambda text: text.replace("\n", "\r", 1),
        lambda text: text.replace(",\n", ",LOTA\n"),
        lambda text: text.replace("1,1,", "1,x,"),
    ],
)
def test_a_malformed_list_of_trials_is_refused(tmp_path, damage):
    trials = opened(tmp_path)
    trials.add(trial(1))
    text = damage(trials.path.read_text()).encode()
    trials.path.write_bytes(text)
    with pytest.raises(InputError, match="not a list of this search's trials.*--overwrite"):
        opened(tmp_path)
    assert trials.path.read_bytes() == text


def test_the_outcome_compares_the_best_with_the_start(tmp_path):
    trials = opened(tmp_path)
    trials.add(trial(0, 0.6))
    trials.add(stopped(1))
    default = Outcome.of(trials)
    assert default.summary == (
        "HOTA 20.0 by default, not exceeded in 1 other trials, 1 of them stopped early"
    )
    assert (default.worse, len(default.table().rows)) == ([], 3)
    better = trial(2, 0.9)
    better.by_sequence["a"]["HOTA"] = 0.085714
    better.figures["IDF1"] = 0.1
    trials.add(better)
    outcome = Outcome.of(trials)
    assert outcome.summary.startswith("HOTA 20.0 → 30.0, the best of 3 trials")
    assert "max_age 0 → 2, iou_threshold 0.25, " in outcome.summary
    assert outcome.worse == ["a: HOTA 8.5714 → 8.5714", "COMBINED: IDF1 20.0 → 10.0"]
    assert "b: HOTA 8.6 → 12.9\nWorse than with the default settings: a:" in outcome.comment(
        "random"
    )


def test_the_best_is_written_as_a_settings_file(tmp_path):
    given = {"max_age": 7, "iou_threshold": 0.25, "score_filter": None, "smooth": "rts"}
    given |= {"fixed_rate": True, "classes": (0, 2), "fill_gaps": 5}
    path = write_best(tmp_path / "best.toml", "sort", given, "HOTA 0.5\non two sequences")
    file = SequenceSettings(path)
    file.check(CLASSES)
    assert file.tracker == "sort"
    settings, inputs, postprocessing = file.of("any", CLASSES, {})
    assert (settings.max_age, settings.iou_threshold, settings.score_filter) == (7, 0.25, None)
    assert (inputs.fixed_rate, inputs.classes) == (True, (0, 2))
    assert (postprocessing.smooth, postprocessing.fill_gaps) == ("rts", 5)
    assert path.read_text().startswith("# HOTA 0.5\n# on two sequences\ntracker")
