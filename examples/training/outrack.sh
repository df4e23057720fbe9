#!/bin/sh
# OUTrack as its paper trains it (Neurocomputing 2022): no identities, occlusions with τ = 0.7.
#
#     sh examples/training/outrack.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE is outrack, the only one of its kind.
# $INIT are the initial weights, for example CenterNet's ctdet_coco_dla_2x.pth. $FLAGS are passed to
# `mottool train`.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"
train outrack "$@"
