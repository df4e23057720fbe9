"""TrackEval's metrics of generated scenes; TrackEval is not a dependency of the tests.

pip install trackeval
python tests/helpers/official.py      writes tests/golden/metrics.json
"""

import contextlib
import io
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from goldens import HERE
from scenes import SCENES, Scene, make

from mottool.motchallenge.rows import Rows

__all__ = ["Official"]

NAMES = {"TP": "CLR_TP", "FP": "CLR_FP", "FN": "CLR_FN", "Rcll": "CLR_Re", "Prcn": "CLR_Pr"}
FAMILIES = {
    "HOTA": ("HOTA", "DetA", "AssA", "LocA"),
    "CLEAR": ("MOTA", "MOTP", "Rcll", "Prcn", "MT", "PT", "ML", "TP", "FP", "FN", "IDSW", "Frag"),
    "Identity": ("IDF1", "IDP", "IDR", "IDTP", "IDFP", "IDFN"),
}


class Official:
    """TrackEval's scores of scenes, kept to combine them."""

    def __init__(self) -> None:
        """Import TrackEval and create its metrics."""
        import trackeval

        self.trackeval = trackeval
        with contextlib.redirect_stdout(io.StringIO()):
            self.metrics = {name: getattr(trackeval.metrics, name)() for name in FAMILIES}
        self.results: dict[str, dict[str, dict]] = {name: {} for name in FAMILIES}
        self.seconds = 0.0  # processor time for the last scene, without reading its files

    def score(self, name: str, scene: Scene) -> dict[str, float]:
        """Score one scene."""
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            raw, dataset = self._load(Path(folder), name, scene)
            start = time.process_time()
            raw["similarity_scores"] = [
                dataset._calculate_similarities(truth, result)
                for truth, result in zip(raw["gt_dets"], raw["tracker_dets"], strict=True)
            ]
            data = dataset.get_preprocessed_seq_data(raw, "pedestrian")
            for family, metric in self.metrics.items():
                self.results[family][name] = metric.eval_sequence(data)
            self.seconds = time.process_time() - start
        return self._metrics({family: self.results[family][name] for family in FAMILIES})

    def combined(self, names: list[str]) -> dict[str, float]:
        """Combine the scores of several scenes."""
        combined = {}
        for family, metric in self.metrics.items():
            by_scene = {name: self.results[family][name] for name in names}
            combined[family] = metric.combine_sequences(by_scene)
        return self._metrics(combined)

    def _load(self, folder: Path, name: str, scene: Scene):
        truth = folder / "gt" / name / "gt" / "gt.txt"
        results = folder / "trackers" / "it" / "data" / f"{name}.txt"
        for path, rows in ((truth, scene.truth), (results, scene.results)):
            path.parent.mkdir(parents=True)
            path.write_text(_text(rows))
        config = {
            "GT_FOLDER": str(folder / "gt"),
            "TRACKERS_FOLDER": str(folder / "trackers"),
            "BENCHMARK": scene.rules.upper(),
            "SKIP_SPLIT_FOL": True,
            "SEQ_INFO": {name: scene.length},
            "PRINT_CONFIG": False,
        }
        dataset = self.trackeval.datasets.MotChallenge2DBox(config)
        raw = {
            **dataset._load_raw_file("it", name, False),
            **dataset._load_raw_file("it", name, True),
        }
        return raw, dataset

    def _metrics(self, results: dict[str, dict]) -> dict[str, float]:
        return {
            name: float(np.mean(results[family][NAMES.get(name, name)]))
            for family, names in FAMILIES.items()
            for name in names
        }


def _text(rows: Rows) -> str:
    table = np.column_stack([rows.frames, rows.ids, rows.tlwh, rows.rest])
    return "".join(",".join(repr(float(x)) for x in row) + "\n" for row in table)


def main() -> None:
    """Write the metrics of every scene, and of all combined, to tests/golden/metrics.json."""
    official = Official()
    metrics = {name: official.score(name, make(name)) for name in SCENES}
    metrics["COMBINED"] = official.combined(list(SCENES))
    (HERE / "metrics.json").write_text(json.dumps(metrics, indent=1) + "\n")


if __name__ == "__main__":
    main()
