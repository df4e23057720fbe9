"""`mottool evaluate`: scores of each class and of chosen frames, and swapped inputs."""

import json

from click.testing import CliRunner
from evaluated import call, table

from mottool.stages.evaluate import Config, command, run


def test_every_class_is_scored_by_itself(tmp_path):
    truth, results = tmp_path / "town" / "gt.txt", tmp_path / "mine" / "town.txt"
    for path in (truth, results):
        path.parent.mkdir()
    # A tracked pedestrian, a car tracked in one of two frames, and a bicycle that is not scored.
    objects = (
        (1, 1, 0, 1, 1),
        (2, 1, 0, 1, 1),
        (1, 2, 100, 1, 3),
        (2, 2, 100, 1, 3),
        (1, 3, 200, 0, 4),
    )
    rows = [f"{f},{i},{x},0,20,40,{flag},{kind},1" for f, i, x, flag, kind in objects]
    truth.write_text("\n".join(rows))
    tracks = ((1, 1, 0, 1), (2, 1, 0, 1), (1, 2, 100, 3), (2, 2, 100, 1))
    rows = [f"{f},{i},{x},0,20,40,1,{kind},-1,-1" for f, i, x, kind in tracks]
    results.write_text("\n".join(rows))
    given = (results.parent, "--gt", truth.parent, "--per-class", "--json")
    done = json.loads(call(*given))["done"]
    assert [entry["tracker"] for entry in done[::2]] == ["mine (pedestrian)", "mine (car)"]
    counts = [[entry["figures"][name] for name in ("TP", "FP", "FN")] for entry in done[::2]]
    assert counts == [[2, 1, 0], [1, 0, 1]]
    results.write_text("1,1,0,0,20,40,1,-1,-1,-1\n")
    assert call(*given[:4], code=1).count("no row has a class in column 8") == 1
    truth.write_text("1,1,0,0,20,40,1,-1,-1,-1\n")
    assert "the ground truth has no classes. Fix: " in str(
        CliRunner().invoke(command, list(map(str, given))).exception
    )


def test_classes_from_0_are_scored_by_their_numbers(tmp_path):
    truth, results = tmp_path / "town" / "gt.txt", tmp_path / "mine" / "town.txt"
    for path in (truth, results):
        path.parent.mkdir()
    both = [(frame, kind) for frame in (1, 2) for kind in (0, 2)]
    rows = [f"{frame},{kind + 1},{100 * kind},0,20,40,1,{kind},1" for frame, kind in both]
    truth.write_text("\n".join(rows))
    results.write_text("\n".join(f"{row},-1" for row in rows[:3]))
    done = json.loads(call(results.parent, "--gt", truth.parent, "--per-class", "--json"))["done"]
    assert [entry["tracker"] for entry in done[::2]] == ["mine (class 0)", "mine (class 2)"]
    counts = [[entry["figures"][name] for name in ("TP", "FP", "FN")] for entry in done[::2]]
    assert counts == [[2, 0, 0], [1, 0, 1]]


def test_chosen_frames_are_scored_as_if_the_files_were_cut(tmp_path):
    truth, results = tmp_path / "town" / "gt.txt", tmp_path / "mine" / "town.txt"
    for path in (truth, results):
        path.parent.mkdir()
    truth.write_text("\n".join(f"{frame},1,0,0,20,40,1,1,1" for frame in range(1, 11)))
    rows = [f"{frame},{1 + (frame > 6)},0,0,20,40,1,-1,-1,-1" for frame in range(2, 9)]
    results.write_text("\n".join(rows))
    given = (results.parent, "--gt", truth.parent, "--json")

    def counts(*more):
        (entry, _) = json.loads(call(*given, *more))["done"]
        return [entry["figures"][name] for name in ("TP", "FN", "IDSW")]

    assert counts() == [7, 3, 1]
    assert counts("--frames", "3-6") == [4, 0, 0]
    assert counts("--frames", "6-") == [3, 2, 1]
    assert counts("--frames", "1") == [0, 1, 0]
    out = run([results], [truth.parent], tmp_path / "scores.csv", Config(frames=(3, 6)))
    assert [table(out)["town"][name] for name in ("TP", "FN", "IDSW")] == ["4", "0", "0"]
    refused = CliRunner().invoke(command, [*map(str, given), "--frames", "6-3"])
    assert "is not a range of frames" in str(refused.exception)


def test_swapped_ground_truth_and_results_are_noticed(tmp_path):
    for folder, flag in (("truth", "1"), ("results", "0.9")):
        path = tmp_path / folder / "a.txt"
        path.parent.mkdir()
        path.write_text("".join(f"{frame},1,9,9,30,60,{flag},-1,-1,-1\n" for frame in (1, 2)))
    assert "mottool:" not in call(tmp_path / "results", "--gt", tmp_path / "truth")
    swapped = call(tmp_path / "truth", "--gt", tmp_path / "results", code=1)
    assert "a.txt has scores in column 7, where ground truth has flags of 0 or 1" in swapped
    assert "if --gt and the results are swapped" in swapped
    record = tmp_path / "truth.settings" / "a.json"
    record.parent.mkdir()
    record.write_text('{"tracker": "sort", "settings": {"max_age": 1}}')
    assert "are --gt and the results swapped?" in call(
        tmp_path / "results", "--gt", tmp_path / "truth"
    )
    (tmp_path / "results" / "a.txt").write_text("1,1,900,9,30,60,0.9,-1,-1,-1\n")
    far = call(tmp_path / "results", "--gt", tmp_path / "truth")
    assert "no box of" in far
    assert "check that both are of the same video" in far
