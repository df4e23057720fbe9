"""Stage `plot`: caches, result files and ground truth in; figures for paper out.

Its `run` functions are those of `mottool.drawing.plots`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import as_json, settings_options, work_option
from mottool.drawing.plots import (
    EmbeddingConfig,
    SimilarityConfig,
    TrackletConfig,
    run_embeddings,
    run_frames,
    run_hota,
    run_similarity,
    run_timelines,
    run_tracklets,
)
from mottool.errors import InputError, SettingError
from mottool.motchallenge.rules import AUTO, RULES
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.sources.sequence import Sequence

__all__ = [
    "EmbeddingConfig",
    "SimilarityConfig",
    "TrackletConfig",
    "command",
    "run_embeddings",
    "run_frames",
    "run_hota",
    "run_similarity",
    "run_timelines",
    "run_tracklets",
]

FORMS = ("png", "svg", "pdf")


def _shared(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of every kind of plot."""
    form = click.option(
        "--format",
        "form",
        type=click.Choice(FORMS),
        default=FORMS[0],
        show_default=True,
        help="The form of the files.",
    )
    return form(work_option(as_json(command)))


def _truths(required: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--gt",
        "truths",
        multiple=True,
        required=required,
        type=click.Path(path_type=Path),
        help="Ground truth as mottool evaluate takes it. May be given several times.",
    )


_caches = click.argument("caches", nargs=-1, metavar="[CACHE]...", type=click.Path(path_type=Path))
_results = click.argument("tracks", nargs=-1, type=click.Path(path_type=Path))
_tracks = click.option(
    "--tracks",
    type=click.Path(path_type=Path),
    help="The folder of result files that say who is who, or one result file.",
)
_rules = click.option(
    "--rules",
    type=click.Choice(RULES),
    default=AUTO,
    show_default=True,
    help="By which rules the ground truth counts, as in mottool evaluate.",
)


@click.group("plot")
def command() -> None:
    """Draw figures for papers, as PNG, SVG or PDF, in colours that everybody can tell apart.

    \b
        mottool plot embeddings --gt MOT17/train
        mottool plot frames --gt MOT17/train --at 100 130
        mottool plot hota --gt MOT17/train --format pdf
        mottool plot timelines --gt MOT17/train
        mottool plot similarity video.mp4 --weights fairmot.pth --at 1 60 --person 310,120,40,110

    CACHEs are by default every cache in the work folder, result files every folder of results
    there. A figure goes to WORK/plots/<pipeline or results>/<sequence>.<kind>.png. `mottool plot
    KIND --help` is the manual of each kind.
    """


@command.command("embeddings", short_help="A map of embeddings by identity (t-SNE).")
@_caches
@_truths()
@_tracks
@settings_options(EmbeddingConfig)
@_shared
def embeddings(config: EmbeddingConfig, **given: Any) -> None:
    """Map the embeddings of each CACHE onto the plane by t-SNE, coloured by identity.

    \b
        mottool plot embeddings --gt MOT17/train
        mottool plot embeddings mottool-work/caches/jde/*.h5 --tracks results --people 20

    People who are told apart make islands of their own, as in FairMOT's Fig. 3. Who is who is
    said by --gt or --tracks: a detection is that of the box it overlaps by an IoU of 0.5 or more.
    It needs scikit-learn: pip install 'mottool[plots]'.
    """
    _for_caches("embeddings", partial(run_embeddings, config=config), **given)


@command.command("frames", short_help="A matrix of cosines between two frames.")
@_caches
@click.option(
    "--at",
    "pair",
    required=True,
    type=(click.IntRange(min=1), click.IntRange(min=1)),
    metavar="A B",
    help="The two frames.",
)
@_truths()
@_tracks
@_shared
def frames(pair: tuple[int, int], **given: Any) -> None:
    """Draw how like each other the detections of two frames are, as CSTrack's Fig. 6.

    \b
        mottool plot frames --at 100 130 --gt MOT17/train
        mottool plot frames cache.h5 --at 1 2

    A cell is the cosine of two embeddings; light is alike. Cells of one person are framed: who is
    who is said by --gt or --tracks, and without either nobody is named.
    """
    _for_caches("frames", partial(run_frames, pair=pair), unnamed=True, **given)


