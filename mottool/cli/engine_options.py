"""The flags of commands that run many tasks: in which processes, here or in a Dask cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mottool.engines.threads import cores
from mottool.errors import SettingError, ignore_warning
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    from mottool.engines.base import BaseEngine

__all__ = ["EngineSettings", "open_engine"]


@dataclass(frozen=True)
class EngineSettings(Settings):
    """Where tasks run, and how many at the same time."""

    engine: str = setting(
        "local",
        "What runs the tasks: processes on this machine, or a Dask cluster (mottool[dask]).",
        choices=("local", "dask"),
    )
    jobs: int | None = setting(
        None,
        "Number of processes that run at the same time; by default one per core, and at least "
        "--network-jobs.",
        low=1,
    )
    network_jobs: int = setting(
        1, "Number of networks that run at the same time on this machine.", low=1
    )
    task_timeout: float | None = setting(
        None,
        "Seconds after which a task is stopped and tried again, three times in all; by default "
        "there is no limit.",
        low=0.1,
    )
    scheduler: str | None = setting(
        None,
        "The address of the Dask scheduler, such as tcp://node1:8786.",
        form="ADDRESS",
    )
    workers: int | None = setting(
        None, "Number of workers of a Dask cluster that is started on this machine.", low=1
    )


@contextmanager
def open_engine(
    settings: EngineSettings,
    tasks: int,
    networks: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> Iterator[BaseEngine]:
    """Give the engine of these settings for a number of tasks.

    `networks` says whether some of them need a network; `warn` receives a message about each
    worker that is left out. Raises `SettingError` for flags that do not belong together, and as the
    engine does.
    """
    if settings.engine == "local":
        if settings.scheduler or settings.workers:
            problem = "--scheduler and --workers belong to a Dask cluster"
            raise SettingError(problem, "add --engine dask, or leave them out")
        network_jobs = settings.network_jobs if networks else 0
        jobs = max(1, min(settings.jobs or max(cores(), network_jobs), tasks))
        from mottool.engines.local import local_engine  # of multiprocessing, which --help omits

        with local_engine(jobs, network_jobs, settings.task_timeout) as engine:
            yield engine
        return
    if bool(settings.scheduler) == bool(settings.workers):
        fix = "give --scheduler ADDRESS, or --workers N for a cluster on this machine"
        raise SettingError("--engine dask needs a cluster", fix)
    if settings.jobs:
        fix = "give --workers, or start more workers"
        raise SettingError("--jobs does not apply to a Dask cluster", fix)
    from mottool.engines.dask_cluster import DaskCluster

    with DaskCluster(
        settings.scheduler,
        settings.workers or 0,
        settings.network_jobs,
        settings.task_timeout,
        warn,
    ) as cluster:
        yield cluster
