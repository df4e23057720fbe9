#!/bin/sh
# OTrack as CenterTrack's authors train it for MOT17 (ECCV 2020), with OUTrack's occlusion centres.
#
#     sh examples/training/otrack.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE is otrack, the only one of its kind. $INIT
# are the initial weights, for example CenterTrack's crowdhuman.pth, or the result of this recipe on
# CrowdHuman with FLAGS="--epochs 140 --batch 64 --lr 2.5e-4". $FLAGS are passed to `mottool train`;
# with --no-occlusion it trains CenterTrack alone.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"
train otrack "$@"
