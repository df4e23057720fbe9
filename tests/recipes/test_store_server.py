"""Stores on a real S3 server of this machine (`pip install 'moto[server]' s3fs`)."""

import subprocess
import sys
import time
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest
from recipe_project import SORT_RECIPE
from rowed import rowed_pair

from mottool.errors import InputError
from mottool.recipes import store as store_module
from mottool.recipes.store import Store
from mottool.records.record import record_of, write_record
from mottool.stages.run import run

pytest.importorskip("moto", reason="needs pip install 'moto[server]'")
pytest.importorskip("s3fs", reason="needs pip install s3fs")

SERVER = "import sys; from moto.server import main; main(['-H', '127.0.0.1', '-p', '0'])"
START_SECONDS = 60


class Server:
    """An S3 server in a process; `stop` ends it as a lost network does."""

    def __init__(self):
        command = [sys.executable, "-c", SERVER]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if "Running on http" in line:
                self.address = line.split()[-1]
                break
        self.request("/moto-api/reset", "POST")

    def request(self, path, method):
        end = time.monotonic() + START_SECONDS
        while True:
            try:
                urlopen(Request(self.address + path, method=method, data=b"")).close()
                return
            except URLError:
                assert time.monotonic() < end
                time.sleep(0.1)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture
def server(monkeypatch):
    server = Server()
    for name, value in (
        ("AWS_ENDPOINT_URL", server.address),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_MAX_ATTEMPTS", "1"),
    ):
        monkeypatch.setenv(name, value)
    store_module._open_address.cache_clear()
    server.request("/bucket", "PUT")
    yield server
    server.stop()
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()
    store_module._open_address.cache_clear()


@pytest.fixture
def project(tmp_path):
    rowed_pair(tmp_path / "data")
    (tmp_path / "r.toml").write_text(SORT_RECIPE)
    return tmp_path


def times(folder):
    """Return the time of each result and record by its name."""
    files = (path for path in folder.rglob("*.*") if path.is_file())
    named = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: path.stat().st_mtime_ns for name, path in named.items() if name[0] != "."}


def test_two_machines_share_results_in_a_bucket(server, project):
    address = "s3://bucket/mottool"
    run(project / "r.toml", project / "work", store=address)
    before = times(project / "work")
    stored = Store(address, project / "work").read_listing()
    assert set(stored) == set(before)
    run(project / "r.toml", project / "other", store=address)
    assert set(times(project / "other")) == set(before)
    run(project / "r.toml", project / "work", store=address)  # nothing is fetched or sent
    assert times(project / "work") == before
    assert Store(address, project / "work").read_listing() == stored


def test_errors_of_a_server_are_one_line_with_a_fix_and_results_are_kept(server, project):
    with pytest.raises(InputError, match=r"s3://nowhere/a is not there .*Fix: create the bucket"):
        run(project / "r.toml", project / "work", store="s3://nowhere/a")
    store, result = Store("s3://bucket/a", project / "work"), project / "work/tracks/p.t/a.txt"
    result.parent.mkdir(parents=True)
    result.write_text("rows")
    write_record(result, {})
    store.update([result])
    server.stop()
    for call in (store.read_listing, lambda: store.publish(result)):
        with pytest.raises(InputError) as lost:
            call()
        assert "s3://bucket/a does not answer" in str(lost.value)
        assert len(str(lost.value).splitlines()) == 1
    assert result.read_text() == "rows"
    assert record_of(result).is_file()
