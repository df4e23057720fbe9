"""Jobs give the same results in any number of processes, and clean up when interrupted."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from jobs import doubled, dying, moody, patient, threads

from mottool.engines.local import cores, executor, result, run_jobs
from mottool.errors import InputError


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_processed_once(jobs):
    with executor(jobs) as engine:
        done = {item: result(future) for item, future in run_jobs(engine, doubled, range(7))}
    assert done == {item: 2 * item for item in range(7)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_failed_job_does_not_stop_the_others_and_keeps_its_fix(jobs):
    with executor(jobs) as engine:
        futures = dict(run_jobs(engine, moody, [1, 2, 3]))
    assert (result(futures[1]) == os.getpid()) == (jobs == 1)
    assert result(futures[3]) > 0
    with pytest.raises(InputError, match="two is broken. Fix: give three."):
        result(futures[2])


def test_a_killed_worker_is_an_error():
    with executor(2) as engine:
        futures = dict(run_jobs(engine, dying, [1]))
    with pytest.raises(InputError, match="worker was killed.*fewer --jobs"):
        result(futures[1])


@pytest.mark.parametrize("jobs", [1, 2])
def test_linear_algebra_uses_one_thread_per_process_and_the_variables_are_restored(
    jobs, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with executor(jobs) as engine:
        ((_, future),) = run_jobs(engine, threads, [0])
    assert future.result() == ["1", "1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_results_in_one_process_are_yielded_before_the_next_job_starts():
    completed = []
    with executor(1) as engine:
        for item, _ in run_jobs(engine, completed.append, range(3)):
            assert completed == list(range(item + 1))


def test_interrupted_jobs_clean_up_and_queued_ones_do_not_start(tmp_path):
    paths = [tmp_path / str(number) for number in range(6)]

    def interrupt():
        while len(list(tmp_path.glob("*.started"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), executor(2) as engine:
        dict(run_jobs(engine, patient, paths))
    assert time.monotonic() - start < 50
    assert len(list(tmp_path.glob("*.started"))) == len(list(tmp_path.glob("*.cleaned"))) == 2


def interruptible(folder, job):
    """Start two workers with four paths in `folder`, in a process group of their own."""
    # Background processes of a shell may ignore Ctrl-C.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += f"from jobs import {job}; from pathlib import Path\n"
    code += "from mottool.engines.local import executor, run_jobs\n"
    code += f"paths = [Path({str(folder)!r}) / str(n) for n in range(4)]\n"
    code += "try:\n    print('ready', flush=True)\n"
    code += f"    with executor(2) as engine: dict(run_jobs(engine, {job}, paths))\n"
    code += "except KeyboardInterrupt: print('stopped')"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parents[1] / "helpers",
    )
    assert process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.25, 0.7])
def test_ctrl_c_at_any_moment_prints_no_traceback(tmp_path, delay):
    """The process group receives the signal, as from a terminal."""
    process = interruptible(tmp_path, "patient")
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=50) == ("stopped\n", "")


def test_exit_ignored_by_python_is_raised_again(tmp_path):
    process = interruptible(tmp_path, "forgetful")
    while len(list(tmp_path.glob("*.begun"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=50) == ("stopped\n", "")
    assert len(list(tmp_path.glob("*.cleaned"))) == 2


def test_workers_end_when_their_parent_is_killed(tmp_path):
    process = interruptible(tmp_path, "patient")
    while len(list(tmp_path.glob("*.started"))) < 2:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate(timeout=50)  # returns when no worker holds the pipes any more
    assert len(list(tmp_path.glob("*.cleaned"))) == 2


def test_a_machine_has_at_least_one_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("text", "expected"), [("50000 100000", 1), ("max 100000", None)])
def test_limit_of_a_container_is_respected(tmp_path, text, expected):
    (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path / "cpu.max") == (expected or cores(tmp_path / "missing"))
