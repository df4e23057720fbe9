#!/bin/sh
# CSTrack as its paper trains it (IEEE TIP 2022): SGD, η = 0.02.
#
#     sh examples/training/cstrack.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default cstrack, is
# cstrack-s for the small one; $INIT is what it starts from,
# for example Ultralytics' yolov5l.pt. $FLAGS go to `mottool train` as they are.
# Run it again after a stop and it goes on from there.
set -eu
. "$(dirname "$0")/../recipe.sh"
train cstrack "$@"
