"""Jobs give the same results in any number of processes, and clean up when interrupted."""

import os
import signal
import subprocess
import sys
import threading
import time
from multiprocessing import get_context
from pathlib import Path

import pytest
from jobs import alone, doubled, dying, dying_once, hanging, moody, patient, processes, threads

from mottool.engines.local import TRIES, LocalProcesses, local_engine
from mottool.engines.task import Task
from mottool.engines.threads import cores
from mottool.errors import InputError


def run_jobs(engine, job, items):
    """Run a job for each item; yield the item and the outcome in the order of completion."""
    for outcome in engine.run([Task(str(item), job, (item,)) for item in items]):
        yield outcome.task.arguments[0], outcome


@pytest.mark.parametrize("jobs", [1, 2])
def test_every_item_is_processed_once(jobs):
    with local_engine(jobs) as engine:
        done = {item: outcome.result() for item, outcome in run_jobs(engine, doubled, range(7))}
    assert done == {item: 2 * item for item in range(7)}


@pytest.mark.parametrize("jobs", [1, 2])
def test_failed_job_does_not_stop_the_others_and_keeps_its_fix(jobs):
    with local_engine(jobs) as engine:
        outcomes = dict(run_jobs(engine, moody, [1, 2, 3]))
    assert (outcomes[1].result() == os.getpid()) == (jobs == 1)
    assert outcomes[3].result() > 0
    with pytest.raises(InputError, match="two is broken. Fix: give three."):
        outcomes[2].result()


@pytest.mark.parametrize("jobs", [1, 3])
def test_a_job_knows_how_many_processes_work_at_the_same_time(jobs):
    with local_engine(jobs) as engine:
        outcomes = dict(run_jobs(engine, processes, range(4)))
    assert {outcome.result() for outcome in outcomes.values()} == {jobs}


def test_a_task_that_kills_each_of_its_workers_fails_and_the_others_go_on(tmp_path):
    tasks = [Task("dying", dying, (tmp_path,))]
    tasks += [Task(str(number), doubled, (number,)) for number in range(6)]
    tasks += [Task("after", doubled, (1,), after=("dying",))]
    with local_engine(2) as engine:
        outcomes = {outcome.task.name: outcome for outcome in engine.run(tasks)}
    with pytest.raises(InputError, match="worker was killed.*want of memory.*fewer --jobs"):
        outcomes["dying"].result()
    assert len(list(tmp_path.iterdir())) == TRIES
    assert outcomes["after"].skipped
    assert [outcomes[str(number)].result() for number in range(6)] == [0, 2, 4, 6, 8, 10]


def test_the_task_of_a_killed_worker_is_run_again(tmp_path):
    paths = [tmp_path / str(number) for number in range(4)]
    with local_engine(2) as engine:
        outcomes = dict(run_jobs(engine, dying_once, paths))
    assert [outcomes[path].result() for path in paths] == paths


def test_a_worker_that_is_killed_between_two_tasks_is_replaced():
    with LocalProcesses(2) as engine:
        ((_, outcome),) = run_jobs(engine, moody, [1])
        os.kill(outcome.result(), signal.SIGKILL)
        ((_, other),) = run_jobs(engine, moody, [3])
    assert other.result() != outcome.result()


def test_a_task_beyond_the_time_limit_is_killed_and_run_again(tmp_path):
    once, always = tmp_path / "once", tmp_path / "always"
    with LocalProcesses(2, timeout=4) as engine:
        outcomes = dict(run_jobs(engine, hanging, [once, always]))
    assert outcomes[once].result() == once
    with pytest.raises(InputError, match="longer than 4 s in each of 3 tries.*--task-timeout"):
        outcomes[always].result()


def test_a_single_job_with_a_time_limit_has_a_process_that_can_be_killed():
    with local_engine(1, timeout=60) as engine:
        ((_, outcome),) = run_jobs(engine, moody, [1])
    assert outcome.result() != os.getpid()


def test_tasks_that_need_a_network_run_one_at_a_time_beside_others(tmp_path):
    shared = tmp_path / "shared"
    tasks = [Task(f"n{i}", alone, (tmp_path / "network", shared), needs="network") for i in "ab"]
    with local_engine(3, network_jobs=1) as engine:
        outcomes = list(engine.run([*tasks, Task("cpu", Path.touch, (shared,))]))
    assert [outcome.error for outcome in outcomes] == [None] * 3


def test_a_mistake_in_the_code_of_a_job_is_raised_with_its_traceback():
    with pytest.raises(ZeroDivisionError) as raised, local_engine(2) as engine:
        list(engine.run([Task("a", divmod, (1, 0))]))
    assert "In a worker" in raised.value.__notes__[0]


def test_tasks_of_a_run_that_is_left_early_are_not_run(tmp_path):
    with local_engine(2) as engine:
        for _ in run_jobs(engine, doubled, range(20)):
            break
        assert dict(run_jobs(engine, doubled, [30]))[30].result() == 60


