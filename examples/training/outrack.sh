#!/bin/sh
# OUTrack as its paper trains it (Neurocomputing 2022): no identities, occlusions with τ = 0.7.
#
#     sh examples/training/outrack.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default outrack, is
# the only one; $INIT is what it starts from,
# for example CenterNet's ctdet_coco_dla_2x.pth. $FLAGS go to `mottool train` as they are.
# Run it again after a stop and it goes on from there.
set -eu
. "$(dirname "$0")/../recipe.sh"
train outrack "$@"
