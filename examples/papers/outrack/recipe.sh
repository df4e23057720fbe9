#!/bin/sh
# OUTrack as its paper trains it (Neurocomputing 2022, §4.1): no identities, occlusions with τ = 0.7.
#
#     sh examples/papers/outrack/recipe.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE is outrack, the only one of its kind.
# $INIT are the initial weights, for example CenterNet's ctdet_coco_dla_2x.pth. $FLAGS are passed to
# `mottool train`; with --no-occlusion it is FairMOT with unsupervised re-identification.
#
# With $CROWDHUMAN, the folder of CrowdHuman, the network is first trained on it (§4.3.3): 60 epochs
# with a tenth of the rate after 50, 24 images per step, a rate of 3e-4, re-identification times 10,
# a fifth of negative pairs. With $TEST, the sequences of a test set, these are tracked by
# Algorithm 1; with $PUBLIC too, their public detections, only people near those start tracks.
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"
name=${PIPELINE:-outrack}
work=${MOTTOOL_WORK:-mottool-work}

if [ -n "${CROWDHUMAN:-}" ]; then
    # shellcheck disable=SC2086
    mottool train "$name" --data "$CROWDHUMAN" --work "$work/crowdhuman" ${INIT:+--init "$INIT"} \
        --epochs 60 --drops 50 --batch 24 --lr 3e-4 --id-weight 10 --negative 0.2 ${FLAGS:-}
    INIT=$work/crowdhuman/training/$name/$name.safetensors
fi
train outrack "$@"
if [ -n "${TEST:-}" ]; then
    mottool detect-embed "$TEST" --pipeline "$name" --work "$work" \
        --weights "$work/training/$name/$name.safetensors" ${INPUT:+--input "$INPUT"}
    mottool associate "$work/caches/$name"/*.h5 --work "$work" --tracker outrack --form paper \
        ${PUBLIC:+--track-type public_track --public "$PUBLIC"}
fi
