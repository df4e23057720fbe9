"""`compare` and `tune` from Python agree with `track` and `score`."""

import numpy as np
import pytest
from caches import HEADER, write

import mottool
from mottool.detections import Detections
from mottool.errors import InputError, SettingError

LENGTH = 12


@pytest.fixture
def work(tmp_path):
    """A work folder with a cache of two people, one of whom is not seen for three frames."""
    frames, rows = [], []
    for time in range(LENGTH):
        boxes = np.array([[10 + time, 10, 30 + time, 60], [60, 10, 80, 60]], np.float32)
        boxes = boxes[: 1 if 4 <= time < 7 else 2]
        ones = np.ones(len(boxes), np.float32)
        embeddings = np.eye(2, dtype=np.float32)[: len(boxes)]
        frames.append(Detections(boxes, ones, np.zeros(len(boxes), np.uint16), embeddings))
        rows += [f"{time + 1},1,{10 + time},10,20,50,1,1,1\n", f"{time + 1},2,60,10,20,50,1,1,1\n"]
    (tmp_path / "caches" / "pipe").mkdir(parents=True)
    write(tmp_path / "caches" / "pipe" / "seq.h5", frames, HEADER)
    (tmp_path / "truth/seq/gt").mkdir(parents=True)
    (tmp_path / "truth/seq/gt/gt.txt").write_text("".join(rows))
    return tmp_path


def test_rows_of_a_comparison_are_the_scores(work):
    notes = []
    rows = mottool.compare(work, work / "truth", ["sort", "otrack"], warn=notes.append)
    assert [(row.pipeline, row.tracker) for row in rows] == [("pipe", "sort")]
    assert any("otrack left out" in note for note in notes)
    with mottool.open_cache(work / "caches/pipe/seq.h5") as cache:
        expected = mottool.score(mottool.track(cache, "sort"), work / "truth")
        again = mottool.compare(cache, work / "truth", "sort")
    for name in ("MOTA", "IDF1", "HOTA"):
        assert rows[0].figures[name] == pytest.approx(expected[name])
        assert again[0].by_sequence["seq"][name] == pytest.approx(expected[name])


def test_the_best_settings_are_keywords_of_track(work):
    best = mottool.tune(
        work,
        work / "truth",
        "sort",
        {"max_age": (1, 5)},
        fixed={"min_hits": 1},
        method="grid",
        objective="IDF1",
        out=work / "search",
    )
    assert best.settings == {"min_hits": 1, "max_age": 5}
    assert {trial["max_age"] for trial in best.trials} == {1, 5}
    assert best.score > min(trial["IDF1"] for trial in best.trials)
    with mottool.open_cache(work / "caches/pipe/seq.h5") as cache:
        tracks = mottool.track(cache, best.tracker, **best.settings)
    assert mottool.score(tracks, work / "truth")["IDF1"] == pytest.approx(best.score)
    assert (work / "search" / "best.toml").is_file()


def test_mistakes_name_the_argument(work):
    with pytest.raises(SettingError, match="did you mean 'sort'"):
        mottool.tune(work, work / "truth", "sorted")
    with pytest.raises(SettingError, match="did you mean 'sort'"):
        mottool.compare(work, work / "truth", "sorted")
    with pytest.raises(SettingError, match="did you mean 'trials'"):
        mottool.tune(work, work / "truth", "sort", trails=3)
    with pytest.raises(InputError, match="there are no caches in"):
        mottool.tune(work / "truth", work / "truth")
