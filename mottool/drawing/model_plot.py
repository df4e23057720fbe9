"""The plot of several models' embeddings side by side: caches and pictures in, one image file out.

Imports no torch, numpy, cv2 or h5py: the command line reads the settings class for `--help`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mottool.errors import InputError, SettingError, ignore_warning
from mottool.settings import Settings, setting

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from mottool.drawing.model_maps import Picture
    from mottool.motchallenge.rows import Rows
    from mottool.sources.sequence import Sequence as FrameSequence

__all__ = ["ModelPlotSettings", "caches_by_model", "plot_models"]

HIGHLIGHTS = 4  # people in FairMOT's Fig. 4
Person = tuple[str, int]  # sequence and identity


def _people(text: str) -> tuple[Person, ...]:
    """Parse `SEQUENCE:ID,...`."""
    people = []
    for part in text.split(","):
        sequence, _, identity = part.rpartition(":")
        if not sequence or not identity.isdecimal():
            raise ValueError(text)
        people.append((sequence, int(identity)))
    return tuple(people)


@dataclass(frozen=True)
class ModelPlotSettings(Settings):
    """Settings of the maps: the selection of embeddings, the projection and the arrows."""

    people: int | None = setting(
        None,
        "Number of identities, beside the highlighted ones: those with most detections. By default "
        "all.",
        low=2,
    )
    first: int | None = setting(
        None,
        "Number of identities: the first ones by sequence and number, as in OUTrack's Fig. 6, with "
        "arrows only at highlighted ones.",
        low=2,
    )
    samples: int = setting(30, "Maximum of embeddings per identity, evenly over time.", low=2)
    perplexity: float = setting(
        30.0, "Approximate number of neighbours that each point keeps.", low=1
    )
    seed: int = setting(0, "Random seed of the maps.", low=0)
    highlight: tuple[Person, ...] | None = setting(
        None,
        "People that arrows point at, and that the pictures show. By default the four with most "
        "detections in one sequence.",
        parse=_people,
        form="SEQUENCE:ID,...",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.first is not None and self.people is not None:
            raise SettingError("first and people both choose the identities", "give one of them")


@dataclass(frozen=True)
class _Embeddings:
    """Embeddings (n, D) of one model, and the person of each."""

    values: npt.NDArray[np.floating[Any]]
    people: list[Person]


def caches_by_model(caches: Iterable[Path], labels: Sequence[str] = ()) -> dict[str, list[Path]]:
    """Group caches by their folder: each holds those of one model, named by its pipeline.

    `labels` replace the names, in the order of the folders. Raises `SettingError` if the number of
    labels is another.
    """
    from mottool.cache.reader import Cache
    from mottool.metrics.inputs import find_caches

    folders = dict[Path, list[Path]]()
    for path in find_caches(caches)[0]:
        folders.setdefault(path.resolve().parent, []).append(path)
    if labels and len(labels) != len(folders):
        problem = f"{len(labels)} --label are given for {len(folders)} folders of caches"
        raise SettingError(problem, "give one per folder, in the same order")
    models = dict[str, list[Path]]()
    for index, files in enumerate(folders.values()):
        if labels:
            name = labels[index]
        else:
            with Cache(files[0]) as opened:
                name = opened.header.pipeline
        if name in models:
            raise SettingError(f"two models are called {name}", "give each a --label of its own")
        models[name] = files
    return models


def plot_models(
    models: Mapping[str, Sequence[Path]],
    rows_of: Callable[[str], Rows | None],
    out: Path,
    settings: ModelPlotSettings | None = None,
    sequences: Iterable[FrameSequence] = (),
    warn: Callable[[str], None] = ignore_warning,
) -> Path:
    """Plot t-SNE maps of all people's embeddings, one per model, into `out`.

    Zhang et al., "A simple baseline for multi-object tracking", arXiv 2004.01888v1, Fig. 3 and 4.
    `models` maps a name to the model's caches, one per sequence. `rows_of` returns the rows of a
    sequence, ground truth or tracks, that give the identities of detections; these are kept apart
    between sequences. `sequences` provide pictures of the highlighted people. `warn` receives a
    message for anything that is missing. Raises `InputError` if a model has fewer than two people,
    or if a highlighted person is in none of them.
    """
    from mottool.drawing.embedding_plots import project_tsne
    from mottool.drawing.model_maps import ModelMap, draw_models

    settings = settings or ModelPlotSettings()
    embeddings = {name: _read(name, caches, rows_of, settings) for name, caches in models.items()}
    people = sorted({person for model in embeddings.values() for person in model.people})
    highlighted = settings.highlight or ()
    if not highlighted and settings.first is None:
        highlighted = _most_detected(next(iter(embeddings.values())).people)
    for sequence, identity in highlighted:
        if (sequence, identity) not in people:
            fix = "choose people that --gt or --tracks have and that are detected"
            raise InputError(f"no model has embeddings of {sequence}:{identity}", fix)
    number = {person: index for index, person in enumerate(people)}
    maps = [
        ModelMap(
            name,
            project_tsne(model.values, settings.seed, settings.perplexity),
            [number[person] for person in model.people],
        )
        for name, model in embeddings.items()
    ]
    pictures = _pictures(highlighted, rows_of, list(sequences), warn)
    return draw_models(maps, [number[person] for person in highlighted], pictures, out)


def _read(
    name: str,
    caches: Sequence[Path],
    rows_of: Callable[[str], Rows | None],
    settings: ModelPlotSettings,
) -> _Embeddings:
    """Read the embeddings of a model's people, at most `samples` of each."""
    import numpy as np

    from mottool.cache.reader import Cache
    from mottool.metrics.embedding_similarity import of_people

    values, people = [], list[Person]()
    for path in caches:
        with Cache(path) as opened:
            sequence, rows = opened.header.sequence, rows_of(opened.header.sequence)
            assert rows is not None  # the command requires a source of identities
            part, ids = of_people(opened, rows, None, settings.samples, fewest=0)
        values.append(part)
        people += [(sequence, identity) for identity in ids.tolist()]
    counts = Counter(people)
    if len(counts) < 2:
        fix = "give the ground truth or tracks of these very sequences"
        raise InputError(f"fewer than two people match detections of {name}", fix)
    kept = {person for person, _ in counts.most_common(settings.people)}
    if settings.first is not None:
        kept = set(sorted(counts)[: settings.first])
    kept |= set(settings.highlight or ())
    chosen = [index for index, person in enumerate(people) if person in kept]
    return _Embeddings(np.concatenate(values)[chosen], [people[index] for index in chosen])