@pytest.mark.parametrize("jobs", [1, 2])
def test_linear_algebra_uses_one_thread_per_process_and_the_variables_are_restored(
    jobs, monkeypatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with local_engine(jobs) as engine:
        ((_, outcome),) = run_jobs(engine, threads, [0])
    assert outcome.result() == ["1", "1", "1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


def test_results_in_one_process_are_yielded_before_the_next_job_starts():
    completed = []
    with local_engine(1) as engine:
        for item, _ in run_jobs(engine, completed.append, range(3)):
            assert completed == list(range(item + 1))


def test_interrupted_jobs_clean_up_and_queued_ones_do_not_start(tmp_path):
    paths = [tmp_path / str(number) for number in range(6)]

    def interrupt():
        while len(list(tmp_path.glob("*.started"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    other = get_context("spawn").Process(target=time.sleep, args=(600,))  # of the engine's user
    other.start()
    threading.Thread(target=interrupt).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt), local_engine(2) as engine:
        dict(run_jobs(engine, patient, paths))
    assert time.monotonic() - start < 50
    assert len(list(tmp_path.glob("*.started"))) == len(list(tmp_path.glob("*.cleaned"))) == 2
    assert other.is_alive()
    other.kill()
    other.join()


def test_short_tasks_ahead_of_a_killed_worker_are_run_again(tmp_path):
    once = [tmp_path / str(number) for number in range(2)]
    tasks = [Task(str(number), doubled, (number,)) for number in range(200)]
    tasks[100:100] = [Task(path.name + "once", dying_once, (path,)) for path in once]
    with LocalProcesses(2) as engine:
        outcomes = {outcome.task.name: outcome.result() for outcome in engine.run(tasks)}
    assert outcomes == {str(number): 2 * number for number in range(200)} | {
        path.name + "once": path for path in once
    }


def interruptible(folder, job):
    """Start two workers with four paths in `folder`, in a process group of their own."""
    # Background processes of a shell may ignore Ctrl-C.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += f"from jobs import {job}; from pathlib import Path\n"
    code += "from mottool.engines.local import local_engine\n"
    code += "from mottool.engines.task import Task\n"
    code += f"paths = [Path({str(folder)!r}) / str(n) for n in range(4)]\n"
    code += "try:\n    print('ready', flush=True)\n"
    code += f"    tasks = [Task(path.name, {job}, (path,)) for path in paths]\n"
    code += "    with local_engine(2) as engine: list(engine.run(tasks))\n"
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


def wait_for(process, folder, pattern, number=1):
    """Wait until so many jobs of a process have written a file that matches `pattern`."""
    while len(list(folder.glob(pattern))) < number:
        assert process.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("delay", [0.0, 0.1, 0.25, 0.7])
def test_ctrl_c_at_any_moment_prints_no_traceback(tmp_path, delay):
    """The process group receives the signal, as from a terminal."""
    process = interruptible(tmp_path, "patient")
    time.sleep(delay)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=50) == ("stopped\n", "")


def test_a_second_ctrl_c_kills_jobs_that_do_not_end(tmp_path):
    process = interruptible(tmp_path, "stubborn")
    wait_for(process, tmp_path, "*.started", 2)
    os.killpg(process.pid, signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=50) == ("stopped\n", "")


def test_a_second_ctrl_c_kills_a_job_that_is_waited_for(tmp_path):
    """The end of another job has ended the wait for outcomes; the engine is closing."""
    (tmp_path / "1.patient").touch()
    process = interruptible(tmp_path, "stubborn_or_patient")
    wait_for(process, tmp_path, "*.started", 2)
    os.killpg(process.pid, signal.SIGINT)
    wait_for(process, tmp_path, "1.cleaned")
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(timeout=1)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=50) == ("stopped\n", "")


def test_exit_ignored_by_python_is_raised_again(tmp_path):
    process = interruptible(tmp_path, "forgetful")
    wait_for(process, tmp_path, "*.begun", 2)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=50) == ("stopped\n", "")
    assert len(list(tmp_path.glob("*.cleaned"))) == 2


def test_workers_end_when_their_parent_is_killed(tmp_path):
    process = interruptible(tmp_path, "patient")
    wait_for(process, tmp_path, "*.started", 2)
    process.kill()
    process.communicate(timeout=50)  # returns when no worker holds the pipes any more
    assert len(list(tmp_path.glob("*.cleaned"))) == 2


def test_a_machine_has_at_least_one_core():
    assert 1 <= cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("text", "expected"), [("50000 100000", 1), ("max 100000", None)])
def test_limit_of_a_container_is_respected(tmp_path, text, expected):
    (tmp_path / "cpu.max").write_text(text)
    assert cores(tmp_path / "cpu.max") == (expected or cores(tmp_path / "missing"))
