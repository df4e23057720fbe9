#!/bin/sh
# CSTrack as its paper trains it (IEEE TIP 2022, §IV-A): SGD, 30 epochs, η = 0.02.
#
#     sh examples/papers/cstrack/recipe.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder; the paper's DATASETs are ETH, CityPersons, CalTech,
# MOT17, CUHK-SYSU, PRW and CrowdHuman. $PIPELINE, by default cstrack, may be cstrack-s. $INIT are
# the initial weights, for example Ultralytics' yolov5l.pt of release 3.0. $FLAGS are passed to
# `mottool train`: --form paper builds the network as the text describes it, and starts from the
# yolov5l.pt of release 4.0. With $TEST, the sequences of a test set, these are tracked; their folder
# of tracks can be sent to the benchmark's server.
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"
train cstrack "$@"

name=${PIPELINE:-cstrack}
work=${MOTTOOL_WORK:-mottool-work}
if [ -n "${TEST:-}" ]; then
    mottool detect-embed "$TEST" --pipeline "$name" --work "$work" \
        --weights "$work/training/$name/$name.safetensors" ${INPUT:+--input "$INPUT"}
    mottool associate "$work/caches/$name"/*.h5 --work "$work" --tracker cstrack
fi
