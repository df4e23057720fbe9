"""Measure one pipeline in this process: its parts, the whole, its cost in crowds, its memory."""

from contextlib import redirect_stderr
from copy import copy
from io import StringIO
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from mottool.benchmarking.case import PEOPLE, Case, CrowdCost, Sample, Usage
from mottool.benchmarking.first_frames import FirstFrames
from mottool.benchmarking.given_boxes import GivenBoxes
from mottool.benchmarking.memory import peak_memory
from mottool.benchmarking.part_clock import PartClock
from mottool.benchmarking.random_weights import with_random_weights
from mottool.benchmarking.thresholds import network_thresholds
from mottool.cache.writer import CacheWriter, Header
from mottool.detections import PERSON, Detections
from mottool.errors import ignore_warning
from mottool.motchallenge.public_detections import PublicDetections
from mottool.pipelines.build import build_pipeline
from mottool.pipelines.detect_embed import batches, detect_embed
from mottool.pipelines.interfaces import Pipeline, PipelineRun
from mottool.pipelines.one_shot import OneShotPipeline
from mottool.pipelines.two_stage import TwoStage
from mottool.sources.discovery import find_sequences
from mottool.sources.sequence import Frame, Sequence

__all__ = ["Measurement"]

FRAMES = 8, 64  # the least and the largest number of frames, if it is not given
SECONDS = 4.0  # that these frames should take
WARM_UP = 3  # frames before anything is measured
DECODED = 64  # frames, however slow the network is: decoders work several frames ahead
CROWD_CALLS = 3  # for each number of people, of which the fastest counts
PERSON_SIZE = 80, 200  # pixels of the boxes in a crowd


