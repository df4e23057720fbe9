import csv
import json
import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner
from drawn import scene
from rivals import FRAMES, PEOPLE, cached, dataset

from mottool.association.sequence_settings import read_settings_by_tracker
from mottool.comparison.results import FIGURES, MORE
from mottool.errors import CacheError, InputError, SettingError
from mottool.files import file_digest
from mottool.records.record import record_of, write_record
from mottool.stages import associate, compare
from mottool.stages.compare import Config, command, run
from mottool.workdir import WorkDir

EXAMPLE = Path(__file__).parents[2] / "examples/one-shot-vs-two-stage.sh"


@pytest.fixture
def work(tmp_path):
    """Two sequences: a one-shot network misses one of four people, a two-stage pipeline none.

    The latter also has embeddings at ground-truth boxes.
    """
    dataset(tmp_path / "data", "a", "b")
    for name in ("a", "b"):
        cached(tmp_path, "tdt-r34", name, missed=(0,), times=(0.02, 0.005, 0.0))
        cached(tmp_path, "yolox+histogram", name, times=(0.1, 0.0, 0.4))
        cached(tmp_path, "public", name, missed=(1, 2), embeds=False)
        cached(tmp_path, "gt+histogram", name)
    return tmp_path


def call(work, *more, code=0):
    arguments = ["--work", work, "--gt", work / "data", *more]
    result = CliRunner().invoke(command, [str(argument) for argument in arguments])
    assert result.exit_code == code, result.output + repr(result.exception)
    return result


def rows(work, *more):
    done = json.loads(call(work, "--json", *more).stdout)["done"]
    return {row["sequence"]: row for row in done}


