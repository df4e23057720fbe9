"""Downloads: checked before they get their name, one at a time, and found in the cache folder."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from websites import CONTENT, Handler, listing, ranges, refused

from mottool.checkpoints import download, transfer
from mottool.checkpoints.download import cache_folder, fetch, find_downloaded, missing_weights_fix
from mottool.checkpoints.manifest import Listing
from mottool.errors import CheckpointError, OutputError

pytestmark = pytest.mark.usefixtures("quick")

# What a subprocess runs: download ADDRESS to FILE.
PROGRAM = """
import signal
import sys
from functools import partial
from pathlib import Path
from mottool.checkpoints.download import fetch
from mottool.checkpoints.manifest import Listing
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
listing = Listing("made", "https://page", "MIT", "", "made.bin", sys.argv[1])
fetch(listing, Path(sys.argv[2]), warn=partial(print, flush=True))
"""


def test_a_complete_download_is_checked_before_it_gets_its_name(site, out):
    seen = []

    def check(path):
        seen.append((path.name, path.read_bytes() == CONTENT, out.exists()))

    sha256 = hashlib.sha256(CONTENT).hexdigest()
    for digits in (64, 8):
        assert fetch(listing(site.url, sha256=sha256[:digits]), out, True, check=check) == out
        assert out.read_bytes() == CONTENT
    assert seen == [("made.bin", True, False), ("made.bin", True, True)]
    assert list(out.parent.iterdir()) == [out]


def test_an_existing_file_is_downloaded_again_only_with_overwrite(site, out):
    out.write_bytes(b"mine")
    messages = []
    fetch(listing(site.url), out, warn=messages.append)
    assert out.read_bytes() == b"mine"
    assert messages == [f"{out} exists already; --overwrite downloads it again"]
    assert not site.requests
    fetch(listing(site.url), out, overwrite=True)
    assert out.read_bytes() == CONTENT
    with pytest.raises(OutputError, match="is not a regular file"):
        fetch(listing(site.url), out.parent)


def test_another_sha256_is_refused_and_removed(site, out):
    problem = refused(listing(site.url, sha256="0" * 8), out)
    assert f"its sha256 is {hashlib.sha256(CONTENT).hexdigest()}" in problem
    assert "the manifest has 00000000" in problem
    assert not list(out.parent.iterdir())


def test_a_file_that_the_check_refuses_is_removed(site, out):
    def check(path):
        raise CheckpointError(f"{path} is damaged", "…")

    problem = refused(listing(f"{site.url}/x?key=secret"), out, check=check)
    assert problem == f"the file from {site.url}/x cannot be used: made.bin is damaged"
    assert not list(out.parent.iterdir())


def test_an_unwritable_folder_is_an_error(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="what should be its folder is a file"):
        fetch(listing(site.url), tmp_path / "file/made.bin")


def test_files_beside_the_listed_one_are_downloaded_first(site, tmp_path):
    names = []
    out = tmp_path / "other.xml"
    entry = Listing(
        "made", "https://page", "MIT", "", "m.xml", f"{site.url}/m.xml",
        beside=[f"{site.url}/m.bin"],
    )  # fmt: skip
    fetch(entry, out, check=lambda path: names.extend(sorted(os.listdir(path.parent))))
    assert {"m.bin", "m.xml"} <= set(names)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.bin", "other.xml"]


# Killed and concurrent processes


def start(site, out):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, site.url, str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_for(condition):
    until = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < until, "it does not happen"
        time.sleep(0.01)


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_download_is_resumed(site, out, ending):
    release = threading.Event()
    site.script = [partial(Handler.send, pause=release)]
    part = out.parent / ".made.bin.download/made.bin"
    with start(site, out) as process:
        wait_for(lambda: part.exists() and part.stat().st_size >= transfer.CHUNK)
        process.send_signal(ending)
        assert process.wait() != 0
    release.set()
    size = part.stat().st_size
    assert 0 < size < len(CONTENT)
    assert not out.exists()
    fetch(listing(site.url), out)
    assert out.read_bytes() == CONTENT
    assert ranges(site) == [None, f"bytes={size}-"]
    assert list(out.parent.iterdir()) == [out]


def test_a_process_killed_before_the_renaming_needs_no_network(site, out):
    def check(path):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(listing(site.url), out, check=check)
    fetch(listing(site.url), out)
    assert len(site.requests) == 1
    assert out.read_bytes() == CONTENT


def test_two_processes_download_a_file_once(site, out):
    release = threading.Event()
    site.script = [partial(Handler.send, pause=release)]
    with start(site, out) as first:
        wait_for(lambda: site.requests)
        with start(site, out) as second:
            assert second.stdout.readline() == (
                "another process is downloading made.bin; waiting for it\n"
            )
            release.set()
            assert second.stdout.readline().startswith(f"{out} exists already")
        assert (first.wait(), second.returncode) == (0, 0)
    assert len(site.requests) == 1
    assert out.read_bytes() == CONTENT
    assert list(out.parent.iterdir()) == [out]


# The cache folder


def test_where_the_cache_folder_is(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("MOTTOOL_WEIGHTS", "~/weights")
    assert cache_folder() == Path("/home/me/weights")
    monkeypatch.delenv("MOTTOOL_WEIGHTS")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/mottool/weights")
    for value in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", value)
        assert cache_folder() == Path("/home/me/.cache/mottool/weights")


def test_a_downloaded_file_is_found_by_the_name_of_its_network(site, tmp_path, monkeypatch):
    monkeypatch.setenv("MOTTOOL_WEIGHTS", str(tmp_path / "weights"))
    first = Listing("made", "https://page", "MIT", "", "", site.url)
    second = Listing("made", "https://page", "its own", "", "second.pth", site.url)
    monkeypatch.setattr(download, "listings", lambda: [first, second])
    messages = []
    assert find_downloaded("made", messages.append) is None
    path = fetch(second)
    assert path == tmp_path / "weights/second.pth"
    assert find_downloaded("made", messages.append) == path
    assert find_downloaded("other") is None
    assert messages == [f"made uses {path} (licence: its own)"]
    assert find_downloaded("made") == path
    fetch(first)
    assert find_downloaded("made") == tmp_path / "weights/made.pth"


def test_the_fix_names_the_download_if_there_is_one():
    assert missing_weights_fix("fairmot-dla34", "--weights") == (
        "run `mottool weights fetch fairmot-dla34`, or give its authors' file with --weights"
    )
    assert missing_weights_fix("otrack", "--weights").startswith(
        "run `mottool weights fetch otrack`"
    )
    assert missing_weights_fix("tdt-r34", "--weights") == (
        "give its authors' file with --weights; see https://arxiv.org/abs/2205.05583 "
        "(Its authors publish neither code nor weights: train it)"
    )
    assert missing_weights_fix("onnx", "--weights", "its file") == "give its file with --weights"


def test_without_an_address_the_page_is_named(out):
    entry = Listing("made", "https://page", "MIT", "", "made.bin", note="Ask them")
    assert refused(entry, out) == "the manifest has no address for made (Ask them)"
