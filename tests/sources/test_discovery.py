"""Finding sequences: videos, image folders, MOTChallenge folders, lists and refused sources."""

import errno
import os
from pathlib import Path

import datasets
import numpy as np
import pytest
from footage import grey, images, picture, seqinfo, video
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import InputError, SettingError
from mottool.files import safe_name
from mottool.sources import discovery
from mottool.sources.discovery import find_sequences


def only(*discovery, **options):
    (sequence,) = find_sequences(discovery, **options)
    return sequence


def refused(*discovery):
    """Return the one-line message of the `InputError` that the sources raise."""
    with pytest.raises(InputError) as caught:
        find_sequences(discovery)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_video_has_the_name_of_its_file_and_its_own_times(tmp_path):
    sequence = only(video(tmp_path / "my clip.v2.mp4", 6, ticks=[0, 1, 5, 6, 9, 12]))
    assert (sequence.name, sequence.width, sequence.height) == ("my clip.v2", 64, 48)
    assert sequence.has_images
    frames = list(sequence.frames())
    assert [frame.number for frame in frames] == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(
        [frame.seconds for frame in frames], np.array([0, 1, 5, 6, 9, 12]) / 30
    )
    assert [frame.number for frame in sequence.frames(start=5)] == [5, 6]


def test_a_folder_of_images_is_read_in_natural_order(tmp_path):
    folder = images(tmp_path / "walk", 12, name="shot{}.png")
    (folder / "._shot1.png").write_bytes(b"what macOS leaves on foreign disks")
    (folder / "notes.txt").write_text("not an image")
    sequence = only(folder)
    assert (sequence.name, sequence.fps, sequence.length) == ("walk", 30.0, 12)
    frames = list(sequence.frames())
    assert [int(frame.image[-1, -1, 0]) for frame in frames] == [grey(index) for index in range(12)]
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(12) / 30)
    np.testing.assert_array_equal(frames[3].image, picture(3))
    assert [frame.number for frame in sequence.frames(start=11)] == [11, 12]


def test_motchallenge_folder_has_its_frame_rate_and_annotation_files(tmp_path):
    folder = seqinfo(tmp_path / "MOT17-02")
    images(folder / "img1")
    for kind in ("det", "gt"):
        (folder / kind).mkdir()
        (folder / kind / f"{kind}.txt").touch()
    sequence = only(folder)
    assert (sequence.name, sequence.fps, sequence.length) == ("MOT17-02", 25.0, 3)
    assert sequence.detections == folder / "det" / "det.txt"
    assert sequence.ground_truth == folder / "gt" / "gt.txt"
    assert [frame.seconds for frame in sequence.frames()] == [0.0, 0.04, 0.08]
    assert only(folder / "img1").path == folder.resolve()


def test_imdir_may_name_a_video(tmp_path):
    folder = seqinfo(tmp_path / "seq", imDir="film.mp4", frameRate=10, seqLength=8)
    video(folder / "film.mp4", 6)
    sequence, warnings = only(folder), []
    frames = list(sequence.frames(warn=warnings.append))
    assert (sequence.fps, len(frames)) == (10.0, 6)
    assert "should contain 8 frames; 6 could be decoded" in warnings[0]


def test_seqinfo_without_images_is_a_sequence_without_images(tmp_path):
    sequence = only(seqinfo(tmp_path / "seq", seqLength=600))
    assert not sequence.has_images
    assert (sequence.width, sequence.height, sequence.length) == (64, 48, 600)
    with pytest.raises(InputError, match="has a seqinfo.ini but no images"):
        next(sequence.frames())


def test_frame_numbers_and_times_are_known_without_images(tmp_path):
    frames = list(only(seqinfo(tmp_path / "seq")).frames(start=2, pixels=False))
    assert [(frame.number, frame.seconds) for frame in frames] == [(2, 0.04), (3, 0.08)]
    assert frames[0].image.size == 0
    unknown = only(seqinfo(tmp_path / "seq", seqLength=None))
    with pytest.raises(InputError, match="has no seqLength"):
        next(unknown.frames(pixels=False))


