"""Stage `plot`: read caches, result files and ground truth; write plots for papers.

Each kind of plot is a function of `mottool.drawing.plots`. The kinds that read result files are in
`plot_results`; that of OUTrack's assignment matrix is in `plot_assignment`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mottool.cli.jobs import Jobs
from mottool.cli.options import (
    caches_argument,
    frame_pair_option,
    ground_truth_option,
    plot_options,
    settings_options,
    tracks_option,
)
from mottool.drawing.model_plot import ModelPlotSettings, caches_by_model, plot_models
from mottool.drawing.plots import (
    DetectionPlotSettings,
    EmbeddingPlotSettings,
    SimilarityPlotSettings,
    TrackletPlotSettings,
    plot_embeddings,
    plot_frames,
    plot_similarity,
    plot_templates,
    plot_tracklets,
)
from mottool.drawing.plotted_caches import (
    check_identities,
    check_identity_source,
    identified_caches,
    plot_caches,
)
from mottool.errors import SettingError
from mottool.files import safe_name
from mottool.stages.plot_assignment import command as assignment
from mottool.stages.plot_results import bars, hota, timelines, trade_off
from mottool.workdir import WorkDir

if TYPE_CHECKING:
    from mottool.sources.sequence import Sequence

__all__ = ["command"]


@click.group("plot")
def command() -> None:
    """Draw plots for papers as PNG, SVG or PDF, in colours that colour-blind readers distinguish.

    \b
        mottool plot embeddings --gt MOT17/train
        mottool plot frames --gt MOT17/train --at 100 130
        mottool plot assignment --gt MOT17/train --at 100 110
        mottool plot hota --gt MOT17/train --format pdf
        mottool plot timelines --gt MOT17/train
        mottool plot templates --gt MOT17/train --at 40
        mottool plot similarity video.mp4 --weights fairmot.pth --at 1 60 --person 310,120,40,110
        mottool plot trade-off low.csv high.csv

    By default CACHEs are all caches in the work folder that have embeddings, and result files all
    folders of results there. A plot is written to WORK/plots/<pipeline or
    results>/<sequence>.<kind>.png. `mottool plot KIND --help` describes each kind.
    """


@command.command("embeddings", short_help="Map of embeddings by identity (t-SNE).")
@caches_argument
@ground_truth_option()
@tracks_option
@settings_options(EmbeddingPlotSettings)
@plot_options
def embeddings(config: EmbeddingPlotSettings, as_json: bool, **options: Any) -> None:
    """Map the embeddings of each CACHE onto the plane by t-SNE, coloured by identity.

    \b
        mottool plot embeddings --gt MOT17/train
        mottool plot embeddings mottool-work/caches/jde/*.h5 --tracks results --people 20

    Identities that the embeddings separate form separate clusters, as in FairMOT's Fig. 3. The
    identities are those of --gt or --tracks: a detection gets that of the box with which its IoU
    is 0.5 or more. Requires scikit-learn: pip install scikit-learn.
    """
    plot = partial(plot_embeddings, settings=config)
    plot_caches("embeddings", plot, Jobs(as_json), **options)


@command.command("models", short_help="Maps of several models' embeddings, side by side.")
@caches_argument
@ground_truth_option()
@tracks_option
@click.option(
    "--frames",
    "sources",
    multiple=True,
    help="Sequences whose frames show the people, as for detect-embed. May be given several times.",
)
@click.option(
    "--label",
    "labels",
    multiple=True,
    help="Name of a model, once for each in their order. By default the pipelines.",
)
@settings_options(ModelPlotSettings)
@plot_options
def models(
    caches: tuple[Path, ...],
    ground_truth: tuple[Path, ...],
    tracks: Path | None,
    sources: tuple[str, ...],
    labels: tuple[str, ...],
    config: ModelPlotSettings,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Map all people's embeddings by t-SNE, one map per model, as FairMOT's Fig. 3 and 4.

    \b
        mottool plot models --gt MOT15/val --frames MOT15/val
        mottool plot models work/caches/fairmot-resnet34 work/caches/fairmot-dla34 \\
            --gt MOT15/val --highlight TUD-Campus:1,TUD-Campus:5

    A CACHE is a file or a folder; the caches of one folder are those of one model. The identities
    are those of --gt or --tracks, and kept apart between sequences: a person has one colour in all
    maps. Red arrows point at some people, whom the pictures of --frames show. The plot is
    WORK/plots/models.png. Requires scikit-learn: pip install scikit-learn.
    """
    from mottool.metrics.identity_matching import find_identity_rows
    from mottool.sources.discovery import find_sequences

    check_identities(ground_truth, tracks)
    jobs = Jobs(as_json)
    paths, truth_files = identified_caches(caches, ground_truth, tracks, work, jobs.note)
    by_model = caches_by_model(paths, labels)
    sequences = find_sequences(sources, None, jobs.fail) if sources else []
    rows_of = partial(find_identity_rows, ground_truth_files=truth_files, tracks=tracks)
    out = WorkDir(work).root / "plots" / f"models.{form}"

    def job() -> None:
        plot_models(by_model, rows_of, out, config, sequences, jobs.note)
        jobs.report("models", out, f"{len(by_model)} models")

    jobs.run("models", job)
    jobs.close()


@command.command("frames", short_help="Matrix of cosines between two frames.")
@caches_argument
@frame_pair_option("A B", "The two frames.")
@ground_truth_option()
@tracks_option
@settings_options(DetectionPlotSettings)
@plot_options
def frames(
    pair: tuple[int, int], config: DetectionPlotSettings, as_json: bool, **options: Any
) -> None:
    """Draw the similarity of the detections of two frames.

    \b
        mottool plot frames --at 100 130 --gt MOT17/train
        mottool plot frames cache.h5 --at 1 2

    A cell is the cosine of two embeddings; light is similar. Cells of one identity are framed. The
    identities are those of --gt or --tracks; without either they are unknown. A detection that
    matches no identity is marked with a question mark.
    """
    plot = partial(plot_frames, pair=pair, settings=config)
    plot_caches("frames", plot, Jobs(as_json), identities_required=False, **options)


@command.command("tracklets", short_help="Matrix of cosines between tracklets and detections.")
@caches_argument
@click.option("--at", "frame", required=True, type=click.IntRange(min=2), help="The frame.")
@ground_truth_option()
@tracks_option
@settings_options(TrackletPlotSettings)
@plot_options
def tracklets(frame: int, config: TrackletPlotSettings, as_json: bool, **options: Any) -> None:
    """Draw the similarity of a frame's detections to the tracklets before it.

    \b
        mottool plot tracklets --at 130 --tracks mottool-work/tracks/jde.jde
        mottool plot tracklets cache.h5 --at 130 --gt MOT17/train --memory 60

    A tracklet's embedding is the running mean of its detections', in which the old mean weighs
    0.9. The tracklets are those of --tracks or the true ones of --gt; cells of one identity are
    framed.
    """
    plot = partial(plot_tracklets, frame=frame, settings=config)
    plot_caches("tracklets", plot, Jobs(as_json), **options)


@command.command("templates", short_help="Embeddings, templates and their cosines, by network.")
@caches_argument
@click.option("--at", "frame", required=True, type=click.IntRange(min=2), help="The frame.")
@ground_truth_option()
@tracks_option
@settings_options(TrackletPlotSettings)
@plot_options
def templates(
    caches: tuple[Path, ...],
    frame: int,
    ground_truth: tuple[Path, ...],
    tracks: Path | None,
    config: TrackletPlotSettings,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw a frame, its embeddings, its templates and their cosines: CSTrack's Fig. 6.

    \b
        mottool plot templates --at 40 --gt MOT17/train
        mottool plot templates jde/MOT17-02.h5 cstrack/MOT17-02.h5 --at 40 --gt MOT17/train

    The panels are (a) the frame with the boxes of --gt or --tracks, (b) the embeddings of its
    people, (c) their cosines, (d) the templates of the tracklets before it, which are running
    means, (e) their cosines, and (f) the cosines of embeddings and templates. Caches of one
    sequence by several pipelines become rows of one plot, WORK/plots/SEQUENCE.templates.png.
    detect-embed --boxes gt makes caches at true boxes, as in the paper.
    """
    from mottool.cache.reader import Cache
    from mottool.metrics.identity_matching import find_identity_rows

    check_identities(ground_truth, tracks)
    jobs = Jobs(as_json)
    paths, truth_files = identified_caches(caches, ground_truth, tracks, work, jobs.note)
    by_sequence: dict[str, list[Path]] = {}
    for path in paths:
        with Cache(path) as cache:
            by_sequence.setdefault(cache.header.sequence, []).append(path)

    def job(name: str, files: list[Path]) -> None:
        rows = find_identity_rows(name, truth_files, tracks)
        assert rows is not None  # one of the sources is given
        out = WorkDir(work).root / "plots" / f"{safe_name(name)}.templates.{form}"
        plot_templates(files, rows, out, frame, config, jobs.note)
        jobs.report(name, out, "drawn")

    for name, files in by_sequence.items():
        jobs.run(name, partial(job, name, files))
    jobs.close()


@command.command("similarity", short_help="Similarity of a later frame to a person.")
@click.argument("source", metavar="SOURCE")
@settings_options(SimilarityPlotSettings)
@frame_pair_option("FRAME LATER", "The frame that shows the person, and the one that is searched.")
@ground_truth_option()
@tracks_option
@plot_options
def similarity(
    source: str,
    config: SimilarityPlotSettings,
    pair: tuple[int, int],
    ground_truth: tuple[Path, ...],
    tracks: Path | None,
    form: str,
    work: Path,
    as_json: bool,
) -> None:
    """Draw the similarity of every cell of a later frame of SOURCE to a person, as JDE's Fig. 4.

    \b
        mottool plot similarity video.mp4 --at 1 60 --person 310,120,40,110
        mottool plot similarity MOT17/train/MOT17-02 --pipeline jde-1088x608 \\
            --weights jde.pt --at 1 60 --id 3 --gt MOT17/train

    A one-shot network processes both frames. The embedding at the centre of the person's box in
    FRAME is compared with that of every cell of LATER: lighter is more similar; a ring marks the
    maximum. Beside it the same is shown for the features from which the network detects people.
    JDE's cells are those of its finest level. SOURCE is as for detect-embed; each of
    several sequences gets its own plot.
    """
    import numpy as np

    from mottool.boxes import xyxy_from_tlwh
    from mottool.metrics.ground_truth_files import find_ground_truth
    from mottool.metrics.identity_matching import box_of, find_identity_rows
    from mottool.pipelines.similarity_map import load_similarity_network
    from mottool.sources.discovery import find_sequences

    check_identity_source(ground_truth, tracks)
    if (config.person is None) == (config.id is None):
        fix = "give --person X,Y,W,H, or --id N with --gt or --tracks"
        raise SettingError("the person must be given in exactly one way", fix)
    if (config.id is not None) != bool(ground_truth or tracks):
        fix = "give both, or --person X,Y,W,H"
        raise SettingError("--id requires --gt or --tracks, and they require --id", fix)
    jobs, truth_files = Jobs(as_json), find_ground_truth(ground_truth)
    embedder = load_similarity_network(
        config.pipeline, config.weights, config.input, config.device, jobs.note
    )

    def job(sequence: Sequence) -> None:
        rows = find_identity_rows(sequence.name, truth_files, tracks)
        if rows is not None and config.id is not None:
            box = box_of(rows, config.id, pair[0])
        else:
            box = xyxy_from_tlwh(np.array(config.person))
        out = WorkDir(work).plot(embedder.name, sequence.name, "similarity", form)
        plot_similarity(sequence, embedder, pair, box, out, jobs.note, config.features)
        jobs.report(sequence.name, out, "drawn")

    for sequence in find_sequences([source], None, jobs.fail, jobs.note):
        jobs.run(sequence.name, partial(job, sequence))
    jobs.close()


for kind in (assignment, bars, hota, timelines, trade_off):
    command.add_command(kind)
