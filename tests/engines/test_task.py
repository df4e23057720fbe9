"""Tasks run in the order of their plan; failures skip what comes after them and nothing else."""

import errno

import pytest

from mottool.engines import task as module
from mottool.engines.base import InProcess
from mottool.engines.task import Task
from mottool.errors import InputError


def returned(value):
    return value


def broken():
    raise InputError("it is broken", "mend it")


def by_name(tasks):
    return {outcome.task.name: outcome for outcome in InProcess().run(tasks)}


def test_tasks_run_in_the_order_of_the_plan():
    tasks = [
        Task("a", returned, (1,), needs="network"),
        Task("b", returned, (2,), after=("a",)),
        Task("c", returned, (3,), needs="network"),
        Task("d", returned, (4,), after=("a", "c")),
    ]
    outcomes = list(InProcess().run(tasks))
    assert [(outcome.task.name, outcome.value) for outcome in outcomes] == [
        ("a", 1),
        ("b", 2),
        ("c", 3),
        ("d", 4),
    ]
    assert all(outcome.error is None and outcome.seconds >= 0 for outcome in outcomes)


def test_tasks_after_a_failed_one_are_skipped_and_others_run():
    tasks = [
        Task("a", broken, ()),
        Task("b", returned, (2,), after=("a",)),
        Task("c", returned, (3,), after=("b",)),
        Task("d", returned, (4,)),
        Task("e", returned, (5,), after=("d", "b")),
        Task("f", returned, (6,), after=("a", "d")),
    ]
    outcomes = by_name(tasks)
    assert {name: outcome.skipped for name, outcome in outcomes.items()} == {
        "a": False,
        "b": True,
        "c": True,
        "d": False,
        "e": True,
        "f": True,
    }
    assert str(outcomes["a"].error) == "it is broken. Fix: mend it."
    assert outcomes["c"].error.problem == "not run, because a failed"
    assert outcomes["d"].value == 4


def test_each_outcome_is_yielded_before_the_next_task_starts():
    done = []
    for number, _ in enumerate(InProcess().run([Task(n, done.append, (n,)) for n in "abc"])):
        assert len(done) == number + 1


@pytest.mark.parametrize(
    "tasks",
    [
        [Task("a", returned, (1,)), Task("a", returned, (2,))],
        [Task("a", returned, (1,), after=("b",)), Task("b", returned, (2,))],
        [Task("a", returned, (1,), needs="magic")],
    ],
)
def test_a_plan_that_cannot_be_run_is_refused(tasks):
    with pytest.raises(ValueError, match="task 'a'"):
        list(InProcess().run(tasks))


def failing(errors):
    if errors:
        raise errors.pop()
    return "done"


def test_a_shared_folder_that_is_gone_for_a_moment_is_tried_again(monkeypatch):
    pauses = []
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    gone = OSError(errno.ESTALE, "Stale file handle", "a.h5")
    wrapped = InputError("cannot read a.h5", "check the path")
    wrapped.__cause__ = OSError(errno.EIO, "Input/output error")
    outcomes = by_name(
        [
            Task("twice", failing, ([gone, wrapped],)),
            Task("always", failing, ([gone] * 5,)),
            Task("never", failing, ([PermissionError(errno.EACCES, "No", "b.h5")] * 5,)),
        ]
    )
    assert outcomes["twice"].value == "done"
    assert "a.h5: Stale file handle" in str(outcomes["always"].error)
    assert "b.h5" in str(outcomes["never"].error)
    assert pauses == [1, 5, 1, 5]


def test_a_mistake_in_the_code_is_raised():
    with pytest.raises(ZeroDivisionError):
        list(InProcess().run([Task("a", divmod, (1, 0))]))