@pytest.mark.parametrize("length", [2, 5])
def test_number_of_images_that_differs_from_seqinfo_is_a_warning(tmp_path, length):
    folder = seqinfo(tmp_path / "seq", seqLength=length)
    images(folder / "img1", 3)
    warnings = []
    assert len(list(only(folder).frames(warn=warnings.append))) == 3
    assert f"should contain {length} frames, but has 3 images" in warnings[0]


def test_every_sequence_below_a_root_is_found_once_in_natural_order(tmp_path):
    for name in ("train/S10", "train/S9", "test/S1"):
        images(seqinfo(tmp_path / name) / "img1")
    images(tmp_path / "more" / "bare" / "img1")  # a sequence without seqinfo.ini
    images(tmp_path / "more" / "stills")
    video(tmp_path / "more" / "clip.mp4", 2)
    images(tmp_path / ".cache" / "thumbnails")
    (tmp_path / "train" / "again").symlink_to(tmp_path / "train")
    names = [sequence.name for sequence in find_sequences([tmp_path])]
    assert names == ["bare", "clip", "stills", "S1", "S9", "S10"]
    names = [sequence.name for sequence in find_sequences([tmp_path / "test", tmp_path])]
    assert names == ["S1", "bare", "clip", "stills", "S9", "S10"]


def test_pattern_matches_videos_and_image_folders(tmp_path):
    for name in ("cam2.mp4", "cam10.mp4"):
        video(tmp_path / name, 2)
    images(tmp_path / "cam3")
    (tmp_path / "cam.txt").touch()
    names = [sequence.name for sequence in find_sequences([f"{tmp_path}/cam*"])]
    assert names == ["cam2", "cam3", "cam10"]
    assert "matches" in refused(f"{tmp_path}/dog*")
    bracket = video(tmp_path / "a[1].mp4", 2)  # a file whose name looks like a pattern
    assert only(str(bracket)).name == "a_1_"


def test_paths_in_a_list_are_relative_to_the_list(tmp_path):
    (tmp_path / "videos").mkdir()
    video(tmp_path / "videos" / "a.mp4", 2)
    listed = tmp_path / "list.txt"
    listed.write_text("# the test set\n\n  videos/a.mp4  \n")
    assert only(listed=listed).name == "a"
    with pytest.raises(InputError, match="cannot be read"):
        find_sequences([], tmp_path / "nowhere.txt")
    with pytest.raises(SettingError, match="no source is given"):
        find_sequences([])


def test_two_sequences_of_one_name_are_refused_with_both_paths(tmp_path):
    for folder in ("x", "y"):
        images(tmp_path / folder / "same")
    with pytest.raises(SettingError) as caught:
        find_sequences([tmp_path])
    assert str(tmp_path / "x" / "same") in str(caught.value)
    assert str(tmp_path / "y" / "same") in str(caught.value)


def test_valid_sources_are_found_beside_invalid_ones(tmp_path):
    images(tmp_path / "root" / "good")
    images(tmp_path / "root" / "bad")
    (tmp_path / "root" / "bad" / "000001.png").write_bytes(b"")
    errors = []
    sequences = find_sequences(
        [tmp_path / "nowhere", tmp_path / "root"], refused=lambda *error: errors.append(error)
    )
    assert [sequence.name for sequence in sequences] == ["good"]
    assert [source for source, _ in errors] == [
        str(tmp_path / "nowhere"),
        str(tmp_path / "root/bad"),
    ]
    assert all(isinstance(error, InputError) for _, error in errors)


