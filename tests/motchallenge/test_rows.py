import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.errors import InputError
from mottool.motchallenge.other_texts import describe_other_text
from mottool.motchallenge.rows import Rows, parse_rows, read_rows, write_tracks
from mottool.motchallenge.seqinfo import SeqInfo, read_seqinfo


def test_written_results_are_read_back(tmp_path):
    draw = np.random.default_rng(0)
    frames, ids = np.arange(1, 6), np.array([3, 1, 4, 1, 5])
    tlwh, scores = draw.uniform(-50, 2000, (5, 4)), draw.random(5)
    rows = read_rows(
        write_tracks(tmp_path / "a.txt", [Rows(frames, ids, tlwh, scores[:, None])]), "result"
    )
    np.testing.assert_array_equal(rows.frames, frames)
    np.testing.assert_array_equal(rows.ids, ids)
    np.testing.assert_allclose(rows.tlwh, tlwh, atol=5.1e-5)
    np.testing.assert_allclose(rows.rest[:, 0], scores, atol=5.1e-5)
    assert (rows.rest[:, 1:] == -1).all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_gzip_spaces_blank_lines_and_floats_for_integers_are_read(tmp_path):
    path = tmp_path / "gt.txt.gz"
    path.write_bytes(gzip.compress(b"\n1, 2.0, 3, 4, 5, 6, 1\n\n2 2 3 4 5 6 1\n"))
    rows = read_rows(path, "ground truth")
    assert rows.frames.tolist() == [1, 2]
    assert rows.ids.tolist() == [2, 2]
    assert rows.rest.tolist() == [[1.0], [1.0]]


NUMBERS = st.one_of(
    st.floats(-1e8, 1e8).map(repr),
    st.decimals(-1000, 1000, places=4).map(str),
    st.integers(-(10**17), 10**17).map(lambda digits: f"{digits}e-9"),
    st.sampled_from(
        ["+1", ".5", "5.", "-0", "007", "1e-400", "4.9E-324", "1_000", " 1", "1 ", "\t1"]
        + ["0.30000000000000004", "9007199254740993e-8", "123456789.12345678901234567890"]
    ),
)


@given(
    st.lists(st.lists(NUMBERS, min_size=5, max_size=5), min_size=1, max_size=8),
    st.sampled_from([",", ", ", " ", " , "]),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n"]),
)
@settings(derandomize=True, deadline=None)
def test_numbers_are_those_of_python_bit_for_bit(rows, comma, end):
    """Whatever separates them. Only underscores, which Python reads, are refused."""
    rows = [["1", "2", *row] for row in rows]
    text = "".join(comma.join(row) + end for row in rows)
    if "_" in text:
        with pytest.raises(InputError, match="cannot be read as rows of numbers"):
            parse_rows(text, Path("a.txt"))
        return
    expected = np.array([[float(cell) for cell in row[2:]] for row in rows])
    parsed = parse_rows(text, Path("a.txt"))
    assert np.hstack([parsed.tlwh, parsed.rest]).tobytes() == expected.tobytes()


LINE = "1,-1,1,2,3,4,0.5\n"
SECOND_BLOCK = 5001  # its line in the second block of a text of 80 kB


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,-1,1,,3,4,0.5", " has 6 columns, the lines before 7"),
        ("1,-1,1,2,3,4,", " has 6 columns, the lines before 7"),
        (",-1,1,2,3,4,0.5", " has 6 columns, the lines before 7"),
        ("1,-1,1,2,3,4,0.5,1\n1,-1,1,2,3,4", " has 8 columns, the lines before 7"),
        ("1,-1,1,2-3,3,4,0.5", ": '2-3' is not a number"),
        ("1,-1,1,2.3.4,3,4,0.5", ": '2.3.4' is not a number"),
        ("1,-1,1,--2,3,4,0.5", ": '--2' is not a number"),
        ("1,-1,1,1e,3,4,0.5", ": '1e' is not a number"),
        ("1,-1,1,0x1p3,3,4,0.5", ": '0x1p3' is not a number"),
        ("1,-1,1,nan,3,4,0.5", " holds NaN or infinity"),
        ("1,-1,1,1e999,3,4,0.5", " holds NaN or infinity"),
    ],
)
def test_a_bad_line_is_named_wherever_it_is(line, message):
    for before in (1, SECOND_BLOCK - 1):
        text = LINE * before + line + "\n" + LINE
        with pytest.raises(InputError) as caught:
            parse_rows(text, Path("a.txt"))
        assert f"a.txt line {before + 1}{message}" in str(caught.value)


def test_lines_of_another_length_in_another_block_are_refused():
    text = LINE * SECOND_BLOCK + LINE.replace("\n", ",-1\n") * SECOND_BLOCK
    with pytest.raises(InputError, match="line 5002 has 8 columns, the lines before 7"):
        parse_rows(text, Path("a.txt"))


