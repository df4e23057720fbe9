import dataclasses
import json
import shutil

import cv2
import matplotlib.image
import numpy as np
import pytest
from archives import archive
from caches import HEADER, write
from click.testing import CliRunner

from mottool.boxes import tlwh_from_xyxy
from mottool.detections import Detections
from mottool.errors import InputError, SettingError
from mottool.stages.plot import command

PEOPLE, FRAMES = 4, 12


def detections(frame, size=6, draw=None):
    """Return four people side by side, each with an embedding along its axis, and a stray box."""
    left = 20.0 + 100 * np.arange(PEOPLE + 1)
    boxes = np.stack([left, left * 0 + 50, left + 40, left * 0 + 150], axis=1) + frame
    embeddings = np.eye(PEOPLE + 1, size) + draw.normal(0, 0.05, (PEOPLE + 1, size))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    count = PEOPLE + 1
    return Detections(boxes.astype(np.float32), np.full(count, 0.9, np.float32),
                      np.zeros(count, np.uint16), embeddings.astype(np.float32))  # fmt: skip


@pytest.fixture
def work(tmp_path):
    """A work folder with a cache, its ground truth, and the results of two trackers."""
    draw = np.random.default_rng(3)
    frames = [detections(frame, draw=draw) for frame in range(FRAMES)]
    write(tmp_path / "work/caches/pipe/seq.h5", frames)
    boxes = [tlwh_from_xyxy(frame.boxes[:PEOPLE]).tolist() for frame in frames]
    for folder, switch in (("gt", FRAMES), ("work/tracks/pipe.a", 5), ("work/tracks/pipe.b", 8)):
        (tmp_path / folder).mkdir(parents=True)
        rows = [
            f"{frame + 1},{person + 1 + 10 * (frame >= switch)},{','.join(map(str, box))},1"
            for frame, frame_boxes in enumerate(boxes)
            for person, box in enumerate(frame_boxes)
        ]
        (tmp_path / folder / "seq.txt").write_text("\n".join(rows))
    return tmp_path


def called(work, *arguments):
    words = [*map(str, arguments), "--work", str(work / "work")]
    return CliRunner().invoke(command, words)


def drawn(work, *arguments):
    """Return the pixels of the only plot that a command draws."""
    done = called(work, *arguments, "--json")
    assert done.exit_code == 0, (done.output, done.exception)
    paths = {entry["path"] for entry in json.loads(done.stdout)["done"]}
    assert len(paths) == 1
    return matplotlib.image.imread(paths.pop())