def _most_detected(people: Sequence[Person]) -> tuple[Person, ...]:
    """Return the four people with most embeddings, of the sequence that has most."""
    (largest, _), *_ = Counter(sequence for sequence, _ in people).most_common(1)
    present = Counter(person for person in people if person[0] == largest)
    return tuple(person for person, _ in present.most_common(HIGHLIGHTS))


def _pictures(
    highlighted: Sequence[Person],
    rows_of: Callable[[str], Rows | None],
    sequences: Sequence[FrameSequence],
    warn: Callable[[str], None],
) -> list[Picture]:
    """Read the fewest frames that show every highlighted person, with their boxes."""
    from mottool.boxes import xyxy_from_tlwh
    from mottool.drawing.model_maps import Picture

    pictures = []
    for name in dict.fromkeys(sequence for sequence, _ in highlighted) if sequences else ():
        source = next((sequence for sequence in sequences if sequence.name == name), None)
        rows = rows_of(name)
        if source is None or rows is None:
            warn(f"no pictures: --frames has no sequence {name}")
            continue
        wanted = {identity: i for i, (owner, identity) in enumerate(highlighted) if owner == name}
        frames = _cover(rows, list(wanted))
        for frame in source.frames(min(frames), warn):
            if frame.number in frames:
                shown = [
                    (wanted[identity], xyxy_from_tlwh(rows.tlwh[row]))
                    for row, identity in enumerate(rows.ids.tolist())
                    if rows.frames[row] == frame.number and identity in wanted
                ]
                pictures.append(Picture(f"{name}, frame {frame.number}", frame.image, shown))
            if frame.number >= max(frames):
                break
    return pictures


def _cover(rows: Rows, identities: Sequence[int]) -> list[int]:
    """Choose frames that together show all identities: each time the one that shows most of them.

    Of equal frames the one whose smallest box is largest is chosen.
    """
    remaining, frames = set(identities), list[int]()
    while remaining:
        areas = dict[int, list[float]]()
        for frame, identity, box in zip(
            rows.frames.tolist(), rows.ids.tolist(), rows.tlwh.tolist(), strict=True
        ):
            if identity in remaining:
                areas.setdefault(frame, []).append(box[2] * box[3])
        best = max(areas, key=lambda frame: (len(areas[frame]), min(areas[frame])))
        frames.append(best)
        remaining -= set(rows.ids[rows.frames == best].tolist())
    return frames