def test_images_of_two_sizes_are_refused_with_both_paths(tmp_path):
    folder = images(tmp_path / "mixed", 3)
    images(folder, 1, (32, 48), name="{:06d}b.png")
    with pytest.raises(InputError) as caught:
        list(only(folder).frames())
    assert "000001b.png is 32x48 but" in str(caught.value)
    assert "000001.png is 64x48" in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda at: at / "nowhere", "there is no file or folder"),
        (lambda at: at, "contains no video, image or seqinfo.ini"),
        (lambda at: images(at / "a", 1), "cannot be read as an image"),
        (lambda at: seqinfo(at / "a", imDir="../b"), "imDir=../b, which is outside its folder"),
        (lambda at: seqinfo(at / "a", imDir="/etc"), "imDir=/etc, which is outside its folder"),
        (lambda at: seqinfo(at / "a", imDir="b\\..\\..\\c"), "which is outside its folder"),
        (lambda at: seqinfo(at / "a", imDir="C:\\c"), "which is outside its folder"),
        (lambda at: seqinfo(at / "a", imWidth=None), "states no image size"),
        (lambda at: seqinfo(at / "a", imWidth=0), "imWidth=0"),
        (lambda at: images(seqinfo(at / "a", imWidth=99) / "img1").parent, "states 99x48 but"),
    ],
)
def test_invalid_sources_are_refused(tmp_path, make, message):
    source = make(tmp_path)
    if message == "cannot be read as an image":
        (source / "000001.png").write_text("words")
    assert message in refused(source)


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    assert "a.mp4 is not a regular file" in refused(tmp_path / "a.mp4")
    assert "is not a regular file" in refused(os.devnull)


@pytest.mark.parametrize("source", ["rtsp://camera/1", "https://example.org/a.mp4", "0"])
def test_a_stream_is_refused_by_name(source):
    assert f"{source} is a stream or a camera; mottool reads files. Fix: record it" in refused(
        source
    )


def test_streams_in_a_list_and_urls_of_files_are_refused_by_name(tmp_path):
    (tmp_path / "list.txt").write_text("rtsp://camera/1\n")
    with pytest.raises(InputError, match="rtsp://camera/1 is a stream or a camera"):
        find_sequences([], tmp_path / "list.txt")
    assert "is a URL; mottool reads files. Fix: give the path alone" in refused("file:///a.mp4")


def test_an_argument_in_the_form_of_a_setting_is_refused_with_its_form():
    assert "write options as --name value" in refused("source=video.mp4")


def test_operating_system_error_does_not_stop_other_sources(tmp_path, monkeypatch):
    images(tmp_path / "good")
    images(tmp_path / "locked")
    listing = discovery.images_in

    def refusing(folder):
        if folder.name == "locked":
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return listing(folder)

    monkeypatch.setattr(discovery, "images_in", refusing)
    assert "locked: Permission denied. Fix: check the path" in refused(tmp_path / "locked")
    failed = []
    sequences = find_sequences(
        [tmp_path / "locked", tmp_path / "good"], refused=lambda name, error: failed.append(name)
    )
    assert [sequence.name for sequence in sequences] == ["good"]
    assert failed == [str(tmp_path / "locked")]


@pytest.mark.parametrize("name", ["{:06d}.png", "frame_{:04d}.png"])
def test_gap_in_numbered_images_is_refused(tmp_path, name):
    folder = seqinfo(tmp_path / "seq")
    images(folder / "img1", 4, name=name)
    (folder / "img1" / name.format(3)).unlink()
    message = refused(folder)
    assert f"jumps from {name.format(2)} to {name.format(4)}" in message
    assert f"Fix: copy {name.format(2)} to each missing name" in message


def test_numbered_images_begin_with_0_or_1(tmp_path):
    folder = images(seqinfo(tmp_path / "seq", seqLength=None) / "img1", 5)
    (folder / "000001.png").rename(folder / "000000.png")
    assert "jumps from 000000.png to 000002.png" in refused(folder.parent)
    (folder / "000000.png").unlink()
    assert "img1 begins with 000002.png. Fix: number them from 000001" in refused(folder.parent)
    for number in range(1, 5):
        (folder / f"{number + 1:06d}.png").rename(folder / f"{number - 1:06d}.png")
    assert only(folder.parent).length == 4


def test_single_picture_beside_videos_or_sequences_is_skipped(tmp_path):
    images(tmp_path / "videos", 1, name="thumbnail{}.jpg")
    for name in ("cam1.mp4", "cam2.mp4"):
        video(tmp_path / "videos" / name, 2)
    images(tmp_path / "root" / "a" / "img1", 2)
    images(tmp_path / "root", 1, name="preview.png")
    notes = []
    sequences = find_sequences([tmp_path / "videos", tmp_path / "root"], note=notes.append)
    assert [sequence.name for sequence in sequences] == ["cam1", "cam2", "a"]
    assert notes == [
        f"1 picture is left out, beside videos or sequences: {tmp_path}/videos/thumbnail1.jpg",
        f"1 picture is left out, beside videos or sequences: {tmp_path}/root/preview.png",
    ]


