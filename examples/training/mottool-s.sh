#!/bin/sh
# mottool-s, the bundled network: detection, embeddings and occlusion centres from public data.
#
#     sh examples/training/mottool-s.sh VALIDATION DATASET...
#
# VALIDATION is a held-out MOTChallenge folder. The bundled weights were trained on MOT17-02,
# MOT17-11, ETH-Sunnyday, Penn-Fudan with its masks, COCO, and street cameras with the pseudo-labels
# of a detector (`mottool distill-labels --detector`). Folders of re-ID crops are datasets, too:
# their people are pasted into the scenes. $TEACHER and $TEACHER_WEIGHTS are a re-ID network whose
# embeddings are distilled; without them, embeddings are learned from identities and pairs of
# frames. $INIT are the initial weights, by default the bundled ones; none starts from random
# weights. $FLAGS are passed to `mottool train`, for example --minutes 60.
# Run it again to resume after an interruption.
set -eu
. "$(dirname "$0")/../recipe.sh"

if [ -n "${TEACHER:-}" ]; then
    for source; do
        [ "$source" != --data ] || continue
        mottool distill-labels "$source" --teacher "$TEACHER" \
            ${TEACHER_WEIGHTS:+--teacher-weights "$TEACHER_WEIGHTS"}
    done
    for labels in "${MOTTOOL_WORK:-mottool-work}/labels/$TEACHER"/*.h5; do
        set -- "$@" --labels "$labels"
    done
fi
INIT=${INIT:-mottool-s}
[ "$INIT" != none ] || INIT=
train mottool-s "$@"
