"""What `associate` says of many caches: each problem once, with the sequences that it concerns."""

import pytest
from pair_caches import BARE, EMPTY, invoke, save_cache


def test_missing_embeddings_of_all_caches_are_reported_once(tmp_path):
    for name in ("a", "b", "c"):
        save_cache(tmp_path, BARE, name)
    done = invoke(tmp_path, "--tracker", "fairmot")
    assert done.exit_code == 1
    first, others = done.stderr.splitlines()
    assert "a.h5 has no embeddings, which fairmot matches by. Fix: " in first
    assert others == "mottool: 2 more failed as a did: b, c"


def test_results_without_rows_are_explained_in_one_line(tmp_path):
    for name in ("a", "b", "c", "d", "e"):
        save_cache(tmp_path, sequence=name)
    done = invoke(tmp_path, "--tracker", "fairmot", "--conf-thres", 0.95)
    assert done.exit_code == 0, done.output
    assert done.stderr == (
        "mottool: a, b, c and 2 more: 5 results have no rows, as no detection scores above "
        "conf_thres 0.95; the highest score is 0.9\n"
    )


def test_result_without_detections_is_told_from_one_below_a_threshold(tmp_path):
    save_cache(tmp_path, EMPTY, "empty")
    save_cache(tmp_path, sequence="people")
    done = invoke(tmp_path, "--tracker", "sort", "--min-score", 0.95)
    assert done.stderr.splitlines() == [
        "mottool: empty: the result has no rows, as the cache has no detections",
        "mottool: people: the result has no rows, as no detection scores at least min_score 0.95; "
        "the highest score is 0.9",
    ]


@pytest.mark.parametrize("tracker", ["fairmot", "sort", "bytetrack", "ocsort", "deepsort"])
def test_results_with_rows_need_no_explanation(tmp_path, tracker):
    save_cache(tmp_path)
    assert invoke(tmp_path, "--tracker", tracker).stderr == ""


def test_missing_optional_data_is_reported_once(tmp_path):
    save_cache(tmp_path, sequence="a")
    save_cache(tmp_path, sequence="b")
    done = invoke(tmp_path, "--tracker", "outrack", "--jobs", 1)
    assert done.exit_code == 0, done.output
    assert done.stderr.count("no occlusion centres: outrack recovers no lost") == 1
