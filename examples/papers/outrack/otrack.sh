#!/bin/sh
# OTrack, CenterTrack with OUTrack's occlusion centres, for MOT17 (ECCV 2020; Neurocomputing 2022).
#
#     sh examples/papers/outrack/otrack.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE is otrack, the only one of its kind. $INIT
# are the initial weights, for example CenterTrack's crowdhuman.pth, or the result of this recipe on
# CrowdHuman with FLAGS="--epochs 140 --batch 64 --lr 2.5e-4". $FLAGS are passed to `mottool train`;
# with --no-occlusion it trains CenterTrack alone.
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"
train otrack "$@"