def test_cells_of_one_identity_are_framed(work):
    image = drawn(work, "frames", "--at", 2, 9, "--gt", work / "gt")
    orange = np.abs(image[..., :3] - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.02
    assert orange.sum() > 1000
    unknown = drawn(work, "frames", "--at", 2, 9)
    # Without identities, detections that are most similar to each other are framed.
    orange = np.abs(unknown[..., :3] - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.02
    assert orange.sum() > 1000


def test_tracklets_are_framed_with_detections_of_their_identity(work):
    tracks = work / "work/tracks/pipe.a"
    same = drawn(work, "tracklets", "--at", 4, "--tracks", tracks)
    upload = archive(work / "a.zip", {"seq.txt": (tracks / "seq.txt").read_text()})
    assert np.array_equal(drawn(work, "tracklets", "--at", 4, "--tracks", upload), same)
    orange = np.abs(same[..., :3] - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.02
    assert orange.sum() > 1000
    # In frame 6 all identities are new: none matches a tracklet.
    switched = drawn(work, "tracklets", "--at", 6, "--tracks", tracks)
    assert not (np.abs(switched[..., :3] - [0xD5 / 255, 0x5E / 255, 0]).max(axis=2) < 0.02).any()


def test_caches_of_the_work_folder_without_embeddings_are_left_out(work):
    bare = dataclasses.replace(detections(0, draw=np.random.default_rng(0)), embeddings=None)
    header = dataclasses.replace(HEADER, pipeline="bare")
    other = write(work / "work/caches/bare/seq.h5", [bare] * FRAMES, header)
    done = called(work, "frames", "--at", 2, 9, "--gt", work / "gt")
    assert (done.exit_code, done.stderr) == (0, "mottool: bare left out: no embeddings\n")
    named = called(work, "frames", other, "--at", 2, 9, "--gt", work / "gt")
    assert named.exit_code == 1
    assert "seq.h5 has no embeddings. Fix: " in named.stderr


def source_of(folder):
    """Return caches of two pipelines with the frames that their header names."""
    source, draw = folder / "video/seq", np.random.default_rng(0)
    (source / "img1").mkdir(parents=True)
    for number in range(1, FRAMES + 1):
        image = np.full((200, 560, 3), 10 * number, np.uint8)
        cv2.imwrite(str(source / f"img1/{number:06d}.jpg"), image)
    (source / "seqinfo.ini").write_text(
        f"[Sequence]\nname=seq\nimDir=img1\nframeRate=25\nseqLength={FRAMES}\n"
        "imWidth=560\nimHeight=200\nimExt=.jpg\n"
    )
    paths = []
    for name, size in (("one", 6), ("two", 9)):
        header = dataclasses.replace(HEADER, sequence="seq", pipeline=name, source=str(source))
        frames = [detections(frame, size, draw) for frame in range(FRAMES)]
        paths.append(write(folder / f"caches/{name}.h5", frames, header))
    return paths


def test_panels_of_templates_are_a_row_for_each_pipeline(work):
    caches = source_of(work)
    one = drawn(work, "templates", caches[0], "--at", 5, "--gt", work / "gt")
    two = drawn(work, "templates", *caches, "--at", 5, "--gt", work / "gt")
    assert two.shape[1] == one.shape[1]
    assert two.shape[0] > 1.6 * one.shape[0]
    assert (work / "work/plots/seq.templates.png").is_file()
    none = called(work, "templates", *caches, "--at", 5)
    assert isinstance(none.exception, SettingError)
    late = called(work, "templates", *caches, "--at", FRAMES + 1, "--gt", work / "gt")
    assert f"no tracklets before frame {FRAMES + 1}" in late.stderr


def test_panels_of_templates_leave_unknown_detections_out(work):
    from mottool.cache.reader import Cache
    from mottool.drawing.template_plot import panels_of
    from mottool.metrics.embedding_similarity import templates_of
    from mottool.metrics.identity_matching import find_identity_rows

    rows = find_identity_rows("seq", {}, work / "gt")
    with Cache(source_of(work)[1]) as cache:
        frame = templates_of(cache, rows, 5, memory=30)
    assert sorted(frame.ids.tolist()) == [-1, 1, 2, 3, 4]
    panels = panels_of(frame)
    shapes = [values.shape for _, values, _, _ in panels]
    assert shapes == [(4, 9), (4, 4), (4, 9), (4, 4), (4, 4)]
    for _, cosines, row_ids, column_ids in (panels[1], panels[3], panels[4]):
        assert row_ids.tolist() == column_ids.tolist() == [1, 2, 3, 4]
        assert (np.diag(cosines) > 0.9).all()
        assert cosines[~np.eye(4, dtype=bool)].max() < 0.5


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_every_kind_is_drawn_in_every_format(work, form):
    starts = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}
    gt = ("--gt", work / "gt", "--format", form)
    for kind in (
        ("embeddings", "--perplexity", "5"),
        ("frames", "--at", "1", "2"),
        ("tracklets", "--at", "3"),
        ("hota",),
        ("timelines",),
    ):
        done = called(work, *kind, *gt)
        assert done.exit_code == 0, (kind, done.output, done.exception)
    paths = sorted((work / "work/plots").rglob(f"*.{form}"))
    assert [str(path.relative_to(work / "work/plots")) for path in paths] == [
        f"hota.{form}",
        f"pipe/seq.embeddings.{form}",
        f"pipe/seq.frames.{form}",
        f"pipe/seq.tracklets.{form}",
        f"pipe.a/seq.timelines.{form}",
        f"pipe.b/seq.timelines.{form}",
    ]
    assert all(path.read_bytes().startswith(starts[form]) for path in paths)


def test_timelines_of_results_need_no_ground_truth(work):
    done = called(work, "timelines", work / "work/tracks/pipe.a")
    assert done.exit_code == 0
    plain = matplotlib.image.imread(work / "work/plots/pipe.a/seq.timelines.png")
    assert (
        called(work, "timelines", work / "work/tracks/pipe.a", "--gt", work / "gt").exit_code == 0
    )
    classified = matplotlib.image.imread(work / "work/plots/pipe.a/seq.timelines.png")
    assert plain.shape != classified.shape  # eight identities, four people


def test_the_legend_of_curves_has_the_means_that_evaluate_prints(work):
    assert called(work, "hota", "--gt", work / "gt", "--format", "svg").exit_code == 0
    from mottool.metrics.ground_truth_files import find_ground_truth
    from mottool.metrics.track_evaluation import TrackEvaluation

    truth = find_ground_truth([work / "gt"])["seq"]
    evaluation = TrackEvaluation("a")
    evaluation.add("seq", work / "work/tracks/pipe.a/seq.txt", truth)
    metrics = evaluation.rows()[0].metrics
    svg = (work / "work/plots/hota.svg").read_text()
    means = (f"{name} {100 * metrics[name]:.1f}" for name in ("HOTA", "DetA", "AssA"))
    assert svg.count(f"pipe.a: {', '.join(means)}") == 1  # one legend for the three panels


def test_sequences_that_are_not_in_the_curves_are_named(work):
    a, b, gt = work / "work/tracks/pipe.a", work / "work/tracks/pipe.b", work / "gt"
    shutil.copy(a / "seq.txt", a / "alone.txt")
    shutil.copy(next(gt.glob("seq*")), gt / "alone.txt")
    shutil.copy(b / "seq.txt", b / "unknown.txt")
    done = called(work, "hota", "--gt", gt)
    assert done.exit_code == 0, done.output
    assert "alone left out: no results of pipe.b" in done.stderr
    assert "unknown left out: no ground truth is given" in done.stderr


def test_tracker_of_other_sequences_is_left_out_of_the_curves_by_name(work):
    gt, odd = work / "gt", work / "work/tracks/odd"
    odd.mkdir()
    (odd / "notes.txt").write_text("ran twice\n")
    done = called(work, "hota", "--gt", gt)
    assert done.exit_code == 0, done.output
    assert done.stderr == "mottool: odd left out: none of its results (notes) has ground truth\n"
    assert "2 trackers, seq" in done.stdout
    alone = called(work, "hota", odd, "--gt", gt)
    assert "results of every tracker: odd has notes. Fix: " in str(alone.exception)


def test_tracker_with_a_malformed_result_does_not_keep_the_others_from_the_curves(work):
    odd = work / "work/tracks/odd"
    odd.mkdir()
    (odd / "seq.txt").write_text("1,2\n")
    done = called(work, "hota", "--gt", work / "gt")
    assert done.exit_code == 1
    assert f"mottool: odd: {odd}/seq.txt line 1 has 2 columns. Fix: " in done.stderr
    assert "2 trackers, seq" in done.stdout
    assert (work / "work/plots/hota.png").is_file()


def test_folder_without_result_files_is_no_tracker(work):
    odd = work / "work/tracks/odd"
    odd.mkdir()
    (odd / "table.csv").write_text("a,b\n")
    assert called(work, "hota", "--gt", work / "gt").exit_code == 0
    named = called(work, "hota", odd, "--gt", work / "gt")
    assert f"{odd} holds no SEQUENCE.txt" in str(named.exception)


def test_missing_inputs_are_reported(work):
    done = called(work, "embeddings")
    assert isinstance(done.exception, SettingError)
    assert "--gt or --tracks" in done.exception.fix
    both = called(work, "frames", "--at", 1, 2, "--gt", work / "gt", "--tracks", work / "gt")
    assert isinstance(both.exception, SettingError)
    far = called(work, "frames", "--at", 1, 99)
    assert far.exit_code == 1
    assert "no detection in frame 99" in far.stderr
    early = called(work, "tracklets", "--at", 40, "--gt", work / "gt")
    assert "no tracklets before frame 40" in early.stderr
    none = called(work, "hota", work / "work/tracks/pipe.a", "--gt", work / "gt/none")
    assert isinstance(none.exception, InputError)
    nothing = CliRunner().invoke(command, ["frames", "--at", "1", "2", "--work", str(work / "new")])
    assert isinstance(nothing.exception, InputError)
    assert "detect-embed" in nothing.exception.fix


def test_a_cache_without_embeddings_is_reported(work):
    plain = [Detections(np.zeros((1, 4), np.float32), np.ones(1, np.float32),
                        np.zeros(1, np.uint16))]  # fmt: skip
    path = write(work / "plain.h5", plain, HEADER)
    done = called(work, "frames", path, "--at", 1, 1)
    assert done.exit_code == 1
    assert "has no embeddings" in done.stderr


def test_embedding_map_needs_two_people(work):
    (work / "one").mkdir()
    first = (work / "gt/seq.txt").read_text().splitlines()[0]
    (work / "one/seq.txt").write_text(first)
    done = called(work, "embeddings", "--gt", work / "one")
    assert done.exit_code == 1
    assert "fewer than two people" in done.stderr


def test_detections_of_low_scores_are_left_out_of_matrices(work):
    from mottool.cache.reader import Cache
    from mottool.metrics.embedding_similarity import between_frames, of_tracklets
    from mottool.metrics.identity_matching import find_identity_rows

    draw, rows = np.random.default_rng(3), find_identity_rows("seq", {}, work / "gt")
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.4], np.float32)
    path = work / "work/caches/pipe/seq.h5"
    path.unlink()
    write(
        path,
        [dataclasses.replace(detections(n, draw=draw), scores=scores) for n in range(FRAMES)],
    )
    with Cache(path) as cache:
        assert between_frames(cache, rows, (1, 5)).columns.tolist() == [1, 2, 3, 4, -1]
        assert between_frames(cache, rows, (1, 5), 0.5).columns.tolist() == [1, 2, 3, 4]
        tracklets = of_tracklets(cache, rows, 5, memory=30, min_score=0.75)
        assert tracklets.rows.tolist() == tracklets.columns.tolist() == [1, 2]
        with pytest.raises(InputError, match=r"above 0.95 in frame 1. Fix: .* a lower --min-score"):
            between_frames(cache, rows, (1, 5), 0.95)
    for words in (("frames", "--at", 1, 5), ("tracklets", "--at", 5)):
        default, half, everything = (
            drawn(work, *words, "--gt", work / "gt", *more)
            for more in ((), ("--min-score", 0.5), ("--min-score", 0))
        )
        assert np.array_equal(default, half)
        assert not np.array_equal(default, everything)


