#!/bin/sh
# JDE as its paper trains it (ECCV 2020, §4.2), its nine losses weighted by uncertainty (Eq. 6).
#
#     sh examples/papers/jde/recipe.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. The DATASETs of the paper are the lists of ETH,
# CityPersons, CalTech, MOT16, CUHK-SYSU and PRW. $PIPELINE, by default jde-1088x608, may be one of
# another size. $INIT are the initial weights, for example darknet53.conv.74 or the authors'
# jde.1088x608.uncertainty.pt. $FLAGS are passed to `mottool train`. With $TEST, the sequences of a
# test set, these are tracked; their folder of tracks can be sent to the benchmark's server.
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"
train jde-1088x608 "$@"

name=${PIPELINE:-jde-1088x608}
work=${MOTTOOL_WORK:-mottool-work}
if [ -n "${TEST:-}" ]; then
    mottool detect-embed "$TEST" --pipeline "$name" --work "$work" \
        --weights "$work/training/$name/$name.safetensors" ${INPUT:+--input "$INPUT"}
    mottool associate "$work/caches/$name"/*.h5 --work "$work" --tracker jde
fi
