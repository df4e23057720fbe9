"""Measure `associate` and `evaluate` on a set of the size of MOT17-train. Run it by hand:

    python tests/benchmarks/mot17_sized.py [FOLDER [TRACKER...]]

The set has 21 sequences: the seven of MOT17-train with three detectors each, with their numbers of
frames and of ground-truth boxes. People are simulated: they walk at different depths, hide each
other, are missed and found where there is none. FOLDER (by default a temporary one) keeps the set.

Prints for each tracker the seconds of both commands as whole processes on two cores, start-up
included: of the clock, and of all cores together, which another program on the machine disturbs
less. Then where the time goes, in processor time of one process: importing, reading the caches,
association, writing and reading the results and ground truth, scoring.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")

import subprocess
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter, process_time

import numpy as np

from mottool.association.registry import TRACKERS
from mottool.cache.reader import Cache
from mottool.cache.writer import CacheWriter, Header
from mottool.detections import Detections

SIZES = {  # frames and ground-truth boxes of MOT17-train
    "02": (600, 18581),
    "04": (1050, 47557),
    "05": (837, 6917),
    "09": (525, 5325),
    "10": (654, 12839),
    "11": (900, 9436),
    "13": (750, 11642),
}
DETECTORS = ("DPM", "FRCNN", "SDP")
TRACKERS_RUN = ("sort", "bytetrack", "fairmot", "jde")
WIDTH, HEIGHT, RATE, HORIZON = 1920, 1080, 30, 250
EMBEDDING_SIZE = 128
RUNS = 3  # of each command, of which the fastest counts
BAR = 5.0  # seconds for both commands together


def walk(frames: int, boxes: int, draw: np.random.Generator) -> np.ndarray:
    """Simulate people until there are `boxes` boxes; return rows (n, 6) by frame.

    Columns are frame, identity, left, top, width and height.
    """
    parts, count, identity = [], 0, 0
    while count < boxes:
        identity += 1
        start = int(draw.integers(-frames // 3, frames - 20))
        length = min(int(draw.gamma(2.0, frames / 8)) + 20, boxes - count + 20)
        times = np.arange(max(start, 0), min(start + length, frames))[: boxes - count]
        foot = draw.uniform(HORIZON + 90, HEIGHT)
        tall = 0.6 * (foot - HORIZON) * draw.uniform(0.9, 1.1)
        speed = draw.choice([-1, 1]) * draw.uniform(0.2, 1.5) * tall / 100
        sway = 0.01 * tall * np.sin(times / draw.uniform(4, 8))
        x = draw.uniform(0, WIDTH) + speed * (times - times[:1]) + sway
        y = foot + 0.1 * speed * (times - times[:1])
        wide = np.full(len(times), 0.38 * tall)
        sizes = wide, np.full(len(times), tall)
        rows = np.column_stack((times + 1, np.full(len(times), identity), x, y - tall, *sizes))
        rows = rows[(x > -0.3 * tall) & (x < WIDTH)]
        parts.append(rows)
        count += len(rows)
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows[:, 1], rows[:, 0]))]


def visibility(rows: np.ndarray) -> np.ndarray:
    """Return the visible share (n,) of the boxes of one frame; nearer people hide others."""
    left, top = rows[:, 2], rows[:, 3]
    right, bottom = left + rows[:, 4], top + rows[:, 5]
    across = np.minimum(right[:, None], right) - np.maximum(left[:, None], left)
    down = np.minimum(bottom[:, None], bottom) - np.maximum(top[:, None], top)
    hidden = across.clip(0) * down.clip(0) / (rows[:, 4] * rows[:, 5])[:, None]
    hidden[bottom[:, None] >= bottom] = 0  # people whose feet are lower are nearer
    return (1 - hidden.sum(axis=1)).clip(0, 1)


def detect(rows: np.ndarray, visible: np.ndarray, faces: np.ndarray, draw) -> Detections:
    """Simulate a detector on the people of one frame; `faces` are the embeddings of all."""
    keep = draw.random(len(rows)) < 0.35 + 0.6 * visible
    rows, visible = rows[keep], visible[keep]
    false = int(draw.binomial(len(keep) + 1, 0.06))
    tlwh = rows[:, 2:6] + draw.normal(0, 0.025, (len(rows), 4)) * rows[:, [4, 5, 4, 5]]
    tall = draw.uniform(60, 300, false)
    corners = draw.uniform(0, (WIDTH - 150, HEIGHT - 300), (false, 2))
    tlwh = np.concatenate((tlwh, np.column_stack((corners, 0.4 * tall, tall))))
    scores = (0.45 + 0.5 * visible + draw.normal(0, 0.08, len(rows))).clip(0.05, 0.99)
    scores = np.concatenate((scores, draw.uniform(0.1, 0.6, false)))
    strangers = draw.standard_normal((false, EMBEDDING_SIZE))
    embeddings = np.concatenate((faces[rows[:, 1].astype(int)], strangers))
    noise = 0.6 * draw.standard_normal(embeddings.shape)
    embeddings = embeddings + noise
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    boxes = np.column_stack((tlwh[:, :2], tlwh[:, :2] + tlwh[:, 2:]))
    return Detections(
        boxes.astype(np.float32),
        scores.astype(np.float32),
        np.zeros(len(boxes), np.uint16),
        embeddings.astype(np.float32),
    )


def write_sequence(number: str, folder: Path) -> None:
    """Write the ground truth and the caches of a sequence for each detector."""
    frames, boxes = SIZES[number]
    draw = np.random.default_rng(int(number))
    rows = walk(frames, boxes, draw)
    ends = np.searchsorted(rows[:, 0], np.arange(1, frames + 2))
    by_frame = [rows[ends[i] : ends[i + 1]] for i in range(frames)]
    visible = [visibility(frame) for frame in by_frame]
    lines = "".join(
        f"{row[0]:.0f},{row[1]:.0f},{row[2]:.1f},{row[3]:.1f},{row[4]:.1f},{row[5]:.1f},1,1,{v:.2f}\n"
        for frame, shares in zip(by_frame, visible, strict=True)
        for row, v in zip(frame, shares, strict=True)
    )
    faces = draw.standard_normal((int(rows[:, 1].max()) + 1, EMBEDDING_SIZE))
    for detector in DETECTORS:
        name = f"MOT17-{number}-{detector}"
        (folder / "train" / name / "gt").mkdir(parents=True)
        (folder / "train" / name / "gt/gt.txt").write_text(lines)
        (folder / "train" / name / "seqinfo.ini").write_text(
            f"[Sequence]\nname={name}\nimDir=img1\nframeRate={RATE}\nseqLength={frames}\n"
            f"imWidth={WIDTH}\nimHeight={HEIGHT}\nimExt=.jpg\n"
        )
        header = Header(name, "made", name, name, WIDTH, HEIGHT, RATE)
        with CacheWriter(folder / "work/caches/made" / f"{name}.h5", header) as cache:
            for index, (frame, shares) in enumerate(zip(by_frame, visible, strict=True)):
                cache.append(detect(frame, shares, faces, draw), index / RATE, (0, 0.03, 0.001, 0))
            cache.finish()


def timed(arguments: list[str]) -> tuple[float, float]:
    """Return the seconds of a command, and the processor time of all its processes."""
    before, start = getrusage(RUSAGE_CHILDREN), perf_counter()
    command = [sys.executable, "-m", "mottool", *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = getrusage(RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return perf_counter() - start, used


def whole(folder: Path, tracker: str) -> None:
    """Print the seconds of both commands."""
    work = str(folder / "work")
    tracks = f"{work}/tracks/made.{tracker}"
    commands = {
        "associate": ["associate", "--tracker", tracker, "--jobs", "2", "--work", work],
        "evaluate": ["evaluate", tracks, "--gt", str(folder / "train"), "--work", work],
    }
    best = {name: [float("inf"), float("inf")] for name in commands}
    for _ in range(RUNS):
        for name, arguments in commands.items():
            best[name] = list(map(min, best[name], timed(arguments)))
    clock, processor = (sum(seconds) for seconds in zip(*best.values(), strict=True))
    parts = "   ".join(f"{name} {c:5.2f} ({p:5.2f})" for name, (c, p) in best.items())
    print(f"{tracker:>14}   {parts}   both {clock:5.2f} ({processor:5.2f})", flush=True)


def parts(folder: Path, tracker: str) -> dict[str, float]:
    """Return the processor time of each part of the work, all sequences in one process."""
    from mottool.association.run_tracker import run_tracker
    from mottool.metrics.ground_truth import load_ground_truth, preprocess_tracks
    from mottool.metrics.ground_truth_files import find_ground_truth
    from mottool.metrics.tracking import score
    from mottool.motchallenge.rows import read_rows, write_tracks

    seconds: dict[str, float] = {}

    def add(name: str, start: float) -> None:
        seconds[name] = seconds.get(name, 0.0) + process_time() - start

    files = find_ground_truth([folder / "train"])
    entry = TRACKERS[tracker]
    for path in sorted((folder / "work/caches/made").iterdir()):
        start = process_time()
        with Cache(path) as cache:
            for _ in cache.frames():
                pass
            add("read caches", start)
            start = process_time()
            rows = run_tracker(cache, tracker, entry.settings())
            add("read and associate", start)
        out = folder / "parts.txt"
        start = process_time()
        write_tracks(out, [rows])
        add("write results", start)
        start = process_time()
        truth, tracks = load_ground_truth(files[path.stem], path.stem), read_rows(out, "result")
        add("read results, ground truth", start)
        start = process_time()
        scored = preprocess_tracks(tracks, truth)
        add("preprocess", start)
        start = process_time()
        score(scored)
        add("score", start)
    return seconds


def start_up() -> dict[str, float]:
    """Return the processor time of processes that only import."""
    commands = {
        "start Python": "pass",
        "import associate": "import mottool.stages.associate",
        "import a worker's modules": "import mottool.association.job, mottool.cache.reader, "
        "mottool.association.run_tracker, mottool.motchallenge.rows",
        "import evaluate's modules": "import mottool.stages.evaluate, mottool.metrics.evaluate",
    }
    seconds = {}
    for name, code in commands.items():
        uses = []
        for _ in range(RUNS):
            before = getrusage(RUSAGE_CHILDREN)
            subprocess.run([sys.executable, "-c", code], check=True)
            after = getrusage(RUSAGE_CHILDREN)
            uses.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        seconds[name] = min(uses)
    return seconds


def main() -> None:
    """Make the set if it is missing, and print the tables."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        if not (folder / "train").exists():
            for number in SIZES:
                write_sequence(number, folder)
        trackers = sys.argv[2:] or TRACKERS_RUN
        print(f"seconds of the clock (and of all cores); the bar is {BAR} for both commands")
        for tracker in trackers:
            whole(folder, tracker)
        tables = {"start-up": start_up()}
        tables |= {tracker: parts(folder, tracker) for tracker in trackers}
        for title, seconds in tables.items():
            print(f"\n{title}, processor time")
            for name, value in seconds.items():
                print(f"{name:>28} {value:6.2f}")


if __name__ == "__main__":
    main()
