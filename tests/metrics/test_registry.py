import subprocess
import sys
from dataclasses import dataclass
from pkgutil import resolve_name
from types import ModuleType

import numpy as np
import pytest
from scenes import make

from mottool.metrics import registry
from mottool.metrics.ground_truth_files import GroundTruthFile
from mottool.metrics.preprocess import preprocess
from mottool.metrics.registry import METRICS, TRACK_METRICS, Metric, columns, get_metric, headline
from mottool.metrics.tables import as_text, evaluation_tables
from mottool.metrics.track_evaluation import TrackEvaluation
from mottool.metrics.tracking import score
from mottool.stages import compare, train, tune


@dataclass(frozen=True)
class BoxCount:
    boxes: int = 0

    @classmethod
    def compute(cls, sequence):
        return cls(len(sequence.result_ids))

    def __add__(self, other):
        return BoxCount(self.boxes + other.boxes)

    def metrics(self):
        return {"Boxes": self.boxes}


def test_a_new_metric_is_in_the_table_of_evaluate(monkeypatch, tmp_path):
    module = ModuleType("box_count")
    module.BoxCount = BoxCount
    monkeypatch.setitem(sys.modules, "box_count", module)
    monkeypatch.setitem(TRACK_METRICS, "boxes", "box_count:BoxCount")
    entry = Metric("Boxes", "tracks", "count", tables=frozenset({"evaluate"}))
    monkeypatch.setattr(registry, "METRICS", (*METRICS, entry))
    evaluation = TrackEvaluation("mine")
    for name, count in (("a", 1), ("b", 2)):
        for kind in ("gt", "tracks"):
            lines = [f"{frame},1,0,0,20,40,1,-1,-1,-1\n" for frame in range(1, count + 1)]
            (tmp_path / f"{name}.{kind}").write_text("".join(lines))
        file = GroundTruthFile(name, tmp_path / f"{name}.gt", None)
        evaluation.add(name, tmp_path / f"{name}.tracks", file)
    lines = as_text(evaluation_tables(evaluation.rows(), by_tracker=True)).splitlines()
    assert [line.split()[-1] for line in lines] == ["mine", "Boxes", "1", "2", "3"]


def test_every_track_metric_has_an_entry_and_a_class():
    scene = make("plain-17")
    sequence = preprocess(scene.truth, scene.results, scene.length, scene.rules, "x")
    names = {metric.name for metric in METRICS if metric.of == "tracks"}
    total = score(sequence)
    computed = {**total.metrics(), **total.rates()}
    assert set(computed) == {name for name in names if not name.startswith("IDSW_")}
    for path in TRACK_METRICS.values():
        empty = resolve_name(path)().metrics()
        assert np.isfinite(list(empty.values())).all()


def test_metrics_of_one_name_share_unit_and_direction():
    for metric in METRICS:
        other = get_metric(metric.name)
        assert (metric.unit, metric.lower_is_better) == (other.unit, other.lower_is_better)
    with pytest.raises(KeyError):
        registry.in_order({"other": 1.0})


def test_options_offer_the_metrics_of_the_tables():
    def choices(config, field):
        return config.__dataclass_fields__[field].metadata["choices"]

    compared = ("MOTA", "IDF1", "HOTA", "IDSW", "AP", "TPR", "FPSD", "FPSE", "FPSA", "FPS")
    assert choices(compare.Config, "x") == choices(compare.Config, "y") == compared
    assert columns("compare") == compared
    assert choices(tune.Config, "objective") == headline() == ("MOTA", "IDF1", "HOTA")
    assert choices(train.Config, "best") == ("MOTA", "IDF1", "AP", "TPR", "Rank1", "mAP")


def test_names_are_known_without_numpy():
    code = "import sys, mottool.metrics.registry; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