@command.command("tracklets", short_help="A matrix of cosines between tracklets and detections.")
@_caches
@click.option("--at", "frame", required=True, type=click.IntRange(min=2), help="The frame.")
@_truths()
@_tracks
@settings_options(TrackletConfig)
@_shared
def tracklets(frame: int, config: TrackletConfig, **given: Any) -> None:
    """Draw how like the detections of a frame are to the tracklets before it: OUTrack's Fig. 7.

    \b
        mottool plot tracklets --at 130 --tracks mottool-work/tracks/jde.jde
        mottool plot tracklets cache.h5 --at 130 --gt MOT17/train --memory 60

    A tracklet's embedding is the running mean of its detections', the old weighing 0.9. The
    tracklets are those of --tracks, or the true ones of --gt; cells of one identity are framed.
    """
    _for_caches("tracklets", partial(run_tracklets, frame=frame, config=config), **given)


@command.command("hota", short_help="HOTA over the localisation threshold, by tracker.")
@_results
@_truths(required=True)
@_rules
@_shared
def hota(
    tracks: tuple[Path, ...],
    truths: tuple[Path, ...],
    rules: str,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw HOTA, DetA and AssA over the localisation threshold alpha, a line for each tracker.

    \b
        mottool plot hota --gt MOT17/train
        mottool plot hota results/mine results/theirs --gt MOT17/train --format pdf

    The figures in brackets are the means, which evaluate prints. Only sequences that every tracker
    has results for are scored, joined as TrackEval does. It goes to WORK/plots/hota.png.
    """
    from mottool.metrics.inputs import find_results, find_truth

    batch = Jobs(as_json)
    results = find_results(tracks or WorkDir(work).results())
    known = find_truth(truths)
    names = [name for name in known if all(name in files for files in results.values())]
    if not names:
        fix = "give results and ground truth of the same sequences"
        raise InputError("no sequence has ground truth and results of every tracker", fix)
    common, out = ", ".join(names), WorkDir(work).root / "plots" / f"hota.{form}"

    def draw() -> None:
        run_hota(results, [known[name] for name in names], out, rules, batch.note)
        batch.report(common, out, f"{len(results)} trackers, {common}")

    batch.run(common, draw)
    batch.close()


@command.command("timelines", short_help="Who is there when, and under which identity.")
@_results
@_truths()
@_rules
@_shared
def timelines(
    tracks: tuple[Path, ...],
    truths: tuple[Path, ...],
    rules: str,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw each identity of result files as a bar over time.

    \b
        mottool plot timelines results/mine
        mottool plot timelines --gt MOT17/train

    With --gt each lane is a person of the ground truth, and the colours and numbers are the
    identities that hit this person: a perfect tracker shows one colour in each lane. Thin grey is
    a person who is missed, a black tick an identity switch.
    """
    from mottool.metrics.inputs import find_results, find_truth, truth_of

    batch = Jobs(as_json)
    known = find_truth(truths)
    for tracker, files in find_results(tracks or WorkDir(work).results()).items():
        for name, path in files.items():

            def draw(tracker: str = tracker, name: str = name, path: Path = path) -> None:
                truth = truth_of(name, known) if known else None
                out = WorkDir(work).plot(Path(tracker).name, name, "timelines", form)
                batch.report(name, run_timelines(path, out, truth, rules, name), "drawn")

            batch.run(name, draw)
    batch.close()


@command.command("similarity", short_help="Where a later frame is like a person.")
@click.argument("source", metavar="SOURCE")
@settings_options(SimilarityConfig)
@click.option(
    "--at",
    "pair",
    required=True,
    type=(click.IntRange(min=1), click.IntRange(min=1)),
    metavar="FRAME LATER",
    help="The frame that shows the person, and the one that is searched.",
)
@_truths()
@_tracks
@_shared
def similarity(
    source: str,
    config: SimilarityConfig,
    pair: tuple[int, int],
    truths: tuple[Path, ...],
    tracks: Path | None,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw how like a person every place of a later frame of SOURCE is, as JDE's Fig. 4.

    \b
        mottool plot similarity video.mp4 --at 1 60 --person 310,120,40,110
        mottool plot similarity MOT17/train/MOT17-02 --pipeline jde-1088x608 \\
            --weights jde.pt --at 1 60 --id 3 --gt MOT17/train

    A one-shot network sees both frames. The embedding at the centre of the person's box in FRAME
    is compared with that of every cell of LATER: the lighter, the more alike; a ring marks the
    best place. JDE's cells are those of its finest level. SOURCE is as for detect-embed; of
    several sequences, each gets its figure.
    """
    import numpy as np

    from mottool.boxes import xyxy_from_tlwh
    from mottool.metrics.identity_matching import box_of, who_is_who
    from mottool.metrics.inputs import find_truth
    from mottool.pipelines.similarity_map import load_similarity_network
    from mottool.sources.discovery import find_sequences

    if truths and tracks:
        raise SettingError("--gt and --tracks both say who is who", "give one of them")
    if (config.person is None) == (config.id is None):
        fix = "give --person X,Y,W,H, or --id N with --gt or --tracks"
        raise SettingError("the person must be named in one way", fix)
    if (config.id is not None) != bool(truths or tracks):
        raise SettingError("--id goes with --gt or --tracks", "give both, or --person X,Y,W,H")
    batch, known = Jobs(as_json), find_truth(truths)
    embedder = load_similarity_network(
        config.pipeline, config.weights, config.input, config.device, batch.note
    )

    def job(sequence: Sequence) -> None:
        rows = who_is_who(sequence.name, known, tracks)
        if rows is not None and config.id is not None:
            box = box_of(rows, config.id, pair[0])
        else:
            box = xyxy_from_tlwh(np.array(config.person))
        out = WorkDir(work).plot(embedder.name, sequence.name, "similarity", form)
        run_similarity(sequence, embedder, pair, box, out, batch.note)
        batch.report(sequence.name, out, "drawn")

    for sequence in find_sequences([source], None, batch.fail):
        batch.run(sequence.name, partial(job, sequence))
    batch.close()


def _for_caches(
    kind: str,
    draw: Callable[..., Path],
    caches: tuple[Path, ...],
    truths: tuple[Path, ...],
    tracks: Path | None,
    form: str,
    work: Path,
    as_json: bool,
    unnamed: bool = False,
) -> None:
    """Draw one figure for each cache, by default for those of the work folder.

    Unless people may stay `unnamed`, somebody has to say who is who.
    """
    from mottool.cache.reader import Cache
    from mottool.metrics.identity_matching import who_is_who
    from mottool.metrics.inputs import find_truth

    if truths and tracks:
        raise SettingError("--gt and --tracks both say who is who", "give one of them")
    if not (truths or tracks or unnamed):
        raise SettingError("nothing says who is who", "give --gt or --tracks")
    batch, known = Jobs(as_json), find_truth(truths)
    found = caches or tuple(WorkDir(work).caches())
    if not found:
        fix = "run mottool detect-embed first, or name the caches"
        raise InputError(f"there are no caches under {work / 'caches'}", fix)

    def job(cache: Path) -> None:
        with Cache(cache) as opened:
            name, pipeline = opened.header.sequence, opened.header.pipeline
        out = WorkDir(work).plot(pipeline, name, kind, form)
        batch.report(name, draw(cache, who_is_who(name, known, tracks), out=out), "drawn")

    for cache in found:
        batch.run(cache.stem, partial(job, cache))
    batch.close()
