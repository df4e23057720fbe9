#!/bin/sh
# JDE as its paper trains it (ECCV 2020, §4), its nine tasks weighted by uncertainty.
#
#     sh examples/training/jde.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE, by default jde-1088x608, may be one of
# another size. $INIT are the initial weights, for example the authors' jde.1088x608.uncertainty.pt.
# $FLAGS are passed to `mottool train`.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"
train jde-1088x608 "$@"