def read_csv(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def test_metrics_are_as_computed_by_hand(work):
    table = rows(work, "--tracker", "fairmot", "--tracker", "sort")
    names = ["public.sort", "tdt-r34.fairmot", "tdt-r34.sort"]
    assert list(table) == [*names, "yolox+histogram.fairmot", "yolox+histogram.sort"]
    kinds = {row["pipeline"]: row["kind"] for row in table.values()}
    assert list(kinds.values()) == ["boxes only", "one-shot", "two-stage"]
    tdt, yolox = table["tdt-r34.fairmot"]["figures"], table["yolox+histogram.fairmot"]["figures"]
    assert list(tdt) == list(FIGURES + MORE)
    assert (tdt["MOTA"], tdt["AP"], tdt["IDSW"]) == (0.75, 0.75, 0)
    assert (yolox["MOTA"], yolox["AP"], yolox["IDF1"], yolox["HOTA"]) == pytest.approx((1,) * 4)
    assert table["yolox+histogram.fairmot"]["by_sequence"]["a"]["TPR"] == 1.0
    # Identities of two sequences differ but look the same: 576 of 4032 pairs of different ones.
    assert (tdt["TPR"], yolox["TPR"]) == (None, pytest.approx(0.1 / (576 / 4032)))
    assert table["public.sort"]["figures"]["AP"] == 0.5


def test_speeds_come_from_the_times_of_all_frames_but_the_first(work):
    table = rows(work, "--tracker", "fairmot")
    tdt, yolox = table["tdt-r34.fairmot"]["figures"], table["yolox+histogram.fairmot"]["figures"]
    assert (tdt["FPSD"], tdt["FPSE"]) == (pytest.approx(40), None)
    assert (yolox["FPSD"], yolox["FPSE"]) == (pytest.approx(10), pytest.approx(2.5))
    for metrics in (tdt, yolox):
        parts = [metrics[name] for name in ("FPSD", "FPSE", "FPSA") if metrics[name]]
        assert metrics["FPS"] == pytest.approx(1 / sum(1 / part for part in parts))
        assert metrics["FPSA"] > 20
    assert (table["tdt-r34.fairmot"]["rank"]["FPS"], tdt["FPS"] > 10) == (1, True)
    public = rows(work, "--tracker", "sort")["public.sort"]
    assert public["figures"]["FPSD"] is None
    assert "FPS" not in public["rank"]


def test_scores_are_those_of_evaluate(work):
    from mottool.stages import associate, evaluate

    out = work / "tracks"
    for name in ("a", "b"):
        associate.run(work / f"caches/tdt-r34/{name}.h5", out / "tdt" / f"{name}.txt", "sort")
    scores = evaluate.run([out / "tdt"], [work / "data"], work / "scores.csv")
    expected = {row["seq"]: row for row in read_csv(scores)}
    path = run([work], [work / "data"], work / "table.csv")
    compared = [row for row in read_csv(path) if row["pipeline"] == "tdt-r34"]
    compared = {row["seq"]: row for row in compared if row["tracker"] == "sort"}
    assert list(compared) == ["a", "b", "COMBINED"]
    for name, row in compared.items():
        for key in ("MOTA", "IDF1", "HOTA", "IDSW", "Prcn", "MT%", "ML%", "FAR"):
            assert float(row[key]) == float(expected[name][key])
        # Detection takes the same time in both; association is timed in each run.
        assert float(row["FPSD"]) == pytest.approx(float(expected[name]["FPSD"]))
        assert 0 < float(row["FPS"]) < float(row["FPSD"])
        assert 0 < float(expected[name]["FPS"]) < float(row["FPSD"])


def test_the_tables_mark_the_best_in_text_markdown_and_latex(work):
    markdown, latex = work / "t.md", work / "t.tex"
    more = ("--tracker", "fairmot", "--markdown", markdown, "--latex", latex)
    shown = call(work, *more).stdout.splitlines()
    assert shown[0].split() == ["Pipeline", "Kind", "Tracker", *FIGURES]
    assert shown[1].split()[:4] == ["tdt-r34", "one-shot", "fairmot", "75.0+"]
    assert shown[2].split()[:4] == ["yolox+histogram", "two-stage", "fairmot", "100.0*"]
    assert "| tdt-r34 | one-shot | fairmot | *75.0* |" in markdown.read_text()
    assert "| yolox+histogram | two-stage | fairmot | **100.0** |" in markdown.read_text()
    lines = latex.read_text().splitlines()
    assert lines[0] == r"\begin{tabular}{lllrrrrrrrrrr}"
    assert r"tdt-r34 & one-shot & fairmot & \underline{75.0} & " in lines[4]
    assert {line.count("&") for line in lines if line.endswith(r"\\")} == {12}


def test_columns_are_chosen_by_name(work):
    names = ["Prcn", "MT%", "ML%", "FAR", "IDSW", "FPS"]
    shown = call(work, "--tracker", "sort", "--columns", ",".join(names)).stdout.splitlines()
    assert shown[0].split() == ["Pipeline", "Kind", "Tracker", *names]
    figures = rows(work, "--tracker", "sort")["tdt-r34.sort"]["figures"]
    cells = dict(zip(names, shown[2].replace("boxes only", "").split()[3:], strict=True))
    assert cells["FAR"].strip("*+") == f"{figures['FAR']:.2f}"
    assert cells["MT%"].strip("*+") == f"{100 * figures['MT%']:.1f}"
    result = call(work, "--columns", "MOTA,Prec", code=1)
    assert "there is no metric 'Prec'" in str(result.exception)


def test_notes_report_what_is_left_out(work):
    cached(work, "public", "c", embeds=False)
    notes = call(work, "--tracker", "fairmot", "--tracker", "sort", "--tracker", "jde").stderr
    assert "public.fairmot, public.jde left out: their caches have no embeddings" in notes
    assert "c left out, which has no ground truth" in notes
    assert "public: boxes come from files, so FPS includes no detection" in notes
    assert "2 sequences: too few to call any difference significant" in notes
    assert "the caches lack what these trackers need" in str(
        call(work, "--tracker", "otrack", code=1).exception
    )


def test_settings_files_name_their_tracker(work):
    file = work / "best.toml"
    file.write_text('tracker = "sort"\n[default]\nmin_score = 0.99\n["else*"]\nmax_age = 3\n')
    result = call(work, "--settings", file, "--json")
    assert {row["figures"]["MOTA"] for row in json.loads(result.stdout)["done"]} == {0.0}
    assert "settings of sort@best for [else*] match none" in result.stderr
    other = work / "other" / "best.toml"
    other.parent.mkdir()
    other.write_text(file.read_text())
    with pytest.raises(SettingError, match="both named sort@best.*rename"):
        read_settings_by_tracker((), (file, other))
    file.write_text("[default]\nmax_age = 3\n")
    with pytest.raises(SettingError, match="names no tracker"):
        read_settings_by_tracker((), (file,))
    file.write_text('tracker = "srot"\n')
    with pytest.raises(SettingError, match="did you mean 'sort'"):
        read_settings_by_tracker((), (file,))


def test_settings_files_are_rows_beside_their_tracker(work):
    for name, score in (("strict", 0.99), ("loose", 0.1)):
        (work / f"{name}.toml").write_text(f'tracker = "sort"\n[default]\nmin_score = {score}\n')
    more = ["--settings", work / "strict.toml", "--settings", work / "loose.toml"]
    table = rows(work, "--tracker", "sort", *more)
    names = ["public.sort", "public.sort@strict", "public.sort@loose"]
    assert list(table)[:3] == names
    assert [table[name]["figures"]["MOTA"] for name in names] == [0.5, 0, 0.5]


def test_trackers_compensate_for_camera_motion_only_if_they_may(work):
    still = call(work, "--tracker", "botsort", "--tracker", "sort", "--no-camera-motion", "--json")
    rows = {row["sequence"] for row in json.loads(still.stdout)["done"]}
    assert {"tdt-r34.botsort", "tdt-r34.sort"} <= rows
    missing = call(work, "--tracker", "botsort", code=1)
    assert "give --no-camera-motion" in missing.stderr
    other = call(work, "--tracker", "sort", "--no-camera-motion", code=1).exception
    assert isinstance(other, SettingError)
    assert "use --tracker botsort" in other.fix


def test_without_common_sequences_the_fix_names_both_inputs(work):
    with pytest.raises(InputError, match="none of a, b has ground truth"):
        run([work], [dataset(work / "other", "z")], work / "t.csv")


def test_a_damaged_cache_is_refused(work):
    path = work / "caches/tdt-r34/b.h5"
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(CacheError):
        run([work], [work / "data"], work / "t.csv")


def test_other_rows_are_measured_when_one_fails(work, monkeypatch):
    comparison = import_module("mottool.comparison.comparison")
    judged = comparison.measure_detection

    def failing(path, *more):
        if "yolox" in str(path):
            raise CacheError("it is damaged", "make it again")
        return judged(path, *more)

    monkeypatch.setattr(comparison, "measure_detection", failing)
    result = call(work, "--tracker", "sort", "--json", code=1)
    report = json.loads(result.stdout)
    assert [row["sequence"] for row in report["done"]] == ["public.sort", "tdt-r34.sort"]
    assert [row["sequence"] for row in report["failed"]] == ["yolox+histogram.sort"]


def test_ground_truth_boxes_are_a_row_on_request(work):
    table = rows(work, "--tracker", "sort", "--oracle")
    assert list(table)[-1] == "gt+histogram.sort"
    assert table["gt+histogram.sort"]["kind"] == "true boxes"
    assert table["gt+histogram.sort"]["rank"] == {}


@pytest.mark.parametrize(
    ("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")]
)
def test_plots_in_every_file_format(work, suffix, start):
    folder = work / "plots"
    more = ("--plots", folder, "--plot-format", suffix, "--x", "FPSA", "--y", "TPR", "--oracle")
    call(work, *more)
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{name}.{suffix}" for name in ("crowd", "parts", "scatter", "sequences")
    ]
    for path in folder.iterdir():
        assert path.read_bytes().startswith(start)


