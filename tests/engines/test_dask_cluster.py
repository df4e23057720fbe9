"""Tasks run in a Dask cluster as in this process, also when workers and schedulers are lost."""

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from distributed import LocalCluster, get_worker
from jobs import doubled, dying_once, hanging, moody, processes
from rowed import rowed

from mottool.cli.engine_options import EngineSettings, open_engine
from mottool.engines import dask_cluster
from mottool.engines.dask_cluster import DaskCluster
from mottool.engines.task import Task
from mottool.errors import DeviceError, InputError, SettingError

HELPERS = Path(__file__).parents[1] / "helpers"


def address_without(device_at):
    """Return the worker's address; raise unless its name is `device_at`."""
    if get_worker().name != device_at:
        raise DeviceError("no CUDA device is visible to torch", "give --device cpu")
    return get_worker().address


def name_of_worker(number):
    return get_worker().name


@pytest.fixture(scope="module")
def cluster():
    """Two workers in this process; one of them has a network's resource."""
    options = {"processes": False, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=2, resources={"cpu": 1}, **options) as cluster:
        yield cluster


def test_outcomes_are_those_of_this_process(cluster):
    tasks = [Task(str(number), moody, (number,)) for number in range(5)]
    tasks += [Task("processes", processes, (0,))]
    tasks += [Task("after", doubled, (4,), after=("4",)), Task("skip", doubled, (1,), after=("2",))]
    with DaskCluster(cluster.scheduler_address) as engine:
        outcomes = {outcome.task.name: outcome for outcome in engine.run(tasks)}
    assert outcomes["processes"].result() == 2
    assert outcomes["after"].result() == 8
    assert outcomes["skip"].skipped
    with pytest.raises(InputError, match=r"two is broken \(on worker inproc://.*Fix: give three."):
        outcomes["2"].result()
    assert all(outcomes[str(number)].result() for number in (0, 1, 3, 4))
    assert outcomes["1"].task is tasks[1]


def test_few_tasks_are_at_the_scheduler_at_a_time(cluster):
    tasks = [Task(str(number), doubled, (number,)) for number in range(40)]
    with DaskCluster(cluster.scheduler_address) as engine:
        for _ in engine.run(tasks):
            assert len(engine._flights) <= 2 * dask_cluster.TASKS_PER_THREAD


def test_workers_that_hang_are_looked_for_while_others_answer(cluster, monkeypatch):
    looks = []
    with DaskCluster(cluster.scheduler_address, timeout=60) as engine:
        monkeypatch.setattr(engine._client, "processing", lambda: looks.append(1) or {})
        assert len(list(engine.run([Task(str(n), doubled, (n,)) for n in range(20)]))) == 20
    assert looks


def test_a_worker_without_a_device_is_left_out_and_named(cluster):
    messages = []
    tasks = [Task(str(number), address_without, (1,), needs="network") for number in range(12)]
    with DaskCluster(cluster.scheduler_address, warn=messages.append) as engine:
        outcomes = list(engine.run(tasks))
    assert len({outcome.result() for outcome in outcomes}) == 1
    assert len(messages) <= 1
    assert all("no CUDA device" in text and "on worker inproc://" in text for text in messages)


def test_a_network_fails_if_no_worker_has_a_device(cluster):
    with DaskCluster(cluster.scheduler_address) as engine:
        (outcome,) = engine.run([Task("a", address_without, ("none",), needs="network")])
    with pytest.raises(DeviceError, match="no CUDA device .* \\(on worker inproc://"):
        outcome.result()


def test_a_worker_with_another_mottool_is_refused(cluster, monkeypatch):
    monkeypatch.setattr(dask_cluster, "build", lambda: f"of {threading.current_thread().name}")
    with DaskCluster(cluster.scheduler_address) as engine:
        (outcome,) = engine.run([Task("a", doubled, (1,))])
    with pytest.raises(InputError, match="has mottool of .*and this machine of MainThread. Fix: i"):
        outcome.result()


def without_module():
    raise ModuleNotFoundError("No module named 'mottool.new'")


def test_a_worker_that_lacks_a_module_is_no_traceback(cluster):
    with DaskCluster(cluster.scheduler_address) as engine:
        (outcome,) = engine.run([Task("a", without_module, ())])
    with pytest.raises(InputError, match="lacks a module that a needs: No module .*all machines"):
        outcome.result()


class Scheduler:
    """A client of a scheduler whose workers are lost and replaced, but whose tasks do not end."""

    def __init__(self):
        self.workers, self.submitted, self.cancelled = ["a", "b"], [], []

    def scheduler_info(self, n_workers):
        return {"workers": {name: {"nthreads": 1, "resources": {}} for name in self.workers}}

    def submit(self, function, task, folder, processes, build, key, workers, **options):
        self.submitted.append(workers)
        return SimpleNamespace(
            key=key,
            done=lambda: False,
            cancel=lambda: self.cancelled.append(key),
            add_done_callback=lambda call: None,
        )


