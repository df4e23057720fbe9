import dataclasses
import json

import av
import cv2
import numpy as np
import pytest
from caches import HEADER, write
from footage import images, seqinfo, video
from rendered import ROWS, called, make_film

import mottool.stages.render
from mottool.detections import Detections
from mottool.drawing.style import colour_of
from mottool.drawing.track_layer import OUTCOME_STYLES
from mottool.errors import SettingError
from mottool.metrics.box_outcomes import Outcome
from mottool.records.record import record_of
from mottool.sources.discovery import find_sequences
from mottool.stages.render import Config, run


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path)


def frames_of(path):
    with av.open(str(path)) as container:
        return [
            (frame.time, frame.to_ndarray(format="bgr24"))
            for frame in container.decode(container.streams.video[0])
        ]


def near(colour, pixel):
    """Return whether a pixel of a thin line has the hue of a colour; neighbours share chroma."""
    wanted, seen = (values - np.mean(values) for values in (np.array(colour), pixel.astype(int)))
    length = np.linalg.norm(seen)
    return length > 0.3 * np.linalg.norm(wanted) and wanted @ seen > 0.9 * length * np.linalg.norm(
        wanted
    )


def test_a_video_keeps_its_times_and_identity_colours(tmp_path, film):
    result = called(tmp_path, film, "--crf", "5")
    assert result.exit_code == 0
    out = tmp_path / "work" / "videos" / "public.sort" / "film.mp4"
    assert result.output == f"{out}  rendered\n"
    frames = frames_of(out)
    expected = [(index + (20 if index > 11 else 0)) / 30 for index in range(24)]
    np.testing.assert_allclose([time for time, _ in frames], expected, atol=2e-5)
    for number, (_, image) in enumerate(frames, 1):
        for identity, left in ((3, 20), (8, 160)):
            assert near(colour_of(identity), image[100, left + 2 * number]), number