class Measurement:
    """The pipeline of a case, warmed up."""

    def __init__(self, case: Case) -> None:
        """Build the pipeline and run it on the first frames.

        Raises the errors of `build_pipeline`, and `InputError` for a source that cannot be used.
        """
        self.case = case
        self._notes: list[str] = []
        (self._source,) = find_sequences([case.source])
        self.sequence = FirstFrames.take(self._source, case.frames or FRAMES[1])
        self._frames = self.sequence.read(WARM_UP)
        self._boxes = PublicDetections.read(case.boxes) if case.boxes else None
        options, random = with_random_weights(case.pipeline, case.options, case.folder)
        self.pipeline = build_pipeline(case.pipeline, options, self._notes.append)
        self._thresholds: dict[int, float] = {}
        self._prepare_detector(bool(random))
        if random:
            self._notes.append(f"{' and '.join(random)}: random weights")
        seconds = self._warm_up()
        if case.frames is None:
            count = min(max(round(SECONDS / seconds), FRAMES[0]), FRAMES[1])
            self.sequence = FirstFrames.take(self._source, count)

    def sample(self) -> Sample:
        """Measure the parts one after the other, then the whole."""
        boxes = self._boxes
        pipeline = self.pipeline if boxes is None else self._with_boxes(boxes.on)
        clock, people = self._parts(pipeline)
        frames = clock.frame_count
        start, processor = perf_counter(), process_time()
        with redirect_stderr(StringIO()):  # progress
            detect_embed(self.sequence, self.case.folder / "whole.h5", pipeline, overwrite=True)
        whole, processor = perf_counter() - start, process_time() - processor
        return Sample(clock.per_frame(), whole / frames, processor / frames, people / frames)

    def crowd(self) -> list[CrowdCost]:
        """Measure the time of a frame for each number of people; decoding the video is left out.

        The score threshold of a one-shot network is set so that it detects about that many people;
        a message says so if it detects less than half of them.
        A second stage embeds as many boxes. Other pipelines have no costs.
        """
        detector = self._detector
        if isinstance(self.pipeline, TwoStage):
            frame = self._frames[0]
            crowds = {people: _crowd(people, frame) for people in self.case.people}
            return [
                self._fastest(self._with_boxes(lambda number, crowd=crowd: crowd))
                for crowd in crowds.values()
            ]
        if not isinstance(detector, OneShotPipeline):
            return []
        before, costs = detector.min_score, []
        for people in self.case.people:
            detector.min_score = self._thresholds[people]
            costs.append(self._fastest(detector))
            detected = costs[-1].people
            if detected < people / 2:
                self._notes.append(f"the cost of {people} people is of {detected} detections")
        detector.min_score = before
        return costs

    def usage(self) -> Usage:
        """Return the memory and the device that have been used, and the messages so far."""
        notes = list(dict.fromkeys(self._notes))
        threads = f"{torch.get_num_threads()} threads of PyTorch"
        if not (torch.cuda.is_available() and torch.cuda.max_memory_allocated()):
            return Usage(peak_memory(), 0, threads, notes)
        device = f"{torch.cuda.get_device_name()}, {threads}"
        return Usage(peak_memory(), torch.cuda.max_memory_allocated(), device, notes)

    @property
    def _detector(self) -> Pipeline:
        """The first stage, or the pipeline itself."""
        return self.pipeline.detector if isinstance(self.pipeline, TwoStage) else self.pipeline

    def _prepare_detector(self, random: bool) -> None:
        """Find the thresholds of a one-shot network; set one that suits `random` weights."""
        detector, boxes = self._detector, self._boxes
        if not isinstance(detector, OneShotPipeline):
            return
        mean = PEOPLE if boxes is None else round(len(boxes) / max(boxes.last_frame, 1))
        counts = {mean, *self.case.people}
        self._thresholds = network_thresholds(detector, self.sequence, self._frames[0], counts)
        if random:
            detector.min_score = self._thresholds[mean]

    def _warm_up(self) -> float:
        """Run the pipeline on the first frames; return the seconds of the fastest."""
        run = self.pipeline.start(self.sequence, self._notes.append)
        return min(_seconds(run, frame)[0] for frame in self._frames)

    def _parts(self, pipeline: Pipeline) -> tuple[PartClock, int]:
        """Measure each part; return the clock and the number of detections."""
        clock, people = PartClock(), 0
        run = pipeline.start(self.sequence, ignore_warning)
        preprocessor: Any = getattr(self._detector, "preprocessor", None)
        with clock.part("write"):
            header = _header(self.sequence, pipeline, run)
            writer = CacheWriter(self.case.folder / "parts.h5", header, overwrite=True)
        with writer:
            for batch in batches(self.sequence.frames(warn=ignore_warning), pipeline.batch):
                clock.frame_count += len(batch)
                with clock.part("resize"):
                    for frame in batch if preprocessor else ():
                        preprocessor.image(frame.image)
                results = list(run.detect(batch))
                with clock.part("write"):
                    for frame, (detections, times) in zip(batch, results, strict=True):
                        writer.append(detections, frame.seconds, (0.0, *times))
                people += sum(len(detections) for detections, _ in results)
                for _, times in results:
                    clock.add(times._asdict())
            with clock.part("write"):
                writer.finish()
        clock.add({"decode": self._decoding() * clock.frame_count})
        # A pipeline counts the resizing as a part of the network.
        clock.add({"network": -min(clock.seconds["resize"], clock.seconds["network"])})
        return clock, people

    def _decoding(self) -> float:
        """Return the seconds to decode a frame of the source, without those to open it.

        Opening a source of a single frame is included.
        """
        start = perf_counter()
        frames = FirstFrames.take(self._source, DECODED).frames(warn=ignore_warning)
        next(frames)
        opened = perf_counter()
        later = sum(1 for _ in frames)
        return (perf_counter() - opened) / later if later else opened - start

    def _with_boxes(self, boxes: Any) -> Pipeline:
        """Replace the detections of each frame, by number, before a second stage embeds them."""
        pipeline = copy(self.pipeline)
        if isinstance(pipeline, TwoStage):
            pipeline.detector = GivenBoxes(pipeline.detector, boxes)
        return pipeline

    def _fastest(self, pipeline: Pipeline) -> CrowdCost:
        """Return the cost of the fastest of several calls."""
        run = pipeline.start(self.sequence, ignore_warning)
        calls = [_seconds(run, self._frames[0]) for _ in range(CROWD_CALLS)]
        return CrowdCost(calls[0][1], min(seconds for seconds, _ in calls))


def _seconds(run: PipelineRun, frame: Frame) -> tuple[float, int]:
    """Return the seconds that a frame takes, and the number of its detections."""
    start = perf_counter()
    ((detections, _),) = run.detect([frame])
    return perf_counter() - start, len(detections)


def _crowd(people: int, frame: Frame) -> Detections:
    """Return the boxes of people at random places of a frame."""
    draw = np.random.default_rng(people)
    height, width = frame.image.shape[:2]
    room = np.maximum((width - PERSON_SIZE[0], height - PERSON_SIZE[1]), 1)
    corners = draw.uniform(0, room, (people, 2))
    boxes = np.concatenate([corners, corners + PERSON_SIZE], axis=1).astype(np.float32)  # (n, 4)
    scores = np.ones(people, np.float32)
    return Detections(boxes, scores, np.full(people, PERSON, np.uint16))


def _header(sequence: Sequence, pipeline: Pipeline, run: PipelineRun) -> Header:
    """Return the header of a cache that is written to measure the time."""
    return Header(
        sequence=sequence.name,
        pipeline=pipeline.name,
        source=str(sequence.path),
        source_hash="",
        width=sequence.width,
        height=sequence.height,
        fps=sequence.fps,
        settings=run.settings,
    )
