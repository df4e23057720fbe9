#!/bin/sh
# CSTrack as its paper trains it (IEEE TIP 2022): SGD, η = 0.02.
#
#     sh examples/training/cstrack.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE, by default cstrack, may be cstrack-s.
# $INIT are the initial weights, for example Ultralytics' yolov5l.pt. $FLAGS are passed to `mottool
# train`.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"
train cstrack "$@"