def test_boxes_that_were_not_embedded_are_left_out_of_matrices(work):
    from mottool.cache.reader import Cache
    from mottool.metrics.embedding_similarity import between_frames, of_tracklets
    from mottool.metrics.identity_matching import find_identity_rows

    draw, rows = np.random.default_rng(3), find_identity_rows("seq", {}, work / "gt")
    scores = np.array([0.9, 0.8, 0.7, 0.3, 0.4], np.float32)
    frames = [dataclasses.replace(detections(n, draw=draw), scores=scores) for n in range(FRAMES)]
    for frame in frames:
        frame.embeddings[scores < 0.5] = 0
    path = work / "work/caches/pipe/seq.h5"
    path.unlink()
    write(path, frames, dataclasses.replace(HEADER, settings={"embed_min_score": 0.5}))
    with Cache(path) as cache:
        assert between_frames(cache, rows, (1, 5)).columns.tolist() == [1, 2, 3]
        assert of_tracklets(cache, rows, 5, memory=30).columns.tolist() == [1, 2, 3]


def test_similarity_matrices_and_their_errors(work):
    from mottool.cache.reader import Cache
    from mottool.metrics.embedding_similarity import between_frames, of_people, of_tracklets
    from mottool.metrics.identity_matching import find_identity_rows, identify_detections

    rows = find_identity_rows("seq", {}, work / "gt")
    with Cache(work / "work/caches/pipe/seq.h5") as cache:
        matrix = between_frames(cache, rows, (1, 5))
        assert matrix.rows.tolist() == matrix.columns.tolist() == [1, 2, 3, 4, -1]
        assert (np.diag(matrix.cosines) > 0.9).all()
        assert matrix.cosines[~np.eye(5, dtype=bool)].max() < 0.5
        assert all((frame.ids == -1).all() for frame in identify_detections(cache, None))
        embeddings, ids = of_people(cache, rows, people=3, samples=5)
        assert embeddings.shape == (15, 6)
        assert np.bincount(ids).tolist() == [0, 5, 5, 5]
        tracks = find_identity_rows("seq", {}, work / "work/tracks/pipe.a")
        switched = of_tracklets(cache, tracks, 9, memory=1)
        assert switched.rows.tolist() == [11, 12, 13, 14]
        older = of_tracklets(cache, tracks, 9, memory=4)
        assert older.rows.tolist() == [1, 2, 3, 4, 11, 12, 13, 14]
        means = [frame.embeddings[0] for frame in identify_detections(cache, tracks)][5:8]
        mean = means[0]
        for embedding in means[1:]:
            mean = 0.9 * mean + 0.1 * embedding
            mean = mean / np.linalg.norm(mean)
        ninth = list(identify_detections(cache, None))[8].embeddings
        np.testing.assert_allclose(older.cosines[4], ninth @ mean, atol=1e-5)
        with pytest.raises(InputError, match="no detection in frame 13"):
            between_frames(cache, rows, (1, 13))
    assert find_identity_rows("seq", {}, None) is None


def test_plots_of_the_same_name_replace_no_other(work):
    """Two trackers or pipelines of one name, and two tables, had one plot, of the last."""
    shutil.copytree(work / "work/tracks/pipe.a", work / "other/pipe.a")
    done = called(work, "timelines", work / "work/tracks/pipe.a", work / "other/pipe.a")
    assert done.exit_code == 1
    assert "would both be drawn in" in done.output
    shutil.copytree(work / "work/caches/pipe", work / "other/caches/pipe")
    caches = (work / "work/caches/pipe", work / "other/caches/pipe")
    done = called(work, "frames", *caches, "--at", 1, 2)
    assert done.exit_code == 1
    assert "would both be drawn in" in done.output
    for name in ("small", "large"):
        (work / name).mkdir()
        (work / name / "a=b.csv").write_text("seq,AP,MOTA,IDF1\nCOMBINED,0.5,0.5,0.5\n")
    tables = work / "small/a=b.csv", work / "large/a=b.csv"
    done = called(work, "bars", *tables)
    assert isinstance(done.exception, SettingError)
    assert "are both named a=b" in str(done.exception)
    done = called(work, "bars", tables[0], f"large={tables[1]}")
    assert "2 models" in done.output
