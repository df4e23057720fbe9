"""Trials on disk: killed and resumed searches, and the settings file of the best trial."""

import json

import pytest

from mottool.association.sequence_settings import SequenceSettings, settings_classes_of
from mottool.errors import InputError, SettingError
from mottool.tuning.objective import FIGURES
from mottool.tuning.search_space import parse_axes
from mottool.tuning.trials import Trial, Trials, write_best

CLASSES = settings_classes_of("sort")
SPACE = parse_axes(
    CLASSES, ["max_age=1:9", "iou_threshold=0.1:0.9", "score_filter=none,0.5", "smooth"]
)
PLAN = {"tracker": "sort", "seed": 0}


def trial(number, score=0.5):
    point = {"max_age": number, "iou_threshold": 0.25, "score_filter": None, "smooth": "rts"}
    return Trial(number, point, {name: score / 3 for name in FIGURES})


def opened(folder, plan=PLAN, **more):
    return Trials(folder, plan, SPACE, CLASSES, **more)


def test_added_trials_are_read_again(tmp_path):
    trials = opened(tmp_path)
    added = [trial(3), trial(1, 0.7), trial(2, 1 / 7)]
    for new in added:
        trials.add(new)
    assert opened(tmp_path).done == {new.number: new for new in added}
    assert opened(tmp_path).best("HOTA") == added[1]


def test_the_first_of_equal_trials_is_best(tmp_path):
    trials = opened(tmp_path)
    for number in (4, 2, 3):
        trials.add(trial(number))
    assert trials.best("MOTA").number == 2


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
    assert lines[0] == ",".join(
        ["trial", "max_age", "iou_threshold", "score_filter", "smooth", *FIGURES]
    )
    assert [line.split(",")[:5] for line in lines[1:]] == [
        [str(number), str(number), "0.25", "None", "rts"] for number in (1, 2, 3)
    ]
    assert opened(tmp_path).done == trials.done


def test_another_search_is_not_resumed(tmp_path):
    opened(tmp_path).add(trial(1))
    with pytest.raises(SettingError, match="another seed.*--overwrite"):
        opened(tmp_path, PLAN | {"seed": 1})
    assert opened(tmp_path).done
    assert not opened(tmp_path, PLAN | {"seed": 1}, overwrite=True).done
    assert json.loads((tmp_path / "search.json").read_text())["seed"] == 1


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


@pytest.mark.parametrize("text", ["nonsense\n", "", "trial,max_age\n1,2\n", "trial\nx\n"])
def test_a_malformed_list_of_trials_is_refused(tmp_path, text):
    trials = opened(tmp_path)
    trials.path.write_text(text)
    with pytest.raises(InputError, match="not a list of this search's trials.*--overwrite"):
        opened(tmp_path)
    assert trials.path.read_text() == text


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
