#!/bin/sh
# OTrack as CenterTrack's authors train it for MOT17 (ECCV 2020), with OUTrack's occlusion centres.
#
#     sh examples/training/otrack.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default otrack, is
# the only one; $INIT is what it starts from, for example CenterTrack's crowdhuman.pth, or what
# this makes of CrowdHuman with FLAGS="--epochs 140 --batch 64 --lr 2.5e-4". $FLAGS go to
# `mottool train` as they are; --no-occlusion among them trains CenterTrack alone.
# Run it again after a stop and it goes on from there.
set -eu
. "$(dirname "$0")/../recipe.sh"
train otrack "$@"