def test_blank_blocks_and_a_byte_order_mark_are_left_out(tmp_path):
    path = tmp_path / "det.txt"
    path.write_bytes(b"\xef\xbb\xbf" + LINE.encode() + b"\r\n" * 100_000 + LINE.encode())
    rows = read_rows(path, "detection")
    assert (rows.frames.tolist(), rows.rest.tolist()) == ([1, 1], [[0.5], [0.5]])


def test_an_empty_file_has_no_rows(tmp_path):
    (tmp_path / "det.txt").write_text("\n")
    assert len(read_rows(tmp_path / "det.txt", "detection")) == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,-1,1,2,3,4,0.5\n2,-1,nan,2,3,4,0.5\n", "line 2 holds NaN"),
        ("1,-1,1,2,3,inf,0.5\n", "line 1 holds NaN or infinity"),
        ("\n0,-1,1,2,3,4,0.5\n", "line 2 has a frame below 1"),
        ("1.5,-1,1,2,3,4,0.5\n", "frame that is not an integer"),
        ("1,0.5,1,2,3,4,0.5\n", "id that is not an integer"),
        ("1,-1,1,2,3e9,4,0.5\n", "line 1 has a box beyond any frame"),
        ("0 0.5 0.5 0.1 0.2\n", "holds YOLO labels, fractions of one image"),
        ("0 0.5 0.5 0.1 0.2 0.9\n", "holds YOLO labels"),
        ("1,-1,1,2,3\n", "line 1 has 5 columns"),
        ('\n<?xml version="1.0"?>\n<annotations>\n', "is XML or a web page, not rows"),
        ("1,1,1,1,1,1,1,1,1,1,1\n", "line 1 has 11 columns"),
        ("1,-1,1,2,3,4,0.5\n1,-1,1,2,3,4\n", "line 2 has 6 columns"),
        ("1,-1,1,2,3,4,0.5\n1,-1,1,two,3,4,0.5\n", "line 2: 'two' is not a number"),
        ("# a comment of just as many words as columns\n", "begins with a header"),
        ("frame,id,bb_left,bb_top,bb_width,bb_height,conf\n1,1,1,2,3,4,0.5\n", "with a header"),
        (",frame,id,x,y,w,h\n0,1,1,1,2,3,4\n", "begins with a header"),
        ('{"videos": [], "images": []}\n', "is JSON, not rows"),
        ("1;1;1;2;3;4;0.5\n", "separates numbers by semicolons"),
        ("1;1;1,5;2,0;3,0;4,0\n", "has commas in numbers"),
        ("1\t1\t15,5\t20,0\t30,0\t80,0\n", "has commas in numbers"),
        ("1 1 15 20 30 80 0,9\n", "has commas in numbers"),
        (" ".join(["0 0 Car", *["0"] * 14]) + "\n", "holds rows of KITTI tracking"),
    ],
)
def test_a_bad_line_is_named_with_a_fix(tmp_path, text, message):
    path = tmp_path / "det.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_rows(path, "detection")
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "Fix: " in str(caught.value)


def test_a_missing_or_binary_file_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="there is no result file"):
        read_rows(tmp_path / "none.txt", "result")
    with pytest.raises(InputError, match="Is a directory. Fix: check the path"):
        read_rows(tmp_path, "result")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="not a readable result file"):
        read_rows(tmp_path / "binary.txt", "result")
    (tmp_path / "torn.txt.gz").write_bytes(gzip.compress(b"1,1,1,1,1,1\n" * 100)[:-12])
    with pytest.raises(InputError, match="not a readable result file"):
        read_rows(tmp_path / "torn.txt.gz", "result")


def test_seqinfo_has_numbers_and_none_for_missing_keys(tmp_path):
    path = tmp_path / "seqinfo.ini"
    path.write_text("[Sequence]\nname=A\nimDir=img1\nframeRate=12.5\nseqLength=7\nimWidth=640\n")
    assert read_seqinfo(path) == SeqInfo("A", "img1", 12.5, 7, 640, None)


@pytest.mark.parametrize("text", ["", "no section", "[Other]\na=1", "[Sequence]\nframeRate=0"])
def test_a_broken_seqinfo_is_an_input_error(tmp_path, text):
    path = tmp_path / "seqinfo.ini"
    path.write_text(text)
    with pytest.raises(InputError, match=r"seqinfo\.ini"):
        read_seqinfo(path)


def test_a_gzipped_file_that_would_fill_the_memory_is_refused(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"1,1,15,20,30,80,0.5,-1,-1,-1\n" * 2_000_000))
    assert path.stat().st_size < 200_000
    with pytest.raises(InputError, match=r"unpacks to more than \d+ MiB"):
        read_rows(path, "result")


def test_only_the_beginning_of_a_long_line_is_examined():
    for line in ("1" * 10**6, "1" + " " * 10**6 + "x", "1,2" + "\t" * 10**6, "a " * 10**6):
        describe_other_text(line)
