#!/bin/sh
# TDT (CVPR Workshops 2022, §3.3): a teacher's embeddings distilled, then learned by a detector.
#
#     sh examples/training/tdt.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. $PIPELINE, by default tdt-r34, is
# another student's; $INIT is what it starts from,
# by default ImageNet's weights of its backbone. $TEACHER and
# $TEACHER_WEIGHTS name the re-ID network that teaches; $FLAGS go to `mottool train` as they are.
# Run it again after a stop and it goes on from there.
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
