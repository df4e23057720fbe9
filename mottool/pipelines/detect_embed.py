"""Run pipelines over a sequence and write their caches. Imports no torch, numpy, cv2 or h5py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from mottool.errors import MottoolError, SettingError, ignore_warning

if TYPE_CHECKING:
    from mottool.pipelines.cache_run import CacheRun, Entry
    from mottool.pipelines.interfaces import Pipeline
    from mottool.sources.sequence import Frame
    from mottool.sources.sequence import Sequence as Source

__all__ = ["batches", "detect_embed", "detect_embed_all", "process"]

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")
PREFETCHED_BATCHES = 2  # batches of frames decoded, and as many prepared, ahead of the network
UNWRITTEN_BATCHES = 2  # one that the network works on, and one whose heads are decoded


def detect_embed(
    sequence: Source,
    out: Path,
    pipeline: Pipeline,
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Run `pipeline` over `sequence` and write its cache to `out`.

    A frame that a damaged video has lost has no detections, unless they need no pixels. An
    interrupted run resumes after the last frame it committed. A complete cache of the same
    source, weights and settings is kept. Raises `CacheError` if `out` was made from other inputs,
    unless `overwrite`, and `InputError` if the sequence lacks what the pipeline needs.
    """
    if error := detect_embed_all(sequence, {out: pipeline}, overwrite, warn)[out]:
        raise error
    return out


def detect_embed_all(
    sequence: Source,
    pipelines: Mapping[Path, Pipeline],
    overwrite: bool = False,
    warn: Callable[[str], None] = ignore_warning,
) -> dict[Path, MottoolError | None]:
    """Run several pipelines over `sequence`, which is decoded once; write the cache of each.

    `pipelines` are those of the caches' paths. Each cache is as by `detect_embed`, and resumes
    after its own last frame. Return the error of each path, or None: a pipeline that fails does not
    stop the others. Raises `InputError` if the sequence cannot be read.
    """
    from mottool.pipelines.cache_run import CacheRun

    errors: dict[Path, MottoolError | None] = dict.fromkeys(pipelines)
    source_hash = sequence.fingerprint()
    runs = []
    with ExitStack() as caches:
        for out, pipeline in pipelines.items():
            try:
                run = CacheRun(sequence, source_hash, out, pipeline, overwrite, warn)
            except SettingError:  # a mistake in the command, which concerns every sequence
                raise
            except MottoolError as error:
                errors[out] = error
                continue
            caches.enter_context(run)
            if not run.complete:
                runs.append(run)
            elif run.was_complete:
                warn(f"{out} is complete already; use --overwrite to make it again")
        if runs:
            process(sequence, runs, warn)
    return errors | {run.path: run.error for run in runs}


def process(sequence: Source, runs: Sequence[CacheRun], warn: Callable[[str], None]) -> None:
    """Run all stages of each of `runs` over the frames from the first one that any needs.

    The error of a run is kept in it. Raises `InputError` if the sequence cannot be read.
    """
    from mottool.engines.threads import cores
    from mottool.progress import counter
    from mottool.sources.overlap import in_threads, size_of_arrays
    from mottool.sources.prefetch import prefetch

    batch = max(run.batch for run in runs)
    ahead, threads = PREFETCHED_BATCHES * batch, cores()
    start = min(run.start for run in runs)
    frames = sequence.frames(start, warn, any(run.needs_pixels for run in runs))
    with ExitStack() as stages:
        decoded = stages.enter_context(closing(prefetch(frames, ahead)))
        prepare = partial(_prepare, runs)
        preparing = in_threads(prepare, decoded, threads, ahead + threads, size_of_arrays)
        prepared = stages.enter_context(closing(preparing))
        inferred = (_infer(runs, block) for block in batches(prepared, batch))
        writing = in_threads(_write, inferred, 1, UNWRITTEN_BATCHES)
        written = stages.enter_context(closing(writing))
        done = start - sequence.first_frame
        with counter(sequence.name, sequence.length, done) as count:
            for block in written:
                count(block)
                if all(run.error for run in runs):
                    return
    for run in runs:
        _attempt(run, run.finish)


class _Prepared(NamedTuple):
    """A frame, and what `prepare` of each run has made of it.

    That is None before the run's start, and after its error.
    """

    entry: Entry
    inputs: list[Any]


class _Inferred(NamedTuple):
    """A batch of a run whose heads are to be decoded."""

    run: CacheRun
    entries: list[Entry]
    heads: Any


def _prepare(runs: Sequence[CacheRun], decoded: tuple[Frame, float]) -> _Prepared:
    """Prepare a decoded frame for each of `runs`."""
    from mottool.pipelines.cache_run import Entry

    frame, seconds = decoded
    inputs = [
        _attempt(run, run.prepare, frame) if frame.number >= run.start else None for run in runs
    ]
    return _Prepared(Entry(frame.number, frame.seconds, frame.missing, seconds), inputs)


def _infer(runs: Sequence[CacheRun], block: list[_Prepared]) -> list[_Inferred]:
    """Run the network of each of `runs` on a block of frames, in batches of its own size."""
    inferred = []
    for index, run in enumerate(runs):
        needed = [frame for frame in block if frame.entry.number >= run.start]
        for batch in batches(needed, run.batch):
            heads = _attempt(run, run.infer, [frame.inputs[index] for frame in batch])
            inferred.append(_Inferred(run, [frame.entry for frame in batch], heads))
    return inferred


def _write(block: list[_Inferred]) -> int:
    """Decode and write a block of batches; return the number of frames."""
    for batch in block:
        _attempt(batch.run, batch.run.write, batch.entries, batch.heads)
    return len({entry.number for batch in block for entry in batch.entries})


def _attempt(run: CacheRun, stage: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R | None:
    """Call a stage of a run and keep its error; return None if the run has failed.

    Raises `SettingError`, a mistake in the command that concerns every sequence.
    """
    if run.error is None:
        try:
            return stage(*args, **kwargs)
        except SettingError:
            raise
        except MottoolError as error:
            run.error = error
    return None


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield lists of `size` items; the last one may be shorter."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch
