"""A recipe: a TOML file of datasets, pipelines and trackers, and which results to make of them.

    work = "work"                       # of all results; by default that of the command
    segment_frames = 9000               # of longer sequences; by default each is one task
    store = "s3://bucket/folder"        # of all results; by default only the work folder has them

    [[dataset]]
    path = "MOT17/train@second"         # or a list of paths; relative to the recipe's folder
    gt = "MOT17/train@second"           # by default what is in `path`

    [[pipeline]]
    pipeline = "fairmot-dla34"          # and the other flags of detect-embed as keys
    weights = "fairmot_dla34.pth"
    pixel_range = "0-4095"              # of images of more than 8 bits

    [[tracker]]
    tracker = "bytetrack"
    settings = { track_buffer = 60 }    # or a settings file: settings = "best.toml"
    sweep = { track_thresh = [0.4, 0.5] }

    [produce]
    videos = true

Every pipeline runs on every dataset, and every tracker on every cache that suits it. The results
are where the commands of single steps put them, so that results made by hand are used.
"""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from mottool.association.registry import TRACKERS, profiles_by_tracker
from mottool.association.sequence_settings import SequenceSettings, settings_classes_of
from mottool.errors import InputError, SettingError, did_you_mean
from mottool.files import safe_name
from mottool.motchallenge.rules import AUTO, RULES
from mottool.pipelines.build import check_options
from mottool.pipelines.choice import PipelineConfig, full_name_of
from mottool.pixel_range import PixelRange, parse_pixel_range
from mottool.recipes.tables import Table, as_text
from mottool.records.record import RECORDS
from mottool.settings import Settings, setting
from mottool.splits import parse_source

__all__ = [
    "Produce",
    "Recipe",
    "RecipeDataset",
    "RecipePipeline",
    "RecipeTracker",
    "SegmentSettings",
    "StoreSettings",
    "read_recipe",
]

VARIANT = "@"  # between a tracker's name and that of its settings
TABLES = ("dataset", "pipeline", "tracker")
LONGEST = 100  # characters of a name
MOST_VARIANTS = 1000  # of a tracker in one sweep; `mottool tune` searches among more


@dataclass(frozen=True)
class RecipeDataset:
    """Sequences and their ground truth; without `sources`, the sequences are those of caches."""

    name: str
    sources: tuple[str, ...] = ()
    truth: tuple[str, ...] = ()


@dataclass(frozen=True)
class RecipePipeline:
    """A pipeline: its name in results and its options.

    `pixel_range` are the values of black and white in images of more than 8 bits, by default those
    of each sequence. With `caches`, a folder, its caches exist and nothing is detected.
    """

    name: str
    config: PipelineConfig = PipelineConfig()
    caches: Path | None = None
    pixel_range: PixelRange | None = None


@dataclass(frozen=True, eq=False)
class RecipeTracker:
    """A tracker with settings: those `given` go before those by sequence.

    `name` is that of its results, such as `bytetrack` or `bytetrack@track_thresh=0.5`.
    """

    name: str
    tracker: str
    given: Mapping[str, Any] = field(default_factory=dict)
    by_sequence: SequenceSettings = field(default_factory=SequenceSettings)
    published: bool = False
    profile: str | None = None


@dataclass(frozen=True)
class Produce(Settings):
    """What a recipe makes beside caches."""

    tracks: bool = setting(True, "Result files of every tracker.")
    scores: bool = setting(True, "Metrics of the sequences with ground truth.")
    comparison: bool = setting(True, "One page that compares all pipelines and trackers.")
    videos: bool = setting(False, "A video of every result file.")
    rules: str = setting(AUTO, "The benchmark whose rules score the tracks.", choices=RULES)


@dataclass(frozen=True)
class SegmentSettings(Settings):
    """How long sequences are spread over several tasks."""

    segment_frames: int | None = setting(
        None,
        "Divide sequences of more frames into segments of about so many; other processes and "
        "machines detect and embed them. The caches have the same bytes. By default a sequence is "
        "one task.",
        low=1,
    )


@dataclass(frozen=True)
class StoreSettings(Settings):
    """Where results are kept beside the work folder."""

    store: str | None = setting(
        None,
        "Address of an object store, such as s3://bucket/folder (mottool[s3]), from which results "
        "are fetched and to which they are published. The work folder is the local copy.",
        form="ADDRESS",
    )


@dataclass(frozen=True)
class Recipe:
    """What to make, and the folder of all results; `name` is that of the comparison's page.

    `segment_frames` is as in `SegmentSettings`, and `store` as in `StoreSettings`.
    """

    name: str
    datasets: Sequence[RecipeDataset]
    pipelines: Sequence[RecipePipeline]
    trackers: Sequence[RecipeTracker]
    produce: Produce = Produce()
    work: Path | None = None
    segment_frames: int | None = None
    store: str | None = None


def read_recipe(path: Path) -> Recipe:
    """Read a recipe.

    Raises `InputError` for a file that is missing or not TOML, and `SettingError`, with the place,
    for unknown keys, wrong values, and names that are used twice.
    """
    top = Table(str(path), _load(path), path.parent)
    work = top.path("work")
    segments, store = top.settings(SegmentSettings), top.settings(StoreSettings)
    parts = {name: _tables(path, name, top) for name in TABLES}
    produce = Table(f"{path} [produce]", top.table("produce"), path.parent)
    recipe = Recipe(
        path.stem,
        [_dataset(table) for table in parts["dataset"]],
        [_pipeline(table) for table in parts["pipeline"]],
        [variant for table in parts["tracker"] for variant in _trackers(table)],
        produce.settings(Produce),
        work,
        segments.segment_frames,
        store.store,
    )
    produce.close(Produce.__dataclass_fields__)
    top.close([*SegmentSettings.__dataclass_fields__, *StoreSettings.__dataclass_fields__])
    _check(path, recipe)
    return recipe


def _load(path: Path) -> dict[str, Any]:
    try:
        if path.exists() and not path.is_file():  # reading a device may never end
            raise InputError(f"{path} is not a regular file", "name a recipe, a TOML file")
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise InputError(f"there is no recipe {path}", "check the path") from error
    except (OSError, ValueError, RecursionError) as error:
        fix = "correct that line; mottool run --help shows a recipe"
        raise InputError(f"{path} is not a TOML file ({error})", fix) from error


def _tables(path: Path, name: str, top: Table) -> list[Table]:
    """Take the tables `[[name]]` of a recipe."""
    values = top.list_of(name)
    numbered = len(values) > 1
    return [
        Table(f"{path} [[{name}]]{f' {number}' if numbered else ''}", value, path.parent)
        for number, value in enumerate(values, 1)
    ]


def _dataset(table: Table) -> RecipeDataset:
    sources, truth = table.paths("path"), table.paths("gt")
    name = _name(table)
    table.close()
    if not sources and not truth:
        raise SettingError(f"{table.place} has no path", 'write path = "FOLDER"')
    with table.named():
        default = parse_source((sources or truth)[0])[0].name
    return RecipeDataset(name or default, tuple(sources), tuple(truth))


def _name(table: Table) -> str | None:
    """Take the name of a table, which becomes a part of file names and of labels in plots."""
    name = table.text("name")
    if name is not None and not (name.strip() and name.isprintable() and len(name) <= LONGEST):
        fix = f"write 1 to {LONGEST} characters, on one line"
        raise SettingError(f"{table.place}: name cannot be {name[:LONGEST]!r}", fix)
    if name is not None and name.endswith(RECORDS):
        fix = f"write a name that does not end with {RECORDS}, as folders of records do"
        raise SettingError(f"{table.place}: name cannot be {name!r}", fix)
    return name


def _pipeline(table: Table) -> RecipePipeline:
    name, caches = _name(table), table.path("caches")
    if caches is not None:
        table.close()
        return RecipePipeline(name or caches.name, caches=caches)
    if table.has("boxes", str):
        table.make_path("boxes", unless="gt")
    pixels = table.text("pixel_range")
    config = table.settings(PipelineConfig)
    table.close(PipelineConfig.__dataclass_fields__)
    with table.named():
        full_name, options = full_name_of(config)
        check_options(full_name, options)
        pixel_range = None if pixels is None else parse_pixel_range(pixels)
    return RecipePipeline(name or full_name, config, pixel_range=pixel_range)