def test_frames_and_folders_of_frames_below_them_are_found(tmp_path):
    images(images(tmp_path / "walk", 3) / "masks", 3)
    assert [sequence.name for sequence in find_sequences([tmp_path / "walk"])] == ["walk", "masks"]


def test_videos_of_any_suffix_are_found_in_a_folder(tmp_path):
    video(tmp_path / "a.mp4", 2)
    for name, form in (("b.h264", "h264"), ("c.3gp", "3gp"), ("e.recording", "matroska")):
        video(tmp_path / name, 2, form=form)
    (tmp_path / "f.recording").write_bytes(b"no video")
    (tmp_path / "det.txt").write_text("1,-1,1,2,3,4,1")
    notes = []
    names = [sequence.name for sequence in find_sequences([tmp_path], note=notes.append)]
    assert names == ["a", "b", "c", "e"]
    assert notes == [f"1 file is left out, since no video decodes: {tmp_path}/f.recording"]


def test_pictures_and_proxies_of_cameras_are_no_videos(tmp_path):
    video(tmp_path / "GX010001.MP4", 2)
    video(tmp_path / "GX010001.LRV", 2, form="mp4")
    datasets.photo(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").rename(tmp_path / "GX010002.picture")
    notes = []
    (sequence,) = find_sequences([tmp_path], note=notes.append)
    assert sequence.path.name == "GX010001.MP4"
    assert notes == [f"1 file is left out, since no video decodes: {tmp_path}/GX010002.picture"]


def test_a_broken_link_is_refused_beside_valid_videos(tmp_path):
    video(tmp_path / "a.mp4", 2)
    (tmp_path / "b.mp4").symlink_to("nowhere")
    problems = []
    sequences = find_sequences([tmp_path], refused=lambda _, error: problems.append(error.problem))
    assert [sequence.name for sequence in sequences] == ["a"]
    assert problems == [f"{tmp_path}/b.mp4 does not exist, or is a broken link"]


def test_portable_pixmaps_are_frames(tmp_path):
    images(tmp_path / "walk", 3, name="{:06d}.ppm")
    assert [frame.image[-1, -1, 0] for frame in only(tmp_path / "walk").frames()] == [
        grey(index) for index in range(3)
    ]


def test_a_name_that_is_not_utf8_is_a_sequence(tmp_path):
    source = video(tmp_path / "a.mp4", 2)
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    source.rename(strange)
    assert only(tmp_path).name == "caf_"


def test_fingerprint_depends_on_the_content_and_not_on_the_path(tmp_path):
    first = seqinfo(tmp_path / "a" / "seq")
    second = seqinfo(tmp_path / "b" / "seq")
    for folder in (first, second):
        images(folder / "img1")
    assert only(first).fingerprint() == only(second).fingerprint()
    seqinfo(second, frameRate=30)
    assert only(first).fingerprint() != only(second).fingerprint()
    seqinfo(second)
    images(second / "img1", 4)
    assert only(first).fingerprint() != only(second).fingerprint()
    film = video(tmp_path / "a.mp4", 3)
    before = only(film).fingerprint()
    assert only(film.rename(tmp_path / "b.mp4")).fingerprint() == before
    assert only(video(tmp_path / "b.mp4", 4)).fingerprint() != before


@given(st.text(max_size=300))
@settings(derandomize=True, deadline=None)
def test_safe_name_is_one_valid_file_name_and_idempotent(text):
    name = safe_name(text)
    assert name
    assert not set(name) & set("/\\\0\n:")
    assert not name.startswith(".")
    assert safe_name(name) == name
    assert len(name.encode()) <= 200


def test_two_images_of_a_frame_are_refused(tmp_path):
    """A picture and its depth would be two frames."""
    folder = images(tmp_path / "walk")
    images(folder, name="{:06d}.jpg")
    assert "has 000001.jpg and 000001.png, which are one frame" in refused(folder)
