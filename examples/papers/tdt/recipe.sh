#!/bin/sh
# TDT as its paper trains its benchmark entry (CVPR Workshops 2022, §4.2 and supplement A).
#
#     sh examples/papers/tdt/recipe.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. The paper's DATASETs are the boxes of ETH,
# CityPersons, CalTech, MOT17, CUHK-SYSU and PRW (its BaseTrainSet) and CrowdHuman; identities are
# not used. A teacher's embeddings are stored for each, then the student is trained from random
# weights: 200,000 steps of 32 images at 1920x1088. $PIPELINE, by default tdt-r34, may be another
# student. $TEACHER, by default osnet_ain_x1_0, and $TEACHER_WEIGHTS are the re-ID network. $LENGTH,
# such as "--epochs 12", replaces the steps, and $FLAGS are passed to `mottool train`.
#
# With $MOT20, the training set of MOT20, the student is fine-tuned on it for 30,000 steps of 16
# images. With $TEST, the sequences of a test set, these are tracked, for MOT20 with its lower score.
# The folder of tracks can be zipped and sent to the benchmark's server.
# Run it again to resume after an interruption.
set -eu
project=$(cd "$(dirname "$0")/../../.." && pwd)
. "$project/examples/recipe.sh"

name=${PIPELINE:-tdt-r34}
teacher=${TEACHER:-osnet_ain_x1_0}
work=${MOTTOOL_WORK:-mottool-work}

# distil DATASET: store the teacher's embeddings of a dataset in $labels.
distil() {
    labels=$work/labels/$teacher/$(printf %s "$1" | cksum | tr ' ' -).h5
    mottool distill-labels "$1" --teacher "$teacher" --out "$labels" \
        ${TEACHER_WEIGHTS:+--teacher-weights "$TEACHER_WEIGHTS"}
}

for source; do
    [ "$source" != --data ] || continue
    distil "$source"
    set -- "$@" --labels "$labels"
done
# shellcheck disable=SC2086
train tdt-r34 "$@" --batch 32 --input 1920x1088 ${LENGTH:---steps 200000}

profile=
if [ -n "${MOT20:-}" ]; then
    INIT=$work/training/$name/$name.safetensors
    distil "$MOT20"
    work=$work/mot20
    profile="--profile mot20"
    # shellcheck disable=SC2086
    mottool train "$name" --data "$MOT20" --labels "$labels" --validate "$validation" \
        --work "$work" --init "$INIT" --lr 0.015 --batch 16 --input 1920x1088 \
        ${LENGTH:---steps 30000} ${FLAGS:-}
fi
if [ -n "${TEST:-}" ]; then
    mottool detect-embed "$TEST" --pipeline "$name" --work "$work" \
        --weights "$work/training/$name/$name.safetensors"
    # shellcheck disable=SC2086
    mottool associate "$work/caches/$name"/*.h5 --work "$work" --tracker tdt $profile
fi