def _trackers(table: Table) -> list[RecipeTracker]:
    """Return the variants of a tracker: one, or one for each point of its sweep."""
    file = table.path("settings") if table.has("settings", str) else None
    with table.named():
        given = {} if file else table.table("settings")
        values = {key: as_text(value) for key, value in given.items()}
    by_sequence = SequenceSettings(file)
    tracker = table.text("tracker", by_sequence.tracker)
    if tracker is None:
        raise SettingError(f"{table.place} has no tracker", 'write tracker = "bytetrack"')
    if tracker not in TRACKERS:
        problem = f"{table.place}: there is no tracker {tracker!r}"
        raise SettingError(problem, did_you_mean(tracker, TRACKERS))
    if by_sequence.tracker not in {None, tracker}:
        problem = f"{table.place}: {file} is for {by_sequence.tracker}, not {tracker}"
        raise SettingError(problem, "omit tracker, or give that tracker's settings")
    name = _variant(table, tracker, by_sequence)
    published, profile = table.flag("published", False), _profile(table, tracker)
    sweep = {key: _swept(table, key, value) for key, value in table.table("sweep").items()}
    table.close()
    if (count := math.prod(map(len, sweep.values()))) > MOST_VARIANTS:
        problem = f"{table.place}: sweep has {count} points, more than {MOST_VARIANTS}"
        raise SettingError(problem, "sweep fewer values, or search them with mottool tune")
    classes = settings_classes_of(tracker)
    variants = []
    for point in product(*sweep.values()):
        chosen = dict(zip(sweep, point, strict=True))
        given = values | chosen
        with table.named():
            by_sequence.check(classes)
            by_sequence.of("", classes, given)
        swept = "+".join(f"{key}={value}" for key, value in chosen.items())
        joined = name + (f"{'+' if VARIANT in name else VARIANT}{swept}" if swept else "")
        variants.append(RecipeTracker(joined, tracker, given, by_sequence, published, profile))
    return variants


def _variant(table: Table, tracker: str, by_sequence: SequenceSettings) -> str:
    """Return the name of a tracker with its settings: as given, or that of its settings file."""
    name = _name(table)
    if name is None:
        return by_sequence.variant(tracker)
    name = name.removeprefix(f"{tracker}{VARIANT}")
    if name == tracker:
        return tracker
    if not re.fullmatch(r"[\w+=.-]+", name):
        fix = f'write name = "{tracker}{VARIANT}low", with letters, digits and any of + = . -'
        raise SettingError(f"{table.place}: name cannot be {name!r}", fix)
    return f"{tracker}{VARIANT}{name}"


def _profile(table: Table, tracker: str) -> str | None:
    profile, known = table.text("profile"), profiles_by_tracker().get(tracker, {})
    if profile is not None and profile not in known:
        problem = f"{table.place}: {tracker} has no profile {profile!r}"
        raise SettingError(problem, did_you_mean(profile, known))
    return profile


def _swept(table: Table, key: str, value: Any) -> list[str]:
    if not isinstance(value, list) or not value:
        fix = f"write {key} = [value, value]"
        raise SettingError(f"{table.place} sweep: {key} is not a list of values", fix)
    with table.named():
        return [as_text(item) for item in value]


def _check(path: Path, recipe: Recipe) -> None:
    """Raise `SettingError` for missing tables, and for names whose results have the same files."""
    if not recipe.pipelines:
        fix = 'write [[pipeline]] and below it pipeline = "mottool-s"'
        raise SettingError(f"{path} has no pipeline", fix)
    if not recipe.trackers and recipe.produce.tracks:
        fix = 'write [[tracker]] and below it tracker = "bytetrack", or [produce] tracks = false'
        raise SettingError(f"{path} has no tracker", fix)
    if recipe.produce.videos and not recipe.produce.tracks:
        raise SettingError(f"{path} [produce]: videos need tracks", "omit tracks = false")
    detected = [pipeline.name for pipeline in recipe.pipelines if pipeline.caches is None]
    sourceless = [dataset.name for dataset in recipe.datasets if not dataset.sources]
    if detected and (sourceless or not recipe.datasets):
        fix = 'write [[dataset]] and below it path = "FOLDER"'
        raise SettingError(f"{path} has no sequences for {detected[0]}", fix)
    for kind in ("datasets", "pipelines", "trackers"):
        counts = Counter(safe_name(part.name) for part in getattr(recipe, kind))
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            problem = f"{path} has two {kind} named {twice[0]}"
            raise SettingError(problem, 'give one of them another name, as name = "…"')
