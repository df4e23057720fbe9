"""Segments in a plan: several tasks make the cache of a long sequence."""

from collections.abc import Callable
from dataclasses import replace

from mottool.engines.task import Task
from mottool.pipelines.choice import full_name_of
from mottool.pipelines.names import is_recurrent
from mottool.pipelines.options import AUTO_BATCH
from mottool.recipes import jobs

__all__ = ["SEGMENTS", "in_segments"]

SEGMENTS = "segments"  # begins the names of their tasks


def in_segments(task: Task, frames: int, note: Callable[[str], None]) -> list[Task]:
    """Return the tasks that make a cache in segments of so many frames; the last is `task`.

    It is the only one for a short sequence, and for a pipeline that would not make the same in
    segments, about which `note` receives a message.
    """
    sequence, config, *_ = task.arguments
    if (sequence.frames or 0) <= frames:
        return [task]
    name = full_name_of(config)[0]
    if is_recurrent(name) or config.batch == AUTO_BATCH:
        reason = "each frame needs the detections of the one before"
        note(f"{name} makes no segments: {reason if is_recurrent(name) else '--batch auto varies'}")
        return [task]
    group, count = task.name.replace("caches", SEGMENTS, 1), -(-sequence.frames // frames)
    first = Task(group, jobs.divide_cache, (*task.arguments, frames), needs=task.needs)
    segments = [
        Task(
            f"{group}/{number + 1}",
            jobs.make_segment,
            (*task.arguments, number, count),
            (first.name,),
            task.needs,
        )
        for number in range(count)
    ]
    return [first, *segments, replace(task, after=tuple(segment.name for segment in segments))]
