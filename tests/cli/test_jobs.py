"""Shards of the sequences, and failures that stop only one of them."""

import errno
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from mottool.cli.jobs import Jobs
from mottool.cli.options import select_shard, shard_option
from mottool.errors import InputError, SettingError


@settings(derandomize=True, deadline=None)
@given(st.lists(st.integers(), unique=True), st.integers(1, 9))
def test_shards_contain_every_item_once(items, count):
    shares = [select_shard(items, (number, count)) for number in range(1, count + 1)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_all_items_are_selected_without_a_shard():
    assert select_shard("abc", None) == ["a", "b", "c"]


@click.command()
@shard_option
def print_shard(shard):
    click.echo(repr(shard))


def test_shard_flag_is_parsed():
    assert CliRunner().invoke(print_shard, []).output == "None\n"
    assert CliRunner().invoke(print_shard, ["--shard", "2/3"]).output == "(2, 3)\n"


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_invalid_shard_is_refused(text):
    done = CliRunner().invoke(print_shard, ["--shard", text])
    assert isinstance(done.exception, SettingError)
    assert "1/4" in str(done.exception)


def test_os_error_fails_one_sequence(capsys):
    def job():
        raise PermissionError(errno.EACCES, "Permission denied", "a.png")

    jobs = Jobs()
    assert jobs.run("seq", job) is None
    assert "mottool: seq: cannot use a.png: Permission denied. Fix: " in capsys.readouterr().err
    assert [entry["sequence"] for entry in jobs.failed] == ["seq"]


@pytest.mark.parametrize(
    ("problem", "message"),
    [
        ("text.mp4 cannot be opened", "mottool: text.mp4 cannot be opened."),
        ("/videos/text.mp4 cannot be opened", "mottool: /videos/text.mp4 cannot be opened."),
        ("text.mp4: no frames", "mottool: text.mp4: no frames."),
        ("text.mp4.part is damaged", "mottool: text.mp4: text.mp4.part is damaged."),
        ("context.mp4 is damaged", "mottool: text.mp4: context.mp4 is damaged."),
        ("frame 3 is damaged", "mottool: text.mp4: frame 3 is damaged."),
    ],
)
def test_source_name_is_not_repeated_in_the_message(problem, message, capsys):
    jobs = Jobs()
    jobs.fail("text.mp4", InputError(problem, "repair it"))
    assert capsys.readouterr().err == f"{message} Fix: repair it.\n"
    assert jobs.failed == [{"sequence": "text.mp4", "error": f"{problem}. Fix: repair it."}]


def test_closed_pipe_stops_the_batch():
    def job():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        Jobs().run("seq", job)


def test_a_batch_that_stops_with_its_reader_says_so(monkeypatch, capsys):
    def echo(text, err=False):
        if not err:
            raise BrokenPipeError
        print(text)

    monkeypatch.setattr(click, "echo", echo)
    with pytest.raises(BrokenPipeError):
        Jobs().report("seq", Path("seq.txt"), "written")
    assert "run it again for what is missing" in capsys.readouterr().out


def test_error_that_several_sequences_have_is_printed_once_with_their_number(capsys):
    jobs = Jobs()
    for name in ("A", "B", "C"):
        jobs.fail(name, InputError(f"work/caches/public/{name}.h5 has no embeddings", "make them"))
    jobs.fail("D", InputError("work/caches/public/D.h5 is damaged", "make it again"))
    with pytest.raises(SystemExit):
        jobs.close()
    assert capsys.readouterr().err.splitlines() == [
        "mottool: A: work/caches/public/A.h5 has no embeddings. Fix: make them.",
        "mottool: D: work/caches/public/D.h5 is damaged. Fix: make it again.",
        "mottool: 2 more failed as A did: B, C",
    ]
    assert [entry["sequence"] for entry in jobs.failed] == ["A", "B", "C", "D"]
    assert "public/C.h5 has no embeddings" in jobs.failed[2]["error"]


@pytest.mark.parametrize(
    "problems",
    [
        ("frame 1 of 1.txt is damaged", "frame 2 of 2.txt is damaged"),
        ("in/1.txt is no result", "in/2.txt has no rows"),
    ],
)
def test_errors_that_differ_in_more_than_the_name_are_all_printed(capsys, problems):
    jobs = Jobs()
    for name, problem in zip("12", problems, strict=True):
        jobs.fail(name, InputError(problem, "check it"))
    printed = capsys.readouterr().err
    assert all(problem in printed for problem in problems)


def test_sequence_that_fails_twice_in_one_way_is_named_once(capsys):
    jobs = Jobs()
    for _ in range(2):
        jobs.fail("A", InputError("A has no classes", "write them"))
    with pytest.raises(SystemExit):
        jobs.close()
    assert capsys.readouterr().err == "mottool: A has no classes. Fix: write them.\n"
    assert len(jobs.failed) == 2


def test_warning_is_printed_once(capsys):
    jobs = Jobs()
    for message in ("a is old", "b is old", "a is old"):
        jobs.note(message)
    assert capsys.readouterr().err == "mottool: a is old\nmottool: b is old\n"