def test_a_network_is_submitted_again_when_the_workers_with_a_device_are_replaced(monkeypatch):
    monkeypatch.setattr(dask_cluster, "TICK_SECONDS", 0.0)
    engine, scheduler = DaskCluster("tcp://a:1"), Scheduler()
    engine._client, engine._without_device = scheduler, {"a"}
    engine.submit(Task("task", doubled, (1,), needs="network"))
    engine.fill()
    engine.fill()
    assert scheduler.submitted == [["b"]]
    scheduler.workers = ["a", "c"]
    engine.fill()
    assert scheduler.submitted == [["b"], ["c"]]
    assert len(scheduler.cancelled) == len(engine._flights) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"scheduler": "tcp://a:1"}, "add --engine dask"),
        ({"engine": "dask"}, "--scheduler ADDRESS"),
        ({"engine": "dask", "workers": 2, "jobs": 3}, "--jobs does not apply"),
    ],
)
def test_flags_that_do_not_belong_together_are_refused(given, message):
    with pytest.raises(SettingError, match=message), open_engine(EngineSettings(**given), 3):
        pass


def test_a_scheduler_that_does_not_answer_is_an_error(monkeypatch):
    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.1)
    with (
        pytest.raises(InputError, match="tcp://127.0.0.1:9 does not answer"),
        DaskCluster("tcp://127.0.0.1:9"),
    ):
        pass


def test_a_scheduler_of_an_unknown_name_is_refused_at_once(monkeypatch):
    def unknown(address):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(dask_cluster, "resolve_address", unknown)
    with (
        pytest.raises(SettingError, match="no machine of the scheduler's name tcp://a.invalid:1"),
        DaskCluster("tcp://a.invalid:1"),
    ):
        pass


def test_a_command_without_a_scheduler_ends(tmp_path):
    """At the exit of Python, a client that had not connected was closed, which took for ever."""
    command = [sys.executable, "-m", "mottool", "detect-embed", str(rowed(tmp_path / "a"))]
    command += ["--pipeline", "public", "--embedder", "none", "--work", str(tmp_path / "work")]
    command += ["--engine", "dask", "--scheduler", "foo://127.0.0.1:9"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "foo://127.0.0.1:9 does not answer" in done.stderr


def test_workers_started_here_print_nothing_when_a_terminal_is_interrupted():
    """Ctrl-C reaches all processes of a terminal; workers printed tracebacks."""
    # Background processes of a shell may ignore Ctrl-C.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += "import time\nfrom mottool.engines.dask_cluster import DaskCluster\n"
    code += "from mottool.engines.task import Task\n"
    code += "with DaskCluster(None, workers=2) as engine:\n    print('ready', flush=True)\n"
    code += "    tasks = [Task(str(n), time.sleep, (0.02,)) for n in range(9999)]\n"
    code += "    list(engine.run(tasks))"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True, **pipes) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(1)
        errors = ""
        for _ in range(3):  # an interrupt in a callback of Python is ignored
            os.killpg(process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):  # of a loaded machine
                errors = process.communicate(timeout=40)[1]
                break
    assert "KeyboardInterrupt" in errors  # of this process, for `mottool` to report
    assert "Worker process" not in errors


def test_dask_logs_no_tracebacks_meanwhile(cluster):
    loggers = [logging.getLogger(name) for name in dask_cluster.LOGGERS]
    before = [logger.level for logger in loggers]
    with DaskCluster(cluster.scheduler_address):
        assert not any(logger.isEnabledFor(logging.ERROR) for logger in loggers)
    assert [logger.level for logger in loggers] == before


def test_nothing_of_dask_is_imported_without_the_flag():
    code = "import sys; from mottool.cli.engine_options import EngineSettings, open_engine\n"
    code += "with open_engine(EngineSettings(), 1) as engine: pass\n"
    code += "print({'dask', 'distributed'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.heavy
@pytest.mark.parametrize(("job", "timeout"), [(dying_once, None), (hanging, 10)])
def test_the_task_of_a_killed_or_hanging_worker_is_run_again(tmp_path, job, timeout):
    settings = EngineSettings(engine="dask", workers=1, task_timeout=timeout)
    with open_engine(settings, 1) as engine:
        (outcome,) = engine.run([Task("task", job, (tmp_path / "once",))])
    assert outcome.result() == tmp_path / "once"


def start(*arguments):
    """Start a part of a cluster, with the helpers of the tests at hand."""
    environment = os.environ | {"PYTHONPATH": f"{HELPERS}:{os.environ.get('PYTHONPATH', '')}"}
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + arguments[0], *arguments[1:]],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.heavy
def test_tasks_of_a_scheduler_that_is_restarted_are_submitted_again(tmp_path):
    address, parts = "tcp://127.0.0.1:38786", []

    def start_cluster():
        port = ("--host", "127.0.0.1", "--port", "38786", "--dashboard-address", "127.0.0.1:0")
        parts.append(start("dask_scheduler", *port))
        parts.append(start("dask_worker", address, "--no-nanny", "--nthreads", "1"))

    def stop_cluster():
        for part in parts:
            os.killpg(part.pid, signal.SIGKILL)
            part.wait()
        parts.clear()

    start_cluster()
    try:
        done = []
        with DaskCluster(address) as engine:
            for outcome in engine.run([Task(str(n), time.sleep, (0.1,)) for n in range(20)]):
                done.append(outcome.task.name)
                assert outcome.error is None
                if len(done) == 5:
                    stop_cluster()
                    start_cluster()
        assert sorted(done, key=int) == [str(number) for number in range(20)]
    finally:
        stop_cluster()
