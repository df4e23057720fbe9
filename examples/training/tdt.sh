#!/bin/sh
# TDT (CVPR Workshops 2022, §3.3): distil a teacher's embeddings, then train a detector on them.
#
#     sh examples/training/tdt.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. $PIPELINE, by default tdt-r34, may be another
# student. $INIT are the initial weights, by default ImageNet weights of its backbone. $TEACHER and
# $TEACHER_WEIGHTS are the re-ID network that is distilled. $FLAGS are passed to `mottool train`.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"

teacher=${TEACHER:-osnet_x1_0}
for source; do
    [ "$source" != --data ] || continue
    mottool distill-labels "$source" --teacher "$teacher" \
        ${TEACHER_WEIGHTS:+--teacher-weights "$TEACHER_WEIGHTS"}
done
for labels in "${MOTTOOL_WORK:-mottool-work}/labels/$teacher"/*.h5; do
    set -- "$@" --labels "$labels"
done
INIT=${INIT:-imagenet}
train tdt-r34 "$@"
