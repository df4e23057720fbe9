#!/bin/sh
# JDE as its paper trains it (ECCV 2020, §4), its nine tasks weighed by uncertainty.
#
#     sh examples/training/jde.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default jde-1088x608, is
# one of another size; $INIT is what it starts from,
# for example the authors' jde.1088x608.uncertainty.pt. $FLAGS go to `mottool train` as they are.
# Run it again after a stop and it goes on from there.
set -eu
. "$(dirname "$0")/../recipe.sh"
train jde-1088x608 "$@"