def test_the_page_has_the_plots_and_the_videos(work):
    add_video(work)
    page = work / "out" / "page.html"
    call(work, "--html", page, "--tracker", "sort")
    text = page.read_text()
    assert text.count("<svg ") == 4 + 3  # the plots, and the mark of each row
    for words in ("DetA", "mottool 0.", "cores", "iou_threshold 0.3", "with the colour and number"):
        assert words in text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'(?:url\(|xlink:href=")#([^)"]+)', text)) <= set(ids)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)
    assert text.count("<video ") == 1
    with pytest.raises(SettingError, match=r"end it in \.html"):
        CliRunner().invoke(
            command, ["--gt", str(work), "--html", "page.pdf"], catch_exceptions=False
        )


def test_the_page_leaves_out_videos_of_other_tracks(work):
    page = work / "page.html"

    def is_left_out(video):
        note = call(work, "--html", page, "--tracker", "sort").stderr
        assert page.read_text().count("<video ") == int("is left out" not in note)
        return f"{video} is left out" in note

    video = add_video(work, "--iou-threshold", "0.5")
    assert is_left_out(video)
    add_video(work)
    assert not is_left_out(video)
    write_record(video, {"tracks": "of an earlier result"})
    assert is_left_out(video)
    record_of(video).unlink()
    assert is_left_out(video)


def add_video(work, *settings):
    """Associate sequence a by sort, and write a file as its video, as `render` records it."""
    folder = WorkDir(work)
    arguments = [folder.cache("tdt-r34", "a"), "--tracker", "sort", "--work", work, *settings]
    assert CliRunner().invoke(associate.command, [str(each) for each in arguments]).exit_code == 0
    tracks, video = folder.tracks("tdt-r34", "sort"), folder.video("tdt-r34.sort", "a")
    video.parent.mkdir(parents=True, exist_ok=True)
    video.write_bytes(b"not really a video")
    write_record(video, {"tracks": file_digest(tracks / "a.txt"), "settings": {"trail": 30}})
    return video


def test_the_stage_has_the_names_of_all_metrics():
    assert (compare.FIGURES, compare.MORE) == (FIGURES, MORE)
    assert (Config().x, Config().y) == (None, "HOTA")
    assert FRAMES * PEOPLE == 48  # so few that association is faster than the speeds above


@pytest.mark.heavy
def test_the_example_compares_three_pipelines(tmp_path):
    scene(tmp_path / "scene", frames=60)  # of which the script would draw 250
    environment = {**os.environ, "MOTTOOL_PYTHON": sys.executable, "MOTTOOL_WORK": str(tmp_path)}
    done = subprocess.run(["sh", str(EXAMPLE)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    out = tmp_path / "comparison"
    rows = read_csv(out / "table.csv")
    ours, public, true = "mottool-s", "public", "gt+mottool-s"
    names = {ours, f"{ours}+histogram", true, "gt+histogram", public, f"{public}+histogram"}
    assert {row["pipeline"] for row in rows} == names
    assert len(rows) == 2 * (5 * 3 + 2)  # without embeddings, fairmot cannot track
    mota = {row["pipeline"]: float(row["MOTA"]) for row in rows if row["tracker"] == "sort"}
    assert mota[true] > 0.9 > mota[f"{public}+histogram"] == mota[public] > 0.5
    assert mota[ours] == mota[f"{ours}+histogram"]
    assert "TPR" in (out / "report.html").read_text()
    assert (out / "scatter.png").stat().st_size > 10_000