def test_a_span_at_a_scale_has_trails_from_before(tmp_path, film):
    assert (
        called(tmp_path, film, "--frames", "13-20", "--scale", "0.5", "--crf", "5").exit_code == 0
    )
    frames = frames_of(tmp_path / "work" / "videos" / "public.sort" / "film.mp4")
    assert len(frames) == 8
    assert frames[0][0] == 0
    first = frames[0][1]
    assert first.shape == (120, 160, 3)
    assert near(colour_of(8), first[50, (160 + 2 * 13) // 2])
    trail = first[75, (160 + 2 * 5 + 20) // 2].astype(int)  # where the feet were in frame 5
    ground = first[75, 150].astype(int)
    assert np.abs(trail - ground).max() > 15


def test_a_constant_score_is_not_written(tmp_path, film):
    (sequence,) = find_sequences([film])
    same = "\n".join(",".join([*row.split(",")[:6], "1"]) for row in ROWS.split())
    texts = {"same": same, "varied": ROWS}
    pictures = {}
    for name, text in texts.items():
        (tmp_path / f"{name}.txt").write_text(text)
        for scores in (True, False):
            config = Config(frames=(5, 5), scores=scores)
            out = run(sequence, tmp_path / f"{name}.txt", tmp_path / f"{name}.mp4", config)
            pictures[name, scores] = frames_of(out)[0][1]
    np.testing.assert_array_equal(pictures["same", True], pictures["same", False])
    assert (pictures["varied", True] != pictures["varied", False]).any()


def test_a_frame_without_rows_and_an_empty_result_are_drawn(tmp_path, film):
    (sequence,) = find_sequences([film])
    (tmp_path / "none.txt").write_text("")
    out = run(sequence, tmp_path / "none.txt", tmp_path / "none.mp4", Config())
    assert len(frames_of(out)) == 24


def test_a_video_of_results_that_were_replaced_meanwhile_has_no_record(tmp_path, film, monkeypatch):
    results = tmp_path / "work/tracks/public.sort/film.txt"
    draw = mottool.stages.render.run

    def draw_and_replace(*arguments):
        draw(*arguments)
        results.write_text(ROWS.replace("1,3,", "1,4,"))

    monkeypatch.setattr(mottool.stages.render, "run", draw_and_replace)
    done = called(tmp_path, film)
    assert done.exit_code == 1
    assert "film.txt changed while it was read. Fix: run the same command again" in done.output
    assert not record_of(tmp_path / "work/videos/public.sort/film.mp4").exists()


def test_many_sequences_are_drawn_and_failures_named(tmp_path, film):
    images(seqinfo(tmp_path / "data" / "A") / "img1")
    images(seqinfo(tmp_path / "data" / "B") / "img1")
    seqinfo(tmp_path / "data" / "C")
    results = tmp_path / "results"
    results.mkdir()
    for name in "AC":
        (results / f"{name}.txt").write_text("1,1,5,5,10,20,1,-1,-1,-1\n")
    result = called(tmp_path, tmp_path / "data", tmp_path / "no.mp4", "--tracks", results, "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    out = tmp_path / "work" / "videos" / "results" / "A.mp4"
    assert report["done"] == [{"sequence": "A", "path": str(out)}]
    assert len(frames_of(out)) == 3
    errors = {failure["sequence"]: failure["error"] for failure in report["failed"]}
    assert "there is no result file" in errors["B"]
    assert "mottool associate" in errors["B"]
    assert "no images" in errors["C"]
    assert "there is no file or folder" in errors[str(tmp_path / "no.mp4")]
    assert [path.name for path in out.parent.iterdir()] == ["A.mp4"]


@pytest.mark.parametrize("text", ["0-5", "9-3", "a-b", "5-x", "", "-"])
def test_an_invalid_range_is_an_error(tmp_path, film, text):
    failed = called(tmp_path, film, "--frames", text).exception
    assert isinstance(failed, SettingError)
    assert "write 1-100, 50- or 7" in failed.fix


@pytest.mark.parametrize(("text", "count"), [("20-", 5), ("7", 1), ("20-900", 5)])
def test_ranges_may_be_open_or_one_frame(tmp_path, film, text, count):
    assert called(tmp_path, film, "--frames", text).exit_code == 0
    assert len(frames_of(tmp_path / "work" / "videos" / "public.sort" / "film.mp4")) == count


def test_a_range_beyond_the_end_fails_and_leaves_no_video(tmp_path, film):
    result = called(tmp_path, film, "--frames", "90-99")
    assert result.exit_code == 1
    assert "has no frame 90" in result.stderr
    assert not list((tmp_path / "work").rglob("*.mp4"))


def test_rows_beyond_the_end_are_reported(tmp_path, film):
    rows = tmp_path / "film.txt"
    rows.write_text(ROWS + "25,3,20,60,40,90,1,-1,-1,-1\n")
    message = "has rows up to frame 25"
    assert message in called(tmp_path, film, "--tracks", rows).stderr
    assert message not in called(tmp_path, film, "--tracks", rows, "--frames", "1-5").stderr
    assert not called(tmp_path, film).stderr


def test_boxes_have_the_colours_of_their_outcomes(tmp_path, film):
    people = {5: 20, 6: 160, 7: 240}  # 7 is missed, 6 switches from 8 to 9 in frame 13
    truth = tmp_path / "gt.txt"
    truth.write_text(
        "".join(
            f"{frame},{person},{left + 2 * frame},60,40,90,1,-1,-1,-1\n"
            for frame in range(1, 25)
            for person, left in people.items()
        )
    )
    rows = tmp_path / "tracks" / "film.txt"
    rows.parent.mkdir()
    switched = [
        row.replace(",8,", ",9,", 1) if int(row.split(",")[0]) > 12 else row
        for row in ROWS.splitlines()
    ]
    extra = [f"{frame},4,5,5,30,40,1,-1,-1,-1" for frame in range(1, 25)]
    rows.write_text("\n".join([*switched, *extra]))
    done = called(
        tmp_path, film, "--tracks", rows, "--gt", truth, "--crf", "5", "--frames", "12-14"
    )
    assert done.exit_code == 0, done.output
    frames = frames_of(tmp_path / "work" / "videos" / "tracks" / "film.mp4")
    colours = {outcome: OUTCOME_STYLES[outcome][0].colour for outcome in Outcome}
    for number, (_, image) in zip((12, 13, 14), frames, strict=True):
        assert near(colours[Outcome.HIT], image[100, 20 + 2 * number])
        assert near(colours[Outcome.FALSE], image[25, 5])
        outcome = Outcome.SWITCHED if number == 13 else Outcome.HIT
        assert near(colours[outcome], image[100, 160 + 2 * number]), number
        line = image[60:150, 240 + 2 * number]  # dashes, not a solid line
        dashes = [near(colours[Outcome.MISSED], pixel) for pixel in line]
        assert 20 < sum(dashes) < 70


def test_a_sequence_without_ground_truth_is_drawn_by_identity(tmp_path, film):
    other = video(tmp_path / "other.mp4", size=(320, 240), ticks=range(24))
    (tmp_path / "work/tracks/public.sort/other.txt").write_text(ROWS)
    truth = tmp_path / "truth" / "film.txt"
    truth.parent.mkdir()
    rows = [row.split(",")[:6] for row in ROWS.splitlines()]
    truth.write_text("".join(f"{','.join(row)},1,-1,-1,-1\n" for row in rows))
    words = other, "--gt", truth.parent, "--frames", "1-1", "--crf", "5"
    assert "no ground truth for 'other'" in called(tmp_path, *words).stderr
    done = called(tmp_path, film, *words)
    note = "other drawn in the colours of identities: no ground truth is given"
    assert done.stderr == f"mottool: {note}\n"
    ((_, image),) = frames_of(tmp_path / "work/videos/public.sort/other.mp4")
    assert near(colour_of(3), image[100, 22])
    ((_, image),) = frames_of(tmp_path / "work/videos/public.sort/film.mp4")
    assert near(OUTCOME_STYLES[Outcome.HIT][0].colour, image[100, 22])


def test_two_trackers_are_drawn_side_by_side_with_differences_heavy(tmp_path, film):
    other = tmp_path / "other"
    other.mkdir()
    # The other tracker has identities 1 and 2, and no second box in frame 10.
    renamed = ROWS.replace(",3,", ",1,").replace(",8,", ",2,").splitlines()
    (other / "film.txt").write_text("\n".join(row for row in renamed if row[:5] != "10,2,"))
    done = called(tmp_path, film, "--beside", other, "--crf", "5", "--frames", "9-10")
    assert done.exit_code == 0, done.output
    out = tmp_path / "work/videos/public.sort_vs_other/film.mp4"
    (_, agreed), (_, alone) = frames_of(out)
    assert agreed.shape[1] == 2 * 320 + 2
    for left, identity in ((20, 3), (160, 8)):  # the first tracker's colour in both
        for shift in (0, 322):
            assert near(colour_of(identity), agreed[100, shift + left + 18])

    def lines(image, column):  # the widest line along the box's left edge
        return max(
            sum(near(colour_of(8), pixel) for pixel in image[row, column - 6 : column + 7])
            for row in range(80, 110)
        )

    assert lines(alone, 160 + 20) >= lines(agreed, 160 + 18) + 2
    assert lines(alone, 322 + 160 + 20) == 0


def test_layers_of_a_cache_are_drawn_below_the_tracks(tmp_path, film):
    def frame(number):
        boxes = np.array([[20 + 2 * number, 60, 60 + 2 * number, 150]], np.float32)
        one = np.ones(1, np.float32)
        centres = np.array([[180 + 2 * number, 100, 0.8]], np.float32)
        heat = np.zeros((60, 80), np.uint8)
        heat[25, (180 + 2 * number) // 4] = 255
        zero = np.zeros(1, np.uint16)
        return Detections(boxes, one * 0.7, zero, None, centres, occlusion_map=heat)

    header = dataclasses.replace(HEADER, width=320, height=240, settings={"occlusion_stride": 4})
    cache = tmp_path / "work/caches/public/film.h5"
    write(cache, [frame(number) for number in range(1, 25)], header)
    pictures = {}
    for flag in ("--no-refound", "--refound", "--detections", "--occlusion"):
        done = called(tmp_path, film, flag, "--crf", "5", "--frames", "12", "--trail", "0")
        assert done.exit_code == 0, done.output
        ((_, image),) = frames_of(tmp_path / "work/videos/public.sort/film.mp4")
        assert (image.shape[0] > 240) == (flag != "--no-refound")  # the legend is below
        pictures[flag] = image[:240]
    plain = pictures.pop("--no-refound").astype(int)
    changed = {flag: np.abs(image - plain).max(axis=2) > 40 for flag, image in pictures.items()}
    box, other = np.s_[60:150, 44:84], np.s_[65:150, 182:226]  # tracked and detected; tracked only
    assert not changed["--refound"][65:150, 40:90].any()
    assert changed["--refound"][other].any()
    assert changed["--detections"][140:150, 45:75].any()  # the detection's score
    assert not changed["--detections"][65:148, 180:230].any()
    assert not changed["--occlusion"][box][:, 10:-10].any()
    assert changed["--occlusion"][95:105, 200:210].any()
    missing = called(tmp_path, film, "--detections", "--cache", tmp_path / "no.h5")
    assert missing.exit_code == 1
    assert "there is no cache" in missing.stderr


def test_every_switch_has_a_strip_and_old_strips_are_removed(tmp_path, film):
    truth = tmp_path / "gt.txt"
    rows = tmp_path / "tracks" / "film.txt"
    rows.parent.mkdir()
    truth.write_text("".join(f"{n},5,{20 + 2 * n},60,40,90,1,-1,-1,-1\n" for n in range(1, 25)))
    names = [3] * 8 + [8] * 8 + [9] * 8
    rows.write_text(
        "".join(f"{n},{names[n - 1]},{20 + 2 * n},60,40,90,1,-1,-1,-1\n" for n in range(1, 25))
    )
    words = film, "--tracks", rows, "--gt", truth, "--switches"
    done = called(tmp_path, *words, "--json")
    assert done.exit_code == 0, done.output
    folder = tmp_path / "work/videos/tracks/film.switches"
    assert json.loads(done.stdout)["done"] == [
        {"sequence": "film", "path": str(folder), "switches": 2}
    ]
    names = ["000009_object5.png", "000017_object5.png"]
    assert [path.name for path in sorted(folder.iterdir())] == names
    image = cv2.imread(str(folder / names[0]))
    assert image.shape[0] > 300
    for identity in (3, 8):
        assert (np.abs(image.astype(int) - colour_of(identity)).max(axis=2) < 12).sum() > 300
    assert not (np.abs(image.astype(int) - colour_of(9)).max(axis=2) < 4).any()
    again = called(tmp_path, *words, "--frames", "10-20")
    assert again.exit_code == 0
    assert [path.name for path in folder.iterdir()] == names[1:]
    alone = called(tmp_path, film, "--switches").exception
    assert isinstance(alone, SettingError)
    assert "--gt" in alone.problem
