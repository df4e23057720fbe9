#!/bin/sh
# FairMOT as its paper trains it (arXiv 2004.01888v1, §4.2 and §4.4).
#
#     sh examples/papers/fairmot/recipe.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder; the paper's DATASETs are ETH, CityPersons, CalTech,
# MOT17, CUHK-SYSU and PRW. $PIPELINE, by default fairmot-dla34, may be one with another backbone.
# $INIT are the initial weights, for example CenterNet's ctdet_coco_dla_2x.pth.
# $FLAGS are passed to `mottool train`.
#
# With $BENCHMARK, the training set of one benchmark, the network is then fine-tuned on it for 10
# epochs (Table 6). With $TEST, the sequences of a test set, these are tracked; $CONF is the lowest
# score, by default 0.4 (MOT16, MOT17) and in the authors' commands 0.3 for 2DMOT15 and MOT20. The
# folder of tracks can be zipped and sent to the benchmark's server.
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"
train fairmot-dla34 "$@" --size-head wh

name=${PIPELINE:-fairmot-dla34}
work=${MOTTOOL_WORK:-mottool-work}
if [ -n "${BENCHMARK:-}" ]; then
    INIT=$work/training/$name/$name.safetensors
    work=$work/fine-tuned
    # shellcheck disable=SC2086
    mottool train "$name" --data "$BENCHMARK" --validate "$validation" --work "$work" \
        --init "$INIT" --size-head wh ${FLAGS:-} --epochs 10 --lr 1e-5
fi
if [ -n "${TEST:-}" ]; then
    mottool detect-embed "$TEST" --pipeline "$name" --work "$work" \
        --weights "$work/training/$name/$name.safetensors" ${INPUT:+--input "$INPUT"}
    mottool associate "$work/caches/$name"/*.h5 --work "$work" --tracker fairmot \
        --profile 2020-05 --conf-thres "${CONF:-0.4}"
fi
