#!/bin/sh
# mottool-s, the network in the box: detection, embeddings and occlusion centres from public data.
#
#     sh examples/training/mottool-s.sh VALIDATION DATASET...
#
# VALIDATION is a MOTChallenge folder that is held out. The bundled weights learned from
# MOT17-02, MOT17-11, ETH-Sunnyday, Penn-Fudan with its masks, COCO, and street cameras whose people
# a detector had found (`mottool distill-labels --detector`). Folders of re-ID crops are datasets,
# too: their people are pasted into the scenes.
# $TEACHER and $TEACHER_WEIGHTS name a re-ID network that teaches embeddings; without them,
# identities and pairs of frames do. $INIT is what it starts from, by default the bundled weights;
# none starts from random ones. $FLAGS go to `mottool train` as they are, such as --minutes 60.
# Run it again after a stop and it goes on from there.
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
