"""The command `plot assignment`: OUTrack's Fig. 7."""

from functools import partial
from typing import Any

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
from mottool.drawing.assignment_plot import AssignmentPlotSettings, plot_assignment
from mottool.drawing.plotted_caches import plot_caches

__all__ = ["command"]


@click.command("assignment", short_help="Assignment matrix between two frames.")
@caches_argument
@frame_pair_option("A B", "The two frames.")
@ground_truth_option()
@tracks_option
@settings_options(AssignmentPlotSettings)
@plot_options
def command(
    pair: tuple[int, int], config: AssignmentPlotSettings, as_json: bool, **options: Any
) -> None:
    """Draw two frames and the assignment matrix M' of their detections, as OUTrack's Fig. 7.

    \b
        mottool plot assignment --at 100 110 --gt MOT17/train
        mottool plot assignment cache.h5 --at 1 10 --tracks results --placeholder zero

    A row is a softmax over the similarities of one detection to all others in both frames and, in
    the last column, to the placeholder, which stands for people that are in one frame only. Light
    is probable. Cells of one identity are framed. The identities are those of --gt or --tracks;
    without either they are unknown.
    """
    jobs = Jobs(as_json)
    plot = partial(plot_assignment, pair=pair, settings=config, warn=jobs.note)
    plot_caches("assignment", plot, jobs, identities_required=False, **options)
